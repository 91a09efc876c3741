//! A devnet in a process of its own, for the tests that kill it: `committee DIRECTORY MEMBERS MINIMUM_SHARDS QUORUM`.
//!
//! Says [`Hello`] in one line of JSON when all members are connected; runs until its standard input ends.

use std::io::Read;

use anyhow::Context;
use attest::Thresholds;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::Hello;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, numbers @ ..] = arguments.as_slice() else { anyhow::bail!("no directory given") };
    let numbers: Result<Vec<u16>, _> = numbers.iter().map(|number| number.parse()).collect();
    let [members, minimum_shards, quorum] = numbers?[..] else { anyhow::bail!("three numbers are needed") };
    let thresholds = Thresholds::new(members, minimum_shards, quorum)?;
    let devnet = Devnet::start(DevnetConfig::new(thresholds, directory)).await?;
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
