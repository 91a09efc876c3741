//! Every message comes back from its frame; nothing else decodes, and nothing makes a decoder panic.

use attest::{Address, BatchId, DataHash, Domain, RollupId, SeatIndex, SignatureBytes};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_open() -> impl Strategy<Value = Open> {
    let hashes = any::<([u8; 32], [u8; 32], [u8; 32], [u8; 32])>();
    let numbers = any::<(u64, u64, u64, u64, u64, u16)>();
    (hashes, numbers, vec(any::<u8>(), 65)).prop_map(|(hashes, numbers, signature)| Open {
        epoch: Epoch(numbers.0),
        committee_hash: CommitteeHash(hashes.0),
        submission: Submission {
            rollup_id: RollupId(hashes.1),
            data_hash: DataHash(hashes.2),
            data_bytes: numbers.1,
            hot_until: numbers.2,
            retain_until: numbers.3,
            deadline: numbers.4,
        },
        signature: SubmissionSignature(signature.try_into().unwrap()),
        shards_root: ShardsRoot(hashes.3),
        coordinator: numbers.5,
    })
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let payload = prop_oneof![vec(any::<u8>(), 0..200), Just(vec![7; 32 * 1024])];
    (any::<u32>(), any::<u16>(), payload, vec(any::<[u8; 32]>(), 0..=PATH_MAX))
        .prop_map(|(stripe, index, bytes, path)| Piece { stripe, index, bytes: bytes.into(), path })
}

fn any_vote() -> impl Strategy<Value = Vote> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u16>(), vec(any::<u8>(), 48)).prop_map(
        |(id, batch, seat, signature)| {
            let signature = SignatureBytes(signature.try_into().unwrap());
            Vote {
                open_id: OpenId(id),
                attestation: Attestation { batch_id: BatchId(batch), seat: SeatIndex(seat), signature },
            }
        },
    )
}

fn any_seats() -> impl Strategy<Value = SeatSet> {
    vec(0..300u16, 0..20).prop_map(SeatSet::from_iter)
}

const REASONS: [Reason; 15] = [
    Reason::Unauthorised,
    Reason::QuotaExceeded,
    Reason::TooLarge,
    Reason::PiecesMissing,
    Reason::BadEncoding,
    Reason::CommitmentMismatch,
    Reason::StorageFull,
    Reason::StorageError,
    Reason::StaleEpoch,
    Reason::Expired,
    Reason::ShuttingDown,
    Reason::Busy,
    Reason::Unreachable,
    Reason::NoAnswer,
    Reason::BadAttestation,
];

fn any_ids() -> impl Strategy<Value = Vec<BatchId>> {
    vec(any::<[u8; 32]>().prop_map(BatchId), 0..5)
}

fn any_question() -> impl Strategy<Value = Question> {
    let batch_id = || any::<[u8; 32]>().prop_map(BatchId);
    prop_oneof![
        any::<u64>().prop_map(Question::CertificatesSince),
        any_ids().prop_map(Question::Certificates),
        (batch_id(), any::<u32>()).prop_map(|(id, stripe)| Question::PieceRoots(id, stripe)),
        (batch_id(), any::<u32>(), any::<u32>())
            .prop_map(|(id, stripe, leaf)| Question::Leaf(id, stripe, leaf)),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (any_ids(), any::<u64>(), any::<bool>()).prop_map(|(ids, next, more)| Reply::CertificatesSince {
            ids,
            next,
            more
        }),
        vec(vec(any::<u8>(), 0..400), 0..4).prop_map(Reply::Certificates),
        vec(any::<u8>(), 0..300).prop_map(Reply::PieceRoots),
        (vec(any::<u8>(), 0..1025), vec(any::<[u8; 32]>(), 0..20))
            .prop_map(|(bytes, path)| Reply::Leaf(bytes, path)),
        Just(Reply::NotHere),
    ]
}

#[test]
fn lists_of_questions_and_replies_are_bounded() {
    let ids = |count| std::iter::repeat_n(BatchId([7; 32]), count).collect::<Vec<_>>();
    let cases = [
        (Message::Ask(1, Question::Certificates(ids(CERTIFICATES_MAX))), true),
        (Message::Ask(1, Question::Certificates(ids(CERTIFICATES_MAX + 1))), false),
        (Message::Reply(1, Reply::CertificatesSince { ids: ids(IDS_MAX), next: 0, more: true }), true),
        (Message::Reply(1, Reply::CertificatesSince { ids: ids(IDS_MAX + 1), next: 0, more: true }), false),
        (Message::Reply(1, Reply::Certificates(vec![Vec::new(); CERTIFICATES_MAX + 1])), false),
        (Message::Reply(1, Reply::PieceRoots(vec![0; ROOTS_BYTES_MAX])), true),
        (Message::Reply(1, Reply::PieceRoots(vec![0; ROOTS_BYTES_MAX + 1])), false),
        (Message::Reply(1, Reply::Leaf(vec![0; 1024], Vec::new())), true),
        (Message::Reply(1, Reply::Leaf(vec![0; 1025], Vec::new())), false),
        (Message::Reply(1, Reply::Leaf(Vec::new(), vec![[0; 32]; PATH_MAX + 1])), false),
    ];
    for (message, is_allowed) in cases {
        let decoded = Message::from_body(body_of(&message));
        assert_eq!(decoded.is_ok(), is_allowed, "{decoded:?}");
        assert!(is_allowed || matches!(decoded, Err(Malformed::TooLong { .. })), "{decoded:?}");
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let id = any::<[u8; 32]>().prop_map(OpenId);
    let ask = || (any::<u32>(), any_seats(), any::<u16>());
    prop_oneof![
        any_open().prop_map(|open| Message::Open(Box::new(open))),
        (id.clone(), any_piece()).prop_map(|(id, piece)| Message::Piece(id, piece)),
        any_vote().prop_map(Message::Vote),
        (id.clone(), 0..REASONS.len(), ".{0,600}").prop_map(|(id, reason, detail)| {
            Message::No(No::new(id, &Refusal::new(REASONS[reason], detail)))
        }),
        (id.clone(), ask()).prop_map(|(open_id, (stripe, held, count))| {
            Message::Want(Want { open_id, stripe, held, count })
        }),
        (id, any::<u32>()).prop_map(|(id, stripe)| Message::Lack(id, stripe)),
        (any::<u64>(), any::<[u8; 32]>(), ask()).prop_map(|(request, batch_id, (stripe, held, count))| {
            Message::Read(Read { request, batch_id: BatchId(batch_id), stripe, held, count })
        }),
        (any::<u64>(), any_piece()).prop_map(|(request, piece)| Message::ReadPiece(request, piece)),
        (any::<u64>(), any::<u16>()).prop_map(|(request, sent)| Message::ReadEnd(request, sent)),
        (any::<u64>(), any_question()).prop_map(|(request, question)| Message::Ask(request, question)),
        (any::<u64>(), any_reply()).prop_map(|(request, reply)| Message::Reply(request, reply)),
    ]
}

fn any_control() -> impl Strategy<Value = Control> {
    prop_oneof![
        any_open().prop_map(|open| Control::Open(Box::new(open))),
        any_vote().prop_map(Control::Vote),
        vec(any::<u8>(), 0..400).prop_map(Control::Certificate),
    ]
}

fn body_of(message: &Message) -> Bytes {
    message.to_frame().slice(4..)
}

/// Pieces have no length of their own: what follows the header is theirs.
fn has_payload(message: &Message) -> bool {
    matches!(message, Message::Piece(..) | Message::ReadPiece(..))
}

proptest! {
    #[test]
    fn every_message_comes_back_from_its_frame(message in any_message()) {
        let frame = message.to_frame();
        let (prefix, body) = frame.split_at(4);
        prop_assert_eq!(u32::from_le_bytes(prefix.try_into().unwrap()) as usize, body.len());
        prop_assert!(body.len() <= FRAME_BYTES_MAX);
        prop_assert_eq!(Message::from_body(frame.slice(4..)), Ok(message));
    }

    #[test]
    fn every_control_message_comes_back_and_fits_gossip(control in any_control()) {
        let bytes = control.encode();
        prop_assert!(bytes.len() <= GOSSIP_BYTES_MAX);
        prop_assert_eq!(Control::from_bytes(&bytes), Ok(control));
    }

    #[test]
    fn a_message_cut_short_is_no_message(message in any_message(), at in any::<prop::sample::Index>()) {
        let body = body_of(&message);
        let header_bytes = match &message {
            Message::Piece(_, piece) | Message::ReadPiece(_, piece) => body.len() - piece.bytes.len(),
            _ => body.len(),
        };
        prop_assert_eq!(Message::from_body(body.slice(..at.index(header_bytes))), Err(Malformed::Header));
    }

    #[test]
    fn a_message_without_payload_has_nothing_behind_it(message in any_message(), more in vec(any::<u8>(), 1..9)) {
        let body = Bytes::from([&body_of(&message)[..], &more].concat());
        let decoded = Message::from_body(body);
        if has_payload(&message) {
            let (Ok(Message::Piece(_, piece)) | Ok(Message::ReadPiece(_, piece))) = decoded else {
                return Err(TestCaseError::fail("a longer piece is a piece, and fails its own check"));
            };
            prop_assert!(piece.bytes.ends_with(&more));
        } else {
            prop_assert_eq!(decoded, Err(Malformed::Trailing(more.len())));
        }
    }

    #[test]
    fn a_control_message_is_exact(control in any_control(), more in vec(any::<u8>(), 1..9), at in any::<prop::sample::Index>()) {
        let bytes = control.encode();
        prop_assert_eq!(Control::from_bytes(&bytes[..at.index(bytes.len())]), Err(Malformed::Header));
        let longer = [&bytes[..], &more].concat();
        prop_assert_eq!(Control::from_bytes(&longer), Err(Malformed::Trailing(more.len())));
    }

    #[test]
    fn hostile_bytes_never_panic_and_what_decodes_has_one_encoding(bytes in vec(any::<u8>(), 0..600), tag in 0..12u8) {
        let bytes = [&[tag][..], &bytes].concat();
        if let Ok(message) = Message::from_body(Bytes::from(bytes.clone())) {
            prop_assert_eq!(&body_of(&message)[..], &bytes[..]);
        }
        if let Ok(control) = Control::from_bytes(&bytes) {
            prop_assert_eq!(control.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_gives_another_message_or_none(message in any_message(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = body_of(&message).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Message::from_body(bytes.clone().into()) {
            prop_assert_eq!(&body_of(&other)[..], &bytes[..]);
            prop_assert_ne!(other, message);
        }
    }
}

#[test]
fn a_path_longer_than_any_honest_one_is_refused() {
    for (digests, ok) in [(PATH_MAX, true), (PATH_MAX + 1, false), (4_000, false)] {
        let piece =
            Piece { stripe: 1, index: 2, bytes: Bytes::from_static(b"abc"), path: vec![[5; 32]; digests] };
        for message in [Message::Piece(OpenId([1; 32]), piece.clone()), Message::ReadPiece(3, piece.clone())]
        {
            let expected = Malformed::TooLong { what: "path", found: digests, limit: PATH_MAX };
            assert_eq!(Message::from_body(body_of(&message)), if ok { Ok(message) } else { Err(expected) });
        }
    }
}

#[test]
fn a_detail_longer_than_allowed_is_cut_by_the_honest_and_refused_of_others() {
    let long = Refusal::new(Reason::Busy, "x".repeat(DETAIL_BYTES_MAX + 100));
    let no = No::new(OpenId([1; 32]), &long);
    assert_eq!(no.refusal().detail, "x".repeat(DETAIL_BYTES_MAX));
    assert!(Message::from_body(body_of(&Message::No(no.clone()))).is_ok());
    let hostile = Message::No(No { detail: vec![b'x'; DETAIL_BYTES_MAX + 1], ..no });
    let found = DETAIL_BYTES_MAX + 1;
    let expected = Malformed::TooLong { what: "detail", found, limit: DETAIL_BYTES_MAX };
    assert_eq!(Message::from_body(body_of(&hostile)), Err(expected));
}

#[test]
fn a_detail_is_text_without_control_characters_whatever_was_sent() {
    let no = No { open_id: OpenId([1; 32]), reason: Reason::Busy, detail: b"a\x1b[2J\n\xff\xc3(".to_vec() };
    assert_eq!(no.refusal(), Refusal::new(Reason::Busy, "a [2J \u{fffd}\u{fffd}("));
    // Cut in the middle of a character.
    let long = Refusal::new(Reason::Busy, "\u{e4}".repeat(DETAIL_BYTES_MAX));
    let odd = Refusal::new(Reason::Busy, format!("x{}", long.detail));
    for refusal in [long, odd] {
        let said = No::new(OpenId([1; 32]), &refusal).refusal().detail;
        assert!(said.starts_with(['x', '\u{e4}']) && said.chars().count() <= DETAIL_BYTES_MAX);
    }
}

#[test]
fn lengths_are_shortest_and_never_believed_before_the_bytes_are_there() {
    let piece = Piece { stripe: 0, index: 0, bytes: Bytes::new(), path: vec![] };
    let body = body_of(&Message::Piece(OpenId([1; 32]), piece));
    assert_eq!(body.last(), Some(&0), "an empty path, as a compact length");
    let with_length = |length: &[u8]| Bytes::from([&body[..body.len() - 1], length].concat());
    for hostile in [&[0x01, 0x00][..], &[0xfe, 0xff, 0xff, 0xff], &[0x03, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(Message::from_body(with_length(hostile)), Err(Malformed::Header), "{hostile:x?}");
    }
    let mut certificate = Control::Certificate(vec![]).encode();
    certificate.splice(1.., [0x03, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(Control::from_bytes(&certificate), Err(Malformed::Header));
}

#[test]
fn payload_shares_the_frame_and_is_not_copied() {
    let piece = Piece { stripe: 0, index: 0, bytes: vec![9; 1000].into(), path: vec![] };
    let body = body_of(&Message::Piece(OpenId([1; 32]), piece));
    let Ok(Message::Piece(_, piece)) = Message::from_body(body.clone()) else { panic!("a piece") };
    assert_eq!(piece.bytes.as_ptr(), body[body.len() - 1000..].as_ptr());
}

#[test]
fn pulls_and_reads_travel_on_the_repair_stream() {
    let (id, held) = (OpenId([1; 32]), SeatSet::EMPTY);
    let piece = Piece { stripe: 0, index: 0, bytes: Bytes::new(), path: vec![] };
    let want = Want { open_id: id, stripe: 0, held, count: 1 };
    let read = Read { request: 1, batch_id: BatchId::ZERO, stripe: 0, held, count: 1 };
    for repair in [
        Message::Want(want),
        Message::Lack(id, 0),
        Message::Read(read),
        Message::ReadPiece(1, piece.clone()),
        Message::ReadEnd(1, 0),
        Message::Ask(1, Question::CertificatesSince(0)),
        Message::Reply(1, Reply::NotHere),
    ] {
        assert!(repair.is_repair());
    }
    assert!(!Message::Piece(id, piece).is_repair());
}

#[test]
fn the_name_of_an_exchange_binds_submission_and_root_and_nothing_else() {
    let domain = Domain { chain_id: 5, registry: Address([6; 20]) };
    let [open, other] = [0, 1].map(numbered_open);
    let digest = open.submission.digest(&domain);
    let named = fpga_hash::keccak256(&[*digest.as_bytes(), open.shards_root.0].concat());
    assert_eq!(open.id(&domain), OpenId(named));
    let relayed = Open { coordinator: 9, epoch: Epoch(0), signature: other.signature, ..open.clone() };
    assert_eq!(relayed.id(&domain), open.id(&domain), "whoever coordinates");
    assert_ne!(Open { shards_root: other.shards_root, ..open.clone() }.id(&domain), open.id(&domain));
    assert_ne!(Open { submission: other.submission, ..open.clone() }.id(&domain), open.id(&domain));
}

/// Bytes that depend on two small numbers alone.
fn bytes<const N: usize>(number: u8, field: u8) -> [u8; N] {
    std::array::from_fn(|at| number.wrapping_mul(31) ^ field.wrapping_mul(57) ^ (at as u8))
}

fn numbered_open(number: u8) -> Open {
    Open {
        epoch: Epoch(u64::from(number) + 3),
        committee_hash: CommitteeHash(bytes(number, 0)),
        submission: Submission {
            rollup_id: RollupId(bytes(number, 1)),
            data_hash: DataHash(bytes(number, 2)),
            data_bytes: 1 << (number % 60),
            hot_until: 1_800_000_000 + u64::from(number),
            retain_until: 1_900_000_000 + u64::from(number),
            deadline: 1_700_000_000 + u64::from(number),
        },
        signature: SubmissionSignature(bytes(number, 3)),
        shards_root: ShardsRoot(bytes(number, 4)),
        coordinator: u16::from(number),
    }
}

/// One message of every kind.
fn numbered_messages(number: u8) -> Vec<Message> {
    let id = OpenId(bytes(number, 5));
    let path = (0..number % 20).map(|level| bytes(number, level)).collect();
    let payload: Vec<u8> = (0..u16::from(number) * 7).map(|at| (at % 251) as u8).collect();
    let piece =
        Piece { stripe: u32::from(number) << 20, index: u16::from(number), bytes: payload.into(), path };
    let attestation = Attestation {
        batch_id: BatchId(bytes(number, 6)),
        seat: SeatIndex(u16::from(number)),
        signature: SignatureBytes(bytes(number, 7)),
    };
    let refusal = Refusal::new(REASONS[usize::from(number) % REASONS.len()], format!("number {number}"));
    let held = SeatSet::from_iter((0..256).step_by(usize::from(number) + 1));
    let (stripe, count) = (u32::from(number), u16::from(number) * 3);
    let batch_id = BatchId(bytes(number, 8));
    vec![
        Message::Open(Box::new(numbered_open(number))),
        Message::Piece(id, piece.clone()),
        Message::Vote(Vote { open_id: id, attestation }),
        Message::No(No::new(id, &refusal)),
        Message::Want(Want { open_id: id, stripe, held, count }),
        Message::Lack(id, stripe),
        Message::Read(Read { request: u64::from(number) << 40, batch_id, stripe, held, count }),
        Message::ReadPiece(u64::from(number), piece),
        Message::ReadEnd(u64::from(number), count),
    ]
}

/// A change here is a new version of the protocol: nodes of the old one no longer understand this one.
#[test]
fn the_wire_form_of_every_message_is_pinned() {
    let mut wire = Vec::new();
    for number in 0..64 {
        for message in numbered_messages(number) {
            wire.extend_from_slice(&message.to_frame());
        }
        let vote = numbered_messages(number).swap_remove(2);
        let Message::Vote(vote) = vote else { unreachable!("the third message is a vote") };
        for control in [
            Control::Open(Box::new(numbered_open(number))),
            Control::Vote(vote),
            Control::Certificate(vec![number; usize::from(number)]),
        ] {
            control.encode_to(&mut wire);
        }
    }
    let pinned = "0f53dbee7d236144b2013ffc3804b86907dab42b3d301e7000ef31387eeb7d42";
    assert_eq!(hex::encode(fpga_hash::keccak256(&wire)), pinned, "{} bytes", wire.len());
}

#[test]
fn protocol_names_carry_the_version() {
    assert_eq!(BULK_PROTOCOL, "/validium-dac/bulk/1");
    assert_eq!(REPAIR_PROTOCOL, "/validium-dac/repair/1");
    assert!(CONTROL_TOPIC.ends_with("/1/"));
    assert_eq!(FRAME_BYTES_MAX, 256 * 1024);
}
