//! One member put together: keys, committee, storage, network, node, API. What `dac node` runs and `dac devnet` runs
//! several of.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use attest::{Committee, CommitteeFile, RollupId};
use libp2p::{Multiaddr, PeerId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::{self, ServeLimits};
use crate::clock::Clock;
use crate::compute::ComputePool;
use crate::config::NodeConfig;
use crate::hash_engine::HashEngine;
use crate::keystore::NodeKeys;
use crate::net::{Bound, NetworkConfig, Peer};
use crate::node::{Node, NodeError, NodeHandle, NodeParts};
use crate::service::RollupPolicy;
use dac_node_engine::{Dispersal, EngineConfig, Term};
use dac_node_store::{DiskStore, DiskStoreConfig, Error as StoreError, OnDamage, ShardStore};

/// The last work of a member that stopped may hold its store so long ...
const RELEASE_MAX: Duration = Duration::from_secs(10);
/// ... and is asked for again after this pause.
const RELEASE_PAUSE: Duration = Duration::from_millis(20);

/// What a member is started from.
#[derive(Debug)]
pub struct MemberParts {
    /// Its configuration, checked.
    pub config: NodeConfig,
    /// Its keys.
    pub keys: NodeKeys,
    /// Its committee, as the file states it.
    pub committee_file: CommitteeFile,
    /// Its network, listening already.
    pub bound: Bound,
    /// Its API, listening already.
    pub api: TcpListener,
    /// Its compute threads; members of one process share them.
    pub compute: ComputePool,
    /// Its hash engine; members of one process share it.
    pub hash: HashEngine,
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// How it disperses.
    pub dispersal: Dispersal,
}

/// A member at work.
#[derive(Debug)]
pub struct Member {
    node: Node,
    api: JoinHandle<Result<(), api::ServeError>>,
    api_address: SocketAddr,
    stop_api: watch::Sender<bool>,
}

/// Listens for the API.
///
/// # Errors
/// The address, and what the system said.
pub async fn listen_api(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for the API"))
}

impl Member {
    /// Starts everything. The API answers when this returns; the other members may still be away.
    ///
    /// # Errors
    /// What is wrong with the committee or the storage, in words.
    pub async fn start(parts: MemberParts) -> anyhow::Result<Member> {
        let MemberParts { config, keys, committee_file, bound, api, compute, hash, clock, dispersal } = parts;
        let committee = Arc::new(committee_file.check().context("committee file")?);
        let seat = seat_of(&committee, &keys)?;
        let store = open_store(&config).await?;
        let peers = peers(&committee_file, seat)?;
        check_identity(&committee_file, seat, &keys)?;
        let network_config = NetworkConfig { seat, peers, committee: committee.hash().to_string() };
        let (network, events) = bound.start(network_config)?;
        let api_address = api.local_addr()?;
        let rollups = config.rollups.iter().map(|policy| (policy.id, policy.clone())).collect();
        let engine = engine_config(&config, &committee_file, committee, seat, (dispersal, rollups));
        let secret = Arc::new(keys.bls);
        let node = Node::start(NodeParts {
            engine,
            committee_file,
            term: Term::Running { until: None },
            secret,
            network,
            events,
            store,
            hash,
            compute,
            clock,
            heal: config.heal.clone(),
            clock_step: config.store.clock_step,
        });
        let router = crate::api::router(Arc::new(node.handle()), api_config(&config, seat));
        let limits = ServeLimits { connections_max: config.api.connections_max, ..ServeLimits::default() };
        let (stop_api, mut stopped) = watch::channel(false);
        let shutdown = async move {
            // The sender is dropped with the member: that is a stop, too.
            let _stopped = stopped.wait_for(|stop| *stop).await;
        };
        let api = tokio::spawn(crate::api::serve(api, router, limits, shutdown));
        Ok(Member { node, api, api_address, stop_api })
    }

    /// The node.
    pub fn node(&self) -> NodeHandle {
        self.node.handle()
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where the API listens, as a URL.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api_address)
    }

    /// Runs until the node fails or is told to stop.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn wait(&mut self) -> Result<(), NodeError> {
        self.node.wait().await
    }

    /// Stops cleanly: no new work, what is being written is finished, requests are answered.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn stop(self) -> Result<(), NodeError> {
        let stopped = self.node.stop().await;
        self.stop_api.send_replace(true);
        match self.api.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the API stopped with an error"),
            Err(error) => tracing::error!(%error, "the API's task failed"),
        }
        stopped
    }
}

/// The seat that holds this key.
fn seat_of(committee: &Committee, keys: &NodeKeys) -> anyhow::Result<u16> {
    let key = keys.bls.public_key();
    let seat = committee.seat_of(&key);
    let seat = seat.with_context(|| format!("this node's key {key} has no seat in the committee"))?;
    Ok(seat.0)
}

/// Refuses a node whose network key is not the one the other members let in.
fn check_identity(file: &CommitteeFile, seat: u16, keys: &NodeKeys) -> anyhow::Result<()> {
    let own = keys.network.public().to_peer_id().to_string();
    let stated = file.members[usize::from(seat)].peer_id.as_deref();
    ensure!(
        stated == Some(own.as_str()),
        "the committee file gives seat {seat} the peer id {stated:?}, this node has {own}"
    );
    Ok(())
}

/// The other members with their addresses.
fn peers(file: &CommitteeFile, own: u16) -> anyhow::Result<Vec<Peer>> {
    let others = (0u16..).zip(&file.members).filter(|(seat, _)| *seat != own);
    others
        .map(|(seat, member)| {
            let Some(peer_id) = &member.peer_id else {
                bail!("seat {seat} has no peer_id in the committee file")
            };
            let peer_id: PeerId = peer_id.parse().with_context(|| format!("peer_id of seat {seat}"))?;
            let addresses: Result<Vec<Multiaddr>, _> = member.addresses.iter().map(|a| a.parse()).collect();
            let addresses = addresses.with_context(|| format!("addresses of seat {seat}"))?;
            Ok(Peer { seat, peer_id, addresses })
        })
        .collect()
}

/// Opens the store of a member. One of this process that stopped a moment ago may still be at its last work, which holds
/// the store: that is waited for.
pub(crate) async fn open_store(config: &NodeConfig) -> anyhow::Result<Arc<dyn ShardStore>> {
    let limits = DiskStoreConfig {
        reserve_bytes: config.store.reserve.as_u64(),
        bytes_max: config.store.max_bytes.map_or(u64::MAX, |max| max.as_u64()),
        grace_seconds: config.store.grace.as_secs(),
        on_damage: OnDamage::Repair,
        ..DiskStoreConfig::default()
    };
    let own = std::process::id().to_string();
    let mut waited = Duration::ZERO;
    let opened = loop {
        let (path, limits) = (config.data_dir.clone(), limits.clone());
        match tokio::task::spawn_blocking(move || DiskStore::open(&path, &limits)).await? {
            Err(StoreError::Locked { holder, .. }) if holder == own && waited < RELEASE_MAX => {}
            opened => break opened,
        }
        tokio::time::sleep(RELEASE_PAUSE).await;
        waited += RELEASE_PAUSE;
    };
    let store = opened.with_context(|| format!("cannot open the store in {}", config.data_dir.display()))?;
    Ok(Arc::new(store))
}

pub(crate) fn engine_config(
    config: &NodeConfig,
    file: &CommitteeFile,
    committee: Arc<Committee>,
    seat: u16,
    (dispersal, rollups): (Dispersal, BTreeMap<RollupId, RollupPolicy>),
) -> EngineConfig {
    let timings = &config.timings;
    EngineConfig {
        seat,
        committee,
        names: file.members.iter().map(|member| member.name.clone()).collect(),
        rollups,
        batch_bytes_max: config.batch_bytes_max.as_u64(),
        batches_in_flight_max: config.batches_in_flight_max,
        bytes_in_flight_max: config.bytes_in_flight_max.as_u64(),
        piece_timeout: timings.piece_timeout_floor,
        piece_timeout_max: timings.piece_timeout_ceiling,
        give_up_after: timings.give_up_after,
        certificate_linger: timings.certificate_linger,
        answer_timeout: timings.member_answer_timeout,
        takeover_after: timings.takeover_after,
        dispersal,
        // Only spreads load: which peer is asked first. Different on every member.
        seed: u64::from(seat),
    }
}

pub(crate) fn api_config(config: &NodeConfig, seat: u16) -> api::ApiConfig {
    let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    api::ApiConfig {
        unauthenticated_bytes_max: bytes(config.api.unauthenticated_bytes_max),
        authorised_bytes_max: bytes(config.api.authorised_bytes_max),
        body_idle_max: config.api.body_idle_max,
        body_rate_min: config.api.body_rate_min.as_u64(),
        wait_max: config.api.wait_max,
        ..api::ApiConfig::new(seat)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn config(directory: &tempfile::TempDir) -> NodeConfig {
        NodeConfig { data_dir: directory.path().join("data"), ..NodeConfig::default() }
    }

    #[tokio::test]
    async fn a_store_is_opened_when_the_member_before_is_done_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let before = open_store(&config(&directory)).await.unwrap();
        let (config, waits) = (config(&directory), AtomicBool::new(true));
        let after = async {
            open_store(&config).await.unwrap();
            waits.store(false, Ordering::Relaxed);
        };
        let release = async {
            tokio::time::sleep(3 * RELEASE_PAUSE).await;
            assert!(waits.load(Ordering::Relaxed), "two have the store");
            drop(before);
        };
        tokio::join!(after, release);
    }

    #[tokio::test(start_paused = true)]
    async fn another_process_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&directory);
        let _held = open_store(&config).await.unwrap();
        std::fs::write(config.data_dir.join("lock"), "1").unwrap();
        let asked = tokio::time::Instant::now();
        let error = format!("{:#}", open_store(&config).await.unwrap_err());
        assert!(error.contains("is in use by process 1"), "{error}");
        assert_eq!(asked.elapsed(), Duration::ZERO);
    }
}
