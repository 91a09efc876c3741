//! Whole runs under random faults: what must hold is checked after every step, and in the end every batch is certified.
//!
//! A run is named by its seed. To look at one: `DAC_SEED=17 cargo test -p dac-node chosen_seeds -- --nocapture`.

use std::time::Duration;

use attest::{Attestation, SeatIndex};
use bytes::Bytes;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::checker::retrieve;
use super::cluster::Cluster;
use super::forge::{Encoding, open_id};
use super::parties::{Request, signing_key};
use crate::message::{Control, Message, Vote};
use crate::service::Reason;

/// Runs in the gate; `cargo xtask sim` runs many more.
const SEEDS: u64 = 160;
/// Faults happen for so long.
const CHAOS: Duration = Duration::from_secs(12);
/// Submissions of one batch after the faults have ended.
const TRIES_MAX: usize = 3;

/// One committee, its batches, and who lies.
struct Run {
    cluster: Cluster,
    requests: Vec<Request>,
    liar: Option<u16>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let shapes = [(1, 1, 1), (2, 1, 2), (2, 2, 2), (4, 2, 3), (4, 2, 3), (4, 1, 3), (5, 2, 4), (7, 3, 5)];
        let shape = shapes[usize::try_from(seed).unwrap() % shapes.len()];
        let mut cluster = Cluster::new(shape, seed);
        let rng = &mut cluster.rng;
        let requests = (0..rng.random_range(1..4))
            .map(|number| Request::random(seed * 10 + number, rng.random_range(1..20_000)));
        let requests = requests.collect();
        let liar = (shape.2 < shape.0 && rng.random_bool(0.5)).then(|| rng.random_range(0..shape.0));
        if let Some(liar) = liar {
            cluster.make_puppet(liar);
        }
        let mut run = Run { cluster, requests, liar };
        run.make_links();
        for seat in run.cluster.seats() {
            let slowest = Duration::from_millis(run.cluster.rng.random_range(1..400));
            let skew = run.cluster.rng.random_range(-5..=5);
            let member = run.cluster.member(seat);
            member.sync_delay.1 = slowest;
            member.clock_skew_seconds = skew;
        }
        run
    }

    fn make_links(&mut self) {
        let Cluster { rng, network, .. } = &mut self.cluster;
        network.ordered = rng.random_bool(0.5);
        network.loss = *[0.0, 0.0, 0.02, 0.1, 0.3].choose(rng).unwrap();
        network.duplication = *[0.0, 0.0, 0.1, 0.3].choose(rng).unwrap();
        network.delay.1 = Duration::from_millis(*[2, 5, 50, 300, 900].choose(rng).unwrap());
    }

    fn any_seat(&mut self) -> u16 {
        let seats = self.cluster.seats();
        self.cluster.rng.random_range(seats)
    }

    fn any_honest(&mut self) -> u16 {
        loop {
            let seat = self.any_seat();
            if Some(seat) != self.liar {
                return seat;
            }
        }
    }

    /// One fault, or the end of one.
    fn disturb(&mut self) {
        let (a, b) = (self.any_honest(), self.any_seat());
        match self.cluster.rng.random_range(0..12) {
            0 if self.cluster.members[usize::from(a)].engine.is_some() => self.cluster.crash(a),
            1 | 2 if self.cluster.members[usize::from(a)].engine.is_none() => self.cluster.restart(a),
            3 if a != b => self.cluster.disconnect(a, b),
            4 | 5 if a != b => self.cluster.reconnect(a, b),
            6 => self.cluster.network.cut(a, b),
            7 => self.cluster.network.heal(),
            8 => self.make_links(),
            9 => self.cluster.member(a).disk.failing = Some(Reason::StorageFull),
            10 => self.cluster.member(a).disk.failing = None,
            _ => self.submit_any(a),
        }
    }

    fn submit_any(&mut self, seat: u16) {
        let request = self.requests.choose(&mut self.cluster.rng).unwrap().clone();
        if self.cluster.members[usize::from(seat)].engine.is_some() {
            self.cluster.submit(seat, &request);
        }
    }

    /// The liar does one of the things it can do without other members' keys.
    fn lie(&mut self, liar: u16) {
        let to = self.any_honest();
        let request = self.requests.choose(&mut self.cluster.rng).unwrap().clone();
        let committee = self.cluster.committee.clone();
        let right = Encoding::of(&committee, &request.batch);
        let rng = &mut self.cluster.rng;
        let (stripe, index) =
            (rng.random_range(0..right.stripes()), rng.random_range(0..committee.thresholds().members()));
        let named = *[liar, liar, to].choose(rng).unwrap();
        let flip = rng.random_range(0..3);
        let encoding = if flip == 0 { right } else { right.with_wrong_piece(stripe, index, flip) };
        let open = encoding.open(&committee, &request, named);
        let id = open_id(&committee, &open);
        match rng.random_range(0..7) {
            0 => self.cluster.send(liar, to, Message::Open(Box::new(open))),
            1 => self.cluster.publish(liar, &Control::Open(Box::new(open))),
            2 => {
                self.cluster.disperse_as(liar, &encoding, &request);
            }
            3 => {
                let mut piece = encoding.piece(stripe, index);
                piece.bytes = Bytes::from(vec![flip; piece.bytes.len()]);
                self.cluster.send(liar, to, Message::Piece(id, piece));
            }
            4 => {
                // What the liar got from somebody goes to somebody else.
                let inbox = &self.cluster.members[usize::from(liar)].inbox;
                if let Some((_, message)) = inbox.choose(&mut self.cluster.rng).cloned() {
                    self.cluster.send(liar, to, message);
                }
            }
            by_gossip => {
                let data_root = fpga_hash::tree::data_root(super::member::hasher(), &request.batch);
                let statement =
                    request.submission.statement(&committee, attest::DataRoot(data_root), open.shards_root);
                let signed =
                    signing_key(liar).attest(&statement, committee.domain(), SeatIndex(liar)).unwrap();
                let attestation = Attestation { seat: SeatIndex(named), ..signed };
                let vote = Vote { open_id: id, attestation };
                if by_gossip == 5 {
                    self.cluster.publish(liar, &Control::Vote(vote));
                } else {
                    self.cluster.send(liar, to, Message::Vote(vote));
                }
            }
        }
    }

    fn chaos(&mut self) {
        let first = self.any_honest();
        self.submit_any(first);
        while self.cluster.now < CHAOS {
            let pause = Duration::from_micros(self.cluster.rng.random_range(100..600_000));
            self.cluster.run_for(pause);
            match self.liar {
                Some(liar) if self.cluster.rng.random_bool(0.5) => self.lie(liar),
                _ => self.disturb(),
            }
        }
    }

    /// Everything works again, except the liar, which falls silent.
    fn heal(&mut self) {
        self.cluster.network.heal();
        self.cluster.network.delay.1 = Duration::from_millis(50);
        for seat in self.cluster.seats() {
            let member = self.cluster.member(seat);
            member.disk.failing = None;
            if !member.is_up() {
                self.cluster.restart(seat);
            }
            for other in self.cluster.seats() {
                self.cluster.reconnect(seat, other);
            }
        }
    }

    /// Submits like a client that wants its certificate.
    fn certify(&mut self, request: &Request) {
        for _ in 0..TRIES_MAX {
            let seat = self.any_honest();
            let ticket = self.cluster.submit(seat, request);
            self.cluster.settle();
            let Some(Ok(batch_id)) = self.cluster.log.answers.get(&ticket).cloned() else { continue };
            if self.cluster.certified_at(&batch_id).contains(&seat) {
                let signers =
                    self.cluster.signers(&batch_id).into_iter().filter(|seat| Some(*seat) != self.liar);
                let k = usize::from(self.cluster.committee.thresholds().minimum_shards());
                let seats: Vec<u16> = signers.take(k).collect();
                assert_eq!(retrieve(&self.cluster.members, &seats, &batch_id), request.batch);
                return;
            }
        }
        panic!("no certificate after {TRIES_MAX} tries on a healthy network");
    }

    fn into_trace(mut self) -> Vec<String> {
        self.chaos();
        self.heal();
        for request in self.requests.clone() {
            self.certify(&request);
        }
        self.cluster.assert_at_rest();
        let mut innocent =
            self.cluster.log.penalties.iter().filter(|(_, culprit, _)| Some(*culprit) != self.liar);
        assert_eq!(innocent.next(), None, "only the liar, {:?}, is to blame", self.liar);
        self.cluster.log.trace
    }
}

/// Says which seed failed, whatever panics.
struct Name(u64);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let command = "cargo test -p dac-node chosen_seeds -- --nocapture";
            eprintln!("seed {} failed: DAC_SEED={} {command}", self.0, self.0);
        }
    }
}

fn run(seed: u64) -> Vec<String> {
    let _name = Name(seed);
    Run::new(seed).into_trace()
}

#[test]
fn whatever_fails_no_promise_is_broken_and_in_the_end_all_is_certified() {
    for seed in 0..SEEDS {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for seed in 200..212 {
        let (first, second) = (run(seed), run(seed));
        for (line, (a, b)) in first.iter().zip(&second).enumerate() {
            assert_eq!(a, b, "seed {seed}, line {line}");
        }
        assert_eq!(first.len(), second.len());
        assert!(first.len() > 20);
    }
    assert_ne!(run(3), run(3 + 8), "another seed gives another trace");
}

/// Runs `DAC_SEEDS` seeds from `DAC_SEED` on, by default one; prints the trace of a single chosen one.
#[test]
fn chosen_seeds() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let (chosen, count) = (number("DAC_SEED"), number("DAC_SEEDS").unwrap_or(1));
    let first = chosen.unwrap_or(1_000_000);
    for seed in first..first + count {
        let _name = Name(seed);
        let mut run = Run::new(seed);
        run.cluster.loud = chosen.is_some() && count == 1;
        run.into_trace();
    }
}
