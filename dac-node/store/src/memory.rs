//! The store in memory: the same answers as [`super::DiskStore`], nothing kept across a restart.
//!
//! Promise: for every sequence of calls the answers equal those of a [`super::DiskStore`] with the same grace period, on
//! a disk that works (a property test compares them). Numbers of bytes and segments differ: there are no files here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Bound, Range};

use attest::{BatchId, Certificate, DataHash, RollupId};
use bytes::Bytes;
use dac_node_coding::PieceRoots;
use parking_lot::Mutex;

use crate::metadata::STATEMENTS_OF_MAX;
use crate::{
    CERTIFICATE_SCAN_MAX, CertificatePage, ContentInfo, ContentKey, EVIDENCE_ENTRIES_MAX, Error, NewContent,
    Pruned, QUOTA_DAYS_KEPT, RestoredContent, ShardStore, Space, StatementRecord,
};

/// A store without a disk.
#[derive(Debug)]
pub struct MemoryStore {
    grace_seconds: u64,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    statements: BTreeMap<BatchId, (u64, StatementRecord)>,
    order: BTreeMap<u64, BatchId>,
    contents: BTreeMap<ContentKey, Stored>,
    certificates: BTreeMap<BatchId, (u32, Vec<u8>)>,
    certificate_order: BTreeMap<u64, (u64, BatchId)>,
    certificate_next: u64,
    evidence: BTreeMap<BatchId, Vec<u8>>,
    evidence_order: VecDeque<BatchId>,
    quotas: BTreeMap<(u64, RollupId), u64>,
}

#[derive(Debug)]
struct Stored {
    info: ContentInfo,
    piece_roots: PieceRoots,
    batch: Option<Bytes>,
    shard: Vec<Bytes>,
}

impl Stored {
    fn bytes(&self) -> u64 {
        let parts = self.batch.iter().chain(&self.shard);
        parts.map(|part| part.len() as u64).sum()
    }
}

impl Default for MemoryStore {
    /// A grace period of one hour, no limit.
    fn default() -> Self {
        Self::new(3600, u64::MAX)
    }
}

impl MemoryStore {
    /// A store with this grace period that holds at most `bytes_max` bytes of batches and shards.
    pub fn new(grace_seconds: u64, bytes_max: u64) -> Self {
        Self { grace_seconds, bytes_max, state: Mutex::default() }
    }
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.contents.values().map(Stored::bytes).sum()
    }

    fn place_content(
        &mut self,
        record: &StatementRecord,
        content: Option<NewContent>,
        bytes_max: u64,
    ) -> Result<(), Error> {
        let (key, statement) = (record.content_key(), &record.statement);
        let free_bytes = bytes_max.saturating_sub(self.used_bytes());
        let check = |needed_bytes: u64| match needed_bytes > free_bytes {
            true => Err(Error::Full { needed_bytes, free_bytes }),
            false => Ok(()),
        };
        if let Some(stored) = self.contents.get_mut(&key) {
            if stored.batch.is_none() && statement.hot_until > stored.info.hot_until {
                let content = content.ok_or(Error::UnknownContent(key))?;
                check(content.batch.len() as u64)?;
                stored.batch = Some(content.batch);
                stored.info.hot = true;
            }
            stored.info.hot_until = stored.info.hot_until.max(statement.hot_until);
            stored.info.retain_until = stored.info.retain_until.max(statement.retain_until);
            return Ok(());
        }
        let content = content.ok_or(Error::UnknownContent(key))?;
        let stored = Stored {
            info: ContentInfo {
                layout: content.layout,
                data_root: content.data_root,
                hot_until: statement.hot_until,
                retain_until: statement.retain_until,
                hot: true,
            },
            piece_roots: content.piece_roots,
            batch: Some(content.batch),
            shard: content.shard,
        };
        check(stored.bytes())?;
        self.contents.insert(key, stored);
        Ok(())
    }

    fn insert_statement(&mut self, record: &StatementRecord) {
        let sequence = self.order.last_key_value().map_or(0, |(last, _)| last + 1);
        self.order.insert(sequence, record.batch_id);
        self.statements.insert(record.batch_id, (sequence, record.clone()));
        let day = record.accepted_at / 86_400;
        let used = self.quotas.entry((day, record.statement.rollup_id)).or_default();
        *used = used.saturating_add(record.statement.data_bytes);
    }
}

impl ShardStore for MemoryStore {
    fn persist(&self, record: &StatementRecord, content: Option<NewContent>) -> Result<(), Error> {
        if let Some(content) = &content {
            content.assert_consistent(record);
        }
        let mut state = self.state.lock();
        if !state.statements.contains_key(&record.batch_id) {
            state.place_content(record, content, self.bytes_max)?;
            state.insert_statement(record);
        }
        Ok(())
    }

    fn statement(&self, id: BatchId) -> Result<Option<StatementRecord>, Error> {
        Ok(self.state.lock().statements.get(&id).map(|(_, record)| record.clone()))
    }

    fn statements_of(&self, data_hash: DataHash) -> Result<Vec<BatchId>, Error> {
        let state = self.state.lock();
        let of_hash = |id: &&BatchId| state.statements[id].1.statement.data_hash == data_hash;
        Ok(state.order.values().rev().filter(of_hash).take(STATEMENTS_OF_MAX).copied().collect())
    }

    fn recent(&self, limit: usize) -> Result<Vec<BatchId>, Error> {
        Ok(self.state.lock().order.values().rev().take(limit).copied().collect())
    }

    fn statement_count(&self) -> Result<u64, Error> {
        Ok(self.state.lock().statements.len() as u64)
    }

    fn content(&self, key: &ContentKey) -> Result<Option<ContentInfo>, Error> {
        Ok(self.state.lock().contents.get(key).map(|stored| stored.info.clone()))
    }

    fn piece_roots(&self, key: &ContentKey) -> Result<Option<PieceRoots>, Error> {
        Ok(self.state.lock().contents.get(key).map(|stored| stored.piece_roots.clone()))
    }

    fn read_hot(&self, key: &ContentKey, range: Range<u64>) -> Result<Option<Bytes>, Error> {
        let state = self.state.lock();
        let Some(batch) = state.contents.get(key).and_then(|stored| stored.batch.as_ref()) else {
            return Ok(None);
        };
        super::check_range(&range, batch.len() as u64)?;
        let bound = |at| usize::try_from(at).expect("inside a batch in memory");
        Ok(Some(batch.slice(bound(range.start)..bound(range.end))))
    }

    fn read_piece(&self, key: &ContentKey, stripe: u32) -> Result<Option<Bytes>, Error> {
        let state = self.state.lock();
        let Some(stored) = state.contents.get(key) else { return Ok(None) };
        super::check_stripe(stripe, &stored.info.layout)?;
        Ok(Some(stored.shard[stripe as usize].clone()))
    }

    fn put_certificate(&self, id: BatchId, certificate: &[u8]) -> Result<(), Error> {
        let decoded = Certificate::decode_strict(certificate)?;
        let (signers, retain_until) = (decoded.signers.count(), decoded.statement.retain_until);
        let mut state = self.state.lock();
        if state.certificates.get(&id).is_none_or(|(stored, _)| *stored < signers)
            && state.certificates.insert(id, (signers, certificate.to_vec())).is_none()
        {
            let place = state.certificate_next;
            state.certificate_order.insert(place, (retain_until, id));
            state.certificate_next += 1;
        }
        Ok(())
    }

    fn restore(&self, content: RestoredContent) -> Result<(), Error> {
        content.assert_consistent();
        let mut state = self.state.lock();
        let free_bytes = self.bytes_max.saturating_sub(state.used_bytes());
        if let Some(stored) = state.contents.get_mut(&content.key) {
            stored.info.retain_until = stored.info.retain_until.max(content.retain_until);
            return Ok(());
        }
        let stored = Stored {
            info: ContentInfo {
                layout: content.layout,
                data_root: content.data_root,
                hot_until: 0,
                retain_until: content.retain_until,
                hot: false,
            },
            piece_roots: content.piece_roots,
            batch: None,
            shard: content.shard,
        };
        let needed_bytes = stored.bytes();
        if needed_bytes > free_bytes {
            return Err(Error::Full { needed_bytes, free_bytes });
        }
        state.contents.insert(content.key, stored);
        Ok(())
    }

    fn contents_after(
        &self,
        after: Option<ContentKey>,
        limit: usize,
    ) -> Result<Vec<(ContentKey, ContentInfo)>, Error> {
        let state = self.state.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = state.contents.range((start, Bound::Unbounded));
        Ok(range.take(limit).map(|(key, stored)| (*key, stored.info.clone())).collect())
    }

    fn certificates_since(&self, from: u64, live_at: u64, limit: usize) -> Result<CertificatePage, Error> {
        let state = self.state.lock();
        let mut page = CertificatePage { next: from, ..CertificatePage::default() };
        for (seen, (place, (retain_until, id))) in state.certificate_order.range(from..).enumerate() {
            if page.ids.len() == limit || seen == CERTIFICATE_SCAN_MAX {
                page.more = true;
                break;
            }
            page.next = place + 1;
            if *retain_until >= live_at {
                page.ids.push(*id);
            }
        }
        Ok(page)
    }

    fn certificate(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state.lock().certificates.get(&id).map(|(_, bytes)| bytes.clone()))
    }

    fn put_evidence(&self, id: BatchId, evidence: &[u8]) -> Result<(), Error> {
        super::check_evidence(evidence)?;
        let mut state = self.state.lock();
        if state.evidence.contains_key(&id) {
            return Ok(());
        }
        state.evidence.insert(id, evidence.to_vec());
        state.evidence_order.push_back(id);
        while state.evidence_order.len() as u64 > EVIDENCE_ENTRIES_MAX {
            let oldest = state.evidence_order.pop_front().expect("more than none");
            state.evidence.remove(&oldest);
        }
        Ok(())
    }

    fn evidence(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state.lock().evidence.get(&id).cloned())
    }

    fn quota_used(&self, rollup: RollupId, day: u64) -> Result<u64, Error> {
        Ok(self.state.lock().quotas.get(&(day, rollup)).copied().unwrap_or(0))
    }

    fn space(&self) -> Result<Space, Error> {
        let used_bytes = self.state.lock().used_bytes();
        Ok(Space { used_bytes, free_bytes: self.bytes_max.saturating_sub(used_bytes) })
    }

    fn prune(&self, now: u64) -> Result<Pruned, Error> {
        let mut state = self.state.lock();
        let kept_since = now.saturating_sub(self.grace_seconds);
        let expired: BTreeSet<BatchId> = state
            .statements
            .values()
            .filter(|(_, record)| record.statement.retain_until < kept_since)
            .map(|(_, record)| record.batch_id)
            .collect();
        state.statements.retain(|id, _| !expired.contains(id));
        state.order.retain(|_, id| !expired.contains(id));
        while let Some(oldest) = state.certificate_order.first_entry()
            && oldest.get().0 < kept_since
        {
            oldest.remove();
        }
        let mut hot_copies = 0;
        for stored in state.contents.values_mut().filter(|stored| stored.info.hot_until < now) {
            hot_copies += u64::from(stored.batch.take().is_some());
            stored.info.hot = false;
        }
        state.contents.retain(|_, stored| stored.info.retain_until >= kept_since);
        state.quotas.retain(|(day, _), _| *day >= (now / 86_400).saturating_sub(QUOTA_DAYS_KEPT));
        Ok(Pruned { statements: expired.len() as u64, hot_copies, segments: 0 })
    }
}
