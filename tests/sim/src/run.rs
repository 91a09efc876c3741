//! One seed: a committee, its faults and its liars, and what has to come of it.
//!
//! A run has three acts. *Calm* (in some runs): no more members fail than the quorum can spare, the network works, and
//! every submission to an honest member must have its certificate within [`CERTIFIED_WITHIN`]. *Chaos*: anything may
//! happen, promises hold all the same. *Healed*: what is broken works again, liars go on, and every submission must be
//! certified within [`TRIES_MAX`] tries of [`CERTIFIED_WITHIN`] each; submitting once more creates
//! nothing; members come to rest with empty hands.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::disk::Medium;
use super::liar::Habit;
use super::parties::{Limits, REQUESTS, Request, request};
use super::report::Outcome;
use super::world::World;

/// `(n, k, q)`, the common ones several times.
const SHAPES: [(u16, u16, u16); 16] = [
    (4, 2, 3),
    (4, 2, 3),
    (4, 2, 3),
    (4, 2, 3),
    (4, 1, 3),
    (3, 1, 2),
    (3, 2, 2),
    (5, 2, 4),
    (5, 2, 4),
    (5, 3, 5),
    (6, 3, 4),
    (7, 3, 5),
    (7, 3, 5),
    (2, 1, 2),
    (2, 2, 2),
    (1, 1, 1),
];
/// Every so-manyth seed has one of the large committees.
const LARGE_EVERY: u64 = 61;
const SHAPES_LARGE: [(u16, u16, u16); 3] = [(10, 4, 7), (13, 5, 9), (16, 6, 11)];
/// Every so-manyth seed lets members have as little in flight as the largest of its batches, until it is healed: what is
/// refused as busy has no time by which it must be certified.
const NARROW_EVERY: u64 = 5;
/// Every so-manyth seed runs on the real store.
const REAL_EVERY: u64 = 12;
/// Longest chaos.
const CHAOS_MAX: Duration = Duration::from_secs(12);
/// Simulated time from a submission to an honest member to its certificate there, with few enough faults. What is in it:
/// members that never send their pieces (pulled after `piece_timeout`, round after round), votes that never come or do
/// not verify (`certificate_linger`), slow disks and late messages of up to a second each.
const CERTIFIED_WITHIN: Duration = Duration::from_secs(20);
/// Submissions of one batch to different members after the chaos has ended.
const TRIES_MAX: usize = 3;
/// What is in flight is settled after so long: `give_up_after` of the engine, and what else runs out.
const REST_AFTER: Duration = Duration::from_secs(120);

/// What the caller chooses beside the seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Print every event and effect.
    pub trace: bool,
    /// Where the disks are; by the seed if not given.
    pub medium: Option<Medium>,
}

/// A scenario at work.
struct Run {
    world: World,
    given: Vec<&'static Request>,
    liars: Vec<u16>,
    /// Few enough liars that the others reach the quorum.
    live: bool,
    /// Members refuse as busy what they would take otherwise.
    narrow: bool,
}

/// Runs a seed once.
///
/// # Panics
/// With what was violated, in words.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut run = Run::new(seed, options);
    if run.live && !run.narrow && run.world.rng.random_bool(0.4) {
        run.calm();
    }
    run.chaos();
    run.heal();
    if run.live {
        for request in run.given.clone() {
            run.certify(request);
        }
    }
    run.rest();
    let World { trace, tally, .. } = run.world;
    Outcome { trace: trace.hash(), lines: trace.lines, tally }
}

impl Run {
    fn new(seed: u64, options: &Options) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let shape = match seed % LARGE_EVERY {
            7 => *SHAPES_LARGE.choose(&mut rng).expect("not empty"),
            _ => *SHAPES.choose(&mut rng).expect("not empty"),
        };
        let real = if seed % REAL_EVERY == 3 { Medium::Real } else { Medium::Memory };
        let medium = options.medium.unwrap_or(real);
        let (n, k, q) = shape;
        // More liars than `q - k` could sign what nobody holds; more than `n - q` can stop everything.
        let count = if rng.random_bool(0.3) { 0 } else { rng.random_range(0..=(q - k).min(n - 1)) };
        let mut seats: Vec<u16> = (0..n).collect();
        seats.shuffle(&mut rng);
        let liars: BTreeMap<u16, Habit> =
            seats.into_iter().take(usize::from(count)).map(|seat| (seat, Habit::any(&mut rng))).collect();
        let given: Vec<&'static Request> =
            (0..rng.random_range(1..4)).map(|_| request(rng.random_range(0..REQUESTS))).collect();
        let narrow = seed % NARROW_EVERY == 2;
        let limits = if narrow { narrow_limits(&given, &mut rng) } else { Limits::WIDE };
        let mut world = World::new(shape, medium, &liars, &given, limits, (seed, options.trace));
        world.trace.line(format_args!("seed {seed}: {shape:?} on {medium:?}, {limits:?}, liars {liars:?}"));
        for seat in world.seats() {
            world.greet(seat);
        }
        Run { world, given, liars: liars.into_keys().collect(), live: count <= n - q, narrow }
    }

    fn any_seat(&mut self) -> u16 {
        let seats = self.world.seats();
        self.world.rng.random_range(seats)
    }

    fn any_honest(&mut self) -> u16 {
        let honest: Vec<u16> = self.world.seats().filter(|seat| !self.liars.contains(seat)).collect();
        *honest.choose(&mut self.world.rng).expect("at least one member is honest")
    }

    fn any_serving(&mut self) -> Option<u16> {
        let serving = |seat: &u16| self.world.members[usize::from(*seat)].serves();
        let seats: Vec<u16> = self.world.seats().filter(serving).collect();
        seats.choose(&mut self.world.rng).copied()
    }

    /// As many members as the quorum can spare lie, are down or hear nothing; the others certify what they are given.
    fn calm(&mut self) {
        let thresholds = self.world.committee.thresholds();
        let spare = usize::from(thresholds.members() - thresholds.quorum()).saturating_sub(self.liars.len());
        let mut down = Vec::new();
        for _ in 0..self.world.rng.random_range(0..=spare) {
            let seat = self.any_honest();
            if !down.contains(&seat) {
                down.push(seat);
                self.take_down(seat);
            }
        }
        for request in self.given.clone() {
            let Some(seat) = self.any_serving().filter(|seat| !down.contains(seat)) else { continue };
            let certified = self.submit_and_wait(seat, request);
            assert!(certified, "no certificate within {CERTIFIED_WITHIN:?} with {down:?} down");
        }
        for seat in down {
            if !self.world.members[usize::from(seat)].is_up() {
                self.world.restart(seat);
            }
        }
        self.world.network.heal();
    }

    fn take_down(&mut self, seat: u16) {
        match self.world.rng.random_range(0..3) {
            0 => self.world.crash(seat, false),
            1 => {
                for other in self.world.seats().filter(|other| *other != seat) {
                    self.world.network.cut(seat, other);
                    self.world.network.cut(other, seat);
                }
            }
            _ => {
                for other in self.world.seats().filter(|other| *other != seat) {
                    self.world.disconnect(seat, other);
                }
            }
        }
    }

    /// Submits to an honest member; whether it has the certificate in time. Liars lie meanwhile.
    fn submit_and_wait(&mut self, seat: u16, request: &'static Request) -> bool {
        let ticket = self.world.submit(seat, request);
        let begun = self.world.now;
        let until = begun + CERTIFIED_WITHIN;
        let done = |world: &World| match world.answers.get(&ticket) {
            Some(Ok(batch_id)) => world.has_certificate(seat, batch_id),
            _ => false,
        };
        for _ in 0..self.world.rng.random_range(0..6) {
            self.lie();
            let pause = Duration::from_millis(self.world.rng.random_range(1..400));
            self.world.run_for(pause);
        }
        let certified = self.world.run_until(until, done);
        if certified {
            let after = u64::try_from((self.world.now - begun).as_millis()).unwrap_or(u64::MAX);
            self.world.tally.certified += 1;
            self.world.tally.certified_after_ms_most = self.world.tally.certified_after_ms_most.max(after);
        }
        certified
    }

    fn lie(&mut self) {
        if let Some(liar) = self.liars.choose(&mut self.world.rng).copied() {
            self.world.lie(liar, &self.given);
        }
    }

    fn chaos(&mut self) {
        let World { rng, network, members, .. } = &mut self.world;
        network.draw(rng);
        for member in members.iter_mut() {
            member.sync_delay_max = Duration::from_millis(rng.random_range(1..400));
            member.clock_skew_seconds = rng.random_range(-5..=5);
        }
        let until = self.world.now + self.world.rng.random_range(CHAOS_MAX / 4..CHAOS_MAX);
        self.submit_any();
        while self.world.now < until {
            let pause = Duration::from_micros(self.world.rng.random_range(100..600_000));
            self.world.run_for(pause);
            if !self.liars.is_empty() && self.world.rng.random_bool(0.4) {
                self.lie();
            } else {
                self.disturb();
            }
        }
    }

    /// One fault, the end of one, or a client that wants something.
    fn disturb(&mut self) {
        let (a, b) = (self.any_honest(), self.any_seat());
        let up = self.world.members[usize::from(a)].is_up();
        match self.world.rng.random_range(0..20) {
            0 | 1 if up => self.world.crash(a, false),
            0..=3 if !up => self.world.restart(a),
            4 if a != b => self.world.disconnect(a, b),
            5 | 6 if a != b => self.world.reconnect(a, b),
            7 => self.world.network.cut(a, b),
            8 => self.partition(),
            9 => self.world.network.heal(),
            10 => self.world.network.draw(&mut self.world.rng),
            11 => self.world.member(a).disk.set_full(true),
            12 => self.world.member(a).disk.set_full(false),
            13 => self.jump(a),
            14 if up => self.world.member(a).disk.fail_next_sync(),
            15 if up => self.prune(a),
            16 | 17 => self.read_any(),
            _ => self.submit_any(),
        }
    }

    /// Two groups that do not hear each other, and are not told.
    fn partition(&mut self) {
        let seats: Vec<u16> = self.world.seats().collect();
        let side: Vec<bool> = seats.iter().map(|_| self.world.rng.random_bool(0.5)).collect();
        for a in &seats {
            for b in &seats {
                if side[usize::from(*a)] != side[usize::from(*b)] {
                    self.world.network.cut(*a, *b);
                }
            }
        }
    }

    /// A member's clock is set, and its disk becomes faster or slower.
    fn jump(&mut self, seat: u16) {
        let skew = self.world.rng.random_range(-30..=30);
        let slowest = Duration::from_millis(self.world.rng.random_range(1..1_500));
        let member = self.world.member(seat);
        member.clock_skew_seconds = skew;
        member.sync_delay_max = slowest;
    }

    fn prune(&mut self, seat: u16) {
        let member = &self.world.members[usize::from(seat)];
        let unix_seconds = member.now(self.world.now).unix_seconds;
        // What fails half-way has dropped half of it.
        self.world.checker.on_prune(seat, unix_seconds);
        let pruned = member.disk.store().prune(unix_seconds);
        if pruned.is_err_and(|error| error.is_fatal()) {
            self.world.crash(seat, true);
        }
    }

    fn read_any(&mut self) {
        let known: Vec<attest::BatchId> = self.world.checker.certificates.keys().copied().collect();
        if let (Some(batch_id), Some(seat)) = (known.choose(&mut self.world.rng), self.any_serving()) {
            self.world.read(seat, *batch_id);
        }
    }

    fn submit_any(&mut self) {
        let request = *self.given.choose(&mut self.world.rng).expect("a run has submissions");
        // A liar with an engine is a coordinator like any other, until it comes to sending.
        let seat = self.any_seat();
        if self.world.members[usize::from(seat)].engine.is_some() {
            self.world.submit(seat, request);
        }
    }

    /// Everything works again, except the liars.
    fn heal(&mut self) {
        self.world.trace.line(format_args!("healed"));
        self.world.network.heal();
        for seat in self.world.seats() {
            let member = self.world.member(seat);
            member.disk.set_full(false);
            member.sync_delay_max = member.sync_delay_max.min(Duration::from_millis(400));
            member.clock_skew_seconds = member.clock_skew_seconds.clamp(-5, 5);
            member.config = Limits::WIDE.apply(member.config.clone());
            let narrow = self.narrow && member.serves();
            // A disk that is about to fail is a broken one.
            if narrow || (member.is_up() && member.disk.is_failing()) {
                self.world.crash(seat, true);
            }
            if !self.world.members[usize::from(seat)].is_up() {
                self.world.restart(seat);
            }
        }
        for a in self.world.seats() {
            for b in a + 1..self.world.committee.thresholds().members() {
                self.world.reconnect(a, b);
            }
        }
    }

    /// Submits like a client that wants its certificate, and once more like one that forgot that it has it.
    fn certify(&mut self, request: &'static Request) {
        for _ in 0..TRIES_MAX {
            let Some(seat) = self.any_serving() else { continue };
            if self.submit_and_wait(seat, request) {
                self.submit_again(seat, request);
                self.read_any();
                return;
            }
        }
        panic!("no certificate after {TRIES_MAX} tries of {CERTIFIED_WITHIN:?} on a network that works");
    }

    /// The same submission to the same member is the same batch.
    fn submit_again(&mut self, seat: u16, request: &'static Request) {
        let count = |world: &World| world.members[usize::from(seat)].disk.store().statement_count().ok();
        let before = count(&self.world);
        let ticket = self.world.submit(seat, request);
        let answered = |world: &World| world.answers.contains_key(&ticket);
        assert!(
            self.world.run_until(self.world.now + CERTIFIED_WITHIN, answered),
            "a replay is not answered"
        );
        let known = |world: &World| match &world.answers[&ticket] {
            Ok(batch_id) => world.has_certificate(seat, batch_id),
            Err(_) => false,
        };
        assert!(
            known(&self.world),
            "a replay is another batch, or refused: {:?}",
            self.world.answers[&ticket]
        );
        assert_eq!(count(&self.world), before, "a replay created a statement");
    }

    /// Nothing of a settled batch stays in memory, and every gossip message was judged.
    fn rest(&mut self) {
        self.world.run_for(REST_AFTER);
        for member in self.world.members.iter().filter(|member| member.serves()) {
            let (seat, engine) = (member.seat(), member.engine.as_ref().expect("it serves"));
            assert_eq!(engine.in_flight(), (0, 0), "seat {seat} keeps batches or bytes");
            assert!(member.gossip_pending.is_empty(), "seat {seat} left gossip unjudged");
            assert!(member.backlog.is_empty(), "seat {seat} left messages unread");
        }
        let World { checker, members, rng, .. } = &mut self.world;
        checker.check_all(members, rng);
    }
}

/// Room for one to three exchanges, and for the bytes of the largest batch.
fn narrow_limits(given: &[&Request], rng: &mut ChaCha8Rng) -> Limits {
    let largest = given.iter().map(|request| request.submission.data_bytes).max().unwrap_or(0);
    Limits { batches: rng.random_range(1..4), bytes: largest }
}
