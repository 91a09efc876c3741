//! What can be wrong with pieces, stripes and batches, and whose fault it is.
//!
//! Promise: every error that bytes from outside can cause names who is to blame, so that a member penalises the peer
//! that sent a bad piece, refuses the batch of a lying encoder, and blames nobody for its own disk.

use std::fmt;

use fpga_hash::Digest;

use crate::Commitment;

/// Why a layout, piece, stripe or batch was refused. Digests are 32 bytes, shown as hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An empty batch has no encoding.
    #[error("batch is empty")]
    EmptyBatch,
    /// The batch is longer than the protocol allows.
    #[error("batch has {found} bytes, at most {bytes_max} are allowed")]
    BatchTooLarge {
        /// Length of the batch.
        found: u64,
        /// [`crate::BATCH_BYTES_MAX`].
        bytes_max: u64,
    },
    /// Not `1 <= minimum_shards <= members <= 256`.
    #[error("minimum shards {minimum_shards} of {members} members is not 1 <= k <= n <= 256")]
    BadThresholds {
        /// `n` as given.
        members: u16,
        /// `k` as given.
        minimum_shards: u16,
    },
    /// A piece names a stripe the batch does not have.
    #[error("stripe {stripe} does not exist, the batch has {stripes}")]
    StripeOutOfRange {
        /// Stripe as received.
        stripe: u32,
        /// Stripes of the batch.
        stripes: u32,
    },
    /// A piece names a member the committee does not have.
    #[error("piece index {index} does not exist, the committee has {members} members")]
    PieceIndexOutOfRange {
        /// Index as received.
        index: u16,
        /// `n` of the layout.
        members: u16,
    },
    /// A piece is not exactly as long as the layout says.
    #[error("piece ({stripe}, {index}) has {found} bytes, not {expected}")]
    PieceLength {
        /// Stripe of the piece.
        stripe: u32,
        /// Index of the piece.
        index: u16,
        /// Bytes by the layout.
        expected: usize,
        /// Bytes received.
        found: usize,
    },
    /// A Merkle path has not exactly the digests its position asks for.
    #[error("path of piece ({stripe}, {index}) has {found} digests, not {expected}")]
    PathLength {
        /// Stripe of the piece.
        stripe: u32,
        /// Index of the piece.
        index: u16,
        /// Digests by the layout.
        expected: usize,
        /// Digests received.
        found: usize,
    },
    /// A piece and its path lead to another root than the batch's: the piece is not part of this batch.
    #[error("piece ({stripe}, {index}) leads to shards root {}, not {}", Hex(.found), Hex(.expected))]
    PathMismatch {
        /// Stripe of the piece.
        stripe: u32,
        /// Index of the piece.
        index: u16,
        /// The batch's shardsRoot.
        expected: Digest,
        /// Where the path led.
        found: Digest,
    },
    /// A leaf number past the end of its piece.
    #[error("leaf {leaf} does not exist, the piece has {leaves}")]
    LeafOutOfRange {
        /// Leaf as received.
        leaf: u32,
        /// Leaves of the piece.
        leaves: u32,
    },
    /// An opened leaf is not exactly as long as the layout says.
    #[error("leaf {leaf} has {found} bytes, not {expected}")]
    LeafLength {
        /// Leaf number.
        leaf: u32,
        /// Bytes by the layout.
        expected: usize,
        /// Bytes received.
        found: usize,
    },
    /// A table of piece roots is not exactly as long as the layout says.
    #[error("table of piece roots has {found} bytes, not {expected}")]
    PieceRootsLength {
        /// `n * stripes * 32`.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A table of piece roots belongs to another batch, or was damaged.
    #[error("table of piece roots leads to shards root {}, not {}", Hex(.found), Hex(.expected))]
    PieceRootsMismatch {
        /// The batch's shardsRoot.
        expected: Digest,
        /// The root of the table.
        found: Digest,
    },
    /// Fewer than `k` different pieces of a stripe.
    #[error("stripe {stripe} has {found} different pieces, decoding needs {needed}")]
    TooFewPieces {
        /// The stripe.
        stripe: u32,
        /// Minimum shards `k`.
        needed: u16,
        /// Different pieces given.
        found: u16,
    },
    /// A checked piece of another stripe, layout or batch was given with the others: the caller mixed them up.
    #[error("piece ({found_stripe}, {index}) does not belong with the pieces of stripe {stripe}")]
    ForeignPiece {
        /// Stripe being decoded.
        stripe: u32,
        /// Stripe of the piece.
        found_stripe: u32,
        /// Index of the piece.
        index: u16,
    },
    /// Pieces are in the committed tree, yet they are no correct encoding: who committed to them lied.
    #[error("stripe {stripe} is badly encoded: {fault}")]
    BadEncoding {
        /// The stripe.
        stripe: u32,
        /// What is wrong with it.
        fault: EncodingFault,
    },
    /// A batch was finished before all its stripes were there.
    #[error("{missing} of {stripes} stripes are missing")]
    MissingStripes {
        /// Stripes not inserted.
        missing: u32,
        /// Stripes of the batch.
        stripes: u32,
    },
    /// The decoded batch has another commitment than announced: who announced it lied.
    #[error("{which} is {}, announced was {}", Hex(.found), Hex(.expected))]
    CommitmentMismatch {
        /// The first commitment that differs, in the order shardsRoot, dataHash, dataRoot.
        which: Commitment,
        /// As announced.
        expected: Digest,
        /// As computed from the bytes.
        found: Digest,
    },
    /// Bytes read back are not the ones that were committed to: a disk, or a bug, damaged them.
    #[error("stored data of stripe {stripe} differs from its commitment in data piece {index}")]
    StoredDataMismatch {
        /// The stripe.
        stripe: u32,
        /// The first data piece that differs.
        index: u16,
    },
    /// Stored bytes of a stripe have another length than the layout says.
    #[error("stored data of stripe {stripe} has {found} bytes, not {expected}")]
    StoredDataLength {
        /// The stripe.
        stripe: u32,
        /// Bytes by the layout.
        expected: usize,
        /// Bytes read.
        found: usize,
    },
}

/// How a stripe fails to be the encoding of its data. Which one is reported may depend on the pieces used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// The last stripe's data is filled up with something else than zeros.
    #[error("padding byte {offset} of the stripe is not zero")]
    NonZeroPadding {
        /// Offset in the padded stripe, in bytes.
        offset: usize,
    },
    /// A committed piece differs from the one that `k` other committed pieces imply.
    #[error("piece {index} is not what the other pieces imply")]
    PieceDiffers {
        /// Index of the piece.
        index: u16,
    },
    /// The correct encoding of the data has another stripe root than the committed one.
    #[error("stripe root is {}, not {} as committed", Hex(.found), Hex(.expected))]
    StripeRoot {
        /// As committed.
        expected: Digest,
        /// Of the correct encoding.
        found: Digest,
    },
}

/// Who is to blame for an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever handed over these bytes: a peer sent something that is not part of the batch.
    Sender,
    /// Whoever encoded and announced the batch. The peers that passed its pieces on did nothing wrong.
    Encoder,
    /// This node: parameters, a caller's mistake, its disk.
    Local,
}

impl Error {
    /// Who is to blame.
    pub fn fault(&self) -> Fault {
        match self {
            Self::StripeOutOfRange { .. }
            | Self::PieceIndexOutOfRange { .. }
            | Self::PieceLength { .. }
            | Self::PathLength { .. }
            | Self::PathMismatch { .. }
            | Self::LeafOutOfRange { .. }
            | Self::LeafLength { .. }
            | Self::PieceRootsLength { .. }
            | Self::PieceRootsMismatch { .. } => Fault::Sender,
            Self::EmptyBatch
            | Self::BatchTooLarge { .. }
            | Self::BadEncoding { .. }
            | Self::CommitmentMismatch { .. } => Fault::Encoder,
            Self::BadThresholds { .. }
            | Self::TooFewPieces { .. }
            | Self::ForeignPiece { .. }
            | Self::MissingStripes { .. }
            | Self::StoredDataMismatch { .. }
            | Self::StoredDataLength { .. } => Fault::Local,
        }
    }

    /// Whether the peer that sent the bytes is to be penalised. False when the encoder lied: see [`Error::fault`].
    pub fn is_peer_fault(&self) -> bool {
        self.fault() == Fault::Sender
    }
}

/// Shows a digest as `0x` and 64 hexadecimal digits.
struct Hex<'a>(&'a Digest);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
