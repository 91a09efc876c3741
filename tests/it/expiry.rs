//! Whole copies go at their time, shards stay; and bytes that were cold come back with a later time.

use std::sync::Arc;
use std::time::Duration;

use attest::Thresholds;
use dac_node::clock::ShiftedClock;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, noise, until};

/// The bytes of a batch are submitted again after every whole copy of them expired: the members have shards of them and
/// need the bytes once more, because a statement with a later `hotUntil` promises whole copies.
#[tokio::test(flavor = "multi_thread")]
async fn cold_bytes_are_hot_again_after_a_later_submission() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ShiftedClock::default());
    let config = DevnetConfig {
        clock: clock.clone(),
        // The calendar of these tests jumps, and is right.
        adjust: |config| config.store.clock_step = Duration::from_secs(86_400),
        ..DevnetConfig::new(Thresholds::new(4, 2, 3).unwrap(), directory.path())
    };
    let devnet = Devnet::start(config.clone()).await.unwrap();
    let (rollup, batch) = (Rollup::of(&devnet), noise(400, 100_000));
    let now = clock_now(&devnet);
    let short = Times { hot_until: now + 60, retain_until: now + 30 * 86_400, deadline: now + 600 };
    let first = rollup.submit(&devnet.api_urls()[0], &batch, short).await.certified(&devnet.committee_path());
    devnet.stop().await.unwrap();
    clock.advance(3600);
    let devnet = Devnet::start(config).await.unwrap();
    let api = devnet.api_urls();
    for (seat, api) in api.iter().enumerate() {
        let other = format!("/v1/batches/{}/shards/{}", first.batch_id, (seat + 1) % 4);
        until("the whole copy is gone", || async {
            (rollup.get(api, &other).await.status == 404).then_some(())
        })
        .await;
    }

    let now = clock_now(&devnet);
    let later = Times { hot_until: now + 3600, retain_until: now + 30 * 86_400, deadline: now + 600 };
    let second = rollup.submit(&api[1], &batch, later).await.certified(&devnet.committee_path());
    assert_ne!(first.batch_id, second.batch_id);
    for seat in second.certificate.signers().iter().map(|seat| usize::from(seat.0)) {
        // Whoever signed the later time can serve any shard, from its whole copy.
        let other = format!("/v1/batches/{}/shards/{}", second.batch_id, (seat + 1) % 4);
        assert!(!rollup.get(&api[seat], &other).await.ok().is_empty(), "member {seat} has no whole copy");
        for id in [first.batch_id, second.batch_id] {
            assert!(rollup.fetch(&api[seat], id).await.ok() == batch);
        }
    }
    devnet.stop().await.unwrap();
}

fn clock_now(devnet: &Devnet) -> u64 {
    devnet.clock().now().unix_seconds
}
