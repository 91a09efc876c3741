//! Which endpoint is next, and after what pause.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::config::ClientConfig;

/// Attempts that do not count, in one operation.
const FORGIVEN_MAX: u32 = 64;

/// Walks over the endpoints in order, round after round.
///
/// Within a round there is no pause: another member is another machine. After a round the pause doubles, jittered by
/// half so that many clients do not return together, and is at least what the least busy member asked for.
#[derive(Debug)]
pub(crate) struct Rounds {
    endpoints: usize,
    attempts_max: u32,
    made: u32,
    forgiven: u32,
    pause_min: Duration,
    pause_max: Duration,
    /// The smallest `Retry-After` of this round; zero when a member named none.
    asked: Option<Duration>,
    jitter: RandomState,
}

impl Rounds {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        let endpoints = config.endpoints.len();
        Rounds {
            endpoints,
            attempts_max: config.attempts_max.max(u32::try_from(endpoints).unwrap_or(u32::MAX)),
            made: 0,
            forgiven: 0,
            pause_min: config.pause_min,
            pause_max: config.pause_max,
            asked: None,
            jitter: RandomState::new(),
        }
    }

    /// The next endpoint and the pause before it; none when all attempts are made.
    pub(crate) fn next(&mut self) -> Option<(usize, Duration)> {
        if self.made >= self.attempts_max {
            return None;
        }
        let made = usize::try_from(self.made).expect("32 bits fit a usize here");
        let (round, endpoint) = (made / self.endpoints, made % self.endpoints);
        let pause = if endpoint == 0 && round > 0 { self.pause(round) } else { Duration::ZERO };
        self.made += 1;
        Some((endpoint, pause))
    }

    /// The last attempt does not count. Bounded, so that an operation always ends.
    pub(crate) fn forgive(&mut self) {
        if self.forgiven < FORGIVEN_MAX && self.made > 0 {
            self.forgiven += 1;
            self.made -= 1;
        }
    }

    /// Notes the `Retry-After` of a failed attempt, or that there was none.
    pub(crate) fn failed(&mut self, retry_after: Option<Duration>) {
        let asked = retry_after.unwrap_or_default();
        self.asked = Some(self.asked.map_or(asked, |other| other.min(asked)));
    }

    fn pause(&mut self, round: usize) -> Duration {
        let doublings = u32::try_from(round - 1).unwrap_or(u32::MAX).min(16);
        let pause = self.pause_min.saturating_mul(1 << doublings).min(self.pause_max);
        // A keyed hash of a counter is random enough for spreading load, and needs no generator.
        let thousandths = u32::try_from(self.jitter.hash_one(self.made) % 1000).unwrap_or(0);
        let jittered = pause / 2 + pause * thousandths / 1000;
        jittered.max(self.asked.take().unwrap_or_default()).min(self.pause_max.max(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(endpoints: usize, attempts_max: u32) -> Rounds {
        Rounds {
            endpoints,
            attempts_max,
            made: 0,
            forgiven: 0,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(2),
            asked: None,
            jitter: RandomState::new(),
        }
    }

    #[test]
    fn a_round_has_no_pause_and_rounds_double_theirs() {
        let mut rounds = rounds(2, 8);
        let all: Vec<_> = std::iter::from_fn(|| rounds.next()).collect();
        let endpoints: Vec<_> = all.iter().map(|(endpoint, _)| *endpoint).collect();
        assert_eq!(endpoints, [0, 1, 0, 1, 0, 1, 0, 1]);
        for (at, (_, pause)) in all.iter().enumerate() {
            let expected = match at {
                2 => 50..=150,
                4 => 100..=300,
                6 => 200..=600,
                _ => 0..=0,
            };
            assert!(expected.contains(&pause.as_millis()), "attempt {at}: {pause:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_when_every_member_asks_and_never_beyond_the_bound() {
        let mut one = rounds(1, 3);
        one.next();
        one.failed(Some(Duration::from_secs(1)));
        assert!(one.next().unwrap().1 >= Duration::from_secs(1));
        one.failed(Some(Duration::from_secs(3600)));
        assert_eq!(one.next().unwrap().1, Duration::from_secs(2));

        let mut two = rounds(2, 4);
        two.next();
        two.failed(Some(Duration::from_secs(1)));
        two.next();
        two.failed(None);
        assert!(two.next().unwrap().1 <= Duration::from_millis(150), "the other member asked for nothing");
    }
}
