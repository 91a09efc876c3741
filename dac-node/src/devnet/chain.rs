//! Members of a devnet that follow an L1: each is prepared first, so that it can be registered, then started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use attest::{Address, Domain, MemberEntry};
use tokio::net::TcpListener;

use super::{DEVNET_PASSWORD, Transport, entry, listen_again, load_or_create, member_directory};
use crate::chain_member::{ChainMember, ChainMemberParts, Registry};
use crate::clock::Clock;
use crate::compute::ComputePool;
use crate::config::{L1Config, NodeConfig};
use crate::hash_engine::HashEngine;
use crate::keystore::{NodeKeys, Password};
use crate::member::listen_api;
use crate::net::Bound;
use crate::settlement::Settlement;
use dac_node_engine::Dispersal;

/// How long a shard may be missing before it is repaired.
const REPAIR_AFTER: Duration = Duration::from_secs(2);

/// What the members of one process share.
#[derive(Clone, Debug)]
pub struct ChainDevnet {
    /// Where keys and stores go.
    pub directory: PathBuf,
    /// What members speak to each other.
    pub transport: Transport,
    /// The registry they follow.
    pub registry: Registry,
    /// Blocks above an event before it counts.
    pub confirmations: u64,
    /// Pause between two looks at the chain.
    pub poll_period: Duration,
    /// Compute threads.
    pub compute: ComputePool,
    /// Hash engine.
    pub hash: HashEngine,
    /// Clocks.
    pub clock: Arc<dyn Clock>,
}

/// A member with keys and addresses, not running yet.
#[derive(Debug)]
pub struct Candidate {
    index: u16,
    keys: NodeKeys,
    bound: Bound,
    api: TcpListener,
    /// What its operator registers.
    pub entry: MemberEntry,
}

impl ChainDevnet {
    /// Makes or loads the keys of member `index` and listens on ports of this machine.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn prepare(&self, index: u16, operator: Address) -> anyhow::Result<Candidate> {
        let password = Password::new(DEVNET_PASSWORD).context("devnet password")?;
        let directory = member_directory(&self.directory, index);
        let keys = load_or_create(&directory.join("keys"), &password)?;
        let bound = Bound::listen(&keys.network, &[self.transport.loopback()]).await?;
        let api = listen_api(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let domain = Domain { chain_id: self.registry.chain_id, registry: self.registry.address };
        let entry = entry(index, &domain, operator, (&keys, &bound, &api));
        Ok(Candidate { index, keys, bound, api, entry })
    }

    /// The same member again, after it was stopped: with its keys, store and addresses.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn prepare_again(&self, index: u16, entry: &MemberEntry) -> anyhow::Result<Candidate> {
        let password = Password::new(DEVNET_PASSWORD).context("devnet password")?;
        let keys = NodeKeys::load(&member_directory(&self.directory, index).join("keys"), &password)?;
        let listen: Vec<_> = entry.addresses.iter().filter_map(|address| address.parse().ok()).collect();
        let bound = listen_again(&keys.network, &listen).await?;
        let url = entry.api.clone().unwrap_or_default();
        let api = url.trim_start_matches("http://").parse().context("the member's API address")?;
        Ok(Candidate { index, keys, bound, api: listen_api(api).await?, entry: entry.clone() })
    }

    /// Starts a member over an L1.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn start<S: Settlement + 'static>(
        &self,
        candidate: Candidate,
        settlement: S,
    ) -> anyhow::Result<ChainMember> {
        let Candidate { index, keys, bound, api, .. } = candidate;
        let parts = ChainMemberParts {
            config: self.config(index),
            keys,
            bound,
            api,
            compute: self.compute.clone(),
            hash: self.hash.clone(),
            clock: self.clock.clone(),
            dispersal: Dispersal::Coded,
            registry: self.registry,
            settlement,
        };
        ChainMember::start(parts).await.with_context(|| format!("member {index}"))
    }

    fn config(&self, index: u16) -> NodeConfig {
        let directory = member_directory(&self.directory, index);
        let l1 = L1Config {
            confirmations: self.confirmations,
            poll_period: self.poll_period,
            chain_id: self.registry.chain_id,
            registry: Some(self.registry.address),
            ..L1Config::default()
        };
        let mut config = NodeConfig {
            data_dir: directory.join("data"),
            keys_dir: directory.join("keys"),
            l1,
            ..NodeConfig::default()
        };
        // A devnet lives on whatever disk is there.
        config.store.reserve = bytesize::ByteSize::mib(64);
        // Nobody looks at one for half a minute to see a shard come back.
        config.heal.repair_after = REPAIR_AFTER;
        config
    }

    /// Where a member keeps everything.
    pub fn member_directory(&self, index: u16) -> PathBuf {
        member_directory(Path::new(&self.directory), index)
    }
}
