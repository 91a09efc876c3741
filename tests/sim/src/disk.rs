//! A member's disk: what was asked to be written, and what was synced. A crash keeps the second, and of the first
//! whatever it pleases.
//!
//! Two media behind the node's own seam: [`MemoryStore`], the in-memory twin that a differential test of `dac-node`
//! keeps equal to the real store, for most seeds; and the real [`DiskStore`] on a [`SimulatedDirectory`], whose crashes
//! tear files in the middle of a write, for every so-manyth seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::{BatchId, RollupId};
use dac_node_engine::Facts;
use dac_node_engine::{Reason, Refusal};
use dac_node_store::{
    ContentKey, DiskStore, DiskStoreConfig, Error, MemoryStore, NewContent, ShardStore, SimulatedDirectory,
    StatementRecord, Unsynced,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Names one write until it is synced.
pub(super) type WriteId = u64;

/// Seconds that statements stay after their retention.
const GRACE_SECONDS: u64 = 100;
/// Bytes of a disk without a fault.
const ROOM_BYTES: u64 = 1 << 40;
/// Operations of one commit: a crash is planted within so many.
const OPERATIONS_OF_A_COMMIT: u64 = 40;

/// Which medium the members of a run have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// The in-memory twin.
    Memory,
    /// The real store on a simulated directory.
    Real,
}

/// One thing to make durable.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// A statement, and the bytes unless they are here.
    Statement(Box<StatementRecord>, Option<Box<NewContent>>),
    /// A certificate, SCALE.
    Certificate(BatchId, Vec<u8>),
}

/// How a sync ended.
#[derive(Debug)]
pub(super) enum Synced {
    /// It is on the disk.
    Durable,
    /// Nothing was written.
    Refused(Refusal),
    /// The process has to stop.
    Fatal,
}

#[derive(Debug)]
enum Store {
    Memory(MemoryStore),
    /// `None` while the member is down.
    Real(SimulatedDirectory, Option<DiskStore>),
}

/// One member's disk.
#[derive(Debug)]
pub(super) struct Disk {
    store: Store,
    unsynced: BTreeMap<WriteId, Write>,
    next: WriteId,
    full: bool,
    failing: bool,
}

impl Disk {
    pub(super) fn empty(medium: Medium) -> Disk {
        let store = match medium {
            Medium::Memory => Store::Memory(MemoryStore::new(GRACE_SECONDS, u64::MAX)),
            Medium::Real => {
                let directory = SimulatedDirectory::new();
                let store = open(&directory);
                Store::Real(directory, Some(store))
            }
        };
        Disk { store, unsynced: BTreeMap::new(), next: 0, full: false, failing: false }
    }

    /// What is durable.
    ///
    /// # Panics
    /// When the member is down.
    pub(super) fn store(&self) -> &dyn ShardStore {
        match &self.store {
            Store::Memory(store) => store,
            Store::Real(_, store) => store.as_ref().expect("only a member that is up is asked"),
        }
    }

    /// Whether [`Disk::store`] can be asked.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.store, Store::Real(_, None))
    }

    /// What the engine is told about a new batch, as the node looks it up.
    pub(super) fn facts(
        &self,
        key: &ContentKey,
        rollup: RollupId,
        unix_seconds: u64,
    ) -> Result<Facts, Refusal> {
        let facts = || {
            let info = self.store().content(key)?.filter(|info| info.hot);
            let quota_used = self.store().quota_used(rollup, unix_seconds / 86_400)?;
            let free_bytes = self.store().space()?.free_bytes;
            Ok(Facts { stored: info.map(|info| info.data_root), quota_used, free_bytes })
        };
        facts().map_err(|error: Error| refusal_of(&error))
    }

    /// Takes a write; durable only after [`Disk::sync`].
    pub(super) fn write(&mut self, write: Write) -> WriteId {
        self.next += 1;
        self.unsynced.insert(self.next, write);
        self.next
    }

    /// Makes one write durable.
    pub(super) fn sync(&mut self, id: WriteId) -> Synced {
        let write = self.unsynced.remove(&id).expect("written in this life and not synced yet");
        if self.full && matches!(self.store, Store::Memory(_)) {
            return Synced::Refused(Refusal::new(Reason::StorageFull, "the disk is full"));
        }
        match self.perform(write) {
            Ok(()) => Synced::Durable,
            Err(error) if error.is_fatal() => Synced::Fatal,
            Err(error) => Synced::Refused(refusal_of(&error)),
        }
    }

    fn perform(&self, write: Write) -> Result<(), Error> {
        match write {
            Write::Statement(record, content) => {
                self.store().persist(&record, content.map(|content| *content))
            }
            Write::Certificate(batch_id, bytes) => self.store().put_certificate(batch_id, &bytes),
        }
    }

    /// Power fails: what was not synced is there, is not, or is there in part.
    pub(super) fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let unsynced = std::mem::take(&mut self.unsynced);
        match &mut self.store {
            Store::Memory(_) => {
                for (_, write) in unsynced {
                    if rng.random_bool(0.5) {
                        // Nobody was told, so nobody may care whether it was possible.
                        let _arrived = self.perform(write);
                    }
                }
            }
            Store::Real(directory, _) => {
                directory.crash_at_operation(rng.random_range(1..=OPERATIONS_OF_A_COMMIT));
                if let Some((_, write)) = unsynced.into_iter().next() {
                    let _interrupted = self.perform(write);
                }
                self.lose(Unsynced::Torn(rng.random()));
            }
        }
    }

    /// The process stopped by itself; the machine goes on.
    pub(super) fn stop(&mut self) {
        self.unsynced.clear();
        self.lose(Unsynced::Kept);
    }

    fn lose(&mut self, unsynced: Unsynced) {
        if let Store::Real(directory, store) = &mut self.store {
            let after = directory.restart(unsynced);
            *store = None;
            *directory = after;
        }
    }

    /// The member starts again: what it synced must be there.
    pub(super) fn restart(&mut self) {
        if let Store::Real(directory, store) = &mut self.store {
            *store = Some(open(directory));
            self.failing = false;
        }
    }

    /// Nothing more fits, or everything again.
    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
        if let Store::Real(directory, _) = &self.store {
            directory.set_capacity(if full { directory.used_bytes() + 4096 } else { ROOM_BYTES });
        }
    }

    /// The next sync of the real store fails and loses what it should have kept.
    pub(super) fn fail_next_sync(&mut self) {
        if let Store::Real(directory, _) = &self.store {
            directory.fail_sync(1);
            self.failing = true;
        }
    }

    /// Whether a sync will fail that has not yet.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }
}

fn open(directory: &SimulatedDirectory) -> DiskStore {
    let config = DiskStoreConfig {
        reserve_bytes: 0,
        segment_bytes: 96 << 10,
        grace_seconds: GRACE_SECONDS,
        metadata_cache_bytes: 1 << 20,
        ballast_bytes: 64 << 10,
        ..DiskStoreConfig::default()
    };
    match DiskStore::open_on(Arc::new(directory.clone()), &config) {
        Ok(store) => store,
        Err(error) => panic!("a disk that only lost what was not synced does not open: {error}"),
    }
}

/// As the node answers it.
fn refusal_of(error: &Error) -> Refusal {
    let reason = match error {
        Error::Full { .. } => Reason::StorageFull,
        _ => Reason::StorageError,
    };
    Refusal::new(reason, error.to_string())
}
