//! One record of a segment file: a header that names it, a payload, a checksum over both and over the place.
//!
//! Promise: [`check`] accepts bytes only if they are the record that was written at this place of this segment under
//! this name. The place is under the checksum, so that a misdirected or stale write does not pass for another record.
//!
//! Shape, little-endian: magic `DREC` (4), kind (1), zero (3), index (4), payload bytes (4), data hash (32), shards root
//! (32), CRC-32C (4), zero (4), payload, zeros up to a multiple of [`ALIGNMENT`]. The checksum covers segment number,
//! offset, the first 80 bytes of the header and the payload. CRC-32C (Castagnoli; RFC 3720 B.4) finds bit rot, not malice:
//! what leaves the node is checked against the batch's commitments besides.

use crate::{ContentKey, Error};

/// Records start at multiples of this many bytes.
pub(super) const ALIGNMENT: usize = 8;
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 88;
/// Largest payload: the piece roots of 64 MiB at `k = 1` and 256 members are 16 MiB.
const PAYLOAD_BYTES_MAX: u32 = 16 << 20;

const MAGIC: [u8; 4] = *b"DREC";
const NAMED_BYTES: usize = 80;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RecordKind {
    /// A part of the batch; the index counts parts.
    Hot = 1,
    /// The roots of all pieces; the index is 0.
    Roots = 2,
    /// This member's piece of the stripe that the index names.
    Piece = 3,
}

/// Everything that tells one record from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordName {
    pub(super) kind: RecordKind,
    pub(super) index: u32,
    pub(super) key: ContentKey,
    pub(super) payload_bytes: u32,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordPlace {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// Bytes of a record with a payload of `payload_bytes`, padding included.
pub(super) fn record_bytes(payload_bytes: u32) -> u64 {
    (HEADER_BYTES as u64 + u64::from(payload_bytes)).next_multiple_of(ALIGNMENT as u64)
}

impl RecordName {
    /// The header up to the checksum.
    fn named(&self) -> [u8; NAMED_BYTES] {
        let mut header = [0; NAMED_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = self.kind as u8;
        header[8..12].copy_from_slice(&self.index.to_le_bytes());
        header[12..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        header[16..48].copy_from_slice(&self.key.data_hash.0);
        header[48..80].copy_from_slice(&self.key.shards_root.0);
        header
    }
}

fn checksum(place: RecordPlace, named: &[u8], payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&place.segment.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &place.offset.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, named);
    crc32c::crc32c_append(sum, payload)
}

/// Appends a record to `out`.
pub(super) fn append(out: &mut Vec<u8>, place: RecordPlace, name: &RecordName, payload: &[u8]) {
    assert_eq!(payload.len(), name.payload_bytes as usize, "the name is of this payload");
    let start = out.len();
    let named = name.named();
    out.extend_from_slice(&named);
    out.extend_from_slice(&checksum(place, &named, payload).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
    let padded = (out.len() - start).next_multiple_of(ALIGNMENT);
    out.resize(start + padded, 0);
}

/// The payload of the record in `bytes` (header and payload, without padding), if it is the one of this name and place.
///
/// # Errors
/// What did not hold.
pub(super) fn check<'a>(
    bytes: &'a [u8],
    place: RecordPlace,
    name: &RecordName,
) -> Result<&'a [u8], &'static str> {
    let (header, payload) = bytes.split_at_checked(HEADER_BYTES).ok_or("shorter than a record header")?;
    if header[..NAMED_BYTES] != name.named() {
        return Err("the record has another name");
    }
    if payload.len() != name.payload_bytes as usize {
        return Err("the record has another length");
    }
    if stored_checksum(header) != checksum(place, &header[..NAMED_BYTES], payload) {
        return Err("the checksum does not hold");
    }
    Ok(payload)
}

fn stored_checksum(header: &[u8]) -> u32 {
    u32::from_le_bytes(header[NAMED_BYTES..NAMED_BYTES + 4].try_into().expect("four bytes"))
}

/// For walking a segment whose records nobody named: bytes of the payload that follows this header.
///
/// # Errors
/// What did not hold.
pub(super) fn payload_bytes(header: &[u8; HEADER_BYTES]) -> Result<u32, &'static str> {
    if header[..4] != MAGIC {
        return Err("no record starts here");
    }
    let bytes = u32::from_le_bytes(header[12..16].try_into().expect("four bytes"));
    if bytes > PAYLOAD_BYTES_MAX {
        return Err("a record longer than any");
    }
    Ok(bytes)
}

/// For walking: whether header and payload belong together and to this place, whatever their name.
pub(super) fn check_sum(header: &[u8; HEADER_BYTES], payload: &[u8], place: RecordPlace) -> bool {
    stored_checksum(header) == checksum(place, &header[..NAMED_BYTES], payload)
}

/// The error for a record that did not hold.
pub(super) fn corrupt(segment: String, offset: u64, what: &'static str) -> Error {
    Error::Corrupt { segment, offset, what }
}

#[cfg(test)]
mod tests {
    use attest::{DataHash, ShardsRoot};
    use proptest::prelude::*;

    use super::*;

    fn name(payload: &[u8]) -> RecordName {
        RecordName {
            kind: RecordKind::Piece,
            index: 7,
            key: ContentKey { data_hash: DataHash([1; 32]), shards_root: ShardsRoot([2; 32]) },
            payload_bytes: u32::try_from(payload.len()).unwrap(),
        }
    }

    const PLACE: RecordPlace = RecordPlace { segment: 3, offset: 64 };

    #[test]
    fn layout_is_pinned() {
        let mut out = Vec::new();
        append(&mut out, PLACE, &name(b"hello"), b"hello");
        assert_eq!(out.len() as u64, record_bytes(5));
        assert_eq!(&out[..16], b"DREC\x03\0\0\0\x07\0\0\0\x05\0\0\0");
        assert_eq!(&out[88..96], b"hello\0\0\0");
        // RFC 3720 B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn same_bytes_at_another_place_are_refused() {
        let mut out = Vec::new();
        append(&mut out, PLACE, &name(b"12345678"), b"12345678");
        assert_eq!(check(&out, PLACE, &name(b"12345678")), Ok(&b"12345678"[..]));
        for place in [RecordPlace { segment: 4, ..PLACE }, RecordPlace { offset: 72, ..PLACE }] {
            assert_eq!(check(&out, place, &name(b"12345678")), Err("the checksum does not hold"));
        }
        let other = RecordName { index: 8, ..name(b"12345678") };
        assert_eq!(check(&out, PLACE, &other), Err("the record has another name"));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
            let mut out = Vec::new();
            append(&mut out, PLACE, &name(&payload), &payload);
            out.truncate(HEADER_BYTES + payload.len());
            prop_assert_eq!(check(&out, PLACE, &name(&payload)), Ok(&payload[..]));
            let at = at.index(out.len());
            out[at] ^= 1_u8 << bit;
            // The four spare bytes of the header mean nothing.
            prop_assert_eq!(check(&out, PLACE, &name(&payload)).is_err(), !(84..88).contains(&at));
        }
    }
}
