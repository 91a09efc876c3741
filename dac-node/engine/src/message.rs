//! What members say to each other: frames on streams, messages on gossip.
//!
//! Promise: every decoder here is total (no panic on any input), bounded by the caller's frame size before a byte is
//! allocated, and strict (no trailing bytes where none belong). Names of protocols carry the version.
//!
//! A frame on a stream is `length: u32 little-endian`, then a SCALE header, then raw payload (pieces only) to the end.

#![expect(clippy::cast_possible_truncation, reason = "the SCALE derive casts the indices of enum variants")]

mod custody;

use attest::{Attestation, CommitteeHash, Epoch, ShardsRoot, Submission, SubmissionSignature};
use bytes::{BufMut, Bytes, BytesMut};
use dac_node_coding::Piece;
use parity_scale_codec::{Decode, Encode};

use crate::{Reason, Refusal, SeatSet};

pub use custody::{CERTIFICATES_MAX, IDS_MAX, Question, ROOTS_BYTES_MAX, Reply};

/// Stream protocol for dispersal, exchange, votes; a slash and the committee hash follow, so that epochs do not mix.
pub const BULK_PROTOCOL: &str = "/validium-dac/bulk/1";
/// Stream protocol for pulls and reads; the committee hash follows.
pub const REPAIR_PROTOCOL: &str = "/validium-dac/repair/1";
/// Gossip topic prefix; the committee hash follows, so that epochs do not mix.
pub const CONTROL_TOPIC: &str = "/validium-dac/control/1/";
/// Largest frame, length prefix not counted (PROTOCOL section 6).
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Frames that may wait for one peer in one class: 16 MiB of pieces, shared with the other peers' queues.
pub const QUEUE_FRAMES_MAX: usize = 512;
/// Largest gossip message.
pub const GOSSIP_BYTES_MAX: usize = 8 * 1024;
/// Longest explanation that travels with a refusal.
pub const DETAIL_BYTES_MAX: usize = 512;
/// Longest Merkle path: 8 levels for 256 members, 20 for the stripes of the largest batch.
const PATH_MAX: usize = 32;

/// Names one exchange before its `dataRoot`, and hence its batch id, is known:
/// `keccak256(submission digest || shardsRoot)`. Two coordinators of one submission share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct OpenId(pub [u8; 32]);

impl std::fmt::Display for OpenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

/// Introduces a batch: the authorisation, and the root that pieces are checked against.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Open {
    /// Epoch the coordinator works in.
    pub epoch: Epoch,
    /// Its committee.
    pub committee_hash: CommitteeHash,
    /// What the rollup authorised.
    pub submission: Submission,
    /// The rollup's signature on it.
    pub signature: SubmissionSignature,
    /// Root over all pieces.
    pub shards_root: ShardsRoot,
    /// Seat of the coordinator, as claimed by whoever introduces the batch. Nothing of value rests on it: it decides
    /// where attestations go first and who is expected to push.
    pub coordinator: u16,
}

impl Open {
    /// The exchange it introduces. `domain` is the committee's.
    pub fn id(&self, domain: &attest::Domain) -> OpenId {
        self.id_of(&self.submission.digest(domain))
    }

    /// [`id`](Self::id) for whoever has the digest of its submission.
    pub(crate) fn id_of(&self, submission: &attest::SubmissionDigest) -> OpenId {
        let mut named = [0u8; 64];
        named[..32].copy_from_slice(submission.as_bytes());
        named[32..].copy_from_slice(self.shards_root.as_bytes());
        OpenId(fpga_hash::keccak256(&named))
    }
}

/// Asks a peer for pieces of a stripe that is being exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    /// Which exchange.
    pub open_id: OpenId,
    /// Which stripe.
    pub stripe: u32,
    /// Pieces the asker has.
    pub held: SeatSet,
    /// How many more it needs.
    pub count: u16,
}

/// Asks a peer for one stripe's pieces of a stored batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Read {
    /// Chosen by the asker; the answer echoes it.
    pub request: u64,
    /// Statement digest of the batch.
    pub batch_id: attest::BatchId,
    /// Which stripe.
    pub stripe: u32,
    /// Pieces the asker has.
    pub held: SeatSet,
    /// How many it wants at most.
    pub count: u16,
}

/// An attestation, and the exchange it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Vote {
    /// Which exchange.
    pub open_id: OpenId,
    /// The member's signature.
    pub attestation: Attestation,
}

/// A member's no.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct No {
    /// Which exchange.
    pub open_id: OpenId,
    /// The code.
    pub reason: Reason,
    /// UTF-8, at most [`DETAIL_BYTES_MAX`].
    detail: Vec<u8>,
}

impl No {
    /// A refusal as it travels; the sentence is cut to [`DETAIL_BYTES_MAX`].
    pub fn new(open_id: OpenId, refusal: &Refusal) -> No {
        let mut detail = refusal.detail.clone().into_bytes();
        detail.truncate(DETAIL_BYTES_MAX);
        No { open_id, reason: refusal.reason, detail }
    }

    /// What the member said, control characters replaced.
    pub fn refusal(&self) -> Refusal {
        let said = String::from_utf8_lossy(&self.detail);
        Refusal::new(
            self.reason,
            said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>(),
        )
    }
}

/// What travels on streams.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Introduces a batch; precedes the first piece of it on every stream.
    Open(Box<Open>),
    /// A coded piece of an exchange.
    Piece(OpenId, Piece),
    /// An attestation, sent to the coordinator.
    Vote(Vote),
    /// A refusal, sent to the coordinator.
    No(No),
    /// Asks for pieces of an exchange.
    Want(Want),
    /// Answer to [`Want`]: nothing (more) of this stripe here.
    Lack(OpenId, u32),
    /// Asks for stored pieces.
    Read(Read),
    /// A stored piece.
    ReadPiece(u64, Piece),
    /// End of the answer to [`Read`]: so many pieces were sent.
    ReadEnd(u64, u16),
    /// Asks what the peer keeps. The number is the asker's; the answer echoes it.
    Ask(u64, Question),
    /// Answer to [`Message::Ask`].
    Reply(u64, Reply),
}

/// SCALE form of a frame's header.
#[derive(Encode, Decode)]
enum Header {
    #[codec(index = 0)]
    Open(Box<Open>),
    #[codec(index = 1)]
    Piece(OpenId, PieceHeader),
    #[codec(index = 2)]
    Vote(Vote),
    #[codec(index = 3)]
    No(No),
    #[codec(index = 4)]
    Want(Want),
    #[codec(index = 5)]
    Lack(OpenId, u32),
    #[codec(index = 6)]
    Read(Read),
    #[codec(index = 7)]
    ReadPiece(u64, PieceHeader),
    #[codec(index = 8)]
    ReadEnd(u64, u16),
    #[codec(index = 9)]
    Ask(u64, Question),
    #[codec(index = 10)]
    Reply(u64, Reply),
}

#[derive(Encode, Decode)]
struct PieceHeader {
    stripe: u32,
    index: u16,
    path: Vec<[u8; 32]>,
}

impl PieceHeader {
    fn of(piece: &Piece) -> PieceHeader {
        PieceHeader { stripe: piece.stripe, index: piece.index, path: piece.path.clone() }
    }

    fn with(self, bytes: Bytes) -> Piece {
        Piece { stripe: self.stripe, index: self.index, bytes, path: self.path }
    }
}

/// Why bytes from a peer are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not SCALE of any message.
    #[error("undecodable header")]
    Header,
    /// Bytes after a message that has no payload.
    #[error("{0} bytes after the message")]
    Trailing(usize),
    /// A list longer than any honest one.
    #[error("{what} of {found} entries, at most {limit}")]
    TooLong {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

impl Message {
    /// The frame, length prefix included. Copies the payload once; clones of the result share it.
    pub fn to_frame(&self) -> Bytes {
        let (header, payload): (Header, &[u8]) = match self {
            Message::Open(open) => (Header::Open(open.clone()), &[]),
            Message::Piece(id, piece) => (Header::Piece(*id, PieceHeader::of(piece)), &piece.bytes),
            Message::Vote(vote) => (Header::Vote(vote.clone()), &[]),
            Message::No(no) => (Header::No(no.clone()), &[]),
            Message::Want(want) => (Header::Want(want.clone()), &[]),
            Message::Lack(id, stripe) => (Header::Lack(*id, *stripe), &[]),
            Message::Read(read) => (Header::Read(read.clone()), &[]),
            Message::ReadPiece(request, piece) => {
                (Header::ReadPiece(*request, PieceHeader::of(piece)), &piece.bytes)
            }
            Message::ReadEnd(request, sent) => (Header::ReadEnd(*request, *sent), &[]),
            Message::Ask(request, question) => (Header::Ask(*request, question.clone()), &[]),
            Message::Reply(request, reply) => (Header::Reply(*request, reply.clone()), &[]),
        };
        let header = header.encode();
        let length = header.len() + payload.len();
        assert!(length <= FRAME_BYTES_MAX, "own frame of {length} bytes");
        let mut frame = BytesMut::with_capacity(4 + length);
        frame.put_u32_le(u32::try_from(length).expect("below FRAME_BYTES_MAX"));
        frame.put_slice(&header);
        frame.put_slice(payload);
        frame.freeze()
    }

    /// Decodes a frame's body (without the length prefix); the payload shares `body`'s allocation.
    pub fn from_body(body: Bytes) -> Result<Message, Malformed> {
        let mut rest = &body[..];
        let header = Header::decode(&mut rest).map_err(|_| Malformed::Header)?;
        let left = rest.len();
        let payload = body.slice(body.len() - left..);
        let message = match header {
            Header::Piece(id, piece) => return Ok(Message::Piece(id, checked_path(piece)?.with(payload))),
            Header::ReadPiece(request, piece) => {
                return Ok(Message::ReadPiece(request, checked_path(piece)?.with(payload)));
            }
            Header::Open(open) => Message::Open(open),
            Header::Vote(vote) => Message::Vote(vote),
            Header::No(no) => Message::No(checked_detail(no)?),
            Header::Want(want) => Message::Want(want),
            Header::Lack(id, stripe) => Message::Lack(id, stripe),
            Header::Read(read) => Message::Read(read),
            Header::ReadEnd(request, sent) => Message::ReadEnd(request, sent),
            Header::Ask(request, question) => Message::Ask(request, question.checked()?),
            Header::Reply(request, reply) => Message::Reply(request, reply.checked()?),
        };
        if left == 0 { Ok(message) } else { Err(Malformed::Trailing(left)) }
    }

    /// The exchange it belongs to; `None` for reads of stored batches.
    pub fn open_id(&self, domain: &attest::Domain) -> Option<OpenId> {
        match self {
            Message::Open(open) => Some(open.id(domain)),
            Message::Piece(id, _) | Message::Lack(id, _) => Some(*id),
            Message::Vote(vote) => Some(vote.open_id),
            Message::No(no) => Some(no.open_id),
            Message::Want(want) => Some(want.open_id),
            Message::Read(_)
            | Message::ReadPiece(..)
            | Message::ReadEnd(..)
            | Message::Ask(..)
            | Message::Reply(..) => None,
        }
    }

    /// Whether it belongs on the repair stream.
    pub fn is_repair(&self) -> bool {
        matches!(
            self,
            Message::Want(_)
                | Message::Lack(..)
                | Message::Read(_)
                | Message::ReadPiece(..)
                | Message::ReadEnd(..)
                | Message::Ask(..)
                | Message::Reply(..)
        )
    }
}

fn checked_path(piece: PieceHeader) -> Result<PieceHeader, Malformed> {
    let found = piece.path.len();
    if found > PATH_MAX {
        Err(Malformed::TooLong { what: "path", found, limit: PATH_MAX })
    } else {
        Ok(piece)
    }
}

fn checked_detail(no: No) -> Result<No, Malformed> {
    let found = no.detail.len();
    if found > DETAIL_BYTES_MAX {
        return Err(Malformed::TooLong { what: "detail", found, limit: DETAIL_BYTES_MAX });
    }
    Ok(no)
}

/// What travels by gossip.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Control {
    /// Introduces a batch.
    #[codec(index = 0)]
    Open(Box<Open>),
    /// An attestation.
    #[codec(index = 1)]
    Vote(Vote),
    /// A certificate, SCALE (at most a few hundred bytes; decoded strictly by `attest`).
    #[codec(index = 2)]
    Certificate(Vec<u8>),
}

impl Control {
    /// Decodes a gossip message strictly.
    pub fn from_bytes(bytes: &[u8]) -> Result<Control, Malformed> {
        let mut rest = bytes;
        let control = Control::decode(&mut rest).map_err(|_| Malformed::Header)?;
        if rest.is_empty() { Ok(control) } else { Err(Malformed::Trailing(rest.len())) }
    }
}

#[cfg(test)]
mod tests;
