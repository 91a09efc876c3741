//! The write side of the segments: one writer, whole extents, and a way back to before each of them.
//!
//! Promise: after [`SegmentWriter::roll_back`] nothing that was appended since the mark counts, on disk or in memory.
//! Appended extents are durable only after [`SegmentWriter::sync`]; they count for the next process only after the
//! rows from [`SegmentWriter::changed_rows`] were committed.
//!
//! Why no preallocation: it would spare a length update per sync, but a full disk would show first as a failing sync.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use super::extent::Slot;
use super::files::{SegmentFiles, sync_all};
use super::{ExtentPlace, HEADER_BYTES, SegmentKind, SegmentRow, header};
use crate::files::StoredFile;
use crate::record::{self, RecordPlace};
use crate::{ContentKey, Error};

/// Records are gathered to writes of about this many bytes.
const WRITE_BYTES: usize = 1 << 20;

/// Bytes appended to one segment since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, parity_scale_codec::Encode, parity_scale_codec::Decode)]
pub(crate) struct Appended {
    pub(crate) segment: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// How to undo one step.
#[derive(Debug)]
enum Undo {
    /// The segment was this long.
    Grown { segment: u64, length: u64 },
    /// The segment did not exist.
    Created { segment: u64 },
}

/// A segment written to since the last commit. The file stays open until its sync: a write that failed in the
/// background is reported to files that were open then.
#[derive(Debug)]
struct Touched {
    length_before: u64,
    file: Arc<dyn StoredFile>,
}

/// All segments, as the writer sees them.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    files: Arc<SegmentFiles>,
    rows: BTreeMap<u64, SegmentRow>,
    heads: HashMap<(SegmentKind, u64), u64>,
    segment_next: u64,
    segment_bytes: u64,
    /// Since the last commit: rows that differ from the metadata, files written to, files made, steps to undo.
    changed: BTreeSet<u64>,
    touched: BTreeMap<u64, Touched>,
    created: bool,
    undo: Vec<Undo>,
    buffer: Vec<u8>,
}

impl SegmentWriter {
    /// Takes over the segments that the metadata knows.
    pub(crate) fn new(
        files: Arc<SegmentFiles>,
        rows: BTreeMap<u64, SegmentRow>,
        segment_next: u64,
        segment_bytes: u64,
    ) -> Self {
        let open = rows.iter().filter(|(_, row)| !row.sealed);
        // In order of numbers, so that the newest of several wins.
        let heads = open.map(|(segment, row)| ((row.kind, row.hour), *segment)).collect();
        Self {
            files,
            rows,
            heads,
            segment_next,
            segment_bytes,
            changed: BTreeSet::new(),
            touched: BTreeMap::new(),
            created: false,
            undo: Vec::new(),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn rows(&self) -> &BTreeMap<u64, SegmentRow> {
        &self.rows
    }

    pub(crate) fn segment_next(&self) -> u64 {
        self.segment_next
    }

    /// Bytes of all segments that count.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.rows.values().map(|row| row.length).sum()
    }

    /// Where [`Self::roll_back`] goes back to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Writes an extent of `bytes` bytes into the head of this kind and hour. `payload` gives each record's payload.
    ///
    /// # Errors
    /// Whatever the disk or `payload` says; the caller rolls back.
    pub(crate) fn append(
        &mut self,
        (kind, hour): (SegmentKind, u64),
        bytes: u64,
        slots: impl Iterator<Item = Slot>,
        mut payload: impl FnMut(&Slot, &mut dyn FnMut(&[u8])) -> Result<(), Error>,
    ) -> Result<ExtentPlace, Error> {
        let (segment, file) = self.head(kind, hour, bytes)?;
        let start = self.rows[&segment].length;
        let place = ExtentPlace { segment, hour, offset: start };
        self.will_grow(segment, start, &file);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut written = start;
        for slot in slots {
            let offset = start + slot.offset;
            assert_eq!(offset, written + buffer.len() as u64, "records lie behind each other");
            payload(&slot, &mut |bytes| {
                record::append(&mut buffer, RecordPlace { segment, offset }, &slot.name, bytes);
            })?;
            if buffer.len() >= WRITE_BYTES {
                file.write(written, &buffer)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
        }
        file.write(written, &buffer)?;
        written += buffer.len() as u64;
        assert_eq!(written, start + bytes, "the extent has the length that was reserved");
        self.rows.get_mut(&segment).expect("the head exists").length = written;
        // The one long record, the roots of a batch at `k = 1`, is rare: its memory is not kept.
        buffer.clear();
        buffer.shrink_to(2 * WRITE_BYTES);
        self.buffer = buffer;
        Ok(place)
    }

    /// The head with room for `bytes`; a full one is sealed and followed by a new one.
    fn head(&mut self, kind: SegmentKind, hour: u64, bytes: u64) -> io::Result<(u64, Arc<dyn StoredFile>)> {
        if let Some(segment) = self.heads.get(&(kind, hour)).copied() {
            let length = self.rows[&segment].length;
            if length <= HEADER_BYTES || length.saturating_add(bytes) <= self.segment_bytes {
                return Ok((segment, self.files.file(kind, hour, segment)?));
            }
            self.seal(segment);
        }
        self.create(kind, hour)
    }

    fn create(&mut self, kind: SegmentKind, hour: u64) -> io::Result<(u64, Arc<dyn StoredFile>)> {
        let segment = self.segment_next;
        self.segment_next += 1;
        self.created = true;
        self.undo.push(Undo::Created { segment });
        let row = SegmentRow { kind, hour, length: HEADER_BYTES, sealed: false };
        self.rows.insert(segment, row);
        self.heads.insert((kind, hour), segment);
        self.changed.insert(segment);
        let file = self.files.create(kind, hour, segment)?;
        // A crash may have left a file of this name behind.
        file.set_length(0)?;
        file.write(0, &header(kind, hour, segment))?;
        Ok((segment, file))
    }

    /// No extent goes to this segment any more.
    fn seal(&mut self, segment: u64) {
        if let Some(row) = self.rows.get_mut(&segment) {
            row.sealed = true;
            self.heads.retain(|_, head| *head != segment);
            self.changed.insert(segment);
        }
    }

    fn will_grow(&mut self, segment: u64, length: u64, file: &Arc<dyn StoredFile>) {
        self.undo.push(Undo::Grown { segment, length });
        self.changed.insert(segment);
        self.touched
            .entry(segment)
            .or_insert_with(|| Touched { length_before: length, file: Arc::clone(file) });
    }

    /// Undoes everything since the mark. A file that cannot be cut back is sealed: nothing goes behind the rubbish.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        for step in self.undo.split_off(mark).into_iter().rev() {
            match step {
                Undo::Grown { segment, length } => self.shrink(segment, length),
                Undo::Created { segment } => self.forget_created(segment),
            }
        }
    }

    fn shrink(&mut self, segment: u64, length: u64) {
        let Some(row) = self.rows.get_mut(&segment) else { return };
        row.length = length;
        let (kind, hour) = (row.kind, row.hour);
        let cut = self.files.file(kind, hour, segment).and_then(|file| file.set_length(length));
        if let Err(error) = cut {
            tracing::warn!(segment, %error, "segment could not be cut back and is sealed");
            self.seal(segment);
        }
    }

    fn forget_created(&mut self, segment: u64) {
        let Some(row) = self.rows.remove(&segment) else { return };
        self.heads.retain(|_, head| *head != segment);
        self.changed.remove(&segment);
        self.touched.remove(&segment);
        if let Err(error) = self.files.unlink(row.kind, row.hour, segment) {
            // The metadata does not know it: the next open removes it.
            tracing::debug!(segment, %error, "unused segment file stays until the next open");
        }
    }

    /// Makes everything appended since the last commit durable: each touched file once, then the new names.
    ///
    /// # Errors
    /// Any error is final for the store.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let files: Vec<_> = self.appended().map(|appended| &*self.touched[&appended.segment].file).collect();
        sync_all(&files, self.files.directory().syncs_in_parallel())?;
        if self.created {
            self.files.directory().sync()?;
        }
        Ok(())
    }

    /// What was appended since the last commit, by segment.
    pub(crate) fn appended(&self) -> impl Iterator<Item = Appended> + '_ {
        self.touched.iter().filter_map(|(segment, touched)| {
            let (from, to) = (touched.length_before, self.rows.get(segment)?.length);
            (to > from).then_some(Appended { segment: *segment, from, to })
        })
    }

    /// Rows to be written with the commit; `None` for segments that go.
    pub(crate) fn changed_rows(&self) -> impl Iterator<Item = (u64, Option<SegmentRow>)> + '_ {
        self.changed.iter().map(|segment| (*segment, self.rows.get(segment).copied()))
    }

    /// Takes a segment out of the books; its file is unlinked after the commit.
    pub(crate) fn remove(&mut self, segment: u64) -> Option<SegmentRow> {
        let row = self.rows.remove(&segment)?;
        self.heads.retain(|_, head| *head != segment);
        self.changed.insert(segment);
        Some(row)
    }

    /// The commit happened: there is no way back any more.
    pub(crate) fn committed(&mut self) {
        self.changed.clear();
        self.touched.clear();
        self.created = false;
        self.undo.clear();
    }

    /// Names every record of an extent of this kind; for moving one.
    pub(crate) fn move_extent(
        &mut self,
        kind: SegmentKind,
        hour: u64,
        from: &ExtentPlace,
        (key, layout): (ContentKey, &dac_node_coding::Layout),
    ) -> Result<ExtentPlace, Error> {
        let bytes = match kind {
            SegmentKind::Hot => super::extent::hot_bytes(key, layout),
            SegmentKind::Shard => super::extent::shard_bytes(key, layout),
        };
        let files = Arc::clone(&self.files);
        let mut buffer = Vec::new();
        self.append((kind, hour), bytes, super::files::slots(kind, key, layout), |slot, put| {
            put(files.read(kind, from, slot, &mut buffer)?);
            Ok(())
        })
    }
}
