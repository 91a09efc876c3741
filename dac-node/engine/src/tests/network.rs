//! Links between members: delay, order, loss, duplication, cuts; and how many bytes went where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// All links of a committee.
#[derive(Debug)]
pub(super) struct Network {
    /// Shortest and longest time that a message travels.
    pub(super) delay: (Duration, Duration),
    /// Share of messages that never arrive.
    pub(super) loss: f64,
    /// Share of messages that arrive twice.
    pub(super) duplication: f64,
    /// Messages from one member to another arrive in the order they were sent, as on a stream.
    pub(super) ordered: bool,
    cut: BTreeSet<(u16, u16)>,
    last: BTreeMap<(u16, u16), Duration>,
    /// Bytes of frames by sender.
    pub(super) sent_bytes: BTreeMap<u16, u64>,
    /// Bytes of frames by receiver.
    pub(super) received_bytes: BTreeMap<u16, u64>,
}

impl Network {
    /// One to five milliseconds, nothing lost.
    pub(super) fn healthy() -> Network {
        Network {
            delay: (Duration::from_millis(1), Duration::from_millis(5)),
            loss: 0.0,
            duplication: 0.0,
            ordered: true,
            cut: BTreeSet::new(),
            last: BTreeMap::new(),
            sent_bytes: BTreeMap::new(),
            received_bytes: BTreeMap::new(),
        }
    }

    /// Nothing passes from `from` to `to` any more.
    pub(super) fn cut(&mut self, from: u16, to: u16) {
        self.cut.insert((from, to));
    }

    /// When a message that leaves now arrives: never, once or twice.
    pub(super) fn arrivals(
        &mut self,
        rng: &mut ChaCha8Rng,
        from: u16,
        to: u16,
        now: Duration,
    ) -> Vec<Duration> {
        let copies = 1 + u8::from(rng.random_bool(self.duplication));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            if self.cut.contains(&(from, to)) || rng.random_bool(self.loss) {
                continue;
            }
            let mut at = now + rng.random_range(self.delay.0..=self.delay.1);
            if self.ordered {
                let last = self.last.entry((from, to)).or_default();
                at = at.max(*last + Duration::from_nanos(1));
                *last = at;
            }
            arrivals.push(at);
        }
        arrivals
    }

    /// Counts a frame of so many bytes.
    pub(super) fn count_sent(&mut self, from: u16, bytes: usize) {
        *self.sent_bytes.entry(from).or_default() += bytes as u64;
    }

    /// Counts a frame of so many bytes.
    pub(super) fn count_received(&mut self, to: u16, bytes: usize) {
        *self.received_bytes.entry(to).or_default() += bytes as u64;
    }
}
