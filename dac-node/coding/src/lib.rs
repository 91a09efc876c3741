//! How a batch becomes pieces and commitments, and pieces become the batch again.
//!
//! Promises: a [`CheckedPiece`] belongs to its `shardsRoot`; a [`DecodedStripe`] is the one correct encoding of its
//! data; a [`DecodedBatch`] hashes to all three commitments. Nothing here does I/O, waits or reads a clock, and no
//! bytes from outside make it panic. Batch lengths and committee sizes are bounded by [`Layout`], so memory is too.
//!
//! Terms, from the protocol: a *batch* is cut into *stripes*; a stripe is coded into one *piece* per member, any
//! *minimum shards* `k` of which rebuild it; *shard* `i` is piece `i` of every stripe.
//!
//! The way in (coordinator): [`Layout::new`], [`Coder::new`], [`commit`], then per stripe [`Coder::encode_stripe`] and
//! [`EncodedStripe::piece`]. The way back (member): [`Piece::check`] or [`check_many`], [`decode_stripe`],
//! [`BatchAssembler`]. Serving: [`verify_stripe_data`] and [`PieceRoots`]; auditing: [`LeafOpening`].
//!
//! Left out on purpose: which member gets which piece (the engine's), frames and files (the node's), signatures.

mod assembler;
mod coder;
mod commitments;
mod decode;
mod error;
mod layout;
mod leaf;
mod piece;
mod piece_roots;
#[cfg(feature = "planted-faults")]
mod planted;
mod stored;
mod tree;

pub use assembler::{BatchAssembler, DecodedBatch};
pub use coder::{Coder, EncodedStripe};
pub use commitments::{Commitment, Commitments, commit, encode_and_root};
pub use decode::{DecodedStripe, decode_stripe};
pub use error::{EncodingFault, Error, Fault};
pub use layout::{
    BATCH_BYTES_MAX, LEAF_BYTES, Layout, MEMBERS_MAX, PATH_DIGESTS_MAX, PIECE_BYTES, PIECE_BYTES_MULTIPLE,
};
pub use leaf::{CheckedLeaf, LeafOpening, open_leaf};
pub use piece::{CheckedPiece, Piece, check_many};
pub use piece_roots::{PieceRoots, StripePaths};
#[cfg(feature = "planted-faults")]
pub use planted::PlantedFault;
pub use stored::{CheckedStripe, verify_stripe_data};

pub use fpga_hash::Digest;
