//! L1 over JSON-RPC: several providers, one asked at a time, the next one when it fails.
//!
//! A provider is believed about the chain; what it says of keys and committees is checked again by whoever uses it
//! ([`super::View::committee`]). Each request has a time limit, each answer a limit of bytes (`bounded.rs`). Left out on
//! purpose: asking several providers and comparing; a member that trusts none runs its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::B256;
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEventInterface;
use alloy::transports::TransportError;
use attest::{Address, RollupId};
use contracts::CommitteeRegistry::CommitteeRegistryEvents as Events;
use contracts::ICommitteeRegistry;

use super::bounded::BoundedHttp;
use super::{Block, Change, Contact, Error, Quota, Settlement};

/// Longest wait for one answer.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// Most events in one answer: a registry has a few a day.
const EVENTS_MAX: usize = 10_000;

/// One registry, read through any of several providers.
#[derive(Debug)]
pub struct Ethereum {
    providers: Vec<DynProvider>,
    /// The one that answered last.
    preferred: AtomicUsize,
    chain_id: u64,
    registry: alloy::primitives::Address,
}

impl Ethereum {
    /// Providers in order of preference. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when a URL is none, or there are none.
    pub fn new(urls: &[String], chain_id: u64, registry: Address) -> Result<Ethereum, Error> {
        let connect = |url: &String| {
            let url: reqwest::Url =
                url.parse().map_err(|error| Error::Unreachable(format!("\"{url}\": {error}")))?;
            let client = RpcClient::new(BoundedHttp::new(url), false);
            Ok(ProviderBuilder::new().connect_client(client).erased())
        };
        let providers = urls.iter().map(connect).collect::<Result<Vec<_>, Error>>()?;
        if providers.is_empty() {
            return Err(Error::Unreachable("no provider is configured".into()));
        }
        Ok(Ethereum { providers, preferred: AtomicUsize::new(0), chain_id, registry: registry.0.into() })
    }

    /// Asks the provider that answered last, then the others, each once.
    async fn ask<T, F>(&self, request: impl Fn(DynProvider) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let (count, first) = (self.providers.len(), self.preferred.load(Ordering::Relaxed));
        let (mut why, mut wrong) = (Vec::new(), None);
        for index in (0..count).map(|offset| (first + offset) % count) {
            let answer = async {
                let found = self.providers[index].get_chain_id().await?;
                if found != self.chain_id {
                    return Ok(Err(found));
                }
                request(self.providers[index].clone()).await.map(Ok)
            };
            match tokio::time::timeout(REQUEST_MAX, answer).await {
                Ok(Ok(Ok(answer))) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Ok(Err(found))) => {
                    wrong = Some(found);
                    why.push(format!("provider {index}: it is on chain {found}"));
                }
                Ok(Err(error)) => why.push(format!("provider {index}: {error}")),
                Err(_) => why.push(format!("provider {index}: no answer in {REQUEST_MAX:?}")),
            }
        }
        match wrong {
            // Somebody answered: a mistake in the configuration, and not that nobody is there.
            Some(found) if count == 1 => Err(Error::WrongChain { expected: self.chain_id, found }),
            _ => Err(Error::Unreachable(why.join("; "))),
        }
    }

    async fn block_at(&self, at: BlockNumberOrTag) -> Result<Option<Block>, Error> {
        let found = self.ask(|provider| async move { provider.get_block_by_number(at).await }).await?;
        Ok(found.map(|block| Block {
            number: block.header.number,
            hash: block.header.hash.0,
            timestamp: block.header.timestamp,
        }))
    }
}

impl Settlement for Ethereum {
    async fn head(&self) -> Result<Block, Error> {
        let found = self.block_at(BlockNumberOrTag::Latest).await?;
        found.ok_or_else(|| Error::Unreachable("the provider has no latest block".into()))
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        self.block_at(BlockNumberOrTag::Number(number)).await
    }

    async fn changes(&self, from: u64, to: u64) -> Result<Vec<Change>, Error> {
        let filter = Filter::new().address(self.registry).from_block(from).to_block(to);
        let logs = self
            .ask(|provider| {
                let filter = filter.clone();
                async move { provider.get_logs(&filter).await }
            })
            .await?;
        if logs.len() > EVENTS_MAX {
            return Err(Error::Malformed(format!("{} events in {} blocks", logs.len(), to - from + 1)));
        }
        let mut changes = Vec::with_capacity(logs.len());
        let mut last = None;
        for log in &logs {
            let inside = log.block_number.is_some_and(|number| (from..=to).contains(&number));
            if log.removed || !inside || log.address() != self.registry {
                return Err(Error::Malformed("an event that was not asked for".into()));
            }
            let place = log.block_number.zip(log.log_index);
            if place.is_none() || last.replace(place).is_some_and(|before| before >= place) {
                return Err(Error::Malformed("events out of order, or one twice".into()));
            }
            changes.extend(change(log)?);
        }
        Ok(changes)
    }

    fn next_provider(&self) {
        let next = (self.preferred.load(Ordering::Relaxed) + 1) % self.providers.len();
        self.preferred.store(next, Ordering::Relaxed);
    }
}

/// What an event changes; `None` for those that change nothing here (ownership, stored keys).
fn change(log: &Log) -> Result<Option<Change>, Error> {
    let event = Events::decode_log(&log.inner).map_err(|error| Error::Malformed(error.to_string()))?.data;
    Ok(Some(match event {
        Events::MemberRegistered(event) => Change::MemberRegistered {
            id: event.memberId.0,
            operator: Address(event.operator.into_array()),
            key: event.key.to_vec(),
            proof: event.proof.to_vec(),
            contact: contact(event.contact),
        },
        Events::ContactChanged(event) => {
            Change::ContactChanged { id: event.memberId.0, contact: contact(event.contact) }
        }
        Events::MemberRetired(event) => Change::MemberRetired(event.memberId.0),
        Events::EpochAnnounced(event) => Change::EpochAnnounced {
            epoch: event.epoch,
            committee_hash: event.committeeHash.0,
            minimum_shards: event.minimumShards,
            quorum: event.quorum,
            activates_at: event.activatesAt.to(),
            members: event.members.into_iter().map(|id: B256| id.0).collect(),
        },
        Events::EpochCancelled(event) => Change::EpochCancelled(event.epoch),
        Events::RollupSet(event) => {
            let admin = Address(event.admin.into_array());
            Change::RollupSet { id: RollupId(event.rollupId.0), admin, quota: quota(&event.quota) }
        }
        Events::RollupRemoved(event) => Change::RollupRemoved(RollupId(event.rollupId.0)),
        Events::SubmitterSet(event) => Change::SubmitterSet {
            id: RollupId(event.rollupId.0),
            submitter: Address(event.submitter.into_array()),
            allowed: event.allowed,
        },
        Events::KeysStored(_) | Events::OwnershipTransferStarted(_) | Events::OwnershipTransferred(_) => {
            return Ok(None);
        }
    }))
}

fn contact(found: ICommitteeRegistry::Contact) -> Contact {
    let ICommitteeRegistry::Contact { name, peerId: peer_id, addresses, api } = found;
    Contact { name, peer_id, addresses, api }
}

fn quota(found: &ICommitteeRegistry::Quota) -> Quota {
    Quota {
        batch_bytes_max: found.batchBytesMax,
        bytes_per_day: found.bytesPerDay,
        retention_seconds_max: found.retentionSecondsMax,
    }
}
