//! The driver: the engines of one committee under one seed, with every effect performed.
//!
//! Promise: a run depends on the seed and on what the test does, nothing else. Messages pass through their encodings.
//! Time jumps from one thing to do to the next; work and syncs take a little of it, so that orders mix.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, Committee};
use bytes::Bytes;
use parity_scale_codec::Encode;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::checker::Checker;
use super::member::{Member, Tamper, now_of};
use super::network::Network;
use super::parties::{Request, config};
use super::queue::{Job, What};
use super::trace;
use crate::message::{Control, GOSSIP_BYTES_MAX, Message};
use crate::{BatchStatus, EngineConfig, Event, Note, Refusal};

/// Steps of all members within one simulated second: more means that somebody runs in circles.
const STEPS_PER_SECOND_MAX: usize = 40_000;
/// No test takes longer than this, simulated.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// What tests look at afterwards.
#[derive(Default)]
pub(super) struct Log {
    pub(super) answers: BTreeMap<u64, Result<BatchId, Refusal>>,
    /// Who penalised whom, and why.
    pub(super) penalties: Vec<(u16, u16, String)>,
    pub(super) notes: Vec<(u16, Note)>,
    pub(super) evidence: Vec<(u16, Vec<Message>)>,
    /// Who rejected a gossip message of which neighbour.
    pub(super) rejected: Vec<(u16, u16)>,
    pub(super) read_answers: Vec<(u16, Message)>,
    /// Contents written, by seat.
    pub(super) persisted_contents: BTreeMap<u16, usize>,
    pub(super) aggregations: usize,
    /// Most attestations of one seat in one aggregation.
    pub(super) candidates_most: usize,
    pub(super) trace: Vec<String>,
}

/// A committee at work.
pub(super) struct Cluster {
    pub(super) committee: Arc<Committee>,
    pub(super) members: Vec<Member>,
    pub(super) network: Network,
    pub(super) checker: Checker,
    pub(super) log: Log,
    pub(super) now: Duration,
    pub(super) rng: ChaCha8Rng,
    pub(super) queue: BinaryHeap<Reverse<Job>>,
    pub(super) number: u64,
    tickets: u64,
    pub(super) apart: BTreeSet<(u16, u16)>,
    steps_this_second: usize,
}

impl Cluster {
    /// `n` members with thresholds `k` and `q`, all connected.
    pub(super) fn new(thresholds: (u16, u16, u16), seed: u64) -> Cluster {
        Cluster::with_config(thresholds, seed, |_| {})
    }

    /// With a configuration that differs from the usual one; `change` is called for every seat.
    pub(super) fn with_config(
        (n, k, q): (u16, u16, u16),
        seed: u64,
        change: impl Fn(&mut EngineConfig),
    ) -> Cluster {
        let committee = super::parties::committee(n, k, q);
        let member = |seat: u16| {
            let mut config = EngineConfig { seat, seed: seed ^ u64::from(seat) << 48, ..config(&committee) };
            change(&mut config);
            Member::new(config)
        };
        let mut cluster = Cluster {
            members: (0..n).map(member).collect(),
            committee,
            network: Network::healthy(),
            checker: Checker::default(),
            log: Log::default(),
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            number: 0,
            tickets: 0,
            apart: BTreeSet::new(),
            steps_this_second: 0,
        };
        for seat in 0..n {
            cluster.greet(seat);
        }
        cluster
    }

    pub(super) fn seats(&self) -> std::ops::Range<u16> {
        0..self.committee.thresholds().members()
    }

    pub(super) fn member(&mut self, seat: u16) -> &mut Member {
        &mut self.members[usize::from(seat)]
    }

    // What tests do to members.

    /// Hands a request to a member, as its HTTP side would. The ticket names the answer in the log.
    pub(super) fn submit(&mut self, seat: u16, request: &Request) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let Request { submission, signature, batch } = request.clone();
        let disk = &self.members[usize::from(seat)].disk;
        let key = disk.durable.contents.keys().find(|key| key.data_hash == submission.data_hash).copied();
        let unknown =
            crate::ContentKey { data_hash: submission.data_hash, shards_root: attest::ShardsRoot::ZERO };
        let facts = disk.facts(&key.unwrap_or(unknown), submission.rollup_id);
        self.happens(seat, Event::Submit { ticket, submission, signature, batch, facts });
        ticket
    }

    /// Cuts the power of a member.
    pub(super) fn crash(&mut self, seat: u16) {
        self.note(format!("crash {seat}"));
        self.member(seat).crash();
        self.checker.on_crash();
        for other in self.seats().filter(|other| *other != seat) {
            self.tell(other, Event::Disconnected(seat));
        }
        self.check();
    }

    /// Starts a member again over its disk.
    pub(super) fn restart(&mut self, seat: u16) {
        self.note(format!("restart {seat}"));
        self.member(seat).restart();
        self.greet(seat);
        for other in self.seats().filter(|other| *other != seat) {
            if self.connected(seat, other) {
                self.tell(other, Event::Connected(seat));
            }
        }
    }

    /// Takes a member's engine away; the test speaks for it from now on.
    pub(super) fn make_puppet(&mut self, seat: u16) {
        self.member(seat).crash();
        self.member(seat).puppet = true;
        self.checker.liars.insert(seat);
    }

    /// Connected, but nothing passes to or from it.
    pub(super) fn silence(&mut self, seat: u16) {
        for other in self.seats() {
            self.network.cut(seat, other);
            self.network.cut(other, seat);
        }
    }

    /// Breaks the connection of two members; both notice.
    pub(super) fn disconnect(&mut self, a: u16, b: u16) {
        if self.apart.insert((a.min(b), a.max(b))) {
            self.tell(a, Event::Disconnected(b));
            self.tell(b, Event::Disconnected(a));
        }
    }

    /// Connects two members again.
    pub(super) fn reconnect(&mut self, a: u16, b: u16) {
        if self.apart.remove(&(a.min(b), a.max(b))) && self.connected(a, b) {
            self.tell(a, Event::Connected(b));
            self.tell(b, Event::Connected(a));
        }
    }

    /// Changes what a member sends.
    pub(super) fn tamper(&mut self, seat: u16, tamper: impl FnMut(u16, Message) -> Vec<Message> + 'static) {
        let tamper: Tamper = Box::new(tamper);
        self.member(seat).tamper = Some(tamper);
    }

    /// Sends in the name of a member.
    pub(super) fn send(&mut self, from: u16, to: u16, message: Message) {
        let messages = match &mut self.member(from).tamper {
            Some(tamper) => tamper(to, message),
            None => vec![message],
        };
        for message in messages {
            self.send_frame(from, to, &message);
        }
    }

    /// Publishes in the name of a member.
    pub(super) fn publish(&mut self, from: u16, control: &Control) {
        let bytes = Bytes::from(control.encode());
        assert!(bytes.len() <= GOSSIP_BYTES_MAX, "gossip of {} bytes", bytes.len());
        self.number += 1;
        let key = (from, self.number);
        self.member(from).gossip_seen.insert(key);
        self.forward(from, None, key, &bytes);
    }

    /// Something happens to a member now.
    pub(super) fn happens(&mut self, seat: u16, event: Event) {
        if self.tell(seat, event) {
            self.check();
        }
    }

    // What tests wait for and look at.

    /// Runs until there is nothing left to do.
    pub(super) fn settle(&mut self) {
        let until = self.now + SETTLE_MAX;
        while self.step() {
            assert!(self.now < until, "still busy after {SETTLE_MAX:?}");
        }
        for engine in self.members.iter().filter_map(|member| member.engine.as_ref()) {
            let asleep = engine.batches.values().find(|batch| engine.batch_deadline(batch).is_some());
            assert!(asleep.is_none(), "a deadline of {asleep:?} is forgotten");
        }
    }

    /// Runs for a while of simulated time.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next().is_some_and(|(at, _)| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Runs until something is the case; false when it never is.
    pub(super) fn run_until(&mut self, mut is_so: impl FnMut(&Cluster) -> bool) -> bool {
        let until = self.now + SETTLE_MAX;
        while !is_so(self) {
            if self.now >= until || !self.step() {
                return false;
            }
        }
        true
    }

    /// Submits to a member and runs to the end; the batch must be accepted there.
    pub(super) fn settle_submission(&mut self, seat: u16, request: &Request) -> BatchId {
        let ticket = self.submit(seat, request);
        self.settle();
        *self.log.answers[&ticket].as_ref().expect("the submission is accepted")
    }

    pub(super) fn status(&self, seat: u16, batch_id: &BatchId) -> Option<BatchStatus> {
        self.members[usize::from(seat)].engine.as_ref()?.status(batch_id)
    }

    /// Members whose disk has a certificate of the batch.
    pub(super) fn certified_at(&self, batch_id: &BatchId) -> Vec<u16> {
        let has =
            |seat: &u16| self.members[usize::from(*seat)].disk.durable.certificates.contains_key(batch_id);
        self.seats().filter(has).collect()
    }

    /// Signers of the first certificate of the batch.
    pub(super) fn signers(&self, batch_id: &BatchId) -> Vec<u16> {
        let Some(certificates) = self.checker.certificates.get(batch_id) else { return Vec::new() };
        let seats = certificates[0].signers.seats(&self.committee).unwrap();
        seats.into_iter().map(|seat| seat.0).collect()
    }

    /// Nothing of a settled batch stays in memory, and every gossip message was judged.
    pub(super) fn assert_at_rest(&self) {
        for member in self.members.iter().filter(|member| member.engine.is_some()) {
            let engine = member.engine.as_ref().unwrap();
            assert_eq!(engine.in_flight(), (0, 0), "seat {} keeps bytes", member.config.seat);
            assert!(member.gossip_pending.is_empty(), "seat {} left gossip unjudged", member.config.seat);
        }
    }

    // How it runs.

    /// When the next thing happens, and to whom if it is a tick: those come before the jobs of their time.
    fn next(&self) -> Option<(Duration, Option<u16>)> {
        let job = self.queue.peek().map(|job| job.0.at);
        match self.next_tick() {
            Some((at, seat)) if job.is_none_or(|job| at <= job) => Some((at, Some(seat))),
            _ => job.map(|at| (at, None)),
        }
    }

    fn next_tick(&self) -> Option<(Duration, u16)> {
        let due = |member: &Member| Some((member.deadline?.max(self.now), member.config.seat));
        self.members.iter().filter_map(due).min()
    }

    /// One thing happens; false when there is nothing.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, tick)) = self.next() else { return false };
        if at.as_secs() > self.now.as_secs() {
            self.steps_this_second = 0;
        }
        self.steps_this_second += 1;
        assert!(self.steps_this_second < STEPS_PER_SECOND_MAX, "busy loop at {at:?}: {}", self.last_lines());
        self.now = at;
        match tick {
            Some(seat) => self.tick(seat),
            None => {
                let Reverse(job) = self.queue.pop().expect("whatever is not a tick is a job");
                self.perform_job(job);
            }
        }
        self.check();
        true
    }

    fn tick(&mut self, seat: u16) {
        self.tell(seat, Event::Tick);
        let next = self.members[usize::from(seat)].deadline;
        assert!(
            next.is_none_or(|at| at > self.now),
            "seat {seat} leaves a deadline in the past: {}",
            self.last_lines()
        );
    }

    fn perform_job(&mut self, job: Job) {
        let Job { seat, life, what, .. } = job;
        if self.members[usize::from(seat)].life != life || !self.members[usize::from(seat)].is_up() {
            return;
        }
        match what {
            What::Frame { from, body } => self.receive_frame(seat, from, body),
            What::Gossip { from, key, bytes } => self.receive_gossip(seat, from, key, bytes),
            What::Event(event) => {
                self.tell(seat, *event);
            }
            What::StatementSynced(open_id, write) => {
                self.member(seat).disk.sync(write);
                self.tell(seat, Event::Persisted { open_id, result: Ok(()) });
            }
            What::CertificateSynced(batch_id, write) => {
                self.member(seat).disk.sync(write);
                self.tell(seat, Event::CertificateStored { batch_id, result: Ok(()) });
            }
        }
    }

    /// Gives an event to an engine and performs what it asks for; false when there is no engine.
    pub(super) fn tell(&mut self, seat: u16, event: Event) -> bool {
        let now = now_of(self.now, self.members[usize::from(seat)].clock_skew_seconds);
        let line = format!("{:?} {seat}: {}", self.now, trace::of_event(&event));
        let member = self.member(seat);
        let Some(mut engine) = member.engine.take() else { return false };
        member.note_event(&event);
        let mut effects = Vec::new();
        engine.on(event, now, &mut effects);
        member.deadline = engine.next_deadline();
        member.engine = Some(engine);
        self.note(line);
        for effect in effects {
            self.note(trace::of_effect(&effect));
            self.members[usize::from(seat)].assert_order(&effect);
            self.perform(seat, effect);
        }
        true
    }

    fn check(&mut self) {
        self.checker.check(&self.committee, &self.members);
    }

    fn note(&mut self, line: String) {
        self.log.trace.push(line);
    }

    fn last_lines(&self) -> String {
        let lines = &self.log.trace;
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}
