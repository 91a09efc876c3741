//! Coordinators that encode wrongly: nobody signs, the proof is kept, the submission is not lost.

use super::cluster::Cluster;
use super::forge::{Encoding, open_id};
use super::member::hasher;
use super::parties::Request;
use crate::message::{Control, Message};
use crate::{Reason, Stage};

/// Seat 0 disperses `encoding` for `request`; everyone must refuse with `reason` and blame nobody else.
fn everyone_refuses(encoding: &Encoding, request: &Request, cluster: &mut Cluster, reason: Reason) {
    cluster.disperse_as(0, encoding, request);
    cluster.settle();
    let expected: Vec<_> = cluster.seats().skip(1).map(|seat| (seat, reason)).collect();
    assert_eq!(cluster.refusals_to(0), expected);
    assert!(cluster.checker.certificates.is_empty());
    assert!(cluster.members.iter().all(|member| member.disk.durable.statements.is_empty()), "nobody signed");
    assert_eq!(cluster.log.penalties, [], "who passed the pieces on did nothing wrong");
    cluster.assert_at_rest();
}

/// Every member kept the open and `k` pieces that lead to its root.
fn evidence_holds(cluster: &Cluster, request: &Request) {
    let thresholds = cluster.committee.thresholds();
    let (n, k) = (thresholds.members(), thresholds.minimum_shards());
    let layout = dac_node_coding::Layout::new(n, k, request.submission.data_bytes).unwrap();
    let seats: Vec<u16> = cluster.log.evidence.iter().map(|(seat, _)| *seat).collect();
    assert_eq!(seats.len(), usize::from(n) - 1);
    for (_, frames) in &cluster.log.evidence {
        let Message::Open(open) = &frames[0] else { panic!("evidence begins with the open") };
        assert_eq!((open.submission, open.signature), (request.submission, request.signature));
        let pieces = frames[1..].iter().map(|frame| match frame {
            Message::Piece(_, piece) => piece.clone().check(&layout, &open.shards_root, hasher()).unwrap(),
            other => panic!("no piece: {other:?}"),
        });
        let indices: std::collections::BTreeSet<u16> = pieces.map(|piece| piece.index()).collect();
        assert!(indices.len() >= usize::from(k), "{indices:?}");
    }
}

#[test]
fn a_corrupt_parity_piece_under_a_consistent_tree_is_a_bad_encoding() {
    for (stripe, index) in [(0, 6), (1, 3), (1, 5), (0, 0), (1, 2)] {
        let mut cluster = Cluster::new((7, 3, 5), 1);
        cluster.make_puppet(0);
        let request = Request::random(1, 120_000);
        let encoding = Encoding::of(&cluster.committee, &request.batch).with_wrong_piece(stripe, index, 1);
        everyone_refuses(&encoding, &request, &mut cluster, Reason::BadEncoding);
        evidence_holds(&cluster, &request);
    }
}

#[test]
fn other_bytes_than_the_rollup_signed_are_a_commitment_mismatch() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(0);
    let request = Request::random(1, 70_000);
    let other = Encoding::of(&cluster.committee, &Request::random(2, 70_000).batch);
    everyone_refuses(&other, &request, &mut cluster, Reason::CommitmentMismatch);
    evidence_holds(&cluster, &request);
}

#[test]
fn of_two_encodings_of_one_submission_only_the_right_one_is_signed() {
    for seed in 0..6 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        cluster.make_puppet(0);
        cluster.make_puppet(6);
        let request = Request::random(seed, 60_000);
        let good = Encoding::of(&cluster.committee, &request.batch);
        let bad = Encoding::of(&cluster.committee, &request.batch).with_wrong_piece(0, 4, 2);
        let mut opens = [(0, &bad), (6, &good)];
        opens.rotate_right(usize::from(seed % 2 == 0));
        for (seat, encoding) in opens {
            cluster.disperse_as(seat, encoding, &request);
        }
        cluster.settle();
        let no = [1, 2, 3, 4, 5].map(|seat| (seat, Reason::BadEncoding));
        assert_eq!((cluster.refusals_to(0), cluster.refusals_to(6)), (no.to_vec(), Vec::new()));
        // The coordinator is not there to aggregate: others do.
        let (batch_id, certificates) =
            cluster.checker.certificates.iter().next().expect("the good one is certified");
        let right = good.open(&cluster.committee, &request, 0).shards_root;
        assert!(certificates.iter().all(|certificate| certificate.statement.shards_root == right));
        assert_eq!(cluster.certified_at(batch_id), [1, 2, 3, 4, 5]);
        cluster.assert_at_rest();
    }
}

#[test]
fn a_submission_has_at_most_five_encodings_at_a_member_if_one_member_opens_them() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    cluster.make_puppet(0);
    let request = Request::random(1, 5_000);
    for flip in 1..=20 {
        let bad = Encoding::of(&cluster.committee, &request.batch).with_wrong_piece(0, 3, flip);
        let open = bad.open(&cluster.committee, &request, 0);
        cluster.open_as(0, &bad, &request);
        cluster.publish(0, &Control::Open(Box::new(open)));
    }
    cluster.run_for(std::time::Duration::from_millis(100));
    for seat in [1, 2, 3] {
        let (count, bytes) = cluster.members[seat].engine.as_ref().unwrap().in_flight();
        assert!((1..=5).contains(&count) && bytes <= 25_000, "{count} batches of {bytes} bytes");
    }
    cluster.settle();
    cluster.assert_at_rest();
}

#[test]
fn fake_encodings_do_not_keep_an_honest_coordinator_out() {
    // The rollup gave its batch to a liar first, who opened all the encodings it could in as many names as it could.
    let mut cluster = Cluster::new((7, 3, 5), 1);
    cluster.make_puppet(0);
    let request = Request::random(1, 5_000);
    for flip in 1..=20 {
        let bad = Encoding::of(&cluster.committee, &request.batch).with_wrong_piece(0, 3, flip);
        let mut open = bad.open(&cluster.committee, &request, 0);
        cluster.open_as(0, &bad, &request);
        for named in 0..7 {
            open.coordinator = named;
            cluster.publish(0, &Control::Open(Box::new(open.clone())));
            for to in 1..7 {
                cluster.send(0, to, Message::Open(Box::new(open.clone())));
            }
        }
    }
    cluster.run_for(std::time::Duration::from_millis(100));
    let ticket = cluster.submit(1, &request);
    cluster.settle();
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    assert_eq!(cluster.certified_at(&batch_id), [1, 2, 3, 4, 5, 6]);
    assert_eq!(cluster.status(1, &batch_id).unwrap().stage, Stage::Certified);
    cluster.assert_at_rest();
}

#[test]
fn an_open_in_the_name_of_another_coordinator_costs_time_only() {
    for named in [0, 3, 6] {
        let mut cluster = Cluster::new((7, 3, 5), 2);
        cluster.make_puppet(6);
        let request = Request::random(2, 60_000);
        let encoding = Encoding::of(&cluster.committee, &request.batch);
        let open = encoding.open(&cluster.committee, &request, named);
        let id = open_id(&cluster.committee, &open);
        for to in 0..6 {
            cluster.send(6, to, Message::Open(Box::new(open.clone())));
        }
        cluster.run_for(std::time::Duration::from_millis(10));
        let batch_id = cluster.settle_submission(1, &request);
        let certified = cluster.certified_at(&batch_id);
        assert_eq!(certified, [0, 1, 2, 3, 4, 5], "opened as {named}");
        assert_eq!(cluster.members[1].engine.as_ref().unwrap().open_id_of(&batch_id), Some(id));
        cluster.assert_at_rest();
    }
}
