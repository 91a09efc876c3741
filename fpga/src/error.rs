//! What can go wrong between a host and its accelerator.

use std::io;

use crate::packet::{self, Status};

/// Why an operation of a [`crate::Device`] ended without its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The deadline passed.
    #[error("{operation} timed out after {done} of {wanted} bytes")]
    TimedOut {
        /// What was waited for.
        operation: &'static str,
        /// Bytes that were moved.
        done: usize,
        /// Bytes asked for.
        wanted: usize,
    },
    /// The other end is gone.
    #[error("the device is gone (while: {operation})")]
    Closed {
        /// What was tried.
        operation: &'static str,
    },
    /// The system said no.
    #[error("{operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The other end does not speak the link's framing.
    #[error("link: {detail}")]
    Link {
        /// What was expected and what came.
        detail: String,
    },
}

impl DeviceError {
    /// Attaches what was tried to an I/O error.
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }
}

/// Why a device was detached, or why it was not attached; [`Fault::Late`] alone does neither.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It could not be opened.
    #[error("cannot open the device: {0}")]
    Unavailable(#[source] DeviceError),
    /// An operation failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A reply's header is damaged or none.
    #[error("reply header: {0}")]
    Header(#[from] packet::Error),
    /// A reply's payload is not what its header says.
    #[error("reply payload has checksum 0x{found:08x}, its header says 0x{expected:08x}")]
    PayloadChecksum {
        /// From the header.
        expected: u32,
        /// Of the bytes.
        found: u32,
    },
    /// A reply with the tag of no request in flight: a second one, or one from before a reset.
    #[error("a reply with tag {tag:#x} came, which no request in flight has")]
    UnexpectedReply {
        /// Its tag.
        tag: u64,
    },
    /// An answer for a caller that had given up and hashed in software.
    #[error("an answer came after its caller's deadline")]
    Late,
    /// A reply to the right request with the wrong counts.
    #[error("a reply carries {found} items where {expected} were asked for")]
    WrongCounts {
        /// Asked for.
        expected: u32,
        /// In the reply.
        found: u32,
    },
    /// The device refused a request that is within its limits.
    #[error("the device refused a request: {status:?}")]
    Refused {
        /// Why.
        status: Status,
    },
    /// The device did not refuse a request that it cannot know.
    #[error("the device did not refuse the unknown opcode {opcode}")]
    NotRefused {
        /// Asked for.
        opcode: u8,
    },
    /// A digest is not what software computes.
    #[error("a digest of the device differs from software's")]
    WrongDigest,
    /// What answers is no device that this driver knows.
    #[error("{register} reads 0x{found:08x} where {expected} belongs")]
    WrongDevice {
        /// Which register.
        register: &'static str,
        /// What would be right, in words.
        expected: &'static str,
        /// What it reads.
        found: u32,
    },
}

/// The kinds of [`Fault`], as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum FaultKind {
    /// The device could not be opened.
    Unavailable,
    /// A deadline passed.
    TimedOut,
    /// The other end is gone.
    Closed,
    /// The system said no.
    Io,
    /// The link's framing is broken.
    Link,
    /// A reply's header is damaged, none, or has the wrong counts.
    CorruptHeader,
    /// A reply's payload is damaged.
    CorruptPayload,
    /// A reply that nobody waits for.
    UnexpectedReply,
    /// A good answer that came after its caller's deadline: dropped, and the device is kept.
    Late,
    /// The device refused a good request.
    Refused,
    /// A digest is wrong.
    WrongDigest,
    /// Not a device of this kind or version.
    WrongDevice,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Unavailable,
        Self::TimedOut,
        Self::Closed,
        Self::Io,
        Self::Link,
        Self::CorruptHeader,
        Self::CorruptPayload,
        Self::UnexpectedReply,
        Self::Late,
        Self::Refused,
        Self::WrongDigest,
        Self::WrongDevice,
    ];

    /// The kind as a label of metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Io => "io",
            Self::Link => "link",
            Self::CorruptHeader => "corrupt_header",
            Self::CorruptPayload => "corrupt_payload",
            Self::UnexpectedReply => "unexpected_reply",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::WrongDigest => "wrong_digest",
            Self::WrongDevice => "wrong_device",
        }
    }
}

impl Fault {
    /// How it is counted.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Unavailable(_) => FaultKind::Unavailable,
            Self::Device(DeviceError::TimedOut { .. }) => FaultKind::TimedOut,
            Self::Device(DeviceError::Closed { .. }) => FaultKind::Closed,
            Self::Device(DeviceError::Io { .. }) => FaultKind::Io,
            Self::Device(DeviceError::Link { .. }) => FaultKind::Link,
            Self::Header(_) | Self::WrongCounts { .. } => FaultKind::CorruptHeader,
            Self::PayloadChecksum { .. } => FaultKind::CorruptPayload,
            Self::UnexpectedReply { .. } => FaultKind::UnexpectedReply,
            Self::Late => FaultKind::Late,
            Self::Refused { .. } => FaultKind::Refused,
            Self::WrongDigest => FaultKind::WrongDigest,
            Self::WrongDevice { .. } | Self::NotRefused { .. } => FaultKind::WrongDevice,
        }
    }
}
