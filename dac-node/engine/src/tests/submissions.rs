//! The same bytes again, at the same member or at another, at once or later.

use std::time::Duration;

use super::cluster::Cluster;
use super::parties::Request;
use crate::{Effect, Stage};

#[test]
fn the_same_submission_twice_at_one_member_is_one_batch() {
    let mut cluster = Cluster::new((4, 2, 3), 1);
    let request = Request::random(1, 20_000);
    let tickets = [0, 1, 5, 40, 400].map(|pause| {
        cluster.run_for(Duration::from_millis(pause));
        cluster.submit(0, &request)
    });
    cluster.settle();
    let ids = tickets.map(|ticket| *cluster.log.answers[&ticket].as_ref().unwrap());
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(cluster.log.aggregations, 1);
    assert_eq!(cluster.log.persisted_contents.values().sum::<usize>(), 4, "each member wrote it once");
    cluster.assert_at_rest();
}

#[test]
fn the_same_submission_at_two_members_at_once_is_one_batch() {
    for seed in 0..20 {
        let mut cluster = Cluster::new((4, 2, 3), seed);
        let request = Request::random(seed, 70_000);
        let first = cluster.submit(0, &request);
        cluster.run_for(Duration::from_micros(seed * 700));
        let second = cluster.submit(2, &request);
        cluster.settle();
        let [first, second] = [first, second].map(|ticket| *cluster.log.answers[&ticket].as_ref().unwrap());
        assert_eq!(first, second);
        assert_eq!(cluster.certified_at(&first), [0, 1, 2, 3]);
        for seat in [0, 2] {
            assert_eq!(
                cluster.status(seat, &first).unwrap().stage,
                Stage::Certified,
                "seed {seed}, at {seat}"
            );
        }
        assert_eq!(cluster.log.penalties, []);
        cluster.assert_at_rest();
    }
}

#[test]
fn both_coordinators_of_one_submission_learn_why_a_member_refused() {
    for seed in 0..20 {
        let mut cluster = Cluster::with_config((4, 2, 3), seed, |config| {
            if config.seat == 3 {
                config.batch_bytes_max = 10;
            }
        });
        let request = Request::random(seed, 70_000);
        let tickets = [0, 2].map(|seat| cluster.submit(seat, &request));
        cluster.settle();
        for (seat, ticket) in [0, 2].into_iter().zip(tickets) {
            let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
            let status = cluster.status(seat, &batch_id).unwrap();
            assert_eq!(status.members[3].reason, Some(crate::Reason::TooLarge), "at {seat}, seed {seed}");
        }
    }
}

#[test]
fn a_submission_that_is_certified_already_is_one_batch_at_another_member_too() {
    let mut cluster = Cluster::new((4, 2, 3), 3);
    let request = Request::random(3, 70_000);
    let first = cluster.settle_submission(0, &request);
    cluster.network.sent_bytes.clear();
    let second = cluster.settle_submission(1, &request);
    assert_eq!(first, second);
    assert_eq!(cluster.status(1, &first).unwrap().stage, Stage::Certified);
    let sent: u64 = cluster.network.sent_bytes.values().sum();
    assert!(sent < 10_000, "{sent} bytes sent for a batch that everyone has");
    assert_eq!(cluster.certified_at(&first), [0, 1, 2, 3]);
    cluster.assert_at_rest();
}

#[test]
fn the_same_bytes_with_other_times_are_another_statement_without_new_pieces() {
    let mut cluster = Cluster::new((4, 2, 3), 4);
    let request = Request::random(4, 70_000);
    let first = cluster.settle_submission(0, &request);
    let second = cluster.settle_submission(0, &request.with(|submission| submission.retain_until += 1));
    assert_ne!(first, second);
    for batch_id in [first, second] {
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3]);
    }
    for member in &cluster.members {
        assert_eq!(member.disk.durable.contents.len(), 1);
        assert_eq!(member.disk.durable.statements.len(), 2);
    }
    let by_members: usize = [1, 2, 3].map(|seat| cluster.log.persisted_contents[&seat]).iter().sum();
    assert_eq!(by_members, 3, "members wrote the bytes once");
    cluster.assert_at_rest();
}

/// Seed 4500 of the simulator: a batch stayed below quorum until its hot copies ended. Its submitter brought the bytes
/// again, the coordinator joined them to its first attempt, and had nothing but one shard to send.
#[test]
fn bytes_brought_again_begin_anew_when_the_hot_copy_ended_below_quorum() {
    for (seat, away) in [(0, [1, 2, 3]), (1, [2, 3, 3])] {
        let mut cluster = Cluster::new((4, 2, 3), 6);
        let request = Request::random(6, 70_000);
        let away: std::collections::BTreeSet<u16> = away.into();
        away.iter().for_each(|seat| cluster.crash(*seat));
        cluster.submit(0, &request);
        cluster.settle();
        away.iter().for_each(|seat| cluster.restart(*seat));
        // As `facts` would say it once the hot copy was pruned.
        let facts = crate::Facts { free_bytes: u64::MAX, ..Default::default() };
        let Request { submission, signature, batch } = request;
        let event = crate::Event::Submit { ticket: 99, submission, signature, batch, facts };
        let written = cluster.log.persisted_contents[&seat];
        cluster.happens(seat, event);
        cluster.settle();
        assert_eq!(cluster.log.persisted_contents[&seat], written + 1, "the bytes that came were used");
        let batch_id = *cluster.log.answers[&99].as_ref().unwrap();
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3]);
        cluster.assert_at_rest();
    }
}

#[test]
fn every_waiting_submitter_is_answered_when_the_member_stops() {
    let mut cluster = Cluster::new((4, 2, 3), 5);
    let requests: Vec<Request> = (0..20).map(|seed| Request::random(seed, 1_000)).collect();
    let mut engine = cluster.member(0).engine.take().unwrap();
    let now = super::member::now_of(Duration::ZERO, 0);
    let facts = crate::Facts { free_bytes: u64::MAX, ..Default::default() };
    for (ticket, request) in (0..).zip(&requests) {
        let Request { submission, signature, batch } = request.clone();
        let event = crate::Event::Submit { ticket, submission, signature, batch, facts };
        engine.on(event, now, &mut Vec::new());
    }
    let mut effects = Vec::new();
    engine.on(crate::Event::Stop, now, &mut effects);
    let tickets: Vec<u64> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Answer { ticket, result: Err(_) } => *ticket,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut in_order: Vec<u64> = (0..20).collect();
    let digest = |ticket: &u64| {
        requests[usize::try_from(*ticket).unwrap()].submission.digest(cluster.committee.domain())
    };
    in_order.sort_by_key(digest);
    assert_eq!(tickets, in_order, "in an order that every run repeats");
    assert_eq!(engine.in_flight(), (0, 0));
}
