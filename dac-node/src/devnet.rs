//! A whole committee in one process: real members with keys, stores and ports of their own, libp2p between them on
//! loopback. What `dac devnet`, the benches and the end-to-end tests run.
//!
//! Left out on purpose: anything a member could not do alone. A devnet only makes keys, writes files and starts
//! [`Member`]s; the members know nothing of each other but the committee file.

pub mod anvil;
pub mod chain;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use attest::{
    Address, Committee, CommitteeFile, Domain, Epoch, MemberEntry, RollupId, SubmitterKey, Thresholds,
};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::net::TcpListener;

use crate::clock::{Clock, SystemClock};
use crate::compute::ComputePool;
use crate::config::{HashConfig, NodeConfig};
use crate::hash_engine::HashEngine;
use crate::keystore::{self, Kdf, NodeKeys, Password};
use crate::member::{Member, MemberParts, listen_api};
use crate::net::Bound;
use crate::service::RollupPolicy;
use dac_node_engine::Dispersal;

/// Chain id of a committee without an L1 (`registry` is zero then).
pub const DEVNET_CHAIN_ID: u64 = 1337;
/// A member that was stopped gets its port back within so many attempts ...
const LISTEN_ATTEMPTS_MAX: u32 = 100;
/// ... with this pause between them.
const LISTEN_PAUSE: Duration = Duration::from_millis(100);
/// Password of the keystores: they guard nothing.
const DEVNET_PASSWORD: &str = "devnet";

/// What members speak to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// TCP, Noise and Yamux.
    #[default]
    Tcp,
    /// QUIC.
    Quic,
}

impl Transport {
    /// A free port of this machine.
    fn loopback(self) -> Multiaddr {
        let address = Multiaddr::empty().with(Protocol::Ip4(Ipv4Addr::LOCALHOST));
        match self {
            Transport::Tcp => address.with(Protocol::Tcp(0)),
            Transport::Quic => address.with(Protocol::Udp(0)).with(Protocol::QuicV1),
        }
    }
}

/// What kind of devnet.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// Committee size and thresholds.
    pub thresholds: Thresholds,
    /// Where keys, stores and the committee file go: created if needed, used again if there.
    pub directory: PathBuf,
    /// Applied to every member's configuration before it starts.
    pub adjust: fn(&mut NodeConfig),
    /// What members speak to each other.
    pub transport: Transport,
    /// How members disperse.
    pub dispersal: Dispersal,
    /// Compute threads of the process; 0 means one for each processor.
    pub compute_threads: usize,
    /// The hash engine that all members share.
    pub hash: HashConfig,
    /// The members' clocks.
    pub clock: Arc<dyn Clock>,
    /// Where its signatures count.
    pub domain: Domain,
    /// Its epoch.
    pub epoch: Epoch,
    /// Who registers each seat on L1; zero for seats beyond.
    pub operators: Vec<Address>,
}

impl DevnetConfig {
    /// The defaults for a committee in a directory.
    pub fn new(thresholds: Thresholds, directory: impl Into<PathBuf>) -> DevnetConfig {
        DevnetConfig {
            thresholds,
            directory: directory.into(),
            adjust: |_| {},
            transport: Transport::Tcp,
            dispersal: Dispersal::Coded,
            compute_threads: 0,
            hash: HashConfig::default(),
            clock: Arc::new(SystemClock::new()),
            domain: Domain { chain_id: DEVNET_CHAIN_ID, registry: Address::ZERO },
            epoch: Epoch(1),
            operators: Vec::new(),
        }
    }
}

/// A running devnet.
#[derive(Debug)]
pub struct Devnet {
    config: DevnetConfig,
    compute: ComputePool,
    hash: HashEngine,
    committee_file: CommitteeFile,
    committee: Committee,
    submitter: SubmitterKey,
    members: Vec<Option<Member>>,
}

impl Devnet {
    /// Makes what is missing in the directory, starts every member, and waits until all are connected.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn start(config: DevnetConfig) -> anyhow::Result<Devnet> {
        let n = config.thresholds.members();
        let password = Password::new(DEVNET_PASSWORD).context("devnet password")?;
        let mut starting = Vec::new();
        for seat in 0..n {
            let directory = member_directory(&config.directory, seat);
            let keys = load_or_create(&directory.join("keys"), &password)?;
            let listen = config.transport.loopback();
            let bound = Bound::listen(&keys.network, std::slice::from_ref(&listen)).await?;
            let api = listen_api(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
            starting.push((keys, bound, api));
        }
        let committee_file = committee_file(&config, &starting)?;
        let committee = committee_file.check()?;
        write(&config.directory.join("committee.json"), &committee_file.to_json())?;
        let submitter = load_or_create_submitter(&config.directory.join("submitter.json"), &password)?;
        let compute = ComputePool::new(config.compute_threads)?;
        let hash = HashEngine::start(&config.hash).await?;
        let mut devnet =
            Devnet { config, compute, hash, committee_file, committee, submitter, members: Vec::new() };
        for (seat, (keys, bound, api)) in (0u16..).zip(starting) {
            let member = devnet.start_member(seat, keys, bound, api).await?;
            devnet.members.push(Some(member));
        }
        devnet.wait_connected().await?;
        Ok(devnet)
    }

    async fn start_member(
        &self,
        seat: u16,
        keys: NodeKeys,
        bound: Bound,
        api: TcpListener,
    ) -> anyhow::Result<Member> {
        let member = MemberParts {
            config: self.member_config(seat),
            keys,
            committee_file: self.committee_file.clone(),
            bound,
            api,
            compute: self.compute.clone(),
            hash: self.hash.clone(),
            clock: self.config.clock.clone(),
            dispersal: self.config.dispersal,
        };
        Member::start(member).await.with_context(|| format!("member {seat}"))
    }

    fn member_config(&self, seat: u16) -> NodeConfig {
        let directory = member_directory(&self.config.directory, seat);
        let mut config = NodeConfig {
            data_dir: directory.join("data"),
            keys_dir: directory.join("keys"),
            committee: self.committee_path(),
            rollups: vec![self.rollup_policy()],
            ..NodeConfig::default()
        };
        // A devnet lives on whatever disk is there.
        config.store.reserve = bytesize::ByteSize::mib(64);
        (self.config.adjust)(&mut config);
        config
    }

    fn rollup_policy(&self) -> RollupPolicy {
        RollupPolicy {
            id: self.rollup_id(),
            submitters: vec![self.submitter.address()],
            quota_per_day: bytesize::ByteSize::tib(1),
            batch_max: bytesize::ByteSize::mib(64),
            retention_max: Duration::from_secs(90 * 86_400),
        }
    }

    /// The committee.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The committee as its file states it.
    pub fn committee_file(&self) -> &CommitteeFile {
        &self.committee_file
    }

    /// Where the committee file is: all that a verifier needs.
    pub fn committee_path(&self) -> PathBuf {
        self.config.directory.join("committee.json")
    }

    /// Where everything is.
    pub fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// The rollup that the members serve.
    pub fn rollup_id(&self) -> RollupId {
        RollupId(fpga_hash::keccak256(b"devnet rollup"))
    }

    /// The rollup's key.
    pub fn submitter(&self) -> &SubmitterKey {
        &self.submitter
    }

    /// The shared compute threads.
    pub fn compute(&self) -> &ComputePool {
        &self.compute
    }

    /// The shared hash engine.
    pub fn hash(&self) -> &HashEngine {
        &self.hash
    }

    /// The members' clocks.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.config.clock
    }

    /// A member; `None` while it is stopped.
    pub fn member(&self, seat: u16) -> Option<&Member> {
        self.members.get(usize::from(seat)).and_then(Option::as_ref)
    }

    /// Members that run, with their seats.
    pub fn running(&self) -> impl Iterator<Item = (u16, &Member)> {
        (0u16..).zip(&self.members).filter_map(|(seat, member)| member.as_ref().map(|member| (seat, member)))
    }

    /// The APIs of all running members.
    pub fn api_urls(&self) -> Vec<String> {
        self.running().map(|(_, member)| member.api_url()).collect()
    }

    /// Stops a member and waits until it is gone.
    ///
    /// # Errors
    /// When its node failed.
    pub async fn stop_member(&mut self, seat: u16) -> anyhow::Result<()> {
        match self.members[usize::from(seat)].take() {
            Some(member) => Ok(member.stop().await?),
            None => Ok(()),
        }
    }

    /// Starts a stopped member again, with its keys, its store and its addresses.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn restart_member(&mut self, seat: u16) -> anyhow::Result<()> {
        self.stop_member(seat).await?;
        let password = Password::new(DEVNET_PASSWORD)?;
        let keys = NodeKeys::load(&member_directory(&self.config.directory, seat).join("keys"), &password)?;
        let listen: Vec<Multiaddr> = self.committee_file.members[usize::from(seat)]
            .addresses
            .iter()
            .filter_map(|a| a.parse().ok())
            .collect();
        let bound = listen_again(&keys.network, &listen).await?;
        let url = self.committee_file.members[usize::from(seat)].api.clone().unwrap_or_default();
        let api = listen_api(url.trim_start_matches("http://").parse().context("the member's API address")?)
            .await?;
        let member = self.start_member(seat, keys, bound, api).await?;
        self.members[usize::from(seat)] = Some(member);
        self.wait_connected().await
    }

    /// Waits until every running member is connected to every other.
    ///
    /// # Errors
    /// After 30 seconds.
    pub async fn wait_connected(&self) -> anyhow::Result<()> {
        let running: Vec<u16> = self.running().map(|(seat, _)| seat).collect();
        let all = async {
            for (_, member) in self.running() {
                let mut connected = member.node().connected();
                let others = running.clone();
                connected.wait_for(|seats| others.iter().all(|seat| seats.contains(*seat))).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.context("members did not connect in 30 s")?
    }

    /// Stops every member.
    ///
    /// # Errors
    /// The first failure; the others are stopped all the same.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let members = self.members.iter_mut().filter_map(Option::take);
        let stopped = futures::future::join_all(members.map(Member::stop)).await;
        stopped.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }
}

/// A QUIC endpoint of this process holds its port until its last connection has drained: a few round trips.
async fn listen_again(keypair: &libp2p::identity::Keypair, listen: &[Multiaddr]) -> anyhow::Result<Bound> {
    let mut attempts = 0;
    loop {
        match Bound::listen(keypair, listen).await {
            Err(_) if attempts < LISTEN_ATTEMPTS_MAX => attempts += 1,
            result => return result,
        }
        tokio::time::sleep(LISTEN_PAUSE).await;
    }
}

/// A member's keys and its two listeners.
type Starting = (NodeKeys, Bound, TcpListener);

fn member_directory(directory: &Path, seat: u16) -> PathBuf {
    directory.join(format!("member-{seat}"))
}

fn load_or_create(directory: &Path, password: &Password) -> anyhow::Result<NodeKeys> {
    if directory.join(keystore::MEMBER_FILE).exists() {
        return Ok(NodeKeys::load(directory, password)?);
    }
    Ok(NodeKeys::create(directory, password, Kdf::WeakForDevnet)?)
}

fn load_or_create_submitter(path: &Path, password: &Password) -> anyhow::Result<SubmitterKey> {
    if path.exists() {
        return Ok(keystore::load_submitter(path, password)?);
    }
    Ok(keystore::create_submitter(path, password, Kdf::WeakForDevnet)?)
}

fn committee_file(config: &DevnetConfig, members: &[Starting]) -> anyhow::Result<CommitteeFile> {
    let domain = config.domain;
    let operator = |seat: u16| config.operators.get(usize::from(seat)).copied().unwrap_or(Address::ZERO);
    let entry =
        |seat: u16, (keys, bound, api): &Starting| entry(seat, &domain, operator(seat), (keys, bound, api));
    Ok(CommitteeFile {
        epoch: config.epoch,
        chain_id: domain.chain_id,
        registry: domain.registry,
        minimum_shards: config.thresholds.minimum_shards(),
        quorum: config.thresholds.quorum(),
        members: (0u16..).zip(members).map(|(seat, member)| entry(seat, member)).collect(),
    })
}

/// What the operator of a member states about it.
fn entry(
    index: u16,
    domain: &Domain,
    operator: Address,
    (keys, bound, api): (&NodeKeys, &Bound, &TcpListener),
) -> MemberEntry {
    MemberEntry {
        name: Some(format!("member-{index}")),
        operator,
        public_key: keys.bls.public_key().to_bytes(),
        proof_of_possession: keys.bls.prove_possession(domain, operator),
        peer_id: Some(keys.network.public().to_peer_id().to_string()),
        addresses: bound.addresses().iter().map(ToString::to_string).collect(),
        api: api.local_addr().ok().map(|address| format!("http://{address}")),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
