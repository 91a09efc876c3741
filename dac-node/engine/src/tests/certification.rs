//! From a submission to a certificate on every disk, and back from any `k` disks.

use std::cell::Cell;
use std::rc::Rc;

use super::checker::retrieve;
use super::cluster::Cluster;
use super::parties::{Request, choices};
use crate::message::Message;
use crate::{Dispersal, Event, Outcome, Stage};

#[test]
fn a_healthy_committee_certifies_and_every_member_stores_the_certificate() {
    for (thresholds, bytes) in [((4, 2, 3), 3_000), ((7, 3, 5), 300_000), ((16, 6, 11), 20_000)] {
        let mut cluster = Cluster::new(thresholds, 1);
        let batch_id = cluster.settle_submission(0, &Request::random(1, bytes));
        assert_eq!(cluster.certified_at(&batch_id), Vec::from_iter(cluster.seats()));
        assert_eq!(cluster.signers(&batch_id), Vec::from_iter(cluster.seats()), "all were there in time");
        assert_eq!(cluster.log.penalties, []);
        assert_eq!(cluster.log.aggregations, 1, "only the coordinator makes the certificate");
        cluster.assert_at_rest();
        let status = cluster.status(0, &batch_id).unwrap();
        assert_eq!((status.stage, status.coordinator), (Stage::Certified, 0));
        let signed = |seat: &crate::MemberOutcome| seat.outcome == Outcome::Signed && seat.reason.is_none();
        assert!(status.members.iter().all(signed));
    }
}

#[test]
fn committees_of_every_shape_certify_batches_of_every_length() {
    let shapes =
        [(1, 1, 1), (2, 1, 2), (2, 2, 2), (3, 1, 1), (4, 1, 3), (4, 4, 4), (4, 2, 3), (5, 3, 3), (7, 3, 5)];
    for (n, k, q) in shapes {
        let stripe = usize::from(k) * dac_node_coding::PIECE_BYTES;
        for (seed, bytes) in (0..).zip([1, 31, stripe - 1, stripe, stripe + 1]) {
            let mut cluster = Cluster::new((n, k, q), seed);
            let coordinator = u16::try_from(seed).unwrap() % n;
            let batch_id = cluster.settle_submission(coordinator, &Request::random(seed, bytes));
            let certified = cluster.certified_at(&batch_id);
            assert_eq!(certified, Vec::from_iter(0..n), "({n}, {k}, {q}), {bytes} bytes");
            assert_eq!(cluster.log.penalties, []);
            cluster.assert_at_rest();
        }
    }
}

#[test]
fn any_k_disks_give_the_batch_back() {
    let mut cluster = Cluster::new((7, 3, 5), 2);
    let request = Request::random(2, 150_000);
    let batch_id = cluster.settle_submission(6, &request);
    for seats in choices(&[0, 1, 2, 3, 4, 5, 6], 3) {
        assert_eq!(retrieve(&cluster.members, &seats, &batch_id), request.batch, "{seats:?}");
    }
}

/// Bytes sent by the coordinator and most bytes received by another member, in batches.
fn traffic(thresholds: (u16, u16, u16), dispersal: Dispersal) -> (f64, f64) {
    let mut cluster = Cluster::with_config(thresholds, 3, |config| config.dispersal = dispersal);
    let request = Request::random(3, 1 << 20);
    let batch_id = cluster.settle_submission(0, &request);
    assert_eq!(cluster.certified_at(&batch_id).len(), usize::from(thresholds.0));
    let batches = |bytes: u64| bytes as f64 / request.batch.len() as f64;
    (
        batches(cluster.network.sent_bytes[&0]),
        batches(*cluster.network.received_bytes.values().max().unwrap()),
    )
}

#[test]
fn a_coordinator_sends_less_than_two_batches_and_members_receive_little_more_than_one() {
    let (sent, received) = traffic((7, 3, 5), Dispersal::Coded);
    assert!(sent <= 1.75 && received <= 1.5, "sent {sent}, received {received}");
    let (sent, received) = traffic((16, 6, 11), Dispersal::Coded);
    assert!(sent <= 1.95 && received <= 1.3, "sent {sent}, received {received}");
}

#[test]
fn full_replication_works_and_costs_the_coordinator_a_batch_a_member() {
    let (sent, received) = traffic((7, 3, 5), Dispersal::FullReplication);
    assert!((6.0..6.5).contains(&sent) && received < 1.1, "sent {sent}, received {received}");
}

#[test]
fn many_batches_at_once_are_all_certified_and_none_twice() {
    let mut cluster = Cluster::new((4, 2, 3), 4);
    let tickets: Vec<u64> =
        (0..24).map(|i| cluster.submit(i % 4, &Request::random(u64::from(i), 2_000))).collect();
    cluster.settle();
    let ids: std::collections::BTreeSet<_> =
        tickets.iter().map(|ticket| *cluster.log.answers[ticket].as_ref().unwrap()).collect();
    assert_eq!(ids.len(), 24);
    for batch_id in &ids {
        assert_eq!(cluster.certified_at(batch_id), [0, 1, 2, 3]);
    }
    assert_eq!(cluster.log.aggregations, 24);
    cluster.assert_at_rest();
}

#[test]
fn a_member_that_hears_of_the_certificate_before_it_has_the_bytes_makes_none_of_its_own() {
    for seed in 0..5 {
        let mut cluster = Cluster::new((4, 2, 3), seed);
        let late = Rc::new(Cell::new(true));
        for seat in [0, 1, 2] {
            let late = late.clone();
            cluster.tamper(seat, move |to, message| match message {
                Message::Piece(..) if to == 3 && late.get() => vec![],
                message => vec![message],
            });
        }
        let ticket = cluster.submit(0, &Request::random(seed, 30_000));
        let stored = |cluster: &Cluster| !cluster.members[3].disk.durable.certificates.is_empty();
        assert!(cluster.run_until(stored));
        let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
        assert_eq!(cluster.signers(&batch_id), [0, 1, 2]);
        assert_eq!(cluster.status(3, &batch_id), None, "it knows no such statement");
        late.set(false);
        cluster.settle();
        let status = cluster.status(3, &batch_id).unwrap();
        assert_eq!(status.stage, Stage::Certified);
        assert_eq!(status.members[3].outcome, Outcome::Signed);
        assert_eq!(cluster.log.aggregations, 1);
        cluster.assert_at_rest();
    }
}

#[test]
fn a_member_that_missed_the_certificate_takes_the_one_that_it_fetches() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    let ticket = cluster.submit(0, &Request::random(1, 30_000));
    let knows = |cluster: &Cluster| {
        let answer = cluster.log.answers.get(&ticket);
        answer.is_some_and(|id| cluster.status(3, id.as_ref().unwrap()).is_some())
    };
    assert!(cluster.run_until(knows));
    for seat in [0, 1, 2] {
        cluster.network.cut(seat, 3);
    }
    cluster.settle();
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2]);
    assert_eq!(cluster.status(3, &batch_id).unwrap().stage, Stage::Signed);
    let certificate = cluster.checker.certificates[&batch_id][0].clone();
    let found = Box::new(certificate.verify(&cluster.committee).unwrap());
    cluster.happens(3, Event::CertificateFound(found));
    cluster.settle();
    assert_eq!(cluster.status(3, &batch_id).unwrap().stage, Stage::Certified);
    assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3]);
}
