//! A large batch: 8 MiB, and 32 MiB when the variable `NIGHTLY` is set (an unoptimised build takes half a minute
//! for that).

use attest::Thresholds;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, noise};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_certified_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let config = DevnetConfig::new(Thresholds::new(4, 2, 3).unwrap(), directory.path());
    let devnet = Devnet::start(config).await.unwrap();
    let (rollup, api) = (Rollup::of(&devnet), devnet.api_urls());
    let nightly = std::env::var_os("NIGHTLY").is_some();
    let batch = noise(800, if nightly { 32 << 20 } else { 8 << 20 });
    let times = Times::from(devnet.clock().now().unix_seconds);
    let certified = rollup.submit(&api[0], &batch, times).await.certified(&devnet.committee_path());
    for signer in certified.certificate.signers() {
        assert!(rollup.fetch(&api[usize::from(signer.0)], certified.batch_id).await.ok() == batch);
    }
    devnet.stop().await.unwrap();
}
