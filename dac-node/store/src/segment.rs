//! Segment files: append-only files of records, one being written per kind and expiry hour.
//!
//! Promise: a record that [`SegmentFiles::read`] returns is the one that was written there under that name, or the
//! call fails with [`Error::Corrupt`]. Reading takes memory for one record, whatever the extent.
//!
//! Terms: an *extent* is the run of records of one content in one segment (its hot copy, or its shard with the piece
//! roots before it); a *head* is the segment that new extents of one kind and hour go to; a *sealed* segment takes none
//! any more. The *hour* of a segment is the first full hour (Unix seconds divided by 3,600) at which everything written
//! to it for its first retention has expired.
//!
//! File: a header of [`HEADER_BYTES`] (magic `DACSEGMT`, version u32, kind u8, three zeros, number u64, hour u64, CRC-32C of
//! these 32 bytes, zeros), then records ([`super::record`]). Where the records of an extent lie follows from the
//! content's [`Layout`] alone ([`extent`]), so that the metadata keeps one place per extent and no index.
//!
//! How much of a file counts is the length in the metadata, never the length of the file: bytes beyond it were not
//! committed and are cut off at the next open.

pub(super) mod extent;
mod files;
mod writer;

use parity_scale_codec::{Decode, Encode};

use crate::files::StoredFile;

pub(super) use files::SegmentFiles;
pub(super) use writer::{Appended, SegmentWriter};

/// Bytes of a segment's header: one cache line, and records after it stay aligned.
pub(super) const HEADER_BYTES: u64 = HEADER_LENGTH as u64;
/// The same, as a length in memory.
const HEADER_LENGTH: usize = 64;
/// Version of header and records.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"DACSEGMT";
const SUFFIX: &str = ".segment";

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub(super) enum SegmentKind {
    /// Full batches.
    #[codec(index = 0)]
    Hot,
    /// This member's pieces, with the roots of all pieces.
    #[codec(index = 1)]
    Shard,
}

/// What the metadata says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct SegmentRow {
    pub(super) kind: SegmentKind,
    pub(super) hour: u64,
    /// Bytes that count, header included.
    pub(super) length: u64,
    pub(super) sealed: bool,
}

/// Where an extent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ExtentPlace {
    pub(super) segment: u64,
    pub(super) hour: u64,
    pub(super) offset: u64,
}

/// The hour of the segment for something kept until `expiry`.
pub(super) fn hour_of(expiry: u64) -> u64 {
    expiry / 3600 + 1
}

/// Name of a segment's file.
pub(super) fn file_name(kind: SegmentKind, hour: u64, segment: u64) -> String {
    let kind = match kind {
        SegmentKind::Hot => "hot",
        SegmentKind::Shard => "shard",
    };
    format!("{kind}-{hour:010}-{segment:010}{SUFFIX}")
}

/// Whether a file in the directory is (or was) a segment.
pub(super) fn is_segment_name(name: &str) -> bool {
    (name.starts_with("hot-") || name.starts_with("shard-")) && name.ends_with(SUFFIX)
}

/// The header of a segment.
fn header(kind: SegmentKind, hour: u64, segment: u64) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12] = kind.encode()[0];
    header[16..24].copy_from_slice(&segment.to_le_bytes());
    header[24..32].copy_from_slice(&hour.to_le_bytes());
    let sum = crc32c::crc32c(&header[..32]);
    header[32..36].copy_from_slice(&sum.to_le_bytes());
    header
}

/// Whether the file starts with the header of this segment.
pub(super) fn read_header(
    file: &dyn StoredFile,
    kind: SegmentKind,
    hour: u64,
    segment: u64,
) -> std::io::Result<bool> {
    let mut found = [0; HEADER_LENGTH];
    file.read(0, &mut found)?;
    Ok(found == header(kind, hour, segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_name_are_pinned() {
        let header = header(SegmentKind::Shard, 489_123, 7);
        assert_eq!(&header[..16], b"DACSEGMT\x01\0\0\0\x01\0\0\0");
        assert_eq!(&header[16..32], b"\x07\0\0\0\0\0\0\0\xa3\x76\x07\0\0\0\0\0");
        let name = file_name(SegmentKind::Shard, 489_123, 7);
        assert_eq!(name, "shard-0000489123-0000000007.segment");
        assert!(is_segment_name(&name) && !is_segment_name("metadata.redb"));
    }

    #[test]
    fn everything_in_a_segment_expires_before_its_hour() {
        for expiry in [0, 3599, 3600, 1_800_000_000, u64::MAX] {
            assert!(expiry / 3600 < hour_of(expiry));
        }
    }
}
