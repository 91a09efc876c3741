//! Pieces between members: bad ones, late ones, repeated ones, and who gets what by asking.

use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;

use super::cluster::Cluster;
use super::forge::{Encoding, open_id};
use super::parties::Request;
use crate::message::{Message, OpenId, Read, Want};
use crate::{Event, Note, Reason, SeatSet};

/// Lets a member flip a bit in every piece it sends.
fn corrupt_pieces(cluster: &mut Cluster, seat: u16) {
    cluster.tamper(seat, |_, message| match message {
        Message::Piece(open_id, mut piece) => {
            let mut bytes = piece.bytes.to_vec();
            bytes[7] ^= 1;
            piece.bytes = Bytes::from(bytes);
            vec![Message::Piece(open_id, piece)]
        }
        other => vec![other],
    });
}

#[test]
fn a_member_that_sends_corrupt_pieces_is_penalised_and_the_batch_is_certified() {
    for liar in 1..7 {
        let mut cluster = Cluster::new((7, 3, 5), u64::from(liar));
        corrupt_pieces(&mut cluster, liar);
        let batch_id = cluster.settle_submission(0, &Request::random(1, 200_000));
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3, 4, 5, 6]);
        assert!(!cluster.log.penalties.is_empty());
        assert!(cluster.log.penalties.iter().all(|(_, culprit, _)| *culprit == liar), "only the liar");
        cluster.assert_at_rest();
    }
}

#[test]
fn a_coordinator_that_sends_corrupt_pieces_gets_no_signature_but_its_own() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    corrupt_pieces(&mut cluster, 0);
    let batch_id = cluster.settle_submission(0, &Request::random(1, 200_000));
    assert!(cluster.log.penalties.iter().all(|(_, culprit, _)| *culprit == 0));
    // It signed what is on its disk. The others pulled right pieces from nobody.
    assert!(cluster.checker.certificates.is_empty());
    let status = cluster.status(0, &batch_id).unwrap();
    assert_eq!(status.members[2].reason, Some(Reason::PiecesMissing));
}

#[test]
fn pieces_out_of_range_are_the_senders_fault_whatever_is_wrong_with_them() {
    let request = Request::random(1, 100_000);
    type Spoil = fn(&mut dac_node_coding::Piece);
    let spoils: [Spoil; 6] = [
        |piece| piece.stripe = u32::MAX,
        |piece| piece.index = 4,
        |piece| piece.index = u16::MAX,
        |piece| piece.bytes = piece.bytes.slice(1..),
        |piece| piece.path.truncate(1),
        |piece| piece.path[0][0] ^= 1,
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut cluster = Cluster::new((4, 2, 3), 1);
        cluster.make_puppet(0);
        let encoding = Encoding::of(&cluster.committee, &request.batch);
        let open_id = cluster.open_as(0, &encoding, &request);
        cluster.run_for(Duration::from_millis(20));
        let mut piece = encoding.piece(0, 1);
        spoil(&mut piece);
        cluster.send(0, 1, Message::Piece(open_id, piece));
        cluster.run_for(Duration::from_millis(20));
        // An index that no set of seats can hold is dropped before it is checked.
        let expected = usize::from(number != 2);
        assert_eq!(cluster.log.penalties.len(), expected, "spoil {number}: {:?}", cluster.log.penalties);
    }
}

#[test]
fn late_and_repeated_pieces_penalise_nobody() {
    for seed in 0..10 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        cluster.network.duplication = 0.5;
        cluster.network.ordered = false;
        cluster.network.delay = (Duration::from_millis(1), Duration::from_millis(700));
        let request = Request::random(seed, 150_000);
        let batch_id = cluster.settle_submission(0, &request);
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(cluster.log.penalties, []);
        assert!(cluster.log.notes.iter().any(|(_, note)| *note == Note::DuplicatePiece));
        // Long after everything is settled.
        let encoding = Encoding::of(&cluster.committee, &request.batch);
        let id = open_id(&cluster.committee, &encoding.open(&cluster.committee, &request, 0));
        for seat in [1, 2] {
            cluster.send(0, seat, Message::Piece(id, encoding.piece(0, seat)));
        }
        cluster.settle();
        assert_eq!(cluster.log.penalties, []);
        cluster.assert_at_rest();
    }
}

#[test]
fn pieces_of_a_batch_that_nobody_opened_are_dropped() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(0);
    let encoding = Encoding::of(&cluster.committee, &Request::random(1, 1_000).batch);
    cluster.send(0, 1, Message::Piece(OpenId([9; 32]), encoding.piece(0, 1)));
    cluster.settle();
    assert_eq!(cluster.log.penalties, []);
    cluster.assert_at_rest();
}

#[test]
fn a_corrupt_copy_does_not_keep_the_true_piece_out() {
    // A liar pushes a corrupt copy of every piece to everyone before the true ones come.
    let request = Request::random(3, 100_000);
    let mut cluster = Cluster::new((7, 3, 5), 3);
    cluster.make_puppet(6);
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    let open = encoding.open(&cluster.committee, &request, 0);
    let id = open_id(&cluster.committee, &open);
    for to in 1..6 {
        cluster.send(6, to, Message::Open(Box::new(open.clone())));
        for (stripe, index) in
            (0..encoding.stripes()).flat_map(|stripe| (0..7).map(move |index| (stripe, index)))
        {
            let mut piece = encoding.piece(stripe, index);
            piece.bytes = vec![0; piece.bytes.len()].into();
            cluster.send(6, to, Message::Piece(id, piece));
        }
    }
    cluster.run_for(Duration::from_millis(3));
    cluster.submit(0, &request);
    assert!(cluster.run_until(|cluster| !cluster.checker.certificates.is_empty()));
    assert!(cluster.now < Duration::from_secs(2), "certified after {:?}", cluster.now);
    assert!(cluster.log.penalties.iter().all(|(_, culprit, _)| *culprit == 6));
}

#[test]
fn garbage_does_not_postpone_pulling() {
    // The coordinator opens and falls silent; a liar feeds a corrupt piece every 50 ms.
    let request = Request::random(4, 50_000);
    let mut cluster = Cluster::new((4, 2, 3), 4);
    cluster.make_puppet(0);
    cluster.make_puppet(3);
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    let id = cluster.open_as(0, &encoding, &request);
    for _ in 0..20 {
        let mut piece = encoding.piece(0, 2);
        piece.bytes = vec![0; piece.bytes.len()].into();
        cluster.send(3, 1, Message::Piece(id, piece));
        cluster.run_for(Duration::from_millis(50));
    }
    let asked = |message: &Message| matches!(message, Message::Want(want) if want.open_id == id);
    assert!(cluster.members[0].inbox.iter().any(|(from, message)| *from == 1 && asked(message)));
}

#[test]
fn a_want_is_answered_with_pieces_the_asker_lacks_or_with_lack() {
    let request = Request::random(5, 100_000);
    let mut cluster = Cluster::new((4, 2, 3), 5);
    cluster.settle_submission(0, &request);
    cluster.make_puppet(3);
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    let known = open_id(&cluster.committee, &encoding.open(&cluster.committee, &request, 0));
    let unknown = OpenId([1; 32]);
    for (open_id, stripe) in [(known, 1), (known, 2), (known, u32::MAX), (unknown, 0)] {
        let held = SeatSet::from_iter([1, 3]);
        cluster.send(3, 1, Message::Want(Want { open_id, stripe, held, count: u16::MAX }));
    }
    cluster.settle();
    let answers: Vec<Message> =
        std::mem::take(&mut cluster.member(3).inbox).into_iter().map(|(_, message)| message).collect();
    let expected = [
        Message::Piece(known, encoding.piece(1, 0)),
        Message::Piece(known, encoding.piece(1, 2)),
        Message::Lack(known, 2),
        Message::Lack(known, u32::MAX),
        Message::Lack(unknown, 0),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn reads_are_passed_to_the_store_and_their_answers_to_the_reader() {
    let request = Request::random(6, 1_000);
    let mut cluster = Cluster::new((4, 2, 3), 6);
    let batch_id = cluster.settle_submission(0, &request);
    let ask = |batch_id: BatchId| Read { request: 77, batch_id, stripe: 0, held: SeatSet::EMPTY, count: 1 };
    cluster.send(2, 1, Message::Read(ask(batch_id)));
    cluster.send(2, 3, Message::Read(ask(BatchId::ZERO)));
    cluster.settle();
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    cluster.log.read_answers.sort_by_key(|(from, _)| *from);
    let expected = [
        (1, Message::ReadPiece(77, encoding.piece(0, 1))),
        (1, Message::ReadEnd(77, 1)),
        (3, Message::ReadEnd(77, 0)),
    ];
    assert_eq!(cluster.log.read_answers, expected);
}

#[test]
fn a_slow_link_alone_loses_no_batch() {
    // Pieces come in bursts with pauses longer than the piece timeout.
    let mut cluster = Cluster::new((4, 2, 3), 7);
    cluster.network.delay = (Duration::from_millis(400), Duration::from_millis(1_600));
    let batch_id = cluster.settle_submission(0, &Request::random(7, 300_000));
    assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3]);
    cluster.assert_at_rest();
}

#[test]
fn a_long_pause_does_not_make_a_member_too_patient_to_pull() {
    let mut cluster = Cluster::new((4, 2, 3), 8);
    cluster.make_puppet(0);
    cluster.make_puppet(3);
    let request = Request::random(8, 100_000);
    let encoding = Encoding::of(&cluster.committee, &request.batch);
    let id = cluster.open_as(0, &encoding, &request);
    cluster.run_for(Duration::from_secs(4));
    cluster.send(0, 1, Message::Piece(id, encoding.piece(0, 1)));
    cluster.run_for(Duration::from_millis(100));
    cluster.member(0).inbox.clear();
    cluster.run_for(Duration::from_secs(3));
    let asked = cluster.members[0]
        .inbox
        .iter()
        .filter(|(from, message)| *from == 1 && matches!(message, Message::Want(_)));
    assert!(asked.count() >= 1, "member 1 still asks for what it lacks");
    cluster.happens(1, Event::Stop);
}
