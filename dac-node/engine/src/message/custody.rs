//! What members ask each other about what they keep: certificates, piece roots, single leaves.
//!
//! Promise: every question costs its answerer a bounded amount of work and bytes, and every answer can be checked by who
//! asked: certificates by their signature, roots and leaves against the `shardsRoot` that a certificate states.

use attest::BatchId;
use parity_scale_codec::{Decode, Encode};

use super::{Malformed, PATH_MAX};

/// Ids in one [`Reply::CertificatesSince`]: 128 KiB.
pub const IDS_MAX: usize = 4096;
/// Certificates in one [`Reply::Certificates`]: at most 100 KiB, a certificate of 256 members takes 400 bytes.
pub const CERTIFICATES_MAX: usize = 256;
/// Bytes of piece roots in one [`Reply::PieceRoots`].
pub const ROOTS_BYTES_MAX: usize = 128 * 1024;
/// Bytes of one leaf.
const LEAF_BYTES_MAX: usize = dac_node_coding::LEAF_BYTES;

/// A question about what a member keeps.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Question {
    /// Live certificates in the order in which the asked member stored them, from this place on.
    #[codec(index = 0)]
    CertificatesSince(u64),
    /// These certificates, at most [`CERTIFICATES_MAX`].
    #[codec(index = 1)]
    Certificates(Vec<BatchId>),
    /// Roots of the pieces of a batch, from this stripe on.
    #[codec(index = 2)]
    PieceRoots(BatchId, u32),
    /// One leaf of the asked member's own piece of a stripe: batch, stripe, leaf.
    #[codec(index = 3)]
    Leaf(BatchId, u32, u32),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// To [`Question::CertificatesSince`].
    #[codec(index = 0)]
    CertificatesSince {
        /// At most [`IDS_MAX`].
        ids: Vec<BatchId>,
        /// The place behind them.
        next: u64,
        /// Whether there may be more.
        more: bool,
    },
    /// To [`Question::Certificates`]: SCALE each, those that are here.
    #[codec(index = 1)]
    Certificates(Vec<Vec<u8>>),
    /// To [`Question::PieceRoots`]: 32 bytes each, stripe by stripe, whole stripes.
    #[codec(index = 2)]
    PieceRoots(Vec<u8>),
    /// To [`Question::Leaf`]: the leaf, and its path to shardsRoot.
    #[codec(index = 3)]
    Leaf(Vec<u8>, Vec<[u8; 32]>),
    /// Nothing of the kind is here.
    #[codec(index = 4)]
    NotHere,
}

impl Question {
    pub(super) fn checked(self) -> Result<Question, Malformed> {
        if let Question::Certificates(ids) = &self {
            bounded("ids", ids.len(), CERTIFICATES_MAX)?;
        }
        Ok(self)
    }
}

impl Reply {
    pub(super) fn checked(self) -> Result<Reply, Malformed> {
        match &self {
            Reply::CertificatesSince { ids, .. } => bounded("ids", ids.len(), IDS_MAX)?,
            Reply::Certificates(certificates) => {
                bounded("certificates", certificates.len(), CERTIFICATES_MAX)?;
            }
            Reply::PieceRoots(roots) => bounded("roots", roots.len(), ROOTS_BYTES_MAX)?,
            Reply::Leaf(bytes, path) => {
                bounded("leaf", bytes.len(), LEAF_BYTES_MAX)?;
                bounded("path", path.len(), PATH_MAX)?;
            }
            Reply::NotHere => {}
        }
        Ok(self)
    }
}

fn bounded(what: &'static str, found: usize, limit: usize) -> Result<(), Malformed> {
    if found > limit { Err(Malformed::TooLong { what, found, limit }) } else { Ok(()) }
}
