//! A disk in two layers: what was written, and what was synced. A crash keeps the second only.

use std::collections::BTreeMap;

use attest::{BatchId, RollupId};

use crate::{ContentKey, Facts, NewContent, Reason, Refusal, StatementRecord};

/// Names one write until it is synced.
pub(super) type WriteId = u64;

/// One thing to make durable.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// A statement, and the bytes unless they are here.
    Statement(Box<StatementRecord>, Option<Box<NewContent>>),
    /// A certificate, SCALE.
    Certificate(BatchId, Vec<u8>),
}

/// What survives.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) statements: BTreeMap<BatchId, StatementRecord>,
    pub(super) contents: BTreeMap<ContentKey, NewContent>,
    pub(super) certificates: BTreeMap<BatchId, Vec<u8>>,
}

/// One member's disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) durable: Image,
    unsynced: BTreeMap<WriteId, Write>,
    next: WriteId,
    /// Bytes that all contents together may take.
    pub(super) capacity_bytes: u64,
    /// Every write fails with this.
    pub(super) failing: Option<Reason>,
}

impl Disk {
    pub(super) fn empty() -> Disk {
        Disk {
            durable: Image::default(),
            unsynced: BTreeMap::new(),
            next: 0,
            capacity_bytes: u64::MAX,
            failing: None,
        }
    }

    /// What the engine is told about a new batch.
    pub(super) fn facts(&self, key: &ContentKey, rollup: RollupId) -> Facts {
        let of_rollup =
            self.durable.statements.values().filter(|record| record.statement.rollup_id == rollup);
        Facts {
            stored: self.durable.contents.get(key).map(|content| content.data_root),
            quota_used: of_rollup.map(|record| record.statement.data_bytes).sum(),
            free_bytes: self.free_bytes(),
        }
    }

    fn free_bytes(&self) -> u64 {
        let written = self.unsynced.values().filter_map(|write| match write {
            Write::Statement(_, content) => content.as_deref(),
            Write::Certificate(..) => None,
        });
        let used: u64 = self.durable.contents.values().chain(written).map(content_bytes).sum();
        self.capacity_bytes.saturating_sub(used)
    }

    /// Writes; durable only after [`Disk::sync`].
    pub(super) fn write(&mut self, write: Write) -> Result<WriteId, Refusal> {
        if let Some(reason) = self.failing {
            return Err(Refusal::new(reason, "the disk fails"));
        }
        if let Write::Statement(record, content) = &write {
            let key = ContentKey {
                data_hash: record.statement.data_hash,
                shards_root: record.statement.shards_root,
            };
            let needed = content.as_deref().map_or(0, content_bytes);
            if needed > self.free_bytes() {
                return Err(Refusal::new(Reason::StorageFull, format!("{needed} bytes needed")));
            }
            assert!(
                content.is_some() || self.durable.contents.contains_key(&key),
                "a statement without its bytes"
            );
            assert!(
                content.as_ref().is_none_or(|content| content.key == key),
                "content of another statement"
            );
        }
        self.next += 1;
        self.unsynced.insert(self.next, write);
        Ok(self.next)
    }

    /// Makes one write durable.
    pub(super) fn sync(&mut self, id: WriteId) {
        match self.unsynced.remove(&id).expect("written in this life and not synced yet") {
            Write::Statement(record, content) => {
                if let Some(content) = content {
                    self.durable.contents.insert(content.key, *content);
                }
                self.durable.statements.insert(record.batch_id, *record);
            }
            Write::Certificate(batch_id, bytes) => {
                self.durable.certificates.insert(batch_id, bytes);
            }
        }
    }

    /// Power fails.
    pub(super) fn crash(&mut self) {
        self.unsynced.clear();
    }
}

fn content_bytes(content: &NewContent) -> u64 {
    (content.batch.len() + content.shard.iter().map(bytes::Bytes::len).sum::<usize>()) as u64
}
