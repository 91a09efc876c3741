//! How far the wall clock is believed when something is about to be dropped for ever.
//!
//! Promise: a clock that jumps ahead, while the node runs or while it was down, drops nothing that a right clock would
//! keep until it has been ahead for [`HOLD`] of the node's running time; a clock that goes back drops nothing early.
//! Everything else (deadlines, quotas) goes by the wall clock as it is: those errors refuse, they do not destroy.
//!
//! Terms: the *floor* is a time that surely is over: the newest acceptance in the store at start, and from there on with
//! the monotonic clock. The wall clock is believed at once up to a *step* beyond the floor, and not a step more each time.
//!
//! Left out on purpose: asking members or L1 for the time. Nothing they say is signed, and the price of waiting is disk
//! space for a day: after a pause longer than the step, what expired meanwhile goes a day later.

use std::time::Duration;

use dac_node_engine::Now;

/// A wall clock that stays ahead this long, while the node runs, is believed: time for an operator to look at the warning.
pub(super) const HOLD: Duration = Duration::from_secs(24 * 3600);

/// What is known of the time.
#[derive(Debug)]
pub(super) struct Calendar {
    step_seconds: u64,
    floor_unix_seconds: u64,
    /// Monotonic time at which the floor was right.
    floor_at: Duration,
    /// Monotonic time since which the wall clock has been too far ahead.
    ahead_since: Option<Duration>,
}

/// A time to prune by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Believed {
    /// Nothing that is kept until then or later may go.
    pub(super) unix_seconds: u64,
    /// By how much the wall clock is not believed.
    pub(super) doubted_seconds: u64,
}

impl Calendar {
    /// `known` is the newest time that the store remembers; without one there is nothing to lose, and the clock is right.
    pub(super) fn new(known: Option<u64>, step: Duration, now: Now) -> Calendar {
        Calendar {
            step_seconds: step.as_secs(),
            floor_unix_seconds: known.unwrap_or(now.unix_seconds),
            floor_at: now.monotonic,
            ahead_since: None,
        }
    }

    /// How far ahead is believed at once.
    pub(super) fn step(&self) -> Duration {
        Duration::from_secs(self.step_seconds)
    }

    /// What to believe now.
    pub(super) fn believe(&mut self, now: Now) -> Believed {
        let passed = now.monotonic.saturating_sub(self.floor_at);
        let floor = self.floor_unix_seconds.saturating_add(passed.as_secs());
        let believed_most = floor.saturating_add(self.step_seconds);
        if now.unix_seconds <= believed_most {
            self.ahead_since = None;
            return Believed { unix_seconds: now.unix_seconds, doubted_seconds: 0 };
        }
        let since = *self.ahead_since.get_or_insert(now.monotonic);
        if now.monotonic.saturating_sub(since) >= HOLD {
            self.ahead_since = None;
            (self.floor_unix_seconds, self.floor_at) = (now.unix_seconds, now.monotonic);
            return Believed { unix_seconds: now.unix_seconds, doubted_seconds: 0 };
        }
        Believed { unix_seconds: floor, doubted_seconds: now.unix_seconds - floor }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000;
    const STEP: Duration = Duration::from_secs(3600);
    const YEAR: u64 = 365 * 86_400;

    fn at(hours: u64, unix_seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(hours * 3600), unix_seconds }
    }

    #[test]
    fn a_right_clock_is_believed_to_the_second() {
        let mut calendar = Calendar::new(Some(START), STEP, at(0, START + 100));
        for hours in 0..200 {
            let now = at(hours, START + 100 + hours * 3600);
            assert_eq!(
                calendar.believe(now),
                Believed { unix_seconds: now.unix_seconds, doubted_seconds: 0 }
            );
        }
    }

    #[test]
    fn a_jump_ahead_is_doubted_for_a_day_and_forgotten_when_it_is_mended() {
        let mut calendar = Calendar::new(None, STEP, at(0, START));
        let jumped = calendar.believe(at(1, START + YEAR));
        assert_eq!((jumped.unix_seconds, jumped.doubted_seconds), (START + 3600, YEAR - 3600));
        assert_eq!(calendar.believe(at(24, START + YEAR)).unix_seconds, START + 24 * 3600);
        let mended = calendar.believe(at(24, START + 24 * 3600));
        assert_eq!(mended.doubted_seconds, 0);
        assert_ne!(calendar.believe(at(25, START + YEAR)).doubted_seconds, 0, "the day begins anew");
        assert_ne!(calendar.believe(at(48, START + YEAR)).doubted_seconds, 0);
        assert_eq!(calendar.believe(at(49, START + YEAR)).unix_seconds, START + YEAR, "it stayed there");
    }

    #[test]
    fn a_clock_that_was_ahead_at_the_start_is_measured_by_the_store() {
        let mut calendar = Calendar::new(Some(START), STEP, at(0, START + YEAR));
        assert_eq!(calendar.believe(at(0, START + YEAR)).unix_seconds, START);
    }

    #[test]
    fn a_clock_that_went_back_is_followed_and_comes_forward_again() {
        let mut calendar = Calendar::new(None, STEP, at(0, START));
        assert_eq!(calendar.believe(at(1, START - YEAR)).unix_seconds, START - YEAR);
        assert_eq!(calendar.believe(at(2, START + 2 * 3600)).doubted_seconds, 0);
    }

    proptest! {
        /// Whatever the wall clock does, what is believed is at most a step ahead of true time within the first day.
        #[test]
        fn nothing_is_believed_far_ahead_within_a_day(jumps in prop::collection::vec(0_u64..10 * YEAR, 1..24)) {
            let mut calendar = Calendar::new(Some(START), STEP, at(0, START));
            for (hour, jump) in (0..).zip(&jumps) {
                let believed = calendar.believe(at(hour, START + jump)).unix_seconds;
                prop_assert!(believed <= START + (hour + 1) * 3600, "hour {hour}: {believed}");
            }
        }
    }
}
