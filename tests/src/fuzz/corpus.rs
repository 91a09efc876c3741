//! Inputs to begin with: one of each kind that a decoder knows, made by the encoders.
//!
//! They are committed beside what fuzzing found, so that libFuzzer starts from them: `made-*` are these, and a test that
//! fails when they are stale writes them again (`cargo xtask vectors`).

use std::path::PathBuf;

use attest::{
    Address, Attestation, BatchId, Certificate, CommitteeHash, DataHash, DataRoot, Domain, Epoch, RollupId,
    SeatIndex, ShardsRoot, SignatureBytes, Signers, Statement, Submission, SubmitterKey,
};
use bytes::Bytes;
use dac_node::service::{Reason, Refusal};
use dac_node_coding::Piece;
use dac_node_engine::SeatSet;
use dac_node_engine::message::{Control, Message, No, Open, OpenId, Question, Read, Reply, Vote, Want};
use fpga::link::Frame;
use fpga::packet::{Header, Kind, Opcode, Status, checksum};
use parity_scale_codec::Encode;

/// Where the corpus of a target is.
pub fn corpus_folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// What the encoders make for a target.
pub fn made(target: &str) -> Vec<Vec<u8>> {
    match target {
        "message" => messages().iter().map(body).collect(),
        "frame_stream" => {
            let frames: Vec<Vec<u8>> = messages().iter().map(|message| message.to_frame().to_vec()).collect();
            vec![frames.concat(), [&frames[0][..], &[0xff; 4]].concat(), vec![0; 4]]
        }
        "gossip" => controls().iter().map(Encode::encode).collect(),
        "piece" => {
            messages()[1..3].iter().map(|message| [&[3, 1, 60, 0][..], &body(message)].concat()).collect()
        }
        "certificate" => {
            let certificate = certificate();
            let abi = certificate.to_abi().unwrap_or_default();
            vec![certificate.encode(), certificate.to_json().into_bytes(), [&[4][..], &abi].concat()]
        }
        "committee_file" => vec![include_bytes!("../../vectors/committee.json").to_vec(), committee()],
        "node_config" => vec![include_bytes!("../../../dac-node/dac.example.toml").to_vec()],
        "http_request" => requests(),
        "segments" => {
            let damage =
                |file, how, at: u16, bytes: &[u8]| [&[file, how][..], &at.to_le_bytes(), bytes].concat();
            let record = [0x5a; 48];
            vec![damage(0, 0, 0, &record), damage(1, 2, 30_000, &[0; 8]), damage(0, 3, 50_000, &[])]
        }
        "link" => links(),
        "packet" => packets(),
        _ => Vec::new(),
    }
}

/// Both directions of a link: whole, cut into small parts, with idle bytes and noise between.
fn links() -> Vec<Vec<u8>> {
    let frames = [
        Frame::Reset { number: 3 },
        Frame::Read { address: 8, value: 0 },
        Frame::Stream(vec![0x5a; 100]),
        Frame::Write { address: 0x30, value: 5 },
    ];
    let encoded = |to_host: bool, between: &[u8]| {
        let mut bytes = Vec::new();
        for frame in &frames {
            let is_answer = to_host && matches!(frame, Frame::Write { .. });
            let frame = if is_answer { &Frame::Write { address: 0x30, value: 0 } } else { frame };
            frame.encode(to_host, &mut bytes);
            bytes.extend_from_slice(between);
        }
        bytes
    };
    vec![
        [&[255][..], &encoded(false, &[])].concat(),
        [&[2][..], &encoded(false, &[0; 9])].concat(),
        [&[40][..], &encoded(true, &[])].concat(),
        [&[6][..], &encoded(false, &[0xff; 5])].concat(),
    ]
}

/// Requests with their payload, replies, and a refusal.
fn packets() -> Vec<Vec<u8>> {
    let payload = [7; 192];
    let request = |opcode, prefix, items, item_bytes| {
        let mut header = Header::request(opcode, prefix, 9, items, item_bytes);
        header.payload_crc32c = checksum(&payload);
        header
    };
    let merkle = request(Opcode::MerkleKeccak, 1, 3, 64);
    let loopback = request(Opcode::Loopback, 0, 2, 96);
    let reply = Header { kind: Kind::Reply, cycles: 77, ..request(Opcode::Keccak256, 0, 6, 32) };
    let refusal = Header::error_reply_to(&merkle, Status::Shape, 5);
    [merkle, loopback, reply, refusal].map(|header| [&header.encode()[..], &payload].concat()).into()
}

fn body(message: &Message) -> Vec<u8> {
    message.to_frame()[4..].to_vec()
}

fn open() -> Open {
    let submission = Submission {
        rollup_id: RollupId([1; 32]),
        data_hash: DataHash([2; 32]),
        data_bytes: 1_000,
        hot_until: 1_800_000_000,
        retain_until: 1_900_000_000,
        deadline: 1_700_000_000,
    };
    let domain = Domain { chain_id: 31337, registry: Address([0xab; 20]) };
    let key = SubmitterKey::from_bytes(&[1; 32]).expect("a small number is a key");
    let (epoch, committee_hash) = (Epoch(3), CommitteeHash([3; 32]));
    let signature = key.sign(&submission.digest(&domain));
    Open { epoch, committee_hash, submission, signature, shards_root: ShardsRoot([4; 32]), coordinator: 2 }
}

fn vote() -> Vote {
    let (batch_id, signature) = (BatchId([5; 32]), SignatureBytes([6; 48]));
    Vote { open_id: OpenId([7; 32]), attestation: Attestation { batch_id, seat: SeatIndex(1), signature } }
}

fn messages() -> Vec<Message> {
    let (open_id, held) = (OpenId([7; 32]), SeatSet::from_iter([0, 3]));
    let piece = Piece { stripe: 0, index: 1, bytes: Bytes::from_static(&[9; 64]), path: vec![[8; 32]; 2] };
    let read = Read { request: 9, batch_id: BatchId([5; 32]), stripe: 1, held, count: 2 };
    vec![
        Message::Open(Box::new(open())),
        Message::Piece(open_id, piece.clone()),
        Message::ReadPiece(9, piece),
        Message::Vote(vote()),
        Message::No(No::new(open_id, &Refusal::new(Reason::StorageFull, "10 bytes\u{7} needed"))),
        Message::Want(Want { open_id, stripe: 1, held, count: 2 }),
        Message::Lack(open_id, 1),
        Message::Read(read),
        Message::ReadEnd(9, 1),
        Message::Ask(9, Question::CertificatesSince(7)),
        Message::Ask(9, Question::Certificates(vec![BatchId([6; 32])])),
        Message::Ask(9, Question::PieceRoots(BatchId([6; 32]), 1)),
        Message::Ask(9, Question::Leaf(BatchId([6; 32]), 1, 2)),
        Message::Reply(9, Reply::CertificatesSince { ids: vec![BatchId([6; 32])], next: 8, more: true }),
        Message::Reply(9, Reply::Certificates(vec![vec![1; 40]])),
        Message::Reply(9, Reply::PieceRoots(vec![2; 64])),
        Message::Reply(9, Reply::Leaf(vec![3; 64], vec![[4; 32]; 3])),
        Message::Reply(9, Reply::NotHere),
    ]
}

fn controls() -> Vec<Control> {
    vec![Control::Open(Box::new(open())), Control::Vote(vote()), Control::Certificate(certificate().encode())]
}

fn certificate() -> Certificate {
    let statement = Statement {
        rollup_id: RollupId([1; 32]),
        epoch: Epoch(3),
        committee_hash: CommitteeHash([3; 32]),
        data_bytes: 1_000,
        data_hash: DataHash([2; 32]),
        data_root: DataRoot([5; 32]),
        shards_root: ShardsRoot([4; 32]),
        hot_until: 1_800_000_000,
        retain_until: 1_900_000_000,
    };
    let signers = Signers::from_seats(4, [0, 1, 3].map(SeatIndex)).expect("three of four seats");
    let registry = Address([0xab; 20]);
    Certificate { chain_id: 31337, registry, statement, signers, signature: SignatureBytes([6; 48]) }
}

fn committee() -> Vec<u8> {
    let json = r#"{"epoch":1,"chain_id":31337,"registry":"0x0000000000000000000000000000000000000000",
        "minimum_shards":1,"quorum":1,"members":[]}"#;
    json.as_bytes().to_vec()
}

fn requests() -> Vec<Vec<u8>> {
    let id = "0x".to_owned() + &"01".repeat(32);
    let submission = format!(
        "POST /v1/rollups/{id}/batches?wait=none HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ndac-hot-until: 1800000000\r\n\
         dac-retain-until: 1900000000\r\ndac-deadline: 1700000000\r\ndac-signature: 0x{}\r\n\r\nhello",
        "1b".repeat(65)
    );
    let hashed = submission.replacen("dac-deadline", &format!("dac-data-hash: {id}\r\ndac-deadline"), 1);
    let chunked = submission.replacen("content-length: 5", "transfer-encoding: chunked", 1);
    let chunked = chunked.replacen("\r\n\r\nhello", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1);
    let get = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n");
    let range = get(&format!("/v1/batches/{id}"), "range: bytes=10-19\r\nif-range: \"x\"");
    let abi = get(&format!("/v1/batches/{id}/certificate"), "accept: application/octet-stream;q=0.5, */*");
    let piece = get(&format!("/v1/batches/{id}/pieces/0/3"), "accept: application/json");
    let many =
        [get("/livez", ""), get("/v1/committee", "x-request-id: a"), get("/readyz", "connection: close")];
    [submission, hashed, chunked, range, abi, piece, many.concat()].map(String::into_bytes).into()
}
