//! How many bytes a batch costs: counts, not times.

use std::time::Duration;

use attest::Thresholds;
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use dac_node::net::Class;
use e2e::{Rollup, Times, noise, until};

const BATCH_BYTES: usize = 1 << 20;

/// Frame bytes of all classes that a member sent and received since it started.
fn on_streams(devnet: &Devnet, seat: u16) -> (u64, u64) {
    use std::sync::atomic::Ordering::Relaxed;
    let node = devnet.member(seat).unwrap().node();
    let counters = node.network().counters();
    let sum = |bytes: &[std::sync::atomic::AtomicU64; 2]| {
        Class::ALL.iter().map(|class| bytes[*class as usize].load(Relaxed)).sum::<u64>()
    };
    (sum(&counters.sent_bytes), sum(&counters.received_bytes))
}

/// Nobody is late: a busy machine must not count as a slow member, whose pieces are pulled from others too.
fn patient(config: &mut NodeConfig) {
    config.timings.piece_timeout_floor = Duration::from_secs(50);
    config.timings.piece_timeout_ceiling = Duration::from_secs(50);
    config.timings.give_up_after = Duration::from_secs(100);
    config.timings.member_answer_timeout = Duration::from_secs(110);
}

/// One batch of 1 MiB through a fresh committee; sender bytes and the largest member input, in batches: from the status
/// documents, and from the streams themselves.
async fn ratios(thresholds: Thresholds) -> [(f64, f64); 2] {
    let directory = tempfile::tempdir().unwrap();
    let config = DevnetConfig { adjust: patient, ..DevnetConfig::new(thresholds, directory.path()) };
    let devnet = Devnet::start(config).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let (api, n) = (devnet.api_urls(), thresholds.members());
    let times = Times::from(devnet.clock().now().unix_seconds);
    let answer = rollup.submit(&api[0], &noise(700, BATCH_BYTES), times).await;
    let id = answer.certified(&devnet.committee_path()).batch_id;

    // Everyone has signed and everything sent has arrived: nothing is on its way any more.
    for api in &api {
        until("every member stored the certificate", || async {
            let status = rollup.get(api, &format!("/v1/batches/{id}/status")).await;
            (status.status == 200 && status.json()["stage"] == "certified").then_some(())
        })
        .await;
    }
    until("all sent bytes arrived", || async {
        let sums = (0..n).map(|seat| on_streams(&devnet, seat));
        let (sent, received) = sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sent == received && sent > BATCH_BYTES as u64).then_some(())
    })
    .await;

    let ratio = |bytes: u64| bytes as f64 / BATCH_BYTES as f64;
    let mut stated = (0.0, 0.0f64);
    let mut counted = (ratio(on_streams(&devnet, 0).0), 0.0f64);
    for (seat, api) in (0u16..).zip(&api) {
        let status = rollup.get(api, &format!("/v1/batches/{id}/status")).await.json();
        let (sent, received) =
            (status["sent_bytes"].as_u64().unwrap(), status["received_bytes"].as_u64().unwrap());
        if seat == 0 {
            stated.0 = ratio(sent);
        } else {
            assert!(received > 0, "member {seat}: {status}");
            stated.1 = stated.1.max(ratio(received));
            counted.1 = counted.1.max(ratio(on_streams(&devnet, seat).1));
        }
    }
    devnet.stop().await.unwrap();
    [stated, counted]
}

fn assert_within(found: [(f64, f64); 2], sender_max: f64, member_max: f64) {
    println!("stated {:?}, counted {:?}", found[0], found[1]);
    for (sender, member) in found {
        assert!(sender <= sender_max, "sender: {sender} batches, at most {sender_max}");
        assert!(member <= member_max, "member input: {member} batches, at most {member_max}");
        assert!(sender >= 1.0 && member >= 1.0, "less than a batch is no batch: {sender}, {member}");
    }
    let [stated, counted] = found;
    assert!((stated.0 - counted.0).abs() < 0.05, "status tells of {stated:?}, streams carried {counted:?}");
    assert!((stated.1 - counted.1).abs() < 0.10, "status tells of {stated:?}, streams carried {counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_members_cost_the_sender_at_most_1_75_batches_and_a_member_1_5() {
    assert_within(ratios(Thresholds::new(7, 3, 5).unwrap()).await, 1.75, 1.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_members_cost_the_sender_at_most_1_95_batches_and_a_member_1_3() {
    assert_within(ratios(Thresholds::new(16, 6, 11).unwrap()).await, 1.95, 1.3);
}
