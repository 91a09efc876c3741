//! `dac node`: runs one member until it is told to stop or its storage fails.

use std::path::PathBuf;
use std::sync::Arc;

use attest::{Address, CommitteeFile};
use fpga::DeviceName;

use crate::chain_member::{ChainMember, ChainMemberParts, Registry, Saved};
use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::compute::ComputePool;
use crate::config::NodeConfig;
use crate::hash_engine::HashEngine;
use crate::keystore::{NodeKeys, Password, Prompt};
use crate::member::{Member, MemberParts, listen_api};
use crate::net::Bound;
use crate::node::NodeError;
use crate::settlement::ethereum::Ethereum;
use crate::telemetry;
use dac_node_engine::Dispersal;

/// Arguments of `dac node`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; see `dac config example`
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Hash on a device, as hash.engine = "fpga" does: xdma:0, serial:PATH, tcp:HOST:PORT or unix:PATH
    #[arg(long, value_name = "DEVICE")]
    pub hash_device: Option<DeviceName>,
    /// Send every batch whole to every member, as others do: for benches to compare with
    #[arg(long, hide = true)]
    pub full_replication: bool,
}

/// Runs a member. SIGINT and SIGTERM stop it cleanly; a second signal stops it at once.
///
/// # Errors
/// What is wrong with configuration, keys, committee or storage, and what to do about it.
pub fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let mut config = NodeConfig::load(&args.config)?;
    config.hash.use_device(args.hash_device.as_ref());
    telemetry::init(&config.log.level, config.log.json)?;
    let password = Password::obtain(config.password_file.as_deref(), Prompt::Open, "keystores")?;
    let keys = NodeKeys::load(&config.keys_dir, &password)?;
    if !config.l1.providers.is_empty() {
        return super::runtime()?.block_on(serve_l1(config, keys, output));
    }
    let committee_file = read_committee(&config)?;
    let dispersal = if args.full_replication { Dispersal::FullReplication } else { Dispersal::Coded };
    super::runtime()?.block_on(serve(config, keys, committee_file, dispersal, output))
}

fn read_committee(config: &NodeConfig) -> Result<CommitteeFile, Failure> {
    let text = std::fs::read_to_string(&config.committee)
        .map_err(|error| Failure::read(&config.committee, &error))?;
    CommitteeFile::from_json(&text).map_err(|error| {
        let detail = format!("{}: {error}", config.committee.display());
        Failure::verification("invalid_committee", detail, "check it with: dac committee check FILE")
    })
}

/// Into the log, once: what `dac doctor` shows later.
fn advise() {
    for advice in crate::kernel::advice() {
        tracing::warn!("{advice}");
    }
}

async fn serve(
    config: NodeConfig,
    keys: NodeKeys,
    committee_file: CommitteeFile,
    dispersal: Dispersal,
    output: &Output,
) -> Result<(), Failure> {
    let bound = Bound::listen(&keys.network, &config.network.listen).await.map_err(cannot)?;
    let api = listen_api(config.api.listen).await.map_err(cannot)?;
    let compute = ComputePool::new(config.compute_threads).map_err(|error| cannot(error.into()))?;
    let hash = HashEngine::start(&config.hash).await.map_err(cannot)?;
    let listening = bound.addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
    let clock = Arc::new(SystemClock::new());
    let parts = MemberParts { config, keys, committee_file, bound, api, compute, hash, clock, dispersal };
    let mut member = Member::start(parts).await.map_err(cannot)?;
    advise();
    let (seat, api) = (member.node().seat(), member.api_url());
    output.result(
        &serde_json::json!({ "seat": seat, "api": api, "listening": listening }),
        &format!(
            "member {seat} is up\n  members  {}\n  API      {api}\n  docs     {api}/docs",
            listening.join(", ")
        ),
    )?;
    tokio::select! {
        ended = member.wait() => ended.map_err(|error| failed(&error)),
        () = stop_signal() => stop(member.stop(), output).await,
    }
}

/// Runs a member that follows L1.
async fn serve_l1(config: NodeConfig, keys: NodeKeys, output: &Output) -> Result<(), Failure> {
    let registry = registry(&config).await?;
    let settlement = Ethereum::new(&config.l1.providers, registry.chain_id, registry.address)
        .map_err(|error| Failure::usage(error.to_string(), "correct l1.providers"))?;
    let bound = Bound::listen(&keys.network, &config.network.listen).await.map_err(cannot)?;
    let api = listen_api(config.api.listen).await.map_err(cannot)?;
    let compute = ComputePool::new(config.compute_threads).map_err(|error| cannot(error.into()))?;
    let hash = HashEngine::start(&config.hash).await.map_err(cannot)?;
    let listening = bound.addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
    let (clock, dispersal) = (Arc::new(SystemClock::new()), Dispersal::default());
    let parts =
        ChainMemberParts { config, keys, bound, api, compute, hash, clock, dispersal, registry, settlement };
    let mut member = ChainMember::start(parts).await.map_err(cannot)?;
    advise();
    let api = member.api_url();
    output.result(
        &serde_json::json!({ "registry": registry.address, "api": api, "listening": listening }),
        &format!(
            "following the registry {} on chain {}\n  members  {}\n  API      {api}\n  docs     {api}/docs",
            registry.address,
            registry.chain_id,
            listening.join(", ")
        ),
    )?;
    tokio::select! {
        ended = member.wait() => ended.map_err(|error| failed(&error)),
        () = stop_signal() => stop(member.stop(), output).await,
    }
}

/// What never changes in the registry: from the disk, else from the first provider that answers.
async fn registry(config: &NodeConfig) -> Result<Registry, Failure> {
    let (chain_id, address) = (config.l1.chain_id, config.l1.registry.unwrap_or(Address::ZERO));
    if let Some(saved) = Saved::load(&Saved::path(&config.data_dir))
        && (saved.registry.chain_id, saved.registry.address) == (chain_id, address)
    {
        return Ok(saved.registry);
    }
    let mut failures = Vec::new();
    for url in &config.l1.providers {
        match super::l1::registry(url, chain_id, address).await {
            Ok(registry) => return Ok(registry),
            Err(error) => failures.push(format!("{url}: {error}")),
        }
    }
    let hint = "at its first start a node needs a provider: check l1.providers, l1.chain_id and l1.registry";
    Err(Failure::new(Exit::Unreachable, "l1_unreachable", failures.join("; "), hint))
}

fn cannot(error: anyhow::Error) -> Failure {
    Failure::other(format!("cannot start: {error:#}"), "check the configuration with: dac config check FILE")
}

/// Waits for the clean end, or for another signal.
async fn stop(stopping: impl Future<Output = Result<(), NodeError>>, output: &Output) -> Result<(), Failure> {
    output.note("stopping: what is being written is finished first; a second signal stops at once");
    tokio::select! {
        stopped = stopping => stopped.map_err(|error| failed(&error)),
        () = stop_signal() => Err(Failure::other("stopped at once", "what was signed is on the disk")),
    }
}

/// Resolves at SIGINT or SIGTERM.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn failed(error: &NodeError) -> Failure {
    let hint = match error {
        NodeError::Storage(_) => "check the disk, then start the node again: what it signed is there",
        NodeError::Task(_) => "start the node again and report this as a bug, with the log",
    };
    Failure::new(Exit::LocalIo, "node_failed", error.to_string(), hint)
}
