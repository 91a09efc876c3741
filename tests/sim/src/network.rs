//! Links between members: delay, order, loss, duplication, partitions, and how many frames wait on each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dac_node_engine::message::QUEUE_FRAMES_MAX;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// All links of a committee.
#[derive(Debug)]
pub(super) struct Network {
    /// Shortest and longest time that a message travels.
    delay: (Duration, Duration),
    /// Share of messages that never arrive.
    loss: f64,
    /// Share of messages that arrive twice.
    duplication: f64,
    /// Messages from one member to another arrive in the order they were sent, as on a stream.
    ordered: bool,
    /// Nothing passes, and nobody is told.
    cut: BTreeSet<(u16, u16)>,
    /// Not connected, and both know; the lower seat first.
    apart: BTreeSet<(u16, u16)>,
    last: BTreeMap<(u16, u16), Duration>,
    /// Frames on their way, by sender and receiver.
    waiting: BTreeMap<(u16, u16), usize>,
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
            apart: BTreeSet::new(),
            last: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Draws how the links behave from now on.
    pub(super) fn draw(&mut self, rng: &mut ChaCha8Rng) {
        self.ordered = rng.random_bool(0.5);
        self.loss = *[0.0, 0.0, 0.02, 0.1, 0.3].choose(rng).expect("not empty");
        self.duplication = *[0.0, 0.0, 0.1, 0.3].choose(rng).expect("not empty");
        self.delay.1 = Duration::from_millis(*[2, 5, 50, 300, 900].choose(rng).expect("not empty"));
    }

    /// Nothing passes from `from` to `to` any more.
    pub(super) fn cut(&mut self, from: u16, to: u16) {
        self.cut.insert((from, to));
    }

    /// All links carry again, within 50 ms. Who is apart stays apart.
    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.loss = 0.0;
        self.duplication = 0.0;
        self.delay.1 = Duration::from_millis(50);
    }

    /// Takes a connection away; false when there was none.
    pub(super) fn part(&mut self, a: u16, b: u16) -> bool {
        self.apart.insert((a.min(b), a.max(b)))
    }

    /// Lets two members connect again; false when they were not parted.
    pub(super) fn join(&mut self, a: u16, b: u16) -> bool {
        self.apart.remove(&(a.min(b), a.max(b)))
    }

    /// Whether two members may have a connection.
    pub(super) fn joined(&self, a: u16, b: u16) -> bool {
        a != b && !self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// When a message that leaves now arrives: never, once or twice.
    pub(super) fn arrivals(
        &mut self,
        rng: &mut ChaCha8Rng,
        from: u16,
        to: u16,
        now: Duration,
    ) -> Vec<Duration> {
        let copies = if self.duplication > 0.0 && rng.random_bool(self.duplication) { 2 } else { 1 };
        let mut arrivals = Vec::with_capacity(copies);
        for _ in 0..copies {
            if self.cut.contains(&(from, to)) || (self.loss > 0.0 && rng.random_bool(self.loss)) {
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

    /// Takes a place in the queue from `from` to `to`; false when it is full and the frame is dropped. A dispersal
    /// waits for room instead: it is let through.
    pub(super) fn enqueue(&mut self, from: u16, to: u16, patient: bool) -> bool {
        let waiting = self.waiting.entry((from, to)).or_default();
        if *waiting >= QUEUE_FRAMES_MAX && !patient {
            return false;
        }
        *waiting += 1;
        true
    }

    /// A frame left the queue, delivered or not.
    pub(super) fn dequeue(&mut self, from: u16, to: u16) {
        let waiting = self.waiting.get_mut(&(from, to)).expect("what leaves a queue was in it");
        *waiting = waiting.checked_sub(1).expect("what leaves a queue was in it");
    }
}
