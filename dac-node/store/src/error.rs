//! Why a store did not answer with data.
//!
//! Only [`Error::Poisoned`] ends the store; after any other error it is as it was before the call.

use std::path::PathBuf;

use crate::ContentKey;

/// Everything a store can answer with instead of data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Refused before the disk is full, so that what is here stays readable and prunable.
    #[error("storage full: {needed_bytes} bytes needed, {free_bytes} free above the reserve")]
    Full {
        /// Bytes the write would take.
        needed_bytes: u64,
        /// Bytes left above the reserve.
        free_bytes: u64,
    },
    /// A statement without content, and the content is not here either.
    #[error("content {0:?} is not stored")]
    UnknownContent(ContentKey),
    /// A stored record whose checksum does not hold: bit rot or a foreign hand.
    #[error("corrupt record in segment {segment} at {offset}: {what}")]
    Corrupt {
        /// Segment file name.
        segment: String,
        /// Byte offset in it.
        offset: u64,
        /// What did not hold.
        what: &'static str,
    },
    /// An earlier sync or commit failed; nothing may be signed any more.
    #[error("store stopped after a failed sync: {0}")]
    Poisoned(String),
    /// Another store, in this process or another, works in the directory.
    #[error("{} is in use by process {holder}", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Process id of the holder, as far as it is known.
        holder: String,
    },
    /// Written by another version of this program.
    #[error("store format {found} is not supported, expected {expected}")]
    Version {
        /// The version this program writes.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// A range that ends before it starts or behind the batch, or a stripe that does not exist.
    #[error("{what} {asked} is beyond {limit}")]
    OutOfRange {
        /// `byte` or `stripe`.
        what: &'static str,
        /// Asked for.
        asked: u64,
        /// Bytes of the batch, or the last stripe.
        limit: u64,
    },
    /// Evidence that is too large to keep.
    #[error("evidence of {bytes} bytes, at most {bytes_max} are kept")]
    EvidenceTooLarge {
        /// Its length.
        bytes: usize,
        /// [`super::EVIDENCE_BYTES_MAX`].
        bytes_max: usize,
    },
    /// Not a certificate.
    #[error(transparent)]
    Certificate(#[from] attest::Error),
    /// The operating system refused.
    #[error("storage: {0}")]
    Io(#[from] std::io::Error),
    /// The metadata database refused.
    #[error("metadata: {0}")]
    Metadata(String),
}

impl Error {
    /// True when the process must stop instead of going on.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Poisoned(_))
    }
}
