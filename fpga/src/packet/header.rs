//! The 64-byte header: its encoding, and the checks that turn one into a request or a reply.

use super::{
    CheckedRequest, DIGEST_BYTES, Error, HEADER_BYTES, Limits, Opcode, REPLY_MAGIC, REQUEST_MAGIC, Status,
    VERSION, checksum, padded, stride,
};

/// Where the header's own checksum stands.
const HEADER_CRC_AT: usize = 44;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Host to device.
    Request,
    /// Device to host.
    Reply,
}

/// The fields of a header whose magic and checksum hold; nothing else is checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Request or reply.
    pub kind: Kind,
    /// Version of the layout.
    pub version: u8,
    /// Number of the opcode.
    pub opcode: u8,
    /// See [`Opcode`].
    pub flags: u16,
    /// Chosen by the host, echoed by the device.
    pub tag: u64,
    /// Items in the payload.
    pub item_count: u32,
    /// Bytes of an item, without its fill.
    pub item_bytes: u32,
    /// Bytes of the payload, without its fill.
    pub payload_bytes: u32,
    /// Number of the [`Status`].
    pub status: u32,
    /// Clocks from the request's first word to the reply's first word.
    pub cycles: u64,
    /// CRC-32C of the padded payload.
    pub payload_crc32c: u32,
    /// Zero in this version.
    pub reserved: u128,
}

impl Header {
    /// A request for `item_count` items of `item_bytes` each; the payload's checksum is still to be set.
    ///
    /// # Panics
    /// When the payload would be 4 GiB or more.
    pub fn request(opcode: Opcode, prefix: u8, tag: u64, item_count: u32, item_bytes: u32) -> Self {
        let payload = u64::from(item_count) * stride(item_bytes);
        Self {
            kind: Kind::Request,
            version: VERSION,
            opcode: opcode.number(),
            flags: u16::from(prefix),
            tag,
            item_count,
            item_bytes,
            payload_bytes: u32::try_from(payload).expect("a request is split long before 4 GiB"),
            status: 0,
            cycles: 0,
            payload_crc32c: 0,
            reserved: 0,
        }
    }

    /// The reply to a request: one digest for each item, or the items themselves for a loopback.
    pub fn reply_to(request: &CheckedRequest, cycles: u64, payload_crc32c: u32) -> Self {
        let item_bytes = if request.opcode == Opcode::Loopback { request.item_bytes } else { DIGEST_BYTES };
        let header =
            Self::request(request.opcode, request.prefix, request.tag, request.item_count, item_bytes);
        Self { kind: Kind::Reply, cycles, payload_crc32c, ..header }
    }

    /// The reply to a request that is refused.
    pub fn error_reply_to(request: &Self, status: Status, cycles: u64) -> Self {
        Self {
            kind: Kind::Reply,
            version: VERSION,
            item_count: 0,
            item_bytes: 0,
            payload_bytes: 0,
            status: status.number(),
            cycles,
            payload_crc32c: 0,
            reserved: 0,
            ..*request
        }
    }

    /// Bytes that follow the header on the stream.
    pub fn padded_payload_bytes(&self) -> u64 {
        padded(self.payload_bytes)
    }

    /// The 64 bytes, checksum included.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let magic = match self.kind {
            Kind::Request => REQUEST_MAGIC,
            Kind::Reply => REPLY_MAGIC,
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&magic.to_le_bytes());
        bytes[4] = self.version;
        bytes[5] = self.opcode;
        bytes[6..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.tag.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.item_count.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.item_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.status.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.cycles.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.payload_crc32c.to_le_bytes());
        bytes[48..].copy_from_slice(&self.reserved.to_le_bytes());
        let header_crc32c = checksum(&bytes);
        bytes[HEADER_CRC_AT..48].copy_from_slice(&header_crc32c.to_le_bytes());
        bytes
    }

    /// Reads 64 bytes from a stream.
    ///
    /// # Errors
    /// [`Error::Magic`], [`Error::HeaderChecksum`]: what follows on the stream has no meaning any more.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let magic = u32_at(bytes, 0);
        let kind = match magic {
            REQUEST_MAGIC => Kind::Request,
            REPLY_MAGIC => Kind::Reply,
            found => return Err(Error::Magic { found }),
        };
        let found = u32_at(bytes, HEADER_CRC_AT);
        let mut covered = *bytes;
        covered[HEADER_CRC_AT..48].fill(0);
        let expected = checksum(&covered);
        if found != expected {
            return Err(Error::HeaderChecksum { expected, found });
        }
        Ok(Self {
            kind,
            version: bytes[4],
            opcode: bytes[5],
            flags: u16::from_le_bytes([bytes[6], bytes[7]]),
            tag: u64_at(bytes, 8),
            item_count: u32_at(bytes, 16),
            item_bytes: u32_at(bytes, 20),
            payload_bytes: u32_at(bytes, 24),
            status: u32_at(bytes, 28),
            cycles: u64_at(bytes, 32),
            payload_crc32c: u32_at(bytes, 40),
            reserved: u128::from(u64_at(bytes, 48)) | u128::from(u64_at(bytes, 56)) << 64,
        })
    }

    /// The device's checks, all but the payload's checksum.
    ///
    /// # Errors
    /// The status of the error reply.
    pub fn check_request(&self, limits: &Limits) -> Result<CheckedRequest, Status> {
        if self.kind != Kind::Request {
            return Err(Status::Magic);
        }
        if self.version != VERSION {
            return Err(Status::Version);
        }
        let opcode = Opcode::from_number(self.opcode).filter(|opcode| limits.knows(*opcode));
        let opcode = opcode.ok_or(Status::Opcode)?;
        let flags_max = if opcode == Opcode::MerkleKeccak { 0xff } else { 0 };
        let payload_bytes_max = match opcode {
            Opcode::Loopback => limits.loopback_bytes_max(),
            _ => limits.payload_bytes_max,
        };
        let holds = self.flags <= flags_max
            && (1..=limits.item_count_max).contains(&self.item_count)
            && opcode.item_bytes().is_none_or(|item_bytes| item_bytes == self.item_bytes)
            && self.payload_bytes <= payload_bytes_max
            && self.is_consistent()
            && self.status == 0
            && self.cycles == 0;
        if !holds {
            return Err(Status::Shape);
        }
        Ok(CheckedRequest {
            opcode,
            prefix: self.flags.to_le_bytes()[0],
            tag: self.tag,
            item_count: self.item_count,
            item_bytes: self.item_bytes,
            payload_crc32c: self.payload_crc32c,
        })
    }

    /// The host's checks of a reply, all but whether it is the one it waits for.
    ///
    /// # Errors
    /// [`Error::NotAReply`], [`Error::Version`], [`Error::Status`], [`Error::Shape`].
    pub fn check_reply(&self) -> Result<Status, Error> {
        if self.kind != Kind::Reply {
            return Err(Error::NotAReply);
        }
        if self.version != VERSION {
            return Err(Error::Version { found: self.version });
        }
        let status = Status::from_number(self.status).ok_or(Error::Status { found: self.status })?;
        let is_empty_error = status == Status::Ok || self.payload_bytes == 0;
        if !self.is_consistent() || !is_empty_error {
            return Err(Error::Shape {
                item_count: self.item_count,
                item_bytes: self.item_bytes,
                payload_bytes: self.payload_bytes,
            });
        }
        Ok(status)
    }

    /// The counts give the payload's length, and reserved bytes are zero.
    fn is_consistent(&self) -> bool {
        // Below 2^32 * 2^32: no overflow.
        let payload = u64::from(self.item_count).checked_mul(stride(self.item_bytes));
        payload == Some(u64::from(self.payload_bytes)) && self.reserved == 0
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
