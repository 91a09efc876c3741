use std::time::Duration;

use attest::{Address, SecretKey};

use super::duty::{self, LIVE_EPOCHS_MAX, Registry};
use super::saved::Saved;
use crate::settlement::follower::Checkpoint;
use crate::settlement::view::{EpochEntry, View};
use crate::settlement::{Block, Change, Quota, Standing};
use dac_node_engine::Term;

const DAY: u64 = 86_400;
const RETENTION: u64 = 60 * DAY;

fn announced(epoch: u64, activates_at: u64) -> Change {
    Change::EpochAnnounced {
        epoch,
        committee_hash: [1; 32],
        minimum_shards: 1,
        quorum: 1,
        activates_at,
        members: vec![[2; 32]],
    }
}

/// Epochs of a week each, from day 0 on.
fn weekly(count: u64) -> View {
    let mut view = View::default();
    for epoch in 1..=count {
        view.apply(announced(epoch, (epoch - 1) * 7 * DAY)).unwrap();
    }
    view
}

fn registry() -> Registry {
    Registry {
        chain_id: 1,
        address: Address([3; 20]),
        announcement_delay_seconds: 7 * DAY,
        retention_seconds_max: RETENTION,
    }
}

/// An epoch is served from its announcement until its end plus the longest retention, to the second.
#[test]
fn an_epoch_is_served_until_it_is_released() {
    let view = weekly(3);
    let end_of_first = 7 * DAY;
    let served = |l1_time| duty::live_epochs(&view, l1_time, RETENTION).served;
    assert_eq!(served(0), [1, 2, 3]);
    assert_eq!(served(end_of_first + RETENTION - 1), [1, 2, 3]);
    assert_eq!(served(end_of_first + RETENTION), [2, 3]);
    assert_eq!(served(u64::MAX - 1), [3], "without a next one it has no end");
}

#[test]
fn the_number_of_epochs_served_is_bounded() {
    let count = LIVE_EPOCHS_MAX as u64;
    let live = duty::live_epochs(&weekly(3 * count), 0, RETENTION);
    assert!(live.served.into_iter().eq(2 * count + 1..=3 * count));
    assert!(live.left_out.into_iter().eq(1..=2 * count), "what is not served is named");
}

/// A provider that lies about one epoch takes only that one away.
#[test]
fn an_epoch_that_makes_no_sense_is_left_out() {
    let key = SecretKey::generate(&[7; 32]).unwrap().public_key();
    assert!(duty::duties(&weekly(2), &registry(), &[1, 2], &key).is_empty());
}

#[test]
fn only_the_active_epoch_runs_and_only_the_next_one_begins() {
    let until = Some(Duration::from_secs(9));
    let terms = |standing| [1, 2, 3].map(|epoch| duty::term(standing, epoch, until));
    let closed = |term: &Term| matches!(term, Term::Closed(_));
    let [first, second, third] = terms(Standing::Active(2));
    assert!(closed(&first) && second == Term::Running { until } && closed(&third));
    let [first, second, third] = terms(Standing::Changing { from: Some(1), to: 2 });
    assert!(closed(&first) && second == Term::Beginning && closed(&third));
    assert!(terms(Standing::Unknown).iter().all(closed));
}

#[test]
fn rollups_are_served_on_the_terms_of_l1() {
    let (id, submitter) = (attest::RollupId([5; 32]), Address([6; 20]));
    let quota = Quota { batch_bytes_max: 10, bytes_per_day: 20, retention_seconds_max: 30 };
    let mut view = View::default();
    view.apply(Change::RollupSet { id, admin: Address([1; 20]), quota }).unwrap();
    view.apply(Change::SubmitterSet { id, submitter, allowed: true }).unwrap();
    let policy = &duty::rollups(&view)[&id];
    assert_eq!((policy.batch_max.as_u64(), policy.quota_per_day.as_u64()), (10, 20));
    assert_eq!((policy.retention_max, &policy.submitters), (Duration::from_secs(30), &vec![submitter]));
}

#[test]
fn what_was_saved_is_read_again_and_what_is_damaged_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = Saved::path(directory.path());
    assert_eq!(Saved::load(&path), None);
    let block = Block { number: 9, hash: [8; 32], timestamp: 7 };
    let view = weekly(2);
    assert_eq!(view.epochs().get(&2).map(|entry: &EpochEntry| entry.activates_at), Some(7 * DAY));
    let saved = Saved { registry: registry(), checkpoint: Some(Checkpoint { block, view }) };
    saved.store(&path).unwrap();
    assert_eq!(Saved::load(&path), Some(saved.clone()));
    saved.store(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 1]).unwrap();
    assert_eq!(Saved::load(&path), None);
    // Another digit is JSON as good as before, and another day.
    let begins = format!("\"activates_at\":{}", 7 * DAY);
    let damaged = text.replace(&begins, &format!("\"activates_at\":{}", 7 * DAY + 1));
    assert_ne!(damaged, text);
    std::fs::write(&path, damaged).unwrap();
    assert_eq!(Saved::load(&path), None);
}
