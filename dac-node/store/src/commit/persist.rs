//! Persisting one statement: which bytes have to be written for it, and where they go.
//!
//! Promise: a refused statement leaves the metadata untouched; what it appended is rolled back by the caller. A statement
//! that is accepted rests on bytes that were just written, or read and found good.

use attest::DataRoot;
use bytes::Bytes;
use dac_node_coding::{Layout, PieceRoots};

use super::{Failure, Writer};
use crate::files::is_full;
use crate::metadata::{ContentRow, Tables};
use crate::record::RecordKind;
use crate::segment::extent::{self, Slot};
use crate::segment::{ExtentPlace, HEADER_BYTES, SegmentKind, hour_of};
use crate::space::METADATA_BYTES;
use crate::{ContentKey, Error, NewContent, StatementRecord};

impl Writer {
    pub(super) fn persist(
        &mut self,
        tables: &mut Tables<'_>,
        record: &StatementRecord,
        content: Option<&NewContent>,
    ) -> Result<(), Failure> {
        if tables.has_statement(record.batch_id)? {
            return Ok(());
        }
        let key = record.content_key();
        let old = tables.content(&key)?;
        let needed = |content: &NewContent| {
            extent::shard_bytes(content.key, &content.layout)
                + extent::hot_bytes(content.key, &content.layout)
        };
        let new = self
            .place_content(record, old.as_ref(), content)
            .map_err(|error| self.full_error(error, content.map_or(METADATA_BYTES, needed)))?;
        // From here on only the metadata changes, and its errors are fatal: a refused task leaves no trace.
        tables.replace_content(&key, old.as_ref(), Some(&new))?;
        tables.insert_statement(record)?;
        self.fresh.insert(key);
        Ok(())
    }

    /// The row of the content once the statement rests on it; writes what is not here or damaged.
    fn place_content(
        &mut self,
        record: &StatementRecord,
        old: Option<&ContentRow>,
        content: Option<&NewContent>,
    ) -> Result<ContentRow, Error> {
        let (key, statement) = (record.content_key(), &record.statement);
        let unknown = || Error::UnknownContent(key);
        let mut row = match (old, content) {
            (Some(old), _) => old.clone(),
            (None, Some(content)) => {
                let hot_bytes = extent::hot_bytes(key, &content.layout);
                let shard = self.append_shard(shard_of(content), statement.retain_until, hot_bytes)?;
                row_of(content.layout, content.data_root, shard)
            }
            (None, None) => return Err(unknown()),
        };
        let hot_grows = statement.hot_until > row.hot_until || old.is_none();
        row.hot_until = row.hot_until.max(statement.hot_until);
        row.retain_until = row.retain_until.max(statement.retain_until);
        self.space.check(METADATA_BYTES, self.segments.used_bytes())?;
        if old.is_some() && !self.fresh.contains(&key) {
            self.check_stored(key, &mut row, content)?;
        }
        if row.hot.is_none() && hot_grows {
            let content = content.ok_or_else(unknown)?;
            row.hot = Some(self.append_hot(key, &content.layout, &content.batch, row.hot_until)?);
        }
        Ok(row)
    }

    /// Reads what is stored; damaged extents are written again from `content`, or the statement is refused.
    fn check_stored(
        &mut self,
        key: ContentKey,
        row: &mut ContentRow,
        content: Option<&NewContent>,
    ) -> Result<(), Error> {
        let layout = row.layout()?;
        if let Some(damage) = damage(self.files.verify(SegmentKind::Shard, key, &layout, &row.shard))? {
            tracing::error!(error = %damage, "stored shard is damaged");
            row.shard = self.append_shard(shard_of(content.ok_or(damage)?), row.retain_until, 0)?;
        }
        let Some(hot) = &row.hot else { return Ok(()) };
        if let Some(damage) = damage(self.files.verify(SegmentKind::Hot, key, &layout, hot))? {
            tracing::error!(error = %damage, "stored hot copy is damaged");
            let batch = &content.ok_or(damage)?.batch;
            row.hot = Some(self.append_hot(key, &layout, batch, row.hot_until)?);
        }
        Ok(())
    }

    /// Writes a shard, if there is room for it and for `hot_bytes` more.
    pub(super) fn append_shard(
        &mut self,
        shard: Shard<'_>,
        retain_until: u64,
        hot_bytes: u64,
    ) -> Result<ExtentPlace, Error> {
        let layout = shard.piece_roots.layout();
        let bytes = extent::shard_bytes(shard.key, layout);
        self.check_room(bytes + hot_bytes)?;
        let roots = shard.piece_roots.to_bytes();
        let slots = extent::shard_slots(shard.key, layout);
        self.segments.append((SegmentKind::Shard, hour_of(retain_until)), bytes, slots, |slot, put| {
            match slot.name.kind {
                RecordKind::Piece => put(&shard.pieces[slot.name.index as usize]),
                _ => put(&roots),
            }
            Ok(())
        })
    }

    pub(super) fn append_hot(
        &mut self,
        key: ContentKey,
        layout: &Layout,
        batch: &Bytes,
        hot_until: u64,
    ) -> Result<ExtentPlace, Error> {
        let bytes = extent::hot_bytes(key, layout);
        self.check_room(bytes)?;
        let slots = extent::hot_slots(key, layout);
        let part = |slot: &Slot| {
            let range = extent::hot_range(layout, slot.name.index);
            let bound = |at| usize::try_from(at).expect("inside the batch in memory");
            &batch[bound(range.start)..bound(range.end)]
        };
        self.segments.append((SegmentKind::Hot, hour_of(hot_until)), bytes, slots, |slot, put| {
            put(part(slot));
            Ok(())
        })
    }

    /// Refuses an extent for which there is no room, its metadata and a new segment included.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<(), Error> {
        self.space.check(bytes + HEADER_BYTES + METADATA_BYTES, self.segments.used_bytes())
    }

    /// A disk that turned out full in the middle of a write is answered like one that was known to be.
    pub(super) fn full_error(&self, error: Error, needed_bytes: u64) -> Error {
        match error {
            Error::Io(error) if is_full(&error) => {
                let free_bytes = self.space.space().map_or(0, |space| space.free_bytes);
                Error::Full { needed_bytes, free_bytes }
            }
            error => error,
        }
    }
}

/// What a shard's extent is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shard<'a> {
    pub(super) key: ContentKey,
    pub(super) piece_roots: &'a PieceRoots,
    pub(super) pieces: &'a [Bytes],
}

fn shard_of(content: &NewContent) -> Shard<'_> {
    Shard { key: content.key, piece_roots: &content.piece_roots, pieces: &content.shard }
}

/// The row of a content that no statement speaks of yet.
pub(super) fn row_of(layout: Layout, data_root: DataRoot, shard: ExtentPlace) -> ContentRow {
    ContentRow {
        members: layout.members(),
        minimum_shards: layout.minimum_shards(),
        batch_bytes: layout.batch_bytes(),
        data_root,
        hot_until: 0,
        retain_until: 0,
        hot: None,
        shard,
    }
}

/// Tells damage (`Some`) from a disk that does not answer (`Err`).
pub(super) fn damage(result: Result<(), Error>) -> Result<Option<Error>, Error> {
    match result {
        Ok(()) => Ok(None),
        Err(error @ Error::Corrupt { .. }) => Ok(Some(error)),
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = "the file is missing";
            Ok(Some(Error::Corrupt { segment: "of a stored content".into(), offset: 0, what }))
        }
        Err(error) => Err(error),
    }
}
