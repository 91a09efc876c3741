//! What the store knows of statements, contents and segments: a redb database with one durable commit per group.
//!
//! Promise: a read sees only what was committed durably. Every question of the trait is answered by a key or a short
//! range; nothing scans a table. The database stays small (about 1 KiB a statement; piece roots lie in the segments),
//! because redb walks all of it after a crash.
//!
//! Terms: a *row* is a stored value (SCALE and a checksum); an *index* is a table whose keys answer a question in order.
//!
//! Choices: one-phase commits with checksums. redb's documentation describes a theoretical attack on them by someone who
//! chooses the data and the order in which pages reach the disk and crashes the process during a sync. Rows hold hashes,
//! signatures and numbers, so their content cannot be chosen freely; two-phase commits would double the syncs.

pub(super) mod backend;
mod write;

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use attest::{BatchId, DataHash, DataRoot, RollupId};
use dac_node_coding::Layout;
use parity_scale_codec::{Decode, DecodeAll, Encode};
use redb::{Database, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, TableDefinition};

use crate::files::{Directory, StoredFile};
use crate::poison::Poison;
use crate::segment::{Appended, ExtentPlace, SegmentRow, is_segment_name};
use crate::{CERTIFICATE_SCAN_MAX, CertificatePage, ContentInfo, ContentKey, Error, StatementRecord};
use backend::{Ballast, METADATA_NAME, MetadataFile};

pub(super) use write::{Fatal, Tables};

/// Version of everything this store writes. Another one is refused.
pub(super) const FORMAT_VERSION: u64 = 2;
/// Most answers of [`Metadata::statements_of`].
pub(super) const STATEMENTS_OF_MAX: usize = 64;

type Id = &'static [u8; 32];
type Key = &'static [u8; 64];
type Row = &'static [u8];

/// `format`, `segment_next`, `certificate_next`.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// Statement id to [`StatementRow`].
const STATEMENTS: TableDefinition<'_, Id, Row> = TableDefinition::new("statements");
/// Sequence number to statement id.
const STATEMENT_ORDER: TableDefinition<'_, u64, Id> = TableDefinition::new("statement_order");
/// Data hash and sequence number to statement id.
const STATEMENTS_BY_DATA: TableDefinition<'_, (Id, u64), Id> = TableDefinition::new("statements_by_data");
/// `retain_until` and statement id.
const STATEMENT_EXPIRY: TableDefinition<'_, (u64, Id), ()> = TableDefinition::new("statement_expiry");
/// Content key to [`ContentRow`].
const CONTENTS: TableDefinition<'_, Key, Row> = TableDefinition::new("contents");
/// `hot_until` and content key, while the hot copy is here.
const HOT_EXPIRY: TableDefinition<'_, (u64, Key), ()> = TableDefinition::new("hot_expiry");
/// `retain_until` and content key.
const CONTENT_EXPIRY: TableDefinition<'_, (u64, Key), ()> = TableDefinition::new("content_expiry");
/// Segment number to [`SegmentRow`].
const SEGMENTS: TableDefinition<'_, u64, Row> = TableDefinition::new("segments");
/// Segment number and key of a content with an extent in it.
const SEGMENT_CONTENTS: TableDefinition<'_, (u64, Key), ()> = TableDefinition::new("segment_contents");
/// What the last group appended, under 0.
const LAST_APPENDED: TableDefinition<'_, u64, Row> = TableDefinition::new("last_appended");
/// Statement id to certificate (its bytes).
const CERTIFICATES: TableDefinition<'_, Id, Row> = TableDefinition::new("certificates");
/// Place in the order of arrival to `retain_until` and statement id of a certificate.
const CERTIFICATE_ORDER: TableDefinition<'_, u64, (u64, Id)> = TableDefinition::new("certificate_order");
/// Statement id to evidence.
const EVIDENCE: TableDefinition<'_, Id, Row> = TableDefinition::new("evidence");
/// Sequence number to statement id of evidence.
const EVIDENCE_ORDER: TableDefinition<'_, u64, Id> = TableDefinition::new("evidence_order");
/// Day and rollup to bytes accepted.
const QUOTAS: TableDefinition<'_, (u64, Id), u64> = TableDefinition::new("quotas");

/// Bytes of redb's magic number (its design document, "Database header").
const MAGIC_BYTES: usize = 9;
const FORMAT: &str = "format";
const SEGMENT_NEXT: &str = "segment_next";
const CERTIFICATE_NEXT: &str = "certificate_next";

/// A stored statement.
#[derive(Clone, Debug, Encode, Decode)]
struct StatementRow {
    sequence: u64,
    record: StatementRecord,
}

/// A stored content.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ContentRow {
    pub(super) members: u16,
    pub(super) minimum_shards: u16,
    pub(super) batch_bytes: u64,
    pub(super) data_root: DataRoot,
    pub(super) hot_until: u64,
    pub(super) retain_until: u64,
    pub(super) hot: Option<ExtentPlace>,
    pub(super) shard: ExtentPlace,
}

impl ContentRow {
    /// The shape of the encoding.
    pub(super) fn layout(&self) -> Result<Layout, Error> {
        Layout::new(self.members, self.minimum_shards, self.batch_bytes)
            .map_err(|error| Error::Metadata(format!("stored layout: {error}")))
    }

    pub(super) fn info(&self) -> Result<ContentInfo, Error> {
        Ok(ContentInfo {
            layout: self.layout()?,
            data_root: self.data_root,
            hot_until: self.hot_until,
            retain_until: self.retain_until,
            hot: self.hot.is_some(),
        })
    }
}

/// A content key as a database key.
fn key_bytes(key: &ContentKey) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&key.data_hash.0);
    bytes[32..].copy_from_slice(&key.shards_root.0);
    bytes
}

/// A database key as a content key.
fn key_from(bytes: &[u8; 64]) -> ContentKey {
    let half = |range: Range<usize>| bytes[range].try_into().expect("32 bytes");
    ContentKey { data_hash: DataHash(half(0..32)), shards_root: attest::ShardsRoot(half(32..64)) }
}

/// A value as it is stored: SCALE, and CRC-32C (little-endian) of it. redb checks its pages only when it repairs.
fn encode(value: &impl Encode) -> Vec<u8> {
    let mut bytes = value.encode();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Reads what [`encode`] wrote. `what` is for the message.
fn decode<T: Decode>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    let (mut value, sum) =
        bytes.split_last_chunk().ok_or_else(|| Error::Metadata(format!("{what} is cut off")))?;
    if crc32c::crc32c(value).to_le_bytes() != *sum {
        return Err(Error::Metadata(format!("{what} is damaged: its checksum does not hold")));
    }
    T::decode_all(&mut value).map_err(|error| Error::Metadata(format!("{what} does not decode: {error}")))
}

/// Any error of the database.
fn refused(error: impl Into<redb::Error>) -> Error {
    Error::Metadata(error.into().to_string())
}

/// Segments come after the metadata; where they are without it, it was lost or taken away.
fn refuse_orphans(directory: &dyn Directory) -> Result<(), Error> {
    match directory.list()?.into_iter().find(|name| is_segment_name(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Metadata(format!(
            "{METADATA_NAME} is missing or empty but segments are here ({name}): restore it, or move them away"
        ))),
    }
}

/// Empties a database file whose creation was cut off: the magic number comes last, so it is still zero, and there can
/// be no segments yet. A finished database has its magic number for ever; one that lost it is left to be looked at.
fn restart_creation(file: &dyn StoredFile, directory: &dyn Directory) -> Result<(), Error> {
    let length = file.length()?;
    let mut magic = [0; MAGIC_BYTES];
    let present = usize::try_from(length).unwrap_or(usize::MAX).min(MAGIC_BYTES);
    file.read(0, &mut magic[..present])?;
    if length > 0 && magic == [0; MAGIC_BYTES] {
        refuse_orphans(directory)?;
        tracing::warn!("the metadata was never finished: starting again");
        file.set_length(0)?;
    }
    Ok(())
}

/// The error for a panic of the database.
pub(super) fn damaged() -> Error {
    Error::Metadata("the database panicked: it is damaged".into())
}

/// The database.
#[derive(Debug)]
pub(super) struct Metadata {
    /// `None` only while it is dropped.
    database: Option<Database>,
    repaired: bool,
}

impl Metadata {
    /// Opens or makes the database; one that is new has a durable name and all tables when this returns.
    ///
    /// # Errors
    /// [`Error::Version`]; [`Error::Metadata`] for damage, and for a new database beside segments: opening would remove
    /// them.
    pub(super) fn open(
        directory: &dyn Directory,
        cache_bytes: usize,
        bytes: Arc<AtomicU64>,
        ballast: Arc<Ballast>,
        poison: Arc<Poison>,
    ) -> Result<Self, Error> {
        let file = directory.open(METADATA_NAME, true)?;
        restart_creation(&*file, directory)?;
        bytes.store(file.length()?, std::sync::atomic::Ordering::Relaxed);
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes).set_repair_callback(|session| {
            let percent = session.progress() * 100.0;
            tracing::info!("checking the metadata after an unclean stop: {percent:.0} %");
        });
        let file = MetadataFile { file, bytes, ballast, poison };
        let mut database = builder.create_with_backend(file).map_err(refused)?;
        // redb compares the checksums of its pages only here, and when it was not closed in order. It takes about a
        // second for 100,000 statements; reading a damaged page unchecked can panic, or take all memory.
        let repaired = !database.check_integrity().map_err(refused)?;
        let metadata = Self { database: Some(database), repaired };
        metadata.initialise(directory)?;
        #[cfg(feature = "planted-faults")]
        metadata.drop_signed_table()?;
        directory.sync()?;
        Ok(metadata)
    }

    fn initialise(&self, directory: &dyn Directory) -> Result<(), Error> {
        let transaction = self.database().begin_write().map_err(refused)?;
        let found = {
            let numbers = transaction.open_table(NUMBERS).map_err(refused)?;
            numbers.get(FORMAT).map_err(refused)?.map(|found| found.value())
        };
        match found {
            Some(FORMAT_VERSION) => transaction.abort().map_err(refused),
            Some(found) => Err(Error::Version { expected: FORMAT_VERSION, found }),
            None => {
                refuse_orphans(directory)?;
                Tables::open(&transaction)
                    .and_then(|mut tables| tables.initialise())
                    .map_err(|Fatal(error)| error)?;
                transaction.commit().map_err(refused)
            }
        }
    }

    #[cfg(feature = "planted-faults")]
    fn drop_signed_table(&self) -> Result<(), Error> {
        if dac_node_coding::PlantedFault::DropSignedTable.is_planted() {
            let transaction = self.database().begin_write().map_err(refused)?;
            transaction.delete_table(STATEMENTS).map_err(refused)?;
            transaction.open_table(STATEMENTS).map_err(refused)?;
            transaction.commit().map_err(refused)?;
        }
        Ok(())
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("present until the metadata is dropped")
    }

    /// Whether the check at open found damage that redb could repair, perhaps by going back to an older commit.
    pub(super) fn repaired(&self) -> bool {
        self.repaired
    }

    pub(super) fn begin_write(&self) -> Result<redb::WriteTransaction, Error> {
        self.database().begin_write().map_err(refused)
    }

    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, Error> {
        self.database().begin_read().map_err(refused)?.open_table(definition).map_err(refused)
    }

    /// What `take` makes of the value under a key. The value is released before the table and its transaction are: redb
    /// asserts that in debug builds.
    fn get<K: redb::Key + 'static, V: redb::Value + 'static, T>(
        &self,
        definition: TableDefinition<'_, K, V>,
        key: K::SelfType<'_>,
        take: impl FnOnce(V::SelfType<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let table = self.table(definition)?;
        let found = table.get(key).map_err(refused)?;
        Ok(found.map(|value| take(value.value())))
    }

    pub(super) fn statement(&self, id: BatchId) -> Result<Option<StatementRecord>, Error> {
        let row = self.get(STATEMENTS, &id.0, |row| decode::<StatementRow>("a statement", row))?;
        Ok(row.transpose()?.map(|row| row.record))
    }

    pub(super) fn statements_of(&self, data_hash: DataHash) -> Result<Vec<BatchId>, Error> {
        let table = self.table(STATEMENTS_BY_DATA)?;
        let range = table.range((&data_hash.0, 0)..=(&data_hash.0, u64::MAX)).map_err(refused)?;
        range
            .rev()
            .take(STATEMENTS_OF_MAX)
            .map(|entry| Ok(BatchId(*entry.map_err(refused)?.1.value())))
            .collect()
    }

    pub(super) fn recent(&self, limit: usize) -> Result<Vec<BatchId>, Error> {
        let table = self.table(STATEMENT_ORDER)?;
        let range = table.range::<u64>(..).map_err(refused)?;
        range.rev().take(limit).map(|entry| Ok(BatchId(*entry.map_err(refused)?.1.value()))).collect()
    }

    pub(super) fn statement_count(&self) -> Result<u64, Error> {
        self.table(STATEMENTS)?.len().map_err(refused)
    }

    pub(super) fn content(&self, key: &ContentKey) -> Result<Option<ContentRow>, Error> {
        self.get(CONTENTS, &key_bytes(key), |row| decode("a content", row))?.transpose()
    }

    pub(super) fn certificate(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        self.get(CERTIFICATES, &id.0, |bytes| decode("a certificate", bytes))?.transpose()
    }

    pub(super) fn contents_after(
        &self,
        after: Option<ContentKey>,
        limit: usize,
    ) -> Result<Vec<(ContentKey, ContentRow)>, Error> {
        let table = self.table(CONTENTS)?;
        let after = after.map(|key| key_bytes(&key));
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = table.range::<&[u8; 64]>((start, Bound::Unbounded)).map_err(refused)?;
        range
            .take(limit)
            .map(|entry| {
                let (key, row) = entry.map_err(refused)?;
                Ok((key_from(key.value()), decode("a content", row.value())?))
            })
            .collect()
    }

    pub(super) fn certificates_since(
        &self,
        from: u64,
        live_at: u64,
        limit: usize,
    ) -> Result<CertificatePage, Error> {
        let table = self.table(CERTIFICATE_ORDER)?;
        let mut page = CertificatePage { next: from, ..CertificatePage::default() };
        for (seen, entry) in table.range(from..).map_err(refused)?.enumerate() {
            if page.ids.len() == limit || seen == CERTIFICATE_SCAN_MAX {
                page.more = true;
                break;
            }
            let (place, certificate) = entry.map_err(refused)?;
            let (retain_until, id) = certificate.value();
            page.next = place.value() + 1;
            if retain_until >= live_at {
                page.ids.push(BatchId(*id));
            }
        }
        Ok(page)
    }

    pub(super) fn evidence(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error> {
        self.get(EVIDENCE, &id.0, |bytes| decode("evidence", bytes))?.transpose()
    }

    pub(super) fn quota_used(&self, rollup: RollupId, day: u64) -> Result<u64, Error> {
        Ok(self.get(QUOTAS, (day, &rollup.0), |bytes| bytes)?.unwrap_or(0))
    }

    /// All segments; a few thousand at most.
    pub(super) fn segments(&self) -> Result<BTreeMap<u64, SegmentRow>, Error> {
        let table = self.table(SEGMENTS)?;
        let range = table.range::<u64>(..).map_err(refused)?;
        range
            .map(|entry| {
                let (segment, row) = entry.map_err(refused)?;
                Ok((segment.value(), decode("a segment", row.value())?))
            })
            .collect()
    }

    pub(super) fn segment_next(&self) -> Result<u64, Error> {
        Ok(self.get(NUMBERS, SEGMENT_NEXT, |number| number)?.unwrap_or(0))
    }

    /// What the last group that appended anything appended.
    pub(super) fn last_appended(&self) -> Result<Vec<Appended>, Error> {
        let found = self.get(LAST_APPENDED, 0, |row| decode("the last group", row))?;
        found.unwrap_or_else(|| Ok(Vec::new()))
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // Closing writes to the file, and redb panics on some damaged pages: whoever drops a store is spared.
        if catch_unwind(AssertUnwindSafe(|| drop(self.database.take()))).is_err() {
            tracing::error!("the database panicked when it was closed: it is damaged");
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use tests::write_format;
