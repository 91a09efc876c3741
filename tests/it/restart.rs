//! Stopped and started again, a member still has and serves what it signed.

use std::time::Duration;

use attest::Thresholds;
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, real_batch, until};

/// All sign before the certificate is made, so that a status tells the same signers before a restart and after it.
fn waits_for_all(config: &mut NodeConfig) {
    config.timings.certificate_linger = Duration::from_secs(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_member_serves_what_it_signed() {
    let directory = tempfile::tempdir().unwrap();
    let thresholds = Thresholds::new(4, 2, 3).unwrap();
    let config = DevnetConfig { adjust: waits_for_all, ..DevnetConfig::new(thresholds, directory.path()) };
    let mut devnet = Devnet::start(config).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let batch = real_batch("scroll-block-05.json");
    let times = Times::from(devnet.clock().now().unix_seconds);
    let answer = rollup.submit(&devnet.member(0).unwrap().api_url(), &batch, times).await;
    let id = answer.certified(&devnet.committee_path()).batch_id;
    for seat in 0..4 {
        // Own shard, certificate and status as they are before and after; then alone, with nobody to ask.
        let before = Kept::until_certified(&devnet, &rollup, seat, id).await;
        devnet.restart_member(seat).await.unwrap();
        let after = Kept::until_certified(&devnet, &rollup, seat, id).await;
        assert!(
            before.is_kept_in(&after),
            "member {seat}: {} before, {} after",
            before.words(),
            after.words()
        );
    }
    for seat in [0, 1, 2] {
        devnet.stop_member(seat).await.unwrap();
    }
    devnet.restart_member(3).await.unwrap();
    let alone = devnet.member(3).unwrap().api_url();
    assert!(rollup.fetch(&alone, id).await.ok() == batch);
    let again = rollup.submit(&alone, &batch, times).await;
    assert_eq!(again.certified(&devnet.committee_path()).batch_id, id, "certified already, members or not");
    devnet.stop().await.unwrap();
}

/// Seats of a committee of four whose signatures are in a certificate.
fn signers(certificate: &[u8]) -> Vec<u64> {
    let certificate = attest::Certificate::decode_strict(certificate).unwrap();
    (0..4).filter(|seat| certificate.signers.as_bytes()[0] >> seat & 1 == 1).collect()
}

/// What a member shows of a batch.
struct Kept {
    certificate: bytes::Bytes,
    shard: bytes::Bytes,
    batch: bytes::Bytes,
    stage: String,
    signed: Vec<u64>,
}

impl Kept {
    /// A vote that came after the certificate is told while the process runs; what is kept is the certificate's signers.
    fn is_kept_in(&self, after: &Kept) -> bool {
        let signers = signers(&self.certificate);
        (&self.certificate, &self.shard, &self.batch) == (&after.certificate, &after.shard, &after.batch)
            && self.stage == after.stage
            && after.signed == signers
            && signers.iter().all(|seat| self.signed.contains(seat))
    }

    /// Without the bytes.
    fn words(&self) -> String {
        let signers = signers(&self.certificate);
        let lengths = (self.certificate.len(), self.shard.len(), self.batch.len());
        format!("{}, signed {:?}, certificate of {signers:?}, bytes {lengths:?}", self.stage, self.signed)
    }

    async fn until_certified(devnet: &Devnet, rollup: &Rollup, seat: u16, id: attest::BatchId) -> Kept {
        let api = devnet.member(seat).unwrap().api_url();
        let path = format!("/v1/batches/{id}");
        let certificate = until("the member has the certificate", || async {
            let path = format!("{path}/certificate");
            let answer = rollup.get_with(&api, &path, "accept", "application/octet-stream").await;
            (answer.status == 200).then_some(answer.body)
        })
        .await;
        let status = rollup.get(&api, &format!("{path}/status")).await.json();
        let members = status["members"].as_array().unwrap().iter();
        let signed =
            members.filter(|m| m["outcome"] == "signed").filter_map(|m| m["seat"].as_u64()).collect();
        Kept {
            certificate,
            shard: rollup.get(&api, &format!("{path}/shards/{seat}")).await.ok(),
            batch: rollup.get(&api, &path).await.ok(),
            stage: status["stage"].as_str().unwrap().to_owned(),
            signed,
        }
    }
}
