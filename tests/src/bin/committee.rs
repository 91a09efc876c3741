//! A devnet in a process of its own, for the tests that kill it: `committee DIRECTORY MEMBERS MINIMUM_SHARDS QUORUM
//! [HASH_DEVICE]`. With a device, every digest of it is computed again in software, and it is tried again at once.
//!
//! Says [`Hello`] in one line of JSON when all members are connected; runs until its standard input ends. Logs what the
//! variable `DAC_LOG` asks for.

use std::io::Read;
use std::time::Duration;

use anyhow::Context;
use attest::Thresholds;
use dac_node::config::HashConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::Hello;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    dac_node::telemetry::init("off", false)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, members, minimum_shards, quorum, device @ ..] = arguments.as_slice() else {
        anyhow::bail!("a directory and three numbers are needed")
    };
    let thresholds = Thresholds::new(members.parse()?, minimum_shards.parse()?, quorum.parse()?)?;
    let mut config = DevnetConfig::new(thresholds, directory);
    if let [device] = device {
        config.hash = HashConfig {
            engine: "fpga".to_owned(),
            device: Some(device.clone()),
            recheck_one_in: 1,
            device_timeout: Duration::from_secs(1),
            reattach_after: Duration::from_millis(50),
        };
    }
    let devnet = Devnet::start(config).await?;
    let hello = Hello {
        api: devnet.api_urls(),
        committee: devnet.committee_path(),
        rollup_id: devnet.rollup_id(),
        chain_id: devnet.committee().domain().chain_id,
        submitter: hex::encode(devnet.submitter().to_bytes()),
    };
    println!("{}", serde_json::to_string(&hello)?);
    // The test that started this is gone when the pipe is.
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    closed.await?.context("standard input")?;
    devnet.stop().await
}
