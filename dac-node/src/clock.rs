//! Where time enters. Everything else is told what time it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dac_node_engine::Now;

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Both clocks at once.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Monotonic time counts from here.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.start.elapsed(), unix_seconds: unix.as_secs() }
    }
}

/// The machine's clocks, with the calendar moved: for tests of expiry.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    system: SystemClock,
    ahead_seconds: AtomicU64,
}

impl ShiftedClock {
    /// Moves the calendar forward.
    pub fn advance(&self, seconds: u64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Now {
        let now = self.system.now();
        Now { unix_seconds: now.unix_seconds + self.ahead_seconds.load(Ordering::Relaxed), ..now }
    }
}
