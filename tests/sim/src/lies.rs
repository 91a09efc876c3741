//! What liars without an engine do, on their own account and in answer to what they hear.

use std::time::Duration;

use attest::{Attestation, SeatIndex};
use bytes::Bytes;
use dac_node_engine::message::{Control, Message, Open, OpenId, Read, Vote, Want};
use dac_node_engine::{Dispersal, Plan, SeatSet};
use parity_scale_codec::Encode;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};

use super::forge::{Encoding, spoil};
use super::liar::{Habit, spoiled};
use super::parties::{REQUESTS, Request, old_committee, request, signed_by, submitter};
use super::pure::{aggregation, attestation, data_root};
use super::world::World;

/// Messages of one flood.
const FLOOD_MESSAGES: usize = 600;
/// A flood runs over this much time.
const FLOOD_TIME: Duration = Duration::from_millis(200);

impl World {
    /// A liar without an engine does one thing of its kind. The rollup has given it these submissions.
    pub(super) fn lie(&mut self, liar: u16, given: &[&Request]) {
        let Some(habit) = self.members[usize::from(liar)].liar.as_ref().map(|liar| liar.habit) else {
            return;
        };
        let request = *given.choose(&mut self.rng).expect("a run has submissions");
        self.tally.lies += 1;
        match habit {
            Habit::WrongRoots => self.open_wrong_root(liar, request),
            Habit::TwoBatches => self.open_two(liar, request),
            Habit::DifferentOpens => self.open_differently(liar, request),
            Habit::Garbage => self.send_garbage(liar),
            Habit::Floods => self.flood(liar, request),
            Habit::OldEpochs => self.replay_old_epoch(liar, request),
            Habit::AttestsBlind | Habit::AttestsTwice => self.attest_blindly(liar, request, habit),
            Habit::Everything => match self.rng.random_range(0..10) {
                0 => self.open_wrong_root(liar, request),
                1 => self.open_two(liar, request),
                2 => self.open_differently(liar, request),
                3 => self.send_garbage(liar),
                4 => self.replay_old_epoch(liar, request),
                5 => self.attest_blindly(liar, request, Habit::AttestsBlind),
                6 => self.attest_blindly(liar, request, Habit::AttestsTwice),
                7 => self.open_unauthorised(liar, request),
                8 => self.pass_on(liar),
                _ => self.coordinate_badly(liar, request),
            },
            _ => {}
        }
    }

    fn others(&self, liar: u16) -> Vec<u16> {
        self.seats().filter(|seat| *seat != liar).collect()
    }

    fn any_other(&mut self, liar: u16) -> u16 {
        *self.others(liar).choose(&mut self.rng).expect("a committee with a liar has others")
    }

    /// Opens to some on streams, and perhaps to all by gossip.
    fn open_to(&mut self, liar: u16, open: &Open, to: &[u16]) {
        for seat in to {
            self.send(liar, *seat, Message::Open(Box::new(open.clone())));
        }
        if self.rng.random_bool(0.5) {
            self.publish(liar, &Control::Open(Box::new(open.clone())));
        }
    }

    /// Sends the pieces of a plan, each with this chance.
    fn disperse(&mut self, liar: u16, encoding: &Encoding, request: &Request, chance: f64) {
        let id = encoding.open_id(&self.committee, request);
        let plan =
            Plan::new(request.submission.data_hash, liar, &self.committee.thresholds(), Dispersal::Coded);
        for stripe in 0..encoding.stripes() {
            for (index, to) in plan.direct(stripe) {
                if self.rng.random_bool(chance) {
                    self.send(liar, to, Message::Piece(id, encoding.piece(stripe, index)));
                }
            }
        }
    }

    /// An encoding that is wrong, in its own name or in another's, with all its pieces.
    fn open_wrong_root(&mut self, liar: u16, request: &Request) {
        let encoding = Encoding::wrong(&self.committee, request, &mut self.rng);
        let named = if self.rng.random_bool(0.5) { liar } else { self.any_other(liar) };
        let open = encoding.open(&self.committee, request, named);
        let all = self.others(liar);
        self.open_to(liar, &open, &all);
        self.disperse(liar, &encoding, request, 1.0);
    }

    /// The right encoding and a wrong one of the same submission, to everyone.
    fn open_two(&mut self, liar: u16, request: &Request) {
        let all = self.others(liar);
        let right = Encoding::of(&self.committee, &request.batch);
        let wrong = Encoding::wrong(&self.committee, request, &mut self.rng);
        let mut both = [&right, &wrong];
        if self.rng.random_bool(0.5) {
            both.reverse();
        }
        for encoding in both {
            let open = encoding.open(&self.committee, request, liar);
            self.open_to(liar, &open, &all);
            self.disperse(liar, encoding, request, 1.0);
        }
    }

    /// Half of the members are told one thing, the others another.
    fn open_differently(&mut self, liar: u16, request: &Request) {
        let (even, odd): (Vec<u16>, Vec<u16>) = self.others(liar).into_iter().partition(|seat| seat % 2 == 0);
        for half in [even, odd] {
            let right = self.rng.random_bool(0.3);
            let encoding = match right {
                true => Encoding::of(&self.committee, &request.batch),
                false => Encoding::wrong(&self.committee, request, &mut self.rng),
            };
            let open = encoding.open(&self.committee, request, liar);
            let id = encoding.open_id(&self.committee, request);
            for to in half {
                self.send(liar, to, Message::Open(Box::new(open.clone())));
                for stripe in 0..encoding.stripes() {
                    self.send(liar, to, Message::Piece(id, encoding.piece(stripe, to)));
                }
            }
        }
    }

    /// The right encoding, of which most pieces never come.
    fn coordinate_badly(&mut self, liar: u16, request: &Request) {
        let encoding = Encoding::of(&self.committee, &request.batch);
        let open = encoding.open(&self.committee, request, liar);
        let all = self.others(liar);
        self.open_to(liar, &open, &all);
        let chance = self.rng.random_range(0.0..0.8);
        self.disperse(liar, &encoding, request, chance);
    }

    /// A submission that the rollup never made: another key, or other numbers under the old signature.
    fn open_unauthorised(&mut self, liar: u16, request: &Request) {
        let mut submission = request.submission;
        submission.retain_until += 1;
        let forged = match self.rng.random_bool(0.5) {
            true => signed_by(&submitter(2), submission, request.batch.clone()),
            false => Request { submission, ..request.clone() },
        };
        let encoding = Encoding::of(&self.committee, &forged.batch);
        let open = encoding.open(&self.committee, &forged, liar);
        let all = self.others(liar);
        self.open_to(liar, &open, &all);
        self.disperse(liar, &encoding, &forged, 1.0);
        self.tally.unauthorised += 1;
    }

    /// Bytes that are no messages, and messages of things that are not.
    fn send_garbage(&mut self, liar: u16) {
        for _ in 0..8 {
            let to = self.any_other(liar);
            let mut bytes = vec![0; self.rng.random_range(0..200)];
            self.rng.fill_bytes(&mut bytes);
            if let Some(kind) = bytes.first_mut() {
                *kind %= 10;
            }
            self.send_frame(liar, to, bytes.clone().into(), Duration::ZERO, false);
            let nonsense = self.nonsense();
            self.send(liar, to, nonsense);
            self.publish_bytes(liar, Bytes::from(bytes));
        }
    }

    fn nonsense(&mut self) -> Message {
        let mut id = [0; 32];
        self.rng.fill_bytes(&mut id);
        let (open_id, stripe) = (OpenId(id), self.rng.random());
        let (held, count) = (SeatSet::from_iter([self.rng.random_range(0..300)]), self.rng.random());
        match self.rng.random_range(0..5) {
            0 => Message::Want(Want { open_id, stripe, held, count }),
            1 => Message::Lack(open_id, stripe),
            2 => Message::Read(Read { request: 1, batch_id: attest::BatchId(id), stripe, held, count }),
            3 => Message::ReadEnd(self.rng.random_range(0..50), count),
            _ => {
                let path = vec![id; self.rng.random_range(0..32)];
                let piece = dac_node_coding::Piece { stripe, index: count, bytes: Bytes::new(), path };
                Message::Piece(open_id, piece)
            }
        }
    }

    /// As much as the links take, of what costs the receiver something.
    fn flood(&mut self, liar: u16, given: &Request) {
        let encoding = Encoding::of(&self.committee, &given.batch);
        let id = encoding.open_id(&self.committee, given);
        let known: Vec<attest::BatchId> = self.checker.certificates.keys().copied().collect();
        for _ in 0..FLOOD_MESSAGES {
            let to = self.any_other(liar);
            let stripe = self.rng.random_range(0..encoding.stripes());
            let index = self.rng.random_range(0..self.committee.thresholds().members());
            let (held, count) = (SeatSet::EMPTY, u16::MAX);
            let message = match self.rng.random_range(0..4) {
                0 => Message::Piece(id, spoil(encoding.piece(stripe, index), &mut self.rng)),
                1 => Message::Want(Want { open_id: id, stripe, held, count }),
                2 if !known.is_empty() => {
                    let batch_id = *known.choose(&mut self.rng).expect("not empty");
                    Message::Read(Read { request: 7, batch_id, stripe, held, count })
                }
                _ => self.nonsense(),
            };
            let delay = self.rng.random_range(Duration::ZERO..FLOOD_TIME);
            self.send_frame(liar, to, message.to_frame().slice(4..), delay, false);
        }
        let other = request(self.rng.random_range(0..REQUESTS));
        self.open_wrong_root(liar, given);
        self.open_unauthorised(liar, other);
    }

    /// An open, a vote and a certificate as they were right an epoch ago.
    fn replay_old_epoch(&mut self, liar: u16, request: &Request) {
        let old = old_committee(&self.committee);
        let encoding = Encoding::of(&old, &request.batch);
        let open = encoding.open(&old, request, liar);
        let all = self.others(liar);
        self.open_to(liar, &open, &all);
        let statement = request.submission.statement(&old, data_root(&request.batch), open.shards_root);
        let seats = 0..old.thresholds().quorum();
        // Every member's signature of an epoch that ended is known to everyone.
        let attestations: Vec<Attestation> = seats.map(|seat| attestation(seat, &statement, &old)).collect();
        let open_id = encoding.open_id(&self.committee, request);
        for attestation in &attestations {
            self.publish(liar, &Control::Vote(Vote { open_id, attestation: *attestation }));
        }
        if let Ok(certified) = aggregation(&old, &statement, attestations).certificate {
            self.publish(liar, &Control::Certificate(certified.into_certificate().encode()));
        }
    }

    /// Attests the right statement without a byte of it; or that, and another one under the same name.
    fn attest_blindly(&mut self, liar: u16, request: &Request, habit: Habit) {
        let encoding = Encoding::of(&self.committee, &request.batch);
        let open = encoding.open(&self.committee, request, liar);
        self.vote_for(liar, &open, &request.batch, habit);
    }

    fn vote_for(&mut self, liar: u16, open: &Open, batch: &Bytes, habit: Habit) {
        let statement = open.submission.statement(&self.committee, data_root(batch), open.shards_root);
        let digest = open.submission.digest(self.committee.domain());
        let named = [*digest.as_bytes(), *open.shards_root.as_bytes()].concat();
        let open_id = OpenId(fpga_hash::keccak256(&named));
        let good = Vote { open_id, attestation: attestation(liar, &statement, &self.committee) };
        for to in self.others(liar) {
            let vote = match habit {
                Habit::AttestsTwice if self.rng.random_bool(0.5) => spoiled(good.clone(), &mut self.rng),
                _ => good.clone(),
            };
            self.send(liar, to, Message::Vote(vote));
        }
        let mut said = good.clone();
        if habit == Habit::AttestsTwice {
            said = spoiled(said, &mut self.rng);
        }
        // A vote of another seat that it cannot have signed.
        let mut foreign = good;
        foreign.attestation.seat = SeatIndex(self.any_other(liar));
        self.publish(liar, &Control::Vote(said));
        self.publish(liar, &Control::Vote(foreign));
    }

    /// What it got from somebody goes to somebody else.
    fn pass_on(&mut self, liar: u16) {
        let to = self.any_other(liar);
        let World { members, rng, .. } = self;
        let heard = members[usize::from(liar)].liar.as_ref().map(|liar| &liar.inbox);
        let Some(heard) = heard.filter(|heard| !heard.is_empty()) else { return };
        let (_, message) = heard[rng.random_range(0..heard.len())].clone();
        self.send(liar, to, message);
    }

    /// A liar without an engine hears something, and may answer.
    pub(super) fn liar_hears(&mut self, seat: u16, from: u16, message: Message) {
        let Some(liar) = self.member(seat).liar.as_mut() else { return };
        let habit = liar.habit;
        if !liar.hear(from, message.clone()) {
            return;
        }
        match message {
            Message::Open(open) if matches!(habit, Habit::AttestsBlind | Habit::AttestsTwice) => {
                let given = (0..REQUESTS).map(request).find(|r| r.submission == open.submission);
                if let Some(request) = given {
                    self.vote_for(seat, &open, &request.batch, habit);
                }
            }
            Message::Read(read) => self.answer_wrongly(seat, from, &read),
            Message::Want(want) if habit != Habit::Everything => {
                self.send(seat, from, Message::Lack(want.open_id, want.stripe));
            }
            _ => {}
        }
    }

    /// Pieces that are not what was asked for.
    fn answer_wrongly(&mut self, liar: u16, to: u16, read: &Read) {
        let Some(statement) = self.statement_of(read.batch_id) else { return };
        let given = (0..REQUESTS).map(request).find(|r| r.submission.data_hash == statement.data_hash);
        let Some(request) = given else { return };
        let encoding = match self.rng.random_bool(0.5) {
            true => Encoding::of(&self.committee, &request.batch),
            false => Encoding::wrong(&self.committee, request, &mut self.rng),
        };
        let stripe = read.stripe % encoding.stripes();
        for index in self.seats() {
            let piece = spoil(encoding.piece(stripe, index), &mut self.rng);
            self.send(liar, to, Message::ReadPiece(read.request, piece));
        }
        self.send(liar, to, Message::ReadEnd(read.request, 1));
    }
}
