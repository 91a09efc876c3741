//! The node behind the HTTP API.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use attest::{
    BatchId, Certificate, CommitteeFile, DataHash, Epoch, Statement, Submission, SubmissionSignature,
    Thresholds,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::oneshot;

use super::read::{Target, range};
use super::stored::{find_target, piece_here, status_of_stored};
use super::{NodeHandle, Request, Shared, refusal_of};
use crate::api::{Backend, ShardStream};
use crate::custody::CustodyReport;
use crate::metrics::{Class as MeterClass, Direction, HashWork, StoreSpace};
use crate::net::Class;
use crate::service::{
    BatchRef, BatchStatus, PieceAnswer, ReadError, ReadableBatch, Readiness, Reason, Refusal, Stage,
    SubmissionRequest,
};
use dac_node_engine::Facts;
use dac_node_engine::message::QUEUE_FRAMES_MAX;
use dac_node_store::stored_certificate;

impl NodeHandle {
    /// Runs something that waits for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, dac_node_store::Error> + Send + 'static,
    ) -> Result<T, dac_node_store::Error> {
        let shared = self.shared.clone();
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => Err(dac_node_store::Error::Metadata(error.to_string())),
        }
    }

    fn stopping(&self) -> Result<(), Refusal> {
        if *self.shared.stopping.borrow() {
            return Err(Refusal::new(Reason::ShuttingDown, "this member is stopping"));
        }
        Ok(())
    }

    async fn batch_id(&self, name: BatchRef) -> Option<BatchId> {
        match name {
            BatchRef::Id(id) => Some(id),
            BatchRef::DataHash(hash) => {
                let ids = self.blocking(move |shared| shared.store.statements_of(hash)).await;
                logged(ids).and_then(|ids| ids.first().copied())
            }
        }
    }

    /// What is needed to read a batch: from the statement this member accepted, or from a certificate it only stores.
    async fn target(&self, name: BatchRef) -> Result<Target, ReadError> {
        let batch_id = self.batch_id(name).await.ok_or(ReadError::Unknown)?;
        let found = self.blocking(move |shared| find_target(shared, batch_id)).await;
        found.map_err(|error| ReadError::Storage(error.to_string()))?.ok_or(ReadError::Unknown)
    }

    /// The status of a batch that is not in flight any more.
    async fn stored_status(&self, batch_id: BatchId) -> Option<BatchStatus> {
        let found = self.blocking(move |shared| {
            let certificate = stored_certificate(&*shared.store, batch_id)?;
            let record = shared.store.statement(batch_id)?;
            Ok(status_of_stored(shared, batch_id, record, certificate))
        });
        logged(found.await).flatten()
    }
}

impl NodeHandle {
    /// The epoch of a batch that is in flight here, or stored: in whose name it can be read.
    pub(crate) async fn epoch_of(&self, name: BatchRef) -> Option<Epoch> {
        let batch_id = self.batch_id(name).await?;
        let found = self.blocking(move |shared| {
            let record = shared.store.statement(batch_id)?.map(|record| record.statement.epoch);
            let certified =
                || stored_certificate(&*shared.store, batch_id).map(|c| c.map(|c| c.statement.epoch));
            record.map_or_else(certified, |epoch| Ok(Some(epoch)))
        });
        logged(found.await).flatten()
    }

    /// Whether a batch is in flight here, or was lately.
    pub(crate) fn is_posted(&self, batch_id: &BatchId) -> bool {
        self.shared.board.get(batch_id).is_some()
    }
}

impl Backend for NodeHandle {
    fn precheck(&self, request: &SubmissionRequest, content_length: Option<u64>) -> Result<(), Refusal> {
        self.stopping()?;
        // Without a length the batch is at least one byte long; the body's own bound does the rest.
        let submission = submission(request, DataHash::ZERO, content_length.unwrap_or(1).max(1));
        let (gate, now) = (self.shared.gate(), self.shared.clock.now());
        gate.term.check_submission(now)?;
        gate.engine.check_request(&submission, now.unix_seconds).map(|_| ())
    }

    fn authorise(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        let submission = submission(request, data_hash, data_bytes);
        let signature = SubmissionSignature(request.signature);
        Box::pin(async move {
            let now = self.shared.clock.now().unix_seconds;
            let gate = self.shared.gate();
            gate.engine.authorise(&submission, &signature, now)?;
            let facts = self.facts(&submission).await?;
            let known = facts.1;
            let quota =
                gate.engine.rollups.get(&submission.rollup_id).map_or(0, |p| p.quota_per_day.as_u64());
            if !known && facts.0.quota_used.saturating_add(data_bytes) > quota {
                let used = facts.0.quota_used;
                let detail = format!("{used} of {quota} bytes used today, {data_bytes} more asked");
                return Err(Refusal::new(Reason::QuotaExceeded, detail));
            }
            Ok(())
        })
    }

    fn submitted(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Option<BatchId>> {
        let submission = submission(request, data_hash, data_bytes);
        Box::pin(async move {
            // Only what is certified needs no bytes any more; anything else takes the way of a new submission.
            let found = self.blocking(move |shared| {
                for id in shared.store.statements_of(submission.data_hash)? {
                    let Some(record) = shared.store.statement(id)? else { continue };
                    if is_same(shared, &record.statement, &submission)
                        && shared.store.certificate(id)?.is_some()
                    {
                        return Ok(Some(id));
                    }
                }
                Ok(None)
            });
            logged(found.await).flatten()
        })
    }

    fn submit(
        &self,
        request: SubmissionRequest,
        data_hash: DataHash,
        batch: Bytes,
    ) -> BoxFuture<'_, Result<BatchId, Refusal>> {
        let submission = submission(&request, data_hash, batch.len() as u64);
        let signature = SubmissionSignature(request.signature);
        Box::pin(async move {
            self.stopping()?;
            if let Some(id) = self.submitted(&request, data_hash, submission.data_bytes).await {
                return Ok(id);
            }
            let (facts, _) = self.facts(&submission).await?;
            let (reply, answer) = oneshot::channel();
            let request = Request::Submit { submission, signature, batch, facts, reply };
            let gone = || Refusal::new(Reason::ShuttingDown, "this member is stopping");
            self.shared.requests.send(request).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }

    fn wait(&self, batch_id: BatchId) -> BoxFuture<'_, BatchStatus> {
        Box::pin(async move {
            if let Some(status) = self.shared.board.wait(&batch_id, self.shared.engine.seat).await {
                return status;
            }
            // Not in flight: certified earlier, or forgotten.
            match self.stored_status(batch_id).await {
                Some(status) => status,
                None => self.unknown_status(batch_id),
            }
        })
    }

    fn status(&self, name: BatchRef) -> BoxFuture<'_, Option<BatchStatus>> {
        Box::pin(async move {
            let batch_id = self.batch_id(name).await?;
            match self.shared.board.get(&batch_id) {
                Some(status) => Some(status),
                None => self.stored_status(batch_id).await,
            }
        })
    }

    fn certificate(&self, name: BatchRef) -> BoxFuture<'_, Option<Certificate>> {
        Box::pin(async move {
            let found = self.blocking(move |shared| match name {
                BatchRef::Id(id) => stored_certificate(&*shared.store, id),
                BatchRef::DataHash(hash) => {
                    let mut longest: Option<Certificate> = None;
                    for id in shared.store.statements_of(hash)? {
                        let found = stored_certificate(&*shared.store, id)?;
                        let until = |c: &Certificate| c.statement.retain_until;
                        if found.as_ref().map(until) > longest.as_ref().map(until) {
                            longest = found;
                        }
                    }
                    Ok(longest)
                }
            });
            logged(found.await).flatten()
        })
    }

    fn find(&self, name: BatchRef) -> BoxFuture<'_, Result<ReadableBatch, ReadError>> {
        Box::pin(async move {
            let target = self.target(name).await?;
            let key = target.key;
            let hot = self.blocking(move |shared| shared.store.content(&key)).await;
            let hot =
                hot.map_err(|error| ReadError::Storage(error.to_string()))?.is_some_and(|info| info.hot);
            Ok(ReadableBatch {
                batch_id: target.batch_id,
                data_hash: target.statement.data_hash,
                data_bytes: target.statement.data_bytes,
                hot,
            })
        })
    }

    fn read(&self, batch: &ReadableBatch, bytes: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let (handle, name) = (self.clone(), BatchRef::Id(batch.batch_id));
        futures::stream::once(async move {
            let target = handle.target(name).await;
            target.map(|target| range(handle.shared.clone(), target, bytes))
        })
        .flat_map(|opened| match opened {
            Ok(stream) => stream,
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        })
        .boxed()
    }

    fn shard(&self, name: BatchRef, index: u16) -> BoxFuture<'_, Result<ShardStream, ReadError>> {
        Box::pin(async move {
            let target = Arc::new(self.target(name).await?);
            check_below("shard", u64::from(index), u64::from(target.layout.members()))?;
            // The first piece decides whether this node has the shard at all.
            let (worker, at) = (self.shared.clone(), target.clone());
            spawn(move || piece_here(&worker, &at, 0, index)).await?;
            let (shared, batch_id) = (self.shared.clone(), target.batch_id);
            let shard_bytes = target.layout.shard_bytes() as u64;
            let bytes =
                futures::stream::iter(0..target.layout.stripes())
                    .then(move |stripe| {
                        let (worker, at) = (shared.clone(), target.clone());
                        async move {
                            spawn(move || piece_here(&worker, &at, stripe, index)).await.map(|p| p.bytes)
                        }
                    })
                    .boxed();
            Ok(ShardStream { batch_id, index, shard_bytes, bytes })
        })
    }

    fn piece(
        &self,
        name: BatchRef,
        stripe: u32,
        index: u16,
    ) -> BoxFuture<'_, Result<PieceAnswer, ReadError>> {
        Box::pin(async move {
            let target = self.target(name).await?;
            check_below("stripe", u64::from(stripe), u64::from(target.layout.stripes()))?;
            check_below("shard", u64::from(index), u64::from(target.layout.members()))?;
            let shared = self.shared.clone();
            let piece = spawn(move || piece_here(&shared, &target, stripe, index)).await?;
            Ok(PieceAnswer { stripe, index, bytes: piece.bytes, path: piece.path })
        })
    }

    fn committee(&self) -> Result<Arc<CommitteeFile>, Refusal> {
        Ok(self.shared.committee_file.clone())
    }

    fn thresholds(&self) -> Result<Thresholds, Refusal> {
        Ok(self.shared.engine.committee.thresholds())
    }

    fn readiness(&self) -> Readiness {
        let connected = self.shared.network.connected().borrow().len();
        let quorum = self.shared.engine.committee.thresholds().quorum();
        let mut reasons = Vec::new();
        if connected < quorum {
            reasons.push(format!("{connected} members connected, the quorum is {quorum}"));
        }
        match self.shared.store.space() {
            Ok(space) if space.free_bytes == 0 => reasons.push("storage is full".to_owned()),
            Ok(_) => {}
            Err(error) => reasons.push(error.to_string()),
        }
        let term = self.shared.gate().term.check_submission(self.shared.clock.now());
        for refusal in [self.stopping(), term].into_iter().filter_map(Result::err) {
            reasons.push(refusal.detail);
        }
        let advice = crate::kernel::advice();
        Readiness { ready: reasons.is_empty(), reasons, connected, quorum, advice }
    }

    fn custody(&self) -> CustodyReport {
        NodeHandle::custody(self)
    }

    fn batch_bytes_max(&self) -> u64 {
        self.shared.engine.batch_bytes_max
    }

    fn refresh_metrics(&self) {
        let (meter, counters) = (&self.shared.meter, self.shared.network.counters());
        for (class, label) in [(Class::Bulk, MeterClass::Bulk), (Class::Repair, MeterClass::Repair)] {
            let sent = counters.sent_bytes[class as usize].load(Ordering::Relaxed);
            let received = counters.received_bytes[class as usize].load(Ordering::Relaxed);
            meter.bytes_so_far(Direction::Out, label, sent);
            meter.bytes_so_far(Direction::In, label, received);
            let depth = (0..self.shared.engine.committee.thresholds().members())
                .filter_map(|seat| self.shared.network.queue(seat))
                .map(|queue| queue.depth(class))
                .max();
            meter.queue(class.name(), depth.unwrap_or(0), QUEUE_FRAMES_MAX);
        }
        let total = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        meter.bytes_so_far(Direction::Out, MeterClass::Control, total(&counters.gossip_sent_bytes));
        meter.bytes_so_far(Direction::In, MeterClass::Control, total(&counters.gossip_received_bytes));
        meter.network_dropped("frames", total(&counters.frames_dropped));
        meter.network_dropped("gossip", total(&counters.gossip_dropped));
        meter.network_dropped("malformed", total(&counters.malformed));
        for (engine, work) in self.shared.hash.work() {
            let keccak =
                HashWork { function: "keccak256", hashes: work.keccak_hashes, bytes: work.keccak_bytes };
            let poseidon =
                HashWork { function: "poseidon", hashes: work.poseidon_hashes, bytes: work.poseidon_bytes };
            meter.hash_engine(engine, &[keccak, poseidon]);
        }
        if let Some(device) = self.shared.hash.device() {
            let faults = device.faults.map(|(kind, count)| (kind.label(), count));
            meter.hash_device(device.is_attached, device.attachments, &faults);
        }
        super::heal::refresh_metrics(&self.shared);
        if let Ok(space) = self.shared.store.space() {
            let (used_bytes, free_bytes) = (space.used_bytes, space.free_bytes);
            meter.store_space(StoreSpace { used_bytes, free_bytes, reserved_bytes: 0 });
        }
    }
}

impl NodeHandle {
    /// What the store knows about a submission, and whether this very statement was accepted already.
    async fn facts(&self, submission: &Submission) -> Result<(Facts, bool), Refusal> {
        let submission = *submission;
        let day = self.shared.clock.now().unix_seconds / 86_400;
        let found = self.blocking(move |shared| {
            let mut known = false;
            for id in shared.store.statements_of(submission.data_hash)? {
                let record = shared.store.statement(id)?;
                known |= record.is_some_and(|record| is_same(shared, &record.statement, &submission));
            }
            let quota_used = if known { 0 } else { shared.store.quota_used(submission.rollup_id, day)? };
            let free_bytes = shared.store.space()?.free_bytes;
            Ok((Facts { stored: None, quota_used, free_bytes }, known))
        });
        found.await.map_err(|error| refusal_of(&error))
    }

    fn unknown_status(&self, batch_id: BatchId) -> BatchStatus {
        BatchStatus {
            batch_id,
            rollup_id: attest::RollupId::ZERO,
            data_bytes: 0,
            data_hash: DataHash::ZERO,
            data_root: attest::DataRoot::ZERO,
            shards_root: attest::ShardsRoot::ZERO,
            hot_until: 0,
            retain_until: 0,
            stage: Stage::Refused,
            coordinator: self.shared.engine.seat,
            quorum: self.shared.engine.committee.thresholds().quorum(),
            signers: 0,
            members: Vec::new(),
            stage_ms: Default::default(),
            sent_bytes: 0,
            received_bytes: 0,
        }
    }
}

fn submission(request: &SubmissionRequest, data_hash: DataHash, data_bytes: u64) -> Submission {
    Submission {
        rollup_id: request.rollup_id,
        data_hash,
        data_bytes,
        hot_until: request.hot_until,
        retain_until: request.retain_until,
        deadline: request.deadline,
    }
}

/// Whether this committee accepted the submission as this statement. What an earlier committee certified stays readable,
/// but a submission is for the committee it reaches.
fn is_same(shared: &Shared, statement: &Statement, submission: &Submission) -> bool {
    (
        shared.engine.committee.hash(),
        statement.rollup_id,
        statement.data_hash,
        statement.data_bytes,
        statement.hot_until,
        statement.retain_until,
    ) == (
        statement.committee_hash,
        submission.rollup_id,
        submission.data_hash,
        submission.data_bytes,
        submission.hot_until,
        submission.retain_until,
    )
}

fn check_below(what: &'static str, asked: u64, limit: u64) -> Result<(), ReadError> {
    if asked < limit { Ok(()) } else { Err(ReadError::OutOfRange { what, asked, limit }) }
}

/// For answers that have no room for an error: the log has it.
fn logged<T>(result: Result<T, dac_node_store::Error>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%error, "storage")).ok()
}

async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ReadError::Storage(error.to_string())),
    }
}
