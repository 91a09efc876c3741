//! A batch comes back while any `k` members live: from whole copies, and from shards alone.

use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, Thresholds};
use bytes::Bytes;
use dac_node::clock::ShiftedClock;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, real_batch, until};

const HOUR: u64 = 3600;

/// Every set of `k` of the first `n` seats; each differs from the one before in one seat (Knuth, TAOCP 7.2.1.3,
/// revolving door).
fn choices(n: u16, k: usize) -> Vec<Vec<u16>> {
    if k == 0 {
        return vec![Vec::new()];
    }
    if usize::from(n) < k {
        return Vec::new();
    }
    let mut all = choices(n - 1, k);
    let with_last = choices(n - 1, k - 1).into_iter().rev().map(|mut seats| {
        seats.push(n - 1);
        seats
    });
    all.extend(with_last);
    all
}

#[test]
fn choices_are_all_35_and_one_swap_apart() {
    let all = choices(7, 3);
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 35);
    for pair in all.windows(2) {
        assert_eq!(pair[1].iter().filter(|seat| !pair[0].contains(seat)).count(), 1, "{pair:?}");
    }
}

/// A batch whose whole copies expire after an hour, and one whose copies last.
struct Two {
    hot: (BatchId, Bytes),
    cold: (BatchId, Bytes),
}

async fn submit_two(devnet: &Devnet, rollup: &Rollup) -> Two {
    let (hot, cold) = (real_batch("scroll-block-02.json"), real_batch("scroll-block-05.json"));
    let now = devnet.clock().now().unix_seconds;
    let long =
        Times { hot_until: now + 30 * 24 * HOUR, retain_until: now + 60 * 24 * HOUR, deadline: now + 600 };
    let short = Times { hot_until: now + HOUR, ..long };
    let api = devnet.member(0).unwrap().api_url();
    let hot_id = rollup.submit(&api, &hot, long).await.certified(&devnet.committee_path()).batch_id;
    let cold_id = rollup.submit(&api, &cold, short).await.certified(&devnet.committee_path()).batch_id;
    for (_, member) in devnet.running() {
        // The certificate needs five; here every member must have its shard.
        for id in [hot_id, cold_id] {
            wait_for_signature(rollup, &member.api_url(), id).await;
        }
    }
    Two { hot: (hot_id, hot), cold: (cold_id, cold) }
}

async fn wait_for_signature(rollup: &Rollup, api: &str, id: BatchId) {
    until("every member signed", || async {
        let status = rollup.get(api, &format!("/v1/batches/{id}/status")).await;
        let signed =
            status.status == 200 && ["signed", "certified"].contains(&status.json()["stage"].as_str()?);
        let shard = rollup.get(api, &format!("/v1/batches/{id}/pieces/0/0")).await;
        (signed && shard.status == 200).then_some(())
    })
    .await;
}

/// Another member's shard is served from the whole copy only.
async fn wait_until_cold(devnet: &Devnet, rollup: &Rollup, id: BatchId) {
    for (seat, member) in devnet.running() {
        let (api, other) = (member.api_url(), (seat + 1) % 7);
        until("the whole copy is gone", || async {
            let shard = rollup.get(&api, &format!("/v1/batches/{id}/shards/{other}")).await;
            (shard.status == 404).then(|| shard.problem(404, "shard_not_here"))
        })
        .await;
    }
}

async fn assert_alive(devnet: &mut Devnet, alive: &[u16]) {
    for seat in 0..7 {
        if !alive.contains(&seat) {
            devnet.stop_member(seat).await.unwrap();
        }
    }
    for seat in alive {
        if devnet.member(*seat).is_none() {
            devnet.restart_member(*seat).await.unwrap();
        }
    }
    let running: Vec<u16> = devnet.running().map(|(seat, _)| seat).collect();
    assert_eq!(running, *alive, "exactly k members live");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_three_of_seven_members_give_batches_back_from_copies_and_from_shards_alone() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ShiftedClock::default());
    let config = DevnetConfig {
        clock: clock.clone(),
        // The calendar of these tests jumps, and is right.
        adjust: |config| config.store.clock_step = Duration::from_secs(86_400),
        ..DevnetConfig::new(Thresholds::new(7, 3, 5).unwrap(), directory.path())
    };
    let devnet = Devnet::start(config.clone()).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let two = submit_two(&devnet, &rollup).await;

    // A member prunes when it starts.
    devnet.stop().await.unwrap();
    clock.advance(2 * HOUR);
    let mut devnet = Devnet::start(config).await.unwrap();
    wait_until_cold(&devnet, &rollup, two.cold.0).await;

    for alive in choices(7, 3) {
        assert_alive(&mut devnet, &alive).await;
        for (seat, member) in devnet.running() {
            let api = member.api_url();
            for (id, batch) in [&two.hot, &two.cold] {
                let answer = rollup.fetch(&api, *id).await;
                assert_eq!(answer.status, 200, "member {seat} of {alive:?}: {}", answer.text());
                assert!(answer.body == *batch, "member {seat} of {alive:?} returns other bytes");
            }
        }
    }

    // One less, and the shards do not suffice: it was them that gave the batch back.
    let (last, _) = devnet.running().last().unwrap();
    devnet.stop_member(last).await.unwrap();
    let api = devnet.api_urls().remove(0);
    let answer = rollup.fetch(&api, two.cold.0).await;
    let problem = answer.problem(503, "irretrievable");
    assert_eq!(problem["detail"], "stripe 0: 2 of 3 pieces could be had");
    assert!(rollup.fetch(&api, two.hot.0).await.ok() == two.hot.1);
    devnet.stop().await.unwrap();
}
