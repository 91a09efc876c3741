//! The one place where this crate reads the clock: how much of a timeout is left.

use std::time::{Duration, Instant};

/// A point in time that no wait goes beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// `timeout` from now.
    pub(crate) fn after(timeout: Duration) -> Self {
        Self(now() + timeout)
    }

    /// What is left for an operation that takes a timeout; zero when the point has passed.
    pub(crate) fn timeout(self) -> Duration {
        self.left().unwrap_or_default()
    }

    /// What is left; `None` when the point has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(now()).filter(|left| !left.is_zero())
    }
}

/// Runs a call that has a deadline of its own, far below a minute. One that never returns fails the test and does not hang it.
#[cfg(test)]
pub(crate) fn returning<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (returned, returns) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || returned.send(call()));
    returns.recv_timeout(Duration::from_secs(60)).expect("the call returns")
}

#[expect(clippy::disallowed_methods, reason = "deadlines of device I/O are real time by nature")]
fn now() -> Instant {
    Instant::now()
}
