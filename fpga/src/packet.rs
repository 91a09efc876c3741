//! What travels on the device's two streams: packets of a 64-byte header and a payload.
//!
//! Promise: [`Header::decode`] and the two checks behind it take any 64 bytes without panic; every header has one
//! encoding; what [`Header::check_request`] accepts is exactly what a device answers with [`Status::Ok`] when the
//! payload's checksum holds.
//!
//! # Layout
//!
//! Little-endian. A device sees a header as eight 64-bit words, one a beat, byte 0 in bits 7 to 0.
//!
//! | word | bits | field | request | reply |
//! |---|---|---|---|---|
//! | 0 | 31..0 | magic | [`REQUEST_MAGIC`] | [`REPLY_MAGIC`] |
//! | 0 | 39..32 | version | [`VERSION`] | [`VERSION`] |
//! | 0 | 47..40 | opcode | [`Opcode`] | the request's |
//! | 0 | 63..48 | flags | [`Opcode::MerkleKeccak`]: the prefix byte; else 0 | the request's |
//! | 1 | 63..0 | tag | the host's choice | the request's |
//! | 2 | 31..0 | item_count | at least 1 | the request's; 0 in an error reply |
//! | 2 | 63..32 | item_bytes | bytes of each item, 0 allowed | 32; the request's for loopback; 0 in an error reply |
//! | 3 | 31..0 | payload_bytes | `item_count * stride(item_bytes)` | the same of its own numbers |
//! | 3 | 63..32 | status | 0 | [`Status`] |
//! | 4 | 63..0 | cycles | 0 | clocks from the request's first word to the reply's first word |
//! | 5 | 31..0 | payload_crc32c | over the padded payload | over the padded payload |
//! | 5 | 63..32 | header_crc32c | over the 64 bytes of the header, this field taken as 0 | the same |
//! | 6, 7 | | reserved | 0 | 0 |
//!
//! A payload is filled up with zeros to a multiple of 64 bytes; the fill is under the checksum and not in
//! `payload_bytes`. An item takes [`stride`] bytes, its length rounded up to a multiple of 8 and filled with zeros, so
//! that each item starts on a beat. CRC-32C is Castagnoli's (RFC 3720 section 12.1): initial value and final XOR all
//! ones, reflected; over no bytes it is 0.
//!
//! # What a device does with a request
//!
//! 1. Wrong magic or header checksum: nobody knows where the next header is. The device sets the sticky error and
//!    swallows all input until it is reset. It sends no reply.
//! 2. Otherwise it reads the header's payload to its end, padded to 64 bytes, whatever it holds.
//! 3. The first thing that is wrong, in the order of [`Status`], sets its sticky error and is the status of an error
//!    reply: tag, opcode and flags of the request, counts and payload 0. The sticky error is set when it is known: for
//!    what the header says before its payload comes, so that a host whose payload is too short can read why.
//! 4. Otherwise the reply carries the request's items (loopback) or one 32-byte digest for each item, in order.
//!
//! Replies leave in the order of their requests. A device takes a request in full while fewer than
//! [`Limits::packets_max`] replies are unread: a host that keeps to that never waits for itself.
//!
//! Left out on purpose: packets are never framed by TLAST or by the length of a read, because DMA engines return
//! arbitrary lengths and drop bytes at a timeout.

mod header;
mod opcode;
mod status;
#[cfg(test)]
mod tests;

pub use header::{Header, Kind};
pub use opcode::Opcode;
pub use status::Status;

/// Bytes of a header, and the unit that payloads are filled up to.
pub const HEADER_BYTES: usize = 64;

/// Bytes of a digest in a reply.
pub const DIGEST_BYTES: u32 = 32;

/// The version of this layout.
pub const VERSION: u8 = 1;

/// The first four bytes of a request, "DACQ".
pub const REQUEST_MAGIC: u32 = u32::from_le_bytes(*b"DACQ");

/// The first four bytes of a reply, "DACR": a host that reads its own request back does not take it for an answer.
pub const REPLY_MAGIC: u32 = u32::from_le_bytes(*b"DACR");

/// Bytes that an item takes in a payload: its length rounded up to whole 64-bit words.
pub fn stride(item_bytes: u32) -> u64 {
    u64::from(item_bytes).next_multiple_of(8)
}

/// Bytes that a payload takes on the stream: filled up to whole 64-byte blocks.
pub fn padded(payload_bytes: u32) -> u64 {
    u64::from(payload_bytes).next_multiple_of(HEADER_BYTES as u64)
}

/// CRC-32C of a padded payload, or of any bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// What one device can take, from its capabilities register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bit n is set when the device knows opcode n.
    pub opcodes: u8,
    /// Most items of a request, from 1.
    pub item_count_max: u32,
    /// Most payload bytes of a request, without the fill.
    pub payload_bytes_max: u32,
    /// Replies that a device keeps unread while it still takes requests in full, from 1.
    pub packets_max: u32,
}

impl Limits {
    /// Whether the device knows an opcode.
    pub fn knows(&self, opcode: Opcode) -> bool {
        self.opcodes & opcode.bit() != 0
    }

    /// Most payload bytes of a loopback: what the replies of [`Limits::item_count_max`] digests take.
    pub fn loopback_bytes_max(&self) -> u32 {
        self.payload_bytes_max.min(self.item_count_max.saturating_mul(DIGEST_BYTES))
    }
}

/// A request whose header a device answers with results: opcode known, counts within the limits and consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedRequest {
    /// What to do.
    pub opcode: Opcode,
    /// The prefix byte of [`Opcode::MerkleKeccak`], else 0.
    pub prefix: u8,
    /// Echoed by the reply.
    pub tag: u64,
    /// Items in the payload, at least 1.
    pub item_count: u32,
    /// Bytes of each item without its fill.
    pub item_bytes: u32,
    /// CRC-32C that the padded payload must have.
    pub payload_crc32c: u32,
}

/// Why 64 bytes are no header, or a reply is none of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first four bytes are neither magic.
    #[error("magic is 0x{found:08x}, neither a request's nor a reply's")]
    Magic {
        /// What stood there.
        found: u32,
    },
    /// The header's checksum is another one.
    #[error("header checksum is 0x{found:08x}, its bytes give 0x{expected:08x}")]
    HeaderChecksum {
        /// Computed over the bytes.
        expected: u32,
        /// What stood there.
        found: u32,
    },
    /// A request where a reply belongs.
    #[error("a request came back where a reply belongs")]
    NotAReply,
    /// Another version of the layout.
    #[error("version is {found}, this driver speaks {VERSION}")]
    Version {
        /// What stood there.
        found: u8,
    },
    /// A status that this version does not define.
    #[error("status {found} is not defined")]
    Status {
        /// What stood there.
        found: u32,
    },
    /// Counts that do not belong together, or reserved bytes that are not zero.
    #[error(
        "{item_count} items of {item_bytes} bytes do not make {payload_bytes} payload bytes, or reserved bytes are set"
    )]
    Shape {
        /// Items announced.
        item_count: u32,
        /// Bytes of each.
        item_bytes: u32,
        /// Payload bytes announced.
        payload_bytes: u32,
    },
}
