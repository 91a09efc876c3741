//! The nodes of a member behind one HTTP API: submissions go to the active epoch, reads to the epoch of the batch.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use attest::{BatchId, Certificate, CommitteeFile, DataHash, Thresholds};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::watch;

use crate::api::{Backend, ShardStream};
use crate::custody::CustodyReport;
use crate::node::NodeHandle;
use crate::service::{
    BatchRef, BatchStatus, PieceAnswer, ReadError, ReadableBatch, Readiness, Reason, Refusal,
    SubmissionRequest,
};
use crate::settlement::Standing;

/// What runs, and what L1 says: replaced as a whole.
#[derive(Clone, Debug)]
pub struct Epochs {
    /// Nodes by epoch.
    pub nodes: BTreeMap<u64, NodeHandle>,
    /// Which epoch may be attested under.
    pub standing: Standing,
    /// The committee of the newest epoch that has begun, this member in it or not.
    pub committee: Option<Arc<CommitteeFile>>,
    /// Why L1 could not be read at the last attempt.
    pub l1_error: Option<String>,
}

impl Epochs {
    /// Nothing is known yet.
    pub(super) fn unknown() -> Epochs {
        Epochs { nodes: BTreeMap::new(), standing: Standing::Unknown, committee: None, l1_error: None }
    }

    /// The node that takes submissions: that of the active epoch, or one that knows why there is none.
    ///
    /// # Errors
    /// [`Reason::StaleEpoch`] when this member has no seat in it.
    pub fn current(&self) -> Result<&NodeHandle, Refusal> {
        let (epoch, stands) = match self.standing {
            Standing::Active(epoch) => (Some(epoch), format!("epoch {epoch} is active on L1")),
            Standing::Changing { to, .. } => (Some(to), format!("epoch {to} begins")),
            Standing::Unknown => (
                self.nodes.keys().next_back().copied(),
                "which epoch is active on L1 is not known now".to_owned(),
            ),
        };
        let found = epoch.and_then(|epoch| self.nodes.get(&epoch));
        found.ok_or_else(|| {
            Refusal::new(Reason::StaleEpoch, format!("{stands}; this member has no seat in it"))
        })
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct ChainBackend {
    pub(super) epochs: watch::Receiver<Arc<Epochs>>,
    pub(super) batch_bytes_max: u64,
}

impl ChainBackend {
    fn epochs(&self) -> Arc<Epochs> {
        self.epochs.borrow().clone()
    }

    fn current(&self) -> Result<NodeHandle, Refusal> {
        self.epochs().current().cloned()
    }

    /// The node that knows most of a batch: where it is in flight, else that of its epoch, else any. They share a store.
    async fn node_of(&self, name: BatchRef) -> Option<NodeHandle> {
        let epochs = self.epochs();
        if let BatchRef::Id(id) = name
            && let Some(node) = epochs.nodes.values().rev().find(|node| node.is_posted(&id))
        {
            return Some(node.clone());
        }
        let any = epochs.nodes.values().next_back()?;
        let epoch = any.epoch_of(name).await;
        Some(epoch.and_then(|epoch| epochs.nodes.get(&epoch.0)).unwrap_or(any).clone())
    }
}

/// A batch that no node can know: this member takes part in no epoch.
fn unknown(batch_id: BatchId) -> BatchStatus {
    BatchStatus {
        batch_id,
        rollup_id: attest::RollupId::ZERO,
        data_bytes: 0,
        data_hash: DataHash::ZERO,
        data_root: attest::DataRoot::ZERO,
        shards_root: attest::ShardsRoot::ZERO,
        hot_until: 0,
        retain_until: 0,
        stage: crate::service::Stage::Refused,
        coordinator: 0,
        quorum: 0,
        signers: 0,
        members: Vec::new(),
        stage_ms: BTreeMap::new(),
        sent_bytes: 0,
        received_bytes: 0,
    }
}

impl Backend for ChainBackend {
    fn precheck(&self, request: &SubmissionRequest, content_length: Option<u64>) -> Result<(), Refusal> {
        self.current()?.precheck(request, content_length)
    }

    fn authorise(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        let request = request.clone();
        Box::pin(async move { self.current()?.authorise(&request, data_hash, data_bytes).await })
    }

    fn submitted(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Option<BatchId>> {
        let request = request.clone();
        Box::pin(async move { self.current().ok()?.submitted(&request, data_hash, data_bytes).await })
    }

    fn submit(
        &self,
        request: SubmissionRequest,
        data_hash: DataHash,
        batch: Bytes,
    ) -> BoxFuture<'_, Result<BatchId, Refusal>> {
        Box::pin(async move { self.current()?.submit(request, data_hash, batch).await })
    }

    fn wait(&self, batch_id: BatchId) -> BoxFuture<'_, BatchStatus> {
        Box::pin(async move {
            match self.node_of(BatchRef::Id(batch_id)).await {
                Some(node) => node.wait(batch_id).await,
                None => unknown(batch_id),
            }
        })
    }

    fn status(&self, name: BatchRef) -> BoxFuture<'_, Option<BatchStatus>> {
        Box::pin(async move { self.node_of(name).await?.status(name).await })
    }

    fn certificate(&self, name: BatchRef) -> BoxFuture<'_, Option<Certificate>> {
        Box::pin(async move { self.node_of(name).await?.certificate(name).await })
    }

    fn find(&self, name: BatchRef) -> BoxFuture<'_, Result<ReadableBatch, ReadError>> {
        Box::pin(async move { self.node_of(name).await.ok_or(ReadError::Unknown)?.find(name).await })
    }

    fn read(&self, batch: &ReadableBatch, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let (backend, batch) = (self.clone(), batch.clone());
        futures::stream::once(async move {
            let node = backend.node_of(BatchRef::Id(batch.batch_id)).await.ok_or(ReadError::Unknown);
            node.map(|node| node.read(&batch, range))
        })
        .flat_map(|opened| match opened {
            Ok(stream) => stream,
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        })
        .boxed()
    }

    fn shard(&self, name: BatchRef, index: u16) -> BoxFuture<'_, Result<ShardStream, ReadError>> {
        Box::pin(async move { self.node_of(name).await.ok_or(ReadError::Unknown)?.shard(name, index).await })
    }

    fn piece(
        &self,
        name: BatchRef,
        stripe: u32,
        index: u16,
    ) -> BoxFuture<'_, Result<PieceAnswer, ReadError>> {
        Box::pin(async move {
            self.node_of(name).await.ok_or(ReadError::Unknown)?.piece(name, stripe, index).await
        })
    }

    fn committee(&self) -> Result<Arc<CommitteeFile>, Refusal> {
        let none = || Refusal::new(Reason::StaleEpoch, "no epoch has begun on L1");
        self.epochs().committee.clone().ok_or_else(none)
    }

    fn thresholds(&self) -> Result<Thresholds, Refusal> {
        let file = self.committee()?;
        let members = u16::try_from(file.members.len()).unwrap_or(u16::MAX);
        Thresholds::new(members, file.minimum_shards, file.quorum)
            .map_err(|error| Refusal::new(Reason::StaleEpoch, error.to_string()))
    }

    fn seat(&self) -> Option<u16> {
        self.current().ok().map(|node| node.seat())
    }

    fn readiness(&self) -> Readiness {
        let mut readiness = match self.current() {
            Ok(node) => node.readiness(),
            Err(refusal) => Readiness {
                ready: false,
                reasons: vec![refusal.detail],
                connected: 1,
                quorum: 0,
                advice: crate::kernel::advice(),
            },
        };
        // Not a reason to be unready: the view counts for as long as the announcement delay.
        if let Some(error) = self.epochs().l1_error.as_ref().filter(|_| !readiness.ready) {
            readiness.reasons.push(format!("L1: {error}"));
        }
        readiness
    }

    fn custody(&self) -> CustodyReport {
        // The newest epoch first: its members are those that are audited.
        let epochs = self.epochs();
        let nothing = CustodyReport { complete: true, ..CustodyReport::default() };
        epochs
            .nodes
            .values()
            .rev()
            .map(NodeHandle::custody)
            .reduce(CustodyReport::with_earlier)
            .unwrap_or(nothing)
    }

    fn batch_bytes_max(&self) -> u64 {
        self.batch_bytes_max
    }

    fn refresh_metrics(&self) {
        if let Ok(node) = self.current() {
            node.refresh_metrics();
        }
    }
}
