//! Members that are missing: certified without them while a quorum is left, named when it is not.

use std::time::Duration;

use super::checker::retrieve;
use super::cluster::Cluster;
use super::parties::{Request, choices};
use crate::message::Message;
use crate::{BatchStatus, Outcome, Reason, Stage};

fn reason_of(status: &BatchStatus, seat: u16) -> (Outcome, Option<Reason>) {
    let member = &status.members[usize::from(seat)];
    (member.outcome, member.reason)
}

/// Runs one batch with coordinator 0 after `missing` was made to be missing.
fn certified_without(missing: &[u16], seed: u64, lose: impl Fn(&mut Cluster, u16)) {
    let mut cluster = Cluster::new((7, 3, 5), seed);
    for seat in missing {
        lose(&mut cluster, *seat);
    }
    let request = Request::random(seed, 120_000);
    let batch_id = cluster.settle_submission(0, &request);
    let present: Vec<u16> = cluster.seats().filter(|seat| !missing.contains(seat)).collect();
    assert_eq!(cluster.signers(&batch_id), present, "without {missing:?}");
    assert_eq!(cluster.certified_at(&batch_id), present);
    assert_eq!(cluster.log.penalties, []);
    cluster.assert_at_rest();
    assert_eq!(retrieve(&cluster.members, &present[..3], &batch_id), request.batch);
}

#[test]
fn certifies_without_any_two_of_seven_that_are_down() {
    for (seed, missing) in (0..).zip(choices(&[1, 2, 3, 4, 5, 6], 2)) {
        certified_without(&missing, seed, |cluster, seat| cluster.crash(seat));
    }
}

#[test]
fn certifies_without_any_two_of_seven_that_are_connected_and_silent() {
    for (seed, missing) in (0..).zip(choices(&[1, 2, 3, 4, 5, 6], 2)) {
        certified_without(&missing, seed, |cluster, seat| cluster.silence(seat));
    }
}

#[test]
fn certifies_when_two_members_fail_in_the_middle() {
    for seed in 0..12 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        let ticket = cluster.submit(0, &Request::random(seed, 120_000));
        cluster.run_for(Duration::from_millis(1 + seed));
        cluster.crash(2);
        cluster.silence(5);
        cluster.settle();
        let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
        let certified = cluster.certified_at(&batch_id);
        assert!([0, 1, 3, 4, 6].iter().all(|seat| certified.contains(seat)), "seed {seed}: {certified:?}");
    }
}

#[test]
fn below_quorum_there_is_no_certificate_and_every_missing_member_is_named_with_its_reason() {
    let mut cluster = Cluster::with_config((7, 3, 5), 1, |config| {
        if config.seat == 4 {
            config.batch_bytes_max = 10;
        }
    });
    cluster.crash(2);
    cluster.silence(3);
    let batch_id = cluster.settle_submission(0, &Request::random(1, 10_000));
    assert!(cluster.certified_at(&batch_id).is_empty());
    assert_eq!(cluster.checker.certificates.len(), 0);
    let status = cluster.status(0, &batch_id).unwrap();
    assert_eq!((status.stage, status.signers, status.quorum), (Stage::BelowQuorum, 4, 5));
    assert_eq!(reason_of(&status, 2), (Outcome::Waiting, Some(Reason::Unreachable)));
    assert_eq!(reason_of(&status, 3), (Outcome::Waiting, Some(Reason::NoAnswer)));
    assert_eq!(status.members[3].detail.as_deref(), Some("connected, did not answer"));
    assert_eq!(reason_of(&status, 4), (Outcome::Refused, Some(Reason::TooLarge)));
    assert_eq!(status.members[4].detail.as_deref(), Some("batch of 10000 bytes, at most 10 for this rollup"));
    for seat in [0, 1, 5, 6] {
        assert_eq!(reason_of(&status, seat), (Outcome::Signed, None));
    }
}

#[test]
fn too_many_refusals_are_answered_at_once_not_at_the_timeout() {
    let mut cluster = Cluster::with_config((4, 2, 3), 1, |config| {
        if config.seat >= 2 {
            config.rollups.clear();
        }
    });
    let ticket = cluster.submit(0, &Request::random(1, 1_000));
    let below = cluster.run_until(|cluster| {
        let answer = cluster.log.answers.get(&ticket).and_then(|answer| answer.as_ref().ok());
        let status = answer.and_then(|batch_id| cluster.status(0, batch_id));
        status.is_some_and(|status| status.stage == Stage::BelowQuorum)
    });
    assert!(below && cluster.now < Duration::from_millis(100), "{below} after {:?}", cluster.now);
}

#[test]
fn a_retry_after_below_quorum_succeeds_when_members_come_back() {
    for seed in 0..6 {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        let request = Request::random(seed, 100_000);
        for seat in [2, 4, 5] {
            cluster.crash(seat);
        }
        let batch_id = cluster.settle_submission(0, &request);
        assert_eq!(cluster.status(0, &batch_id).unwrap().stage, Stage::BelowQuorum);
        for seat in [2, 4, 5] {
            cluster.restart(seat);
        }
        assert_eq!(cluster.settle_submission(0, &request), batch_id, "the same batch");
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(cluster.log.penalties, []);
        cluster.assert_at_rest();
    }
}

#[test]
fn a_retry_at_another_member_succeeds_too() {
    let mut cluster = Cluster::new((4, 2, 3), 5);
    let request = Request::random(5, 100_000);
    cluster.crash(2);
    cluster.crash(3);
    let batch_id = cluster.settle_submission(0, &request);
    cluster.crash(0);
    cluster.restart(2);
    cluster.restart(3);
    assert_eq!(cluster.settle_submission(1, &request), batch_id);
    assert_eq!(cluster.certified_at(&batch_id), [1, 2, 3]);
    cluster.assert_at_rest();
}

#[test]
fn a_member_that_reconnects_before_the_timeout_is_asked_without_a_retry() {
    let mut cluster = Cluster::new((4, 2, 3), 6);
    for seat in [2, 3] {
        cluster.disconnect(0, seat);
        cluster.disconnect(1, seat);
    }
    let ticket = cluster.submit(0, &Request::random(6, 50_000));
    cluster.run_for(Duration::from_secs(2));
    for seat in [2, 3] {
        cluster.reconnect(0, seat);
        cluster.reconnect(1, seat);
    }
    cluster.settle();
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3]);
}

#[test]
fn a_vote_that_was_cast_while_the_coordinator_was_away_is_sent_again() {
    let mut cluster = Cluster::new((4, 2, 3), 7);
    let ticket = cluster.submit(0, &Request::random(7, 2_000));
    let received =
        |cluster: &Cluster| cluster.log.trace.iter().filter(|line| line.contains("  finish")).count() == 3;
    assert!(cluster.run_until(received), "three members verify");
    for seat in [1, 2, 3] {
        cluster.disconnect(0, seat);
    }
    cluster.run_for(Duration::from_secs(1));
    let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
    assert_eq!(cluster.status(0, &batch_id).unwrap().signers, 1, "no vote came through");
    for seat in [1, 2, 3] {
        cluster.reconnect(0, seat);
    }
    cluster.run_for(Duration::from_millis(500));
    assert_eq!(cluster.signers(&batch_id), [0, 1, 2, 3]);
    assert!(cluster.certified_at(&batch_id).contains(&0));
}

#[test]
fn when_the_coordinator_dies_after_the_quorum_another_member_makes_the_certificate() {
    for (n, k, q) in [(4, 2, 3), (7, 3, 5)] {
        let mut cluster = Cluster::new((n, k, q), 8);
        // Others vote, the coordinator never comes to aggregate.
        let ticket = cluster.submit(0, &Request::random(8, 10_000));
        let quorum = |cluster: &Cluster| {
            let answer = cluster.log.answers.get(&ticket).and_then(|answer| answer.as_ref().ok());
            let status = answer.and_then(|batch_id| cluster.status(0, batch_id));
            status.is_some_and(|status| status.signers >= q)
        };
        assert!(cluster.run_until(quorum));
        let batch_id = *cluster.log.answers[&ticket].as_ref().unwrap();
        cluster.crash(0);
        assert!(cluster.certified_at(&batch_id).is_empty());
        cluster.settle();
        assert_eq!(cluster.certified_at(&batch_id), Vec::from_iter(1..n));
        assert_eq!(cluster.log.aggregations, 1, "members take turns");
        cluster.assert_at_rest();
    }
}

#[test]
fn pieces_that_spare_holders_withhold_are_pulled() {
    for (seed, withholding) in (0..).zip(choices(&[1, 2, 3, 4, 5, 6], 2)) {
        let mut cluster = Cluster::new((7, 3, 5), seed);
        for seat in &withholding {
            let no_pieces = |_, message| match message {
                Message::Piece(..) => Vec::new(),
                other => vec![other],
            };
            cluster.tamper(*seat, no_pieces);
        }
        cluster.submit(0, &Request::random(seed, 200_000));
        assert!(cluster.run_until(|cluster| !cluster.checker.certificates.is_empty()));
        assert!(cluster.now < Duration::from_secs(2), "{withholding:?} cost {:?}", cluster.now);
        cluster.settle();
        let batch_id = *cluster.checker.certificates.keys().next().unwrap();
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3, 4, 5, 6], "without {withholding:?}");
        assert_eq!(cluster.log.penalties, []);
    }
}
