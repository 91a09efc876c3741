//! Changing the metadata: all tables of one transaction, with every index kept in step.
//!
//! Promise: a content or statement is in its table if and only if it is in all its indexes. An error here is
//! [`Fatal`]: the transaction is in an unknown state and the store stops.

use attest::{BatchId, RollupId};
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::*;
use crate::segment::{Appended, SegmentRow};
use crate::{ContentKey, Error, StatementRecord};

/// An error after which nothing may be committed any more.
#[derive(Debug)]
pub(crate) struct Fatal(pub(crate) Error);

macro_rules! fatal_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Fatal {
            fn from(error: $error) -> Self {
                Self(refused(error))
            }
        }
    )*};
}

fatal_from!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

/// All tables, open for change.
#[derive(Debug)]
pub(crate) struct Tables<'a> {
    numbers: Table<'a, &'static str, u64>,
    statements: Table<'a, Id, Row>,
    statement_order: Table<'a, u64, Id>,
    statements_by_data: Table<'a, (Id, u64), Id>,
    statement_expiry: Table<'a, (u64, Id), ()>,
    contents: Table<'a, Key, Row>,
    hot_expiry: Table<'a, (u64, Key), ()>,
    content_expiry: Table<'a, (u64, Key), ()>,
    segments: Table<'a, u64, Row>,
    segment_contents: Table<'a, (u64, Key), ()>,
    last_appended: Table<'a, u64, Row>,
    certificates: Table<'a, Id, Row>,
    certificate_order: Table<'a, u64, (u64, Id)>,
    evidence: Table<'a, Id, Row>,
    evidence_order: Table<'a, u64, Id>,
    quotas: Table<'a, (u64, Id), u64>,
    changed: bool,
}

impl<'a> Tables<'a> {
    pub(crate) fn open(transaction: &'a WriteTransaction) -> Result<Self, Fatal> {
        Ok(Self {
            numbers: transaction.open_table(NUMBERS)?,
            statements: transaction.open_table(STATEMENTS)?,
            statement_order: transaction.open_table(STATEMENT_ORDER)?,
            statements_by_data: transaction.open_table(STATEMENTS_BY_DATA)?,
            statement_expiry: transaction.open_table(STATEMENT_EXPIRY)?,
            contents: transaction.open_table(CONTENTS)?,
            hot_expiry: transaction.open_table(HOT_EXPIRY)?,
            content_expiry: transaction.open_table(CONTENT_EXPIRY)?,
            segments: transaction.open_table(SEGMENTS)?,
            segment_contents: transaction.open_table(SEGMENT_CONTENTS)?,
            last_appended: transaction.open_table(LAST_APPENDED)?,
            certificates: transaction.open_table(CERTIFICATES)?,
            certificate_order: transaction.open_table(CERTIFICATE_ORDER)?,
            evidence: transaction.open_table(EVIDENCE)?,
            evidence_order: transaction.open_table(EVIDENCE_ORDER)?,
            quotas: transaction.open_table(QUOTAS)?,
            changed: false,
        })
    }

    pub(super) fn initialise(&mut self) -> Result<(), Fatal> {
        self.numbers.insert(FORMAT, FORMAT_VERSION)?;
        Ok(())
    }

    /// Whether there is anything to commit.
    pub(crate) fn changed(&self) -> bool {
        self.changed
    }

    /// For changes to the segments alone.
    pub(crate) fn mark_changed(&mut self) {
        self.changed = true;
    }

    pub(crate) fn has_statement(&self, id: BatchId) -> Result<bool, Fatal> {
        Ok(self.statements.get(&id.0)?.is_some())
    }

    /// Adds a statement as the newest, and its bytes to the rollup's day.
    pub(crate) fn insert_statement(&mut self, record: &StatementRecord) -> Result<(), Fatal> {
        self.changed = true;
        let (id, statement) = (&record.batch_id.0, &record.statement);
        let sequence = self.statement_order.last()?.map_or(0, |(last, _)| last.value() + 1);
        let row = encode(&StatementRow { sequence, record: record.clone() });
        self.statements.insert(id, row.as_slice())?;
        self.statement_order.insert(sequence, id)?;
        self.statements_by_data.insert((&statement.data_hash.0, sequence), id)?;
        self.statement_expiry.insert((statement.retain_until, id), ())?;
        self.add_to_quota(record.accepted_at / 86_400, statement.rollup_id, statement.data_bytes)
    }

    fn add_to_quota(&mut self, day: u64, rollup: RollupId, bytes: u64) -> Result<(), Fatal> {
        let used = self.quotas.get((day, &rollup.0))?.map_or(0, |used| used.value());
        self.quotas.insert((day, &rollup.0), used.saturating_add(bytes))?;
        Ok(())
    }

    /// Forgets a statement.
    pub(crate) fn remove_statement(&mut self, id: BatchId) -> Result<(), Fatal> {
        self.changed = true;
        let row =
            self.statements.remove(&id.0)?.map(|row| decode::<StatementRow>("a statement", row.value()));
        let Some(row) = row.transpose().map_err(Fatal)? else { return Ok(()) };
        let statement = &row.record.statement;
        self.statement_order.remove(row.sequence)?;
        self.statements_by_data.remove((&statement.data_hash.0, row.sequence))?;
        self.statement_expiry.remove((statement.retain_until, &id.0))?;
        Ok(())
    }

    /// At most `limit` statements with `retain_until < before`.
    pub(crate) fn expired_statements(&self, before: u64, limit: usize) -> Result<Vec<BatchId>, Fatal> {
        let expired = self.statement_expiry.range((0, &[0; 32])..(before, &[0; 32]))?;
        expired.take(limit).map(|entry| Ok(BatchId(*entry?.0.value().1))).collect()
    }

    pub(crate) fn content(&self, key: &ContentKey) -> Result<Option<ContentRow>, Fatal> {
        let row = self.contents.get(&key_bytes(key))?;
        row.map(|row| decode("a content", row.value())).transpose().map_err(Fatal)
    }

    /// Replaces the row of a content (`old`, if there is one) by `new` (if there is one), and everything that follows.
    pub(crate) fn replace_content(
        &mut self,
        key: &ContentKey,
        old: Option<&ContentRow>,
        new: Option<&ContentRow>,
    ) -> Result<(), Fatal> {
        self.changed = true;
        let key = &key_bytes(key);
        if let Some(old) = old {
            self.content_expiry.remove((old.retain_until, key))?;
            self.segment_contents.remove((old.shard.segment, key))?;
            if let Some(hot) = &old.hot {
                self.hot_expiry.remove((old.hot_until, key))?;
                self.segment_contents.remove((hot.segment, key))?;
            }
        }
        let Some(new) = new else {
            self.contents.remove(key)?;
            return Ok(());
        };
        self.content_expiry.insert((new.retain_until, key), ())?;
        self.segment_contents.insert((new.shard.segment, key), ())?;
        if let Some(hot) = &new.hot {
            self.hot_expiry.insert((new.hot_until, key), ())?;
            self.segment_contents.insert((hot.segment, key), ())?;
        }
        self.contents.insert(key, encode(new).as_slice())?;
        Ok(())
    }

    /// At most `limit` contents with a hot copy and `hot_until < before`.
    pub(crate) fn expired_hot(&self, before: u64, limit: usize) -> Result<Vec<ContentKey>, Fatal> {
        let expired = self.hot_expiry.range((0, &[0; 64])..(before, &[0; 64]))?;
        expired.take(limit).map(|entry| Ok(key_from(entry?.0.value().1))).collect()
    }

    /// At most `limit` contents with `retain_until < before`.
    pub(crate) fn expired_contents(&self, before: u64, limit: usize) -> Result<Vec<ContentKey>, Fatal> {
        let expired = self.content_expiry.range((0, &[0; 64])..(before, &[0; 64]))?;
        expired.take(limit).map(|entry| Ok(key_from(entry?.0.value().1))).collect()
    }

    /// At most `limit` contents with an extent in this segment.
    pub(crate) fn contents_in(&self, segment: u64, limit: usize) -> Result<Vec<ContentKey>, Fatal> {
        let range = self.segment_contents.range((segment, &[0; 64])..=(segment, &[0xff; 64]))?;
        range.take(limit).map(|entry| Ok(key_from(entry?.0.value().1))).collect()
    }

    pub(crate) fn put_segments(
        &mut self,
        segment_next: u64,
        rows: impl Iterator<Item = (u64, Option<SegmentRow>)>,
        appended: &[Appended],
    ) -> Result<(), Fatal> {
        self.numbers.insert(SEGMENT_NEXT, segment_next)?;
        for (segment, row) in rows {
            match row {
                Some(row) => self.segments.insert(segment, encode(&row).as_slice())?,
                None => self.segments.remove(segment)?,
            };
        }
        if !appended.is_empty() {
            self.last_appended.insert(0, encode(&appended).as_slice())?;
        }
        Ok(())
    }

    pub(crate) fn certificate(&self, id: BatchId) -> Result<Option<Vec<u8>>, Fatal> {
        let found = self.certificates.get(&id.0)?;
        found.map(|bytes| decode("a certificate", bytes.value())).transpose().map_err(Fatal)
    }

    /// Adds a certificate as the newest, or replaces the one of this name.
    pub(crate) fn insert_certificate(
        &mut self,
        id: BatchId,
        bytes: &[u8],
        retain_until: u64,
    ) -> Result<(), Fatal> {
        self.changed = true;
        if self.certificates.insert(&id.0, encode(&bytes).as_slice())?.is_none() {
            let place = self.numbers.get(CERTIFICATE_NEXT)?.map_or(0, |next| next.value());
            self.certificate_order.insert(place, (retain_until, &id.0))?;
            self.numbers.insert(CERTIFICATE_NEXT, place + 1)?;
        }
        Ok(())
    }

    /// Takes at most `limit` certificates with `retain_until < before` off the old end of the order. The certificates
    /// stay. Arrival and expiry run alike, so this keeps the order as long as what is live.
    pub(crate) fn trim_certificate_order(&mut self, before: u64, limit: usize) -> Result<(), Fatal> {
        let mut oldest = Vec::new();
        for entry in self.certificate_order.iter()?.take(limit) {
            let (place, certificate) = entry?;
            oldest.push((place.value(), certificate.value().0));
        }
        for (place, _) in oldest.into_iter().take_while(|(_, retain_until)| *retain_until < before) {
            self.changed = true;
            self.certificate_order.remove(place)?;
        }
        Ok(())
    }

    /// Adds evidence as the newest, unless there is some of this name; keeps at most `entries_max`.
    pub(crate) fn insert_evidence(
        &mut self,
        id: BatchId,
        bytes: &[u8],
        entries_max: u64,
    ) -> Result<(), Fatal> {
        if self.evidence.get(&id.0)?.is_some() {
            return Ok(());
        }
        self.changed = true;
        let sequence = self.evidence_order.last()?.map_or(0, |(last, _)| last.value() + 1);
        self.evidence.insert(&id.0, encode(&bytes).as_slice())?;
        self.evidence_order.insert(sequence, &id.0)?;
        while self.evidence_order.len()? > entries_max {
            let oldest = self.evidence_order.pop_first()?.map(|(_, id)| *id.value());
            if let Some(oldest) = oldest {
                self.evidence.remove(&oldest)?;
            }
        }
        Ok(())
    }

    /// Drops at most `limit` days of rollups before day `before`.
    pub(crate) fn drop_quotas(&mut self, before: u64, limit: usize) -> Result<(), Fatal> {
        let range = self.quotas.range((0, &[0; 32])..(before, &[0; 32]))?;
        let old: Vec<(u64, [u8; 32])> = range
            .take(limit)
            .map(|entry| {
                let entry = entry?;
                let (day, rollup) = entry.0.value();
                Ok((day, *rollup))
            })
            .collect::<Result<_, Fatal>>()?;
        for (day, rollup) in old {
            self.changed = true;
            self.quotas.remove((day, &rollup))?;
        }
        Ok(())
    }
}
