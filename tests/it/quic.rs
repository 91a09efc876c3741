//! The whole committee over QUIC: certifies, loses two members, one of them for a while, and gives the batch back.

use std::time::Duration;

use attest::Thresholds;
use dac_node::devnet::{Devnet, DevnetConfig, Transport};
use e2e::{Rollup, Times, noise, real_batch};

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_on_quic_certifies_reads_and_takes_a_member_back() {
    let directory = tempfile::tempdir().unwrap();
    let thresholds = Thresholds::new(7, 3, 5).unwrap();
    let config = DevnetConfig {
        transport: Transport::Quic,
        adjust: |config| config.timings.member_answer_timeout = Duration::from_secs(4),
        ..DevnetConfig::new(thresholds, directory.path())
    };
    let mut devnet = Devnet::start(config).await.unwrap();
    for member in &devnet.committee_file().members {
        let addresses: Vec<String> = member.addresses.iter().map(ToString::to_string).collect();
        assert!(!addresses.is_empty() && addresses.iter().all(|a| a.contains("/quic-v1")), "{addresses:?}");
    }
    let rollup = Rollup::of(&devnet);
    let times = Times::from(devnet.clock().now().unix_seconds);

    let batch = noise(7, 700_000);
    let answer = rollup.submit(&devnet.member(1).unwrap().api_url(), &batch, times).await;
    let certified = answer.certified(&devnet.committee_path());
    devnet.stop_member(1).await.unwrap();
    devnet.stop_member(4).await.unwrap();
    let path = format!("/v1/batches/{}", certified.batch_id);
    for (seat, member) in devnet.running() {
        let read = rollup.get(&member.api_url(), &path).await;
        assert!(read.status == 200 && read.body == batch, "member {seat} answers {}", read.status);
    }

    // Back on its old address, the member takes part again.
    devnet.restart_member(4).await.unwrap();
    devnet.stop_member(0).await.unwrap();
    let batch = real_batch("scroll-block-03.json");
    let answer = rollup.submit(&devnet.member(4).unwrap().api_url(), &batch, times).await;
    let certified = answer.certified(&devnet.committee_path());
    assert_eq!(certified.certificate.signers(), [2, 3, 4, 5, 6].map(attest::SeatIndex));
    devnet.stop().await.unwrap();
}
