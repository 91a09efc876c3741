//! Crashes and restarts: what was signed is there, and is signed again without new pieces.

use std::time::Duration;

use super::checker::retrieve;
use super::cluster::Cluster;
use super::parties::Request;
use crate::Event;

#[test]
fn what_a_member_signed_survives_a_crash_at_any_moment() {
    // The checker compares signatures with disks after every step and every crash.
    for steps in (20..600).step_by(29) {
        let mut cluster = Cluster::new((4, 2, 3), 1);
        let request = Request::random(1, 50_000);
        cluster.submit(0, &request);
        for _ in 0..steps {
            cluster.step();
        }
        cluster.crash(2);
        cluster.run_for(Duration::from_secs(1));
        cluster.restart(2);
        cluster.settle();
        let batch_id = *cluster.checker.certificates.keys().next().expect("three are enough");
        assert!(cluster.certified_at(&batch_id).len() >= 3, "after {steps} steps");
        assert_eq!(retrieve(&cluster.members, &[1, 3], &batch_id), request.batch);
        cluster.assert_at_rest();
    }
}

#[test]
fn a_whole_committee_that_lost_power_certifies_after_a_retry() {
    for steps in (20..600).step_by(29) {
        let mut cluster = Cluster::new((4, 2, 3), 2);
        let request = Request::random(2, 50_000);
        cluster.submit(0, &request);
        for _ in 0..steps {
            cluster.step();
        }
        for seat in 0..4 {
            cluster.crash(seat);
        }
        for seat in 0..4 {
            cluster.restart(seat);
        }
        cluster.settle();
        let batch_id = cluster.settle_submission(1, &request);
        assert_eq!(cluster.certified_at(&batch_id), [0, 1, 2, 3], "after {steps} steps");
        cluster.assert_at_rest();
    }
}

#[test]
fn a_restarted_member_signs_what_it_stored_without_asking_for_pieces() {
    let mut cluster = Cluster::new((4, 2, 3), 3);
    let request = Request::random(3, 200_000);
    let batch_id = cluster.settle_submission(0, &request);
    for seat in 0..4 {
        cluster.crash(seat);
    }
    for seat in 0..4 {
        cluster.restart(seat);
    }
    cluster.network.received_bytes.clear();
    let written_before = cluster.log.persisted_contents.clone();
    assert_eq!(cluster.settle_submission(2, &request), batch_id);
    assert_eq!(cluster.signers(&batch_id).len(), 4);
    for seat in [0, 1, 3] {
        assert_eq!(
            cluster.log.persisted_contents[&seat], written_before[&seat],
            "seat {seat} wrote nothing new"
        );
    }
    assert!(!cluster.log.trace.iter().any(|line| line.contains("pulled")));
    cluster.assert_at_rest();
}

#[test]
fn stopping_refuses_what_is_not_verified_and_finishes_what_is() {
    let mut stopped_before_verifying = 0;
    for steps in (10..400).step_by(13) {
        let mut cluster = Cluster::new((4, 2, 3), 4);
        cluster.submit(0, &Request::random(4, 50_000));
        for _ in 0..steps {
            cluster.step();
        }
        let verified = cluster.log.trace.iter().any(|line| line.contains(" 2: finished"));
        cluster.happens(2, Event::Stop);
        cluster.settle();
        let batch_id = *cluster.checker.certificates.keys().next().unwrap();
        let known =
            cluster.log.trace.iter().any(|line| line.contains(" 2: from") || line.contains(" 2: gossip"));
        let stored = cluster.members[2].disk.durable.statements.contains_key(&batch_id);
        assert_eq!(stored, verified, "after {steps} steps");
        if known && !verified {
            stopped_before_verifying += 1;
        }
        cluster.assert_at_rest();
    }
    assert!(stopped_before_verifying > 0, "some stops must come in the middle");
}
