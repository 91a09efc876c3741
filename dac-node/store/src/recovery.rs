//! Opening: what the metadata says against what the directory holds.
//!
//! Promise: after [`recover`] every segment file ends where the metadata says, files of unfinished commits are gone, and
//! whatever the metadata needs and the disk does not have is in the list of [`Damage`]; nothing is dropped from the
//! metadata. The cost is one look at each segment's length and header, reading what the last commit appended, and the
//! database's check of itself: about a second for 100,000 statements, whatever their length.
//!
//! Why so little is read: a commit follows the sync of its segments, so everything before the last commit had its sync
//! confirmed once and a commit after it; only a disk that lied about the last sync could have lost the last group, and
//! that is what is read. Rot inside older records is found by reads (each checks its record) and by scrubbing.
//!
//! A tail beyond the committed length is cut off unread: a record there was never acknowledged, good or torn.

use std::collections::{BTreeMap, HashSet};
use std::io;

use crate::Error;
use crate::files::StoredFile;
use crate::metadata::Metadata;
use crate::metadata::backend::METADATA_NAME;
use crate::record::{self, HEADER_BYTES, RecordPlace};
use crate::segment::{Appended, SegmentFiles, SegmentRow, file_name, is_segment_name, read_header};

/// Something that the metadata needs and the disk does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{segment} at {offset}: {what}")]
pub struct Damage {
    /// Name of the file: a segment, or the database.
    pub segment: String,
    /// Byte offset in it at which the damage starts.
    pub offset: u64,
    /// What did not hold.
    pub what: &'static str,
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        record::corrupt(damage.segment, damage.offset, damage.what)
    }
}

/// What the store goes on with.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) rows: BTreeMap<u64, SegmentRow>,
    pub(super) segment_next: u64,
    pub(super) damage: Vec<Damage>,
}

/// Brings the directory in line with the metadata.
pub(super) fn recover(files: &SegmentFiles, metadata: &Metadata) -> Result<Recovered, Error> {
    let mut rows = metadata.segments()?;
    let segment_next = metadata.segment_next()?;
    remove_unknown(files, &rows)?;
    let mut damage = Vec::new();
    if metadata.repaired() {
        let what = "the database was damaged and repaired; the last statements may be missing";
        damage.push(Damage { segment: METADATA_NAME.into(), offset: 0, what });
    }
    for (segment, row) in &mut rows {
        if let Some(found) = check_file(files, *segment, row)? {
            // Nothing is appended behind a hole.
            row.sealed = true;
            damage.push(found);
        }
    }
    for appended in metadata.last_appended()? {
        // A segment that is gone was needed no more; one that is damaged is in the list.
        if let Some(row) = rows.get(&appended.segment)
            && damage.iter().all(|found| found.segment != file_name(row.kind, row.hour, appended.segment))
        {
            damage.extend(check_appended(files, row, appended)?);
        }
    }
    for found in &damage {
        tracing::error!(
            segment = found.segment,
            offset = found.offset,
            "stored data is damaged: {}",
            found.what
        );
    }
    Ok(Recovered { rows, segment_next, damage })
}

/// Unlinks segment files of commits that did not happen, and of segments whose removal was committed.
fn remove_unknown(files: &SegmentFiles, rows: &BTreeMap<u64, SegmentRow>) -> Result<(), Error> {
    let known: HashSet<String> =
        rows.iter().map(|(segment, row)| file_name(row.kind, row.hour, *segment)).collect();
    let mut unknown = files.directory().list()?;
    unknown.retain(|name| is_segment_name(name) && !known.contains(name));
    for name in &unknown {
        tracing::info!(name, "removing a segment file that no commit knows");
        files.directory().unlink(name)?;
    }
    if !unknown.is_empty() {
        files.directory().sync()?;
    }
    Ok(())
}

/// Cuts the tail off; says what is missing.
fn check_file(files: &SegmentFiles, segment: u64, row: &SegmentRow) -> Result<Option<Damage>, Error> {
    let name = file_name(row.kind, row.hour, segment);
    let damage = |offset, what| Some(Damage { segment: name.clone(), offset, what });
    let file = match files.file(row.kind, row.hour, segment) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(damage(0, "the file is missing")),
        file => file?,
    };
    let length = file.length()?;
    if length < row.length {
        return Ok(damage(length, "the file ends before the committed records do"));
    }
    if !read_header(&*file, row.kind, row.hour, segment)? {
        return Ok(damage(0, "the header is not that of this segment"));
    }
    if length > row.length {
        tracing::info!(
            segment = name,
            tail_bytes = length - row.length,
            "cutting off what was not committed"
        );
        file.set_length(row.length)?;
    }
    Ok(None)
}

/// Reads the records that the last commit appended to a segment.
fn check_appended(
    files: &SegmentFiles,
    row: &SegmentRow,
    appended: Appended,
) -> Result<Option<Damage>, Error> {
    let file = files.file(row.kind, row.hour, appended.segment)?;
    let mut offset = appended.from;
    while offset < appended.to {
        match record_at(&*file, RecordPlace { segment: appended.segment, offset }, appended.to)? {
            Ok(bytes) => offset += bytes,
            Err(what) => {
                let segment = file_name(row.kind, row.hour, appended.segment);
                return Ok(Some(Damage { segment, offset, what }));
            }
        }
    }
    Ok(None)
}

/// Bytes of the good record at `place`, or what is wrong with it. Reads nothing at or behind `end`.
fn record_at(
    file: &dyn StoredFile,
    place: RecordPlace,
    end: u64,
) -> Result<Result<u64, &'static str>, Error> {
    let beyond = |bytes: u64| place.offset.saturating_add(bytes) > end;
    if beyond(HEADER_BYTES as u64) {
        return Ok(Err("the records end in the middle of a header"));
    }
    let mut header = [0; HEADER_BYTES];
    file.read(place.offset, &mut header)?;
    let payload_bytes = match record::payload_bytes(&header) {
        Ok(bytes) => bytes,
        Err(what) => return Ok(Err(what)),
    };
    let bytes = record::record_bytes(payload_bytes);
    if beyond(bytes) {
        return Ok(Err("the records end in the middle of a payload"));
    }
    let mut payload = vec![0; payload_bytes as usize];
    file.read(place.offset + HEADER_BYTES as u64, &mut payload)?;
    if !record::check_sum(&header, &payload, place) {
        return Ok(Err("the checksum does not hold"));
    }
    Ok(Ok(bytes))
}
