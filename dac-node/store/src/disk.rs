//! The store on a disk: segments for bytes, a database for everything said about them, one writer.
//!
//! Promise: that of [`ShardStore`], on any directory that keeps the promise of [`Directory`]. Reads go on while the
//! writer works; they see what was committed.
//!
//! Terms: see [`super::segment`] (extent, head, hour), [`super::commit`] (group), [`super::prune`] (what goes when),
//! [`super::recovery`] (opening).
//!
//! Order of a write: segment bytes, sync, metadata commit, answer. So a crash leaves bytes that nothing names, never a
//! name without bytes. `metadata.redb` and the segments belong together: restore both from one moment, or none.
//!
//! Left out on purpose: a second copy of the metadata (what is lost with it can be had from the committee again), direct
//! I/O (the node serves what it just wrote: the page cache is of use), encryption (batches are public).

mod config;
mod read;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use attest::{BatchId, Certificate, DataHash, RollupId};
use bytes::Bytes;
use dac_node_coding::PieceRoots;
use fpga_hash::Hasher;

use crate::commit::{Done, GroupLimits, Request, Task, Writer};
use crate::files::{Directory, RealDirectory};
use crate::metadata::backend::{Ballast, METADATA_NAME};
use crate::metadata::{Metadata, damaged};
use crate::poison::Poison;
use crate::recovery::{Damage, Recovered, recover};
use crate::segment::{SegmentFiles, SegmentWriter};
use crate::space::SpaceMeter;
use crate::{
    CertificatePage, ContentInfo, ContentKey, Error, NewContent, Pruned, RestoredContent, ShardStore, Space,
    StatementRecord,
};

pub use config::{DiskStoreConfig, OnDamage};

/// A member's store in a directory.
#[derive(Debug)]
pub struct DiskStore {
    metadata: Arc<Metadata>,
    files: Arc<SegmentFiles>,
    space: Arc<SpaceMeter>,
    poison: Arc<Poison>,
    hasher: Arc<dyn Hasher>,
    damage: Vec<Damage>,
    /// `None` only while the store is dropped.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl DiskStore {
    /// Opens the store in a directory of the file system, which is made when it is missing, and locks it.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Version`], [`Error::Corrupt`] (see [`OnDamage`]), [`Error::Metadata`].
    pub fn open(path: &Path, config: &DiskStoreConfig) -> Result<Self, Error> {
        Self::open_on(Arc::new(RealDirectory::open(path)?), config)
    }

    /// Opens the store on any [`Directory`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(directory: Arc<dyn Directory>, config: &DiskStoreConfig) -> Result<Self, Error> {
        // redb panics on some damaged pages.
        catch_unwind(AssertUnwindSafe(|| Self::open_checked(directory, config)))
            .unwrap_or_else(|_| Err(damaged()))
    }

    fn open_checked(directory: Arc<dyn Directory>, config: &DiskStoreConfig) -> Result<Self, Error> {
        let poison = Arc::new(Poison::default());
        let ballast = Arc::new(Ballast::open(&*directory, config.ballast_bytes)?);
        let metadata_bytes = Arc::new(AtomicU64::new(0));
        let metadata = Arc::new(Metadata::open(
            &*directory,
            config.metadata_cache_bytes,
            Arc::clone(&metadata_bytes),
            Arc::clone(&ballast),
            Arc::clone(&poison),
        )?);
        let files = Arc::new(SegmentFiles::new(Arc::clone(&directory), config.open_files_max));
        let Recovered { rows, segment_next, damage } = recover(&files, &metadata)?;
        let refused = damage.iter().find(|found| match config.on_damage {
            OnDamage::Refuse => true,
            OnDamage::Repair => found.segment == METADATA_NAME,
            OnDamage::Serve => false,
        });
        if let Some(refused) = refused {
            return Err(refused.clone().into());
        }
        let segments = SegmentWriter::new(Arc::clone(&files), rows, segment_next, config.segment_bytes);
        let space = Arc::new(SpaceMeter {
            directory,
            ballast_whole: AtomicBool::new(ballast.refill()?),
            ballast,
            reserve_bytes: config.reserve_bytes,
            bytes_max: config.bytes_max,
            segments: AtomicU64::new(segments.used_bytes()),
            metadata: metadata_bytes,
        });
        let writer = Writer {
            metadata: Arc::clone(&metadata),
            files: Arc::clone(&files),
            segments,
            space: Arc::clone(&space),
            poison: Arc::clone(&poison),
            limits: GroupLimits { requests_max: config.queue_requests.max(1), bytes_max: config.group_bytes },
            grace_seconds: config.grace_seconds,
            fresh: Default::default(),
            unlink: Vec::new(),
            unmovable: Default::default(),
        };
        let (requests, received) = sync_channel(config.queue_requests);
        let writer =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&received))?;
        Ok(Self {
            metadata,
            files,
            space,
            poison,
            hasher: fpga_hash::software(),
            damage,
            requests: Some(requests),
            writer: Some(writer),
        })
    }

    /// What the disk did not have when the store was opened.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Hands a task to the writer. Blocks while the queue is full.
    pub(super) fn request(&self, task: Task) -> Result<Receiver<Result<Done, Error>>, Error> {
        self.poison.check()?;
        let (answer, answered) = sync_channel(1);
        let requests = self.requests.as_ref().expect("present until the store is dropped");
        requests.send(Request { task, answer }).map_err(|_| self.poison.error())?;
        Ok(answered)
    }

    /// Asks the metadata. redb panics on some damaged pages; the caller gets an error instead.
    fn look_up<T>(&self, question: impl FnOnce(&Metadata) -> Result<T, Error>) -> Result<T, Error> {
        self.poison.check()?;
        catch_unwind(AssertUnwindSafe(|| question(&self.metadata))).unwrap_or_else(|_| Err(damaged()))
    }

    fn perform(&self, task: Task) -> Result<Done, Error> {
        self.request(task)?.recv().unwrap_or_else(|_| Err(self.poison.error()))
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        // The writer ends when the queue has no sender; what was accepted is finished first.
        drop(self.requests.take());
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was answered and logged when it happened.
            let _ = writer.join();
        }
    }
}

impl ShardStore for DiskStore {
    fn persist(&self, record: &StatementRecord, content: Option<NewContent>) -> Result<(), Error> {
        if let Some(content) = &content {
            content.assert_consistent(record);
        }
        let (record, content) = (Box::new(record.clone()), content.map(Box::new));
        self.perform(Task::Persist { record, content }).map(|_| ())
    }

    fn statement(&self, id: BatchId) -> Result<Option<StatementRecord>, Error> {
        self.look_up(|metadata| metadata.statement(id))
    }

    fn statements_of(&self, data_hash: DataHash) -> Result<Vec<BatchId>, Error> {
        self.look_up(|metadata| metadata.statements_of(data_hash))
    }

    fn recent(&self, limit: usize) -> Result<Vec<BatchId>, Error> {
        self.look_up(|metadata| metadata.recent(limit))
    }

    fn statement_count(&self) -> Result<u64, Error> {
        self.look_up(|metadata| metadata.statement_count())
    }

    fn content(&self, key: &ContentKey) -> Result<Option<ContentInfo>, Error> {
        self.look_up(|metadata| metadata.content(key))?.map(|row| row.info()).transpose()
    }

    fn piece_roots(&self, key: &ContentKey) -> Result<Option<PieceRoots>, Error> {
        self.with_content(key, |row| self.read_roots_of(key, row))
    }

    fn read_hot(&self, key: &ContentKey, range: Range<u64>) -> Result<Option<Bytes>, Error> {
        self.with_content(key, |row| self.read_hot_of(key, row, &range))
    }

    fn read_piece(&self, key: &ContentKey, stripe: u32) -> Result<Option<Bytes>, Error> {
        self.with_content(key, |row| self.read_piece_of(key, row, stripe))
    }

    fn put_certificate(&self, id: BatchId, certificate: &[u8]) -> Result<(), Error> {
        let decoded = Certificate::decode_strict(certificate)?;
        let (signers, retain_until) = (decoded.signers.count(), decoded.statement.retain_until);
        self.perform(Task::Certificate { id, bytes: certificate.to_vec(), signers, retain_until }).map(|_| ())
    }

    fn restore(&self, content: RestoredContent) -> Result<(), Error> {
        content.assert_consistent();
        self.perform(Task::Restore { content: Box::new(content) }).map(|_| ())
    }

    fn contents_after(
        &self,
        after: Option<ContentKey>,
        limit: usize,
    ) -> Result<Vec<(ContentKey, ContentInfo)>, Error> {
        let rows = self.look_up(|metadata| metadata.contents_after(after, limit))?;
        rows.into_iter().map(|(key, row)| Ok((key, row.info()?))).collect()
    }

    fn certificates_since(&self, from: u64, live_at: u64, limit: usize) -> Result<CertificatePage, Error> {
        self.look_up(|metadata| metadata.certificates_since(from, live_at, limit))
    }

    fn certificate(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        self.look_up(|metadata| metadata.certificate(id))
    }

    fn put_evidence(&self, id: BatchId, evidence: &[u8]) -> Result<(), Error> {
        super::check_evidence(evidence)?;
        self.perform(Task::Evidence { id, bytes: evidence.to_vec() }).map(|_| ())
    }

    fn evidence(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        self.look_up(|metadata| metadata.evidence(id))
    }

    fn quota_used(&self, rollup: RollupId, day: u64) -> Result<u64, Error> {
        self.look_up(|metadata| metadata.quota_used(rollup, day))
    }

    fn space(&self) -> Result<Space, Error> {
        self.poison.check()?;
        self.space.space()
    }

    fn prune(&self, now: u64) -> Result<Pruned, Error> {
        let mut all = Pruned::default();
        loop {
            let Done::Pruned(step) = self.perform(Task::Prune { now })? else {
                unreachable!("a prune is answered by what it pruned");
            };
            all.statements += step.pruned.statements;
            all.hot_copies += step.pruned.hot_copies;
            all.segments += step.pruned.segments;
            if !step.more {
                return Ok(all);
            }
        }
    }
}
