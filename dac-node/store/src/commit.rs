//! The writer: one thread that turns waiting requests into one commit.
//!
//! Promise: a request is answered `Ok` only after every byte it wrote was synced and the metadata that names those bytes
//! was committed durably, in this order. A refused request changes nothing. After the first failed sync or commit every
//! request is answered [`Error::Poisoned`].
//!
//! How: requests wait in a bounded queue; the writer takes what is there (up to [`GroupLimits`]), appends the extents,
//! syncs each touched segment once, and commits once. A request that fails is rolled back alone, before the sync.
//! Requests see those before them in the same group, so equal content is written once.
//!
//! Bytes that are there already are read and checked before another statement rests on them: a member must not sign for
//! bytes that rotted. When the request brings the bytes along, they replace the damaged ones.

mod persist;
mod restore;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use attest::{BatchId, Certificate};

use crate::metadata::{Fatal, Metadata, Tables};
use crate::poison::Poison;
use crate::prune::PruneStep;
use crate::segment::{SegmentFiles, SegmentRow, SegmentWriter};
use crate::space::{METADATA_BYTES, SpaceMeter};
use crate::{ContentKey, EVIDENCE_ENTRIES_MAX, Error, NewContent, RestoredContent, StatementRecord};

/// How much one commit takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupLimits {
    pub(super) requests_max: usize,
    /// No further request is taken once the group holds this many bytes.
    pub(super) bytes_max: u64,
}

/// A change that somebody waits for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) task: Task,
    pub(super) answer: SyncSender<Result<Done, Error>>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Task {
    Persist { record: Box<StatementRecord>, content: Option<Box<NewContent>> },
    Restore { content: Box<RestoredContent> },
    Certificate { id: BatchId, bytes: Vec<u8>, signers: u32, retain_until: u64 },
    Evidence { id: BatchId, bytes: Vec<u8> },
    Prune { now: u64 },
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Done {
    Written,
    Pruned(PruneStep),
}

/// Why a task was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Only this task; nothing changed.
    Refused(Error),
    /// The store stops.
    Fatal(Fatal),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Fatal> for Failure {
    fn from(error: Fatal) -> Self {
        Self::Fatal(error)
    }
}

impl Task {
    fn bytes(&self) -> u64 {
        match self {
            Task::Persist { content: Some(content), .. } => 2 * content.batch.len() as u64,
            Task::Restore { content } => {
                let batch_bytes = content.batch.as_ref().map_or(0, |batch| batch.len() as u64);
                batch_bytes + content.layout.shard_bytes() as u64
            }
            Task::Evidence { bytes, .. } => bytes.len() as u64,
            Task::Persist { .. } | Task::Certificate { .. } | Task::Prune { .. } => 0,
        }
    }
}

/// The writer's state. Lives on its thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) metadata: Arc<Metadata>,
    pub(super) files: Arc<SegmentFiles>,
    pub(super) segments: SegmentWriter,
    pub(super) space: Arc<SpaceMeter>,
    pub(super) poison: Arc<Poison>,
    pub(super) limits: GroupLimits,
    pub(super) grace_seconds: u64,
    /// Contents written in the group at hand: they need no check.
    pub(super) fresh: HashSet<ContentKey>,
    /// Segments taken out of the books in the group at hand, to be unlinked after the commit.
    pub(super) unlink: Vec<(u64, SegmentRow)>,
    /// Segments with a damaged extent that should move; not tried again in this process.
    pub(super) unmovable: HashSet<u64>,
}

impl Writer {
    /// Works until all senders are gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let (tasks, answers) = self.collect(first, requests);
            for (answer, result) in answers.iter().zip(self.group(tasks, answers.len())) {
                // Whoever asked may be gone; what was written stays.
                let _ = answer.send(result);
            }
        }
    }

    fn collect(
        &self,
        first: Request,
        requests: &Receiver<Request>,
    ) -> (Vec<Task>, Vec<SyncSender<Result<Done, Error>>>) {
        let mut bytes = first.task.bytes();
        let (mut tasks, mut answers) = (vec![first.task], vec![first.answer]);
        while tasks.len() < self.limits.requests_max && bytes < self.limits.bytes_max {
            let Ok(next) = requests.try_recv() else { break };
            bytes += next.task.bytes();
            tasks.push(next.task);
            answers.push(next.answer);
        }
        (tasks, answers)
    }

    /// One result per task.
    fn group(&mut self, tasks: Vec<Task>, count: usize) -> Vec<Result<Done, Error>> {
        if self.poison.reason().is_none() {
            let result = catch_unwind(AssertUnwindSafe(|| self.commit(tasks)));
            match result.unwrap_or_else(|_| Err(fatal("the writer", "panic"))) {
                Ok(results) => return results,
                Err(Fatal(Error::Metadata(reason))) => self.poison.set(reason),
                Err(Fatal(error)) => self.poison.set(error.to_string()),
            };
        }
        (0..count).map(|_| Err(self.poison.error())).collect()
    }

    /// Performs the tasks and makes them durable.
    fn commit(&mut self, tasks: Vec<Task>) -> Result<Vec<Result<Done, Error>>, Fatal> {
        self.fresh.clear();
        self.refill_ballast();
        let transaction = self.metadata.begin_write().map_err(Fatal)?;
        let mut tables = Tables::open(&transaction)?;
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            results.push(self.perform_or_roll_back(&mut tables, task)?);
        }
        if !tables.changed() {
            drop(tables);
            transaction.abort()?;
            return Ok(results);
        }
        let appended: Vec<_> = self.segments.appended().collect();
        tables.put_segments(self.segments.segment_next(), self.segments.changed_rows(), &appended)?;
        drop(tables);
        #[cfg(feature = "planted-faults")]
        let synced = dac_node_coding::PlantedFault::SkipSegmentSync.is_planted();
        #[cfg(not(feature = "planted-faults"))]
        let synced = false;
        if !synced {
            self.segments.sync().map_err(|error| fatal("sync of a segment", error))?;
        }
        transaction.commit().map_err(|error| fatal("commit of the metadata", error))?;
        self.committed();
        Ok(results)
    }

    /// Without a whole ballast the group takes no new data.
    fn refill_ballast(&self) {
        let whole = self.space.ballast.refill().unwrap_or_else(|error| {
            tracing::warn!(%error, "the ballast cannot be written");
            false
        });
        self.space.ballast_whole.store(whole, Ordering::Relaxed);
    }

    fn committed(&mut self) {
        self.segments.committed();
        self.space.segments.store(self.segments.used_bytes(), Ordering::Relaxed);
        for (segment, row) in std::mem::take(&mut self.unlink) {
            if let Err(error) = self.files.unlink(row.kind, row.hour, segment) {
                tracing::warn!(segment, %error, "expired segment could not be removed; the next open tries again");
            }
        }
    }

    fn perform_or_roll_back(
        &mut self,
        tables: &mut Tables<'_>,
        task: Task,
    ) -> Result<Result<Done, Error>, Fatal> {
        let mark = self.segments.mark();
        match self.perform(tables, task) {
            Ok(done) => Ok(Ok(done)),
            Err(Failure::Fatal(fatal)) => Err(fatal),
            Err(Failure::Refused(error)) => {
                self.segments.roll_back(mark);
                Ok(Err(error))
            }
        }
    }

    fn perform(&mut self, tables: &mut Tables<'_>, task: Task) -> Result<Done, Failure> {
        match task {
            Task::Persist { record, content } => self.persist(tables, &record, content.as_deref())?,
            Task::Restore { content } => self.restore(tables, &content)?,
            Task::Certificate { id, bytes, signers, retain_until } => {
                self.put_certificate(tables, id, &bytes, signers, retain_until)?;
            }
            Task::Evidence { id, bytes } => {
                self.space.check(bytes.len() as u64 + METADATA_BYTES, self.segments.used_bytes())?;
                tables.insert_evidence(id, &bytes, EVIDENCE_ENTRIES_MAX)?;
            }
            Task::Prune { now } => return Ok(Done::Pruned(self.prune(tables, now)?)),
        }
        Ok(Done::Written)
    }

    fn put_certificate(
        &mut self,
        tables: &mut Tables<'_>,
        id: BatchId,
        bytes: &[u8],
        signers: u32,
        retain_until: u64,
    ) -> Result<(), Failure> {
        let stored = tables.certificate(id)?.and_then(|bytes| Certificate::decode_strict(&bytes).ok());
        if stored.is_some_and(|stored| stored.signers.count() >= signers) {
            return Ok(());
        }
        // Certificates may use the reserve: they are small, and what they certify is here.
        if !self.space.ballast_whole.load(Ordering::Relaxed) {
            return Err(Error::Full { needed_bytes: bytes.len() as u64, free_bytes: 0 }.into());
        }
        Ok(tables.insert_certificate(id, bytes, retain_until)?)
    }
}

fn fatal(what: &str, error: impl std::fmt::Display) -> Fatal {
    Fatal(Error::Metadata(format!("{what} failed: {error}")))
}
