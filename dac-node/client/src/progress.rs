//! What a long operation is doing, for progress bars and logs.

use std::time::Duration;

/// A step of an operation. Byte counts start at zero again after a retry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Local hashing of so many bytes began.
    Hashing {
        /// Length of the batch.
        total_bytes: u64,
    },
    /// Bytes handed to the connection.
    Sent {
        /// So far.
        bytes: u64,
        /// Length of the batch.
        total_bytes: u64,
    },
    /// All bytes are sent; the committee is at work.
    Waiting,
    /// Bytes received.
    Received {
        /// So far.
        bytes: u64,
        /// Length of the batch.
        total_bytes: u64,
    },
    /// Checking certificate or bytes.
    Verifying,
    /// An attempt failed; another follows.
    Retrying {
        /// Member that failed.
        endpoint: String,
        /// Why.
        detail: String,
        /// Pause before the next attempt.
        pause: Duration,
    },
}

/// Receives events. Called from the task that runs the operation: it must not block.
pub trait Progress: Send + Sync {
    /// The operation did something.
    fn report(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Progress for F {
    fn report(&self, event: Event) {
        self(event);
    }
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event) {}
}
