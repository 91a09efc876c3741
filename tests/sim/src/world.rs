//! The driver: the engines of one committee under one seed, one thing after the other.
//!
//! Promise: a run depends on the seed alone. Messages pass through their encodings. Time jumps from one thing to do to
//! the next; work and syncs take a little of it, so that orders mix. After every step [`super::checker`] looks at what
//! was promised and [`World::check_bounds`] at what is in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, Committee, Statement};
use dac_node_engine::Event;
use dac_node_engine::Refusal;
use dac_node_engine::message::{Control, Message};
use parity_scale_codec::Encode;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::checker::Checker;
use super::disk::{Medium, Synced};
use super::liar::{Habit, Liar};
use super::member::Member;
use super::network::Network;
use super::parties::{Limits, Request, committee, config};
use super::queue::{Job, What};
use super::report::Tally;
use super::trace::Trace;

/// Steps of all members within one simulated second: more means that somebody runs in circles.
const STEPS_PER_SECOND_MAX: usize = 60_000;

/// A committee at work.
#[derive(Debug)]
pub(super) struct World {
    pub(super) committee: Arc<Committee>,
    pub(super) members: Vec<Member>,
    pub(super) network: Network,
    pub(super) checker: Checker,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    pub(super) now: Duration,
    pub(super) rng: ChaCha8Rng,
    pub(super) queue: BinaryHeap<Reverse<Job>>,
    pub(super) number: u64,
    pub(super) tickets: u64,
    pub(super) answers: BTreeMap<u64, Result<BatchId, Refusal>>,
    steps_this_second: usize,
}

impl World {
    /// `n` members with thresholds `k` and `q`, some of them liars, not connected yet, and what the rollup will ask for.
    pub(super) fn new(
        (n, k, q): (u16, u16, u16),
        medium: Medium,
        liars: &BTreeMap<u16, Habit>,
        given: &[&'static Request],
        limits: Limits,
        (seed, loud): (u64, bool),
    ) -> World {
        let committee = committee(n, k, q);
        let member = |seat| {
            let mut member = Member::new(limits.apply(config(&committee, seat, seed)), medium);
            member.liar = liars.get(&seat).map(|habit| Liar::new(*habit));
            if liars.get(&seat).is_some_and(|habit| !habit.has_engine()) {
                member.engine = None;
            }
            member
        };
        World {
            members: (0..n).map(member).collect(),
            checker: Checker::new(committee.clone(), given.to_vec()),
            committee,
            network: Network::healthy(),
            trace: Trace::new(loud),
            tally: Tally::default(),
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            number: 0,
            tickets: 0,
            answers: BTreeMap::new(),
            steps_this_second: 0,
        }
    }

    pub(super) fn seats(&self) -> std::ops::Range<u16> {
        0..self.committee.thresholds().members()
    }

    pub(super) fn member(&mut self, seat: u16) -> &mut Member {
        &mut self.members[usize::from(seat)]
    }

    pub(super) fn connected(&self, a: u16, b: u16) -> bool {
        let up = |seat: u16| self.members[usize::from(seat)].is_up();
        up(a) && up(b) && self.network.joined(a, b)
    }

    /// The statement of a certified batch.
    pub(super) fn statement_of(&self, batch_id: BatchId) -> Option<Statement> {
        Some(self.checker.certificates.get(&batch_id)?.first()?.statement)
    }

    // What scenarios do to members.

    /// Tells a member whom it can reach.
    pub(super) fn greet(&mut self, seat: u16) {
        for other in self.seats() {
            if self.connected(seat, other) {
                self.tell(seat, Event::Connected(other));
            }
        }
    }

    /// Hands a request to a member, as its HTTP side would. The ticket names the answer.
    pub(super) fn submit(&mut self, seat: u16, request: &Request) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let truth = self.checker.expect(request);
        let member = &self.members[usize::from(seat)];
        let unix_seconds = member.now(self.now).unix_seconds;
        let facts = member.disk.facts(&truth.key, request.submission.rollup_id, unix_seconds);
        let Ok(facts) = facts else { return ticket };
        let Request { submission, signature, batch } = request.clone();
        self.happens(seat, Event::Submit { ticket, submission, signature, batch, facts });
        ticket
    }

    /// Cuts the power of a member, or (`fatal`) lets its process stop itself.
    pub(super) fn crash(&mut self, seat: u16, fatal: bool) {
        self.trace.line(format_args!("crash of seat {seat}, fatal {fatal}"));
        self.tally.crashes += 1;
        let World { members, network, rng, .. } = self;
        let member = &mut members[usize::from(seat)];
        if fatal {
            member.disk.stop();
        } else {
            member.disk.crash(rng);
        }
        for ((from, _), frames) in &member.backlog {
            frames.iter().for_each(|_| network.dequeue(*from, seat));
        }
        member.forget();
        self.checker.on_crash(seat);
        for other in self.seats().filter(|other| *other != seat) {
            self.tell(other, Event::Disconnected(seat));
        }
        self.check();
    }

    /// Starts a member again over its disk.
    pub(super) fn restart(&mut self, seat: u16) {
        self.trace.line(format_args!("restart of seat {seat}"));
        self.member(seat).restart();
        self.greet(seat);
        for other in self.seats().filter(|other| *other != seat) {
            if self.connected(seat, other) {
                self.tell(other, Event::Connected(seat));
            }
        }
        self.check();
    }

    /// Breaks the connection of two members; both notice.
    pub(super) fn disconnect(&mut self, a: u16, b: u16) {
        if self.network.part(a, b) {
            self.tell(a, Event::Disconnected(b));
            self.tell(b, Event::Disconnected(a));
        }
    }

    /// Connects two members again.
    pub(super) fn reconnect(&mut self, a: u16, b: u16) {
        if self.network.join(a, b) && self.connected(a, b) {
            self.tell(a, Event::Connected(b));
            self.tell(b, Event::Connected(a));
        }
    }

    /// Something happens to a member now.
    pub(super) fn happens(&mut self, seat: u16, event: Event) {
        self.tell(seat, event);
        self.check();
    }

    // How it runs.

    /// Runs for a while of simulated time.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_until(until, |_| false);
        self.now = until;
    }

    /// Runs until something is the case, at most until `until`; false when it never is.
    pub(super) fn run_until(&mut self, until: Duration, is_so: impl Fn(&World) -> bool) -> bool {
        while !is_so(self) {
            match self.next() {
                Some((at, tick)) if at <= until => self.step(at, tick),
                _ => return false,
            }
        }
        true
    }

    /// When the next thing happens, and to whom if it is a tick: those come before the jobs of their time.
    fn next(&self) -> Option<(Duration, Option<u16>)> {
        let job = self.queue.peek().map(|job| job.0.at);
        match self.next_tick() {
            Some((at, seat)) if job.is_none_or(|job| at <= job) => Some((at, Some(seat))),
            _ => job.map(|at| (at, None)),
        }
    }

    fn next_tick(&self) -> Option<(Duration, u16)> {
        let due = |member: &Member| Some((member.deadline?.max(self.now), member.seat()));
        self.members.iter().filter_map(due).min()
    }

    /// One thing happens: this tick, or the next job.
    fn step(&mut self, at: Duration, tick: Option<u16>) {
        if at.as_secs() > self.now.as_secs() {
            self.steps_this_second = 0;
        }
        self.steps_this_second += 1;
        assert!(self.steps_this_second < STEPS_PER_SECOND_MAX, "busy loop at {at:?}");
        self.now = at;
        self.tally.steps += 1;
        match tick {
            Some(seat) => {
                self.tell(seat, Event::Tick);
                let next = self.members[usize::from(seat)].deadline;
                assert!(next.is_none_or(|at| at > self.now), "seat {seat} leaves a deadline in the past");
            }
            None => {
                let Reverse(job) = self.queue.pop().expect("whatever is not a tick is a job");
                self.perform_job(job);
            }
        }
        self.check();
    }

    fn perform_job(&mut self, job: Job) {
        let Job { seat, life, what, .. } = job;
        let member = &self.members[usize::from(seat)];
        let gone = member.life != life || !member.is_up();
        match what {
            What::Frame { from, body: _ } if gone => self.network.dequeue(from, seat),
            _ if gone => {}
            What::Frame { from, body } => self.receive_frame(seat, from, body),
            What::Gossip { from, key, bytes } => self.receive_gossip(seat, from, key, bytes),
            What::Event(event, credit) => {
                drop(credit);
                self.tell(seat, *event);
                self.drain_backlog(seat);
            }
            What::StatementSynced(open_id, write) => {
                if let Some(result) = self.sync(seat, write) {
                    self.tell(seat, Event::Persisted { open_id, result });
                }
            }
            What::CertificateSynced(batch_id, write) => {
                if let Some(result) = self.sync(seat, write) {
                    if result.is_ok() && self.members[usize::from(seat)].is_honest() {
                        self.checker.on_certificate_stored(seat, batch_id);
                    }
                    self.tell(seat, Event::CertificateStored { batch_id, result });
                }
            }
        }
    }

    /// A sync ends; `None` when it takes the process with it.
    fn sync(&mut self, seat: u16, write: super::disk::WriteId) -> Option<Result<(), Refusal>> {
        match self.member(seat).disk.sync(write) {
            Synced::Durable => Some(Ok(())),
            Synced::Refused(refusal) => Some(Err(refusal)),
            Synced::Fatal => {
                self.crash(seat, true);
                None
            }
        }
    }

    /// Gives an event to an engine and performs what it asks for; does nothing when there is no engine.
    pub(super) fn tell(&mut self, seat: u16, event: Event) {
        let member = &mut self.members[usize::from(seat)];
        let Some(mut engine) = member.engine.take() else { return };
        member.note_event(&event);
        let now = member.now(self.now);
        self.trace.event(self.now, seat, &event);
        let mut effects = Vec::new();
        engine.on(event, now, &mut effects);
        member.deadline = engine.next_deadline();
        member.engine = Some(engine);
        for effect in effects {
            self.trace.effect(&effect);
            if self.members[usize::from(seat)].is_honest() {
                self.members[usize::from(seat)].assert_order(&effect);
            }
            self.perform(seat, effect);
        }
        self.check_bounds(seat);
    }

    fn check(&mut self) {
        self.checker.check(&self.members, &mut self.rng);
    }

    // What members say.

    /// Sends in the name of a member, changed on the way if it is a liar with an engine.
    pub(super) fn send(&mut self, from: u16, to: u16, message: Message) {
        let World { members, rng, .. } = self;
        let (delay, message) = match &members[usize::from(from)].liar {
            Some(liar) => match liar.tamper(to, message, rng) {
                Some(sent) => sent,
                None => return,
            },
            None => (Duration::ZERO, message),
        };
        self.send_frame(from, to, message.to_frame().slice(4..), delay, false);
    }

    /// Publishes in the name of a member.
    pub(super) fn publish(&mut self, from: u16, control: &Control) {
        self.publish_bytes(from, control.encode().into());
    }
}
