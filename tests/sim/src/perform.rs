//! How the driver performs what engines ask for: work, disk, messages; and what of it must stay within bounds.

use std::cmp::Reverse;
use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;
use dac_node_engine::Reason;
use dac_node_engine::message::QUEUE_FRAMES_MAX;
use dac_node_engine::message::{GOSSIP_BYTES_MAX, Message, Reply};
use dac_node_engine::{Credit, Effect, Event, Note, Verdict};
use parity_scale_codec::Encode;
use rand::Rng;

use super::disk::Write;
use super::pure::{compute, dispersal};
use super::queue::{GossipKey, Job, What};
use super::reader::stored_pieces;
use super::world::World;

/// Gossip messages that a member may have in hand and not yet judged.
const UNJUDGED_MAX: usize = 1024;

impl World {
    /// Performs one effect of a member's engine.
    pub(super) fn perform(&mut self, seat: u16, effect: Effect) {
        match effect {
            Effect::Answer { ticket, result } => {
                let earlier = self.answers.insert(ticket, result);
                assert!(earlier.is_none(), "ticket {ticket} is answered twice");
            }
            Effect::Send { to, message } => {
                to.into_iter().for_each(|to| self.send(seat, to, message.clone()));
            }
            Effect::Gossip(control) => self.publish(seat, &control),
            Effect::Judge { gossip, verdict } => self.judge(seat, gossip, verdict),
            Effect::Disperse { open_id, plan, batch, piece_roots } => {
                for (to, piece) in dispersal(&plan, &batch, &piece_roots) {
                    self.send_patiently(seat, to, Message::Piece(open_id, piece));
                }
                self.later(seat, Event::Dispersed { open_id }, Credit::default());
            }
            Effect::Admit { open_id, content, rollup } => {
                let member = &self.members[usize::from(seat)];
                let unix_seconds = member.now(self.now).unix_seconds;
                let facts = member.disk.facts(&content, rollup, unix_seconds);
                self.later(seat, Event::Admitted { open_id, facts }, Credit::default());
            }
            Effect::Persist { .. } | Effect::StoreCertificate { .. } => self.write(seat, effect),
            Effect::ServeRead { to, read, .. } => {
                let ask = (read.stripe, read.held, read.count);
                let pieces = stored_pieces(&self.members[usize::from(seat)], read.batch_id, ask);
                let sent = u16::try_from(pieces.len()).expect("at most as many pieces as members");
                for piece in pieces {
                    self.send(seat, to, Message::ReadPiece(read.request, piece));
                }
                self.send(seat, to, Message::ReadEnd(read.request, sent));
            }
            Effect::ServeWant { to, batch_id, want, .. } => {
                let ask = (want.stripe, want.held, want.count);
                let pieces = stored_pieces(&self.members[usize::from(seat)], batch_id, ask);
                if pieces.is_empty() {
                    self.send(seat, to, Message::Lack(want.open_id, want.stripe));
                }
                for piece in pieces {
                    self.send(seat, to, Message::Piece(want.open_id, piece));
                }
            }
            Effect::ServeAsk { to, request, .. } => {
                self.send(seat, to, Message::Reply(request, Reply::NotHere));
            }
            Effect::ReadAnswer { from: _, message } => self.on_read_answer(seat, message),
            Effect::StoreEvidence { .. } | Effect::Penalise { .. } | Effect::Note(_) => {
                self.judge_the_judge(seat, &effect);
            }
            Effect::Changed(_) => {}
            computation => self.compute(seat, computation),
        }
    }

    fn compute(&mut self, seat: u16, computation: Effect) {
        let credit = match &computation {
            Effect::Sign { statement, .. } if self.members[usize::from(seat)].is_honest() => {
                self.checker.on_sign(seat, statement.digest(self.committee.domain()));
                self.tally.signatures += 1;
                Credit::default()
            }
            Effect::CheckPiece { credit, .. } => credit.clone(),
            _ => Credit::default(),
        };
        let event = compute(computation, seat, &self.committee);
        self.later(seat, event, credit);
    }

    fn write(&mut self, seat: u16, effect: Effect) {
        let honest = self.members[usize::from(seat)].is_honest();
        let sync = match effect {
            Effect::Persist { open_id, record, content } => {
                if honest {
                    self.checker.on_statement(seat, &record);
                }
                if let Some(content) = content.as_ref().filter(|_| honest) {
                    self.checker.on_content(content);
                }
                What::StatementSynced(
                    open_id,
                    self.member(seat).disk.write(Write::Statement(record, content)),
                )
            }
            Effect::StoreCertificate { batch_id, certificate } => {
                if honest {
                    self.tally.certificates += 1;
                    self.checker.on_certificate(&certificate);
                }
                let write = Write::Certificate(batch_id, certificate.encode());
                What::CertificateSynced(batch_id, self.member(seat).disk.write(write))
            }
            other => unreachable!("not a write: {other:?}"),
        };
        let longest = self.members[usize::from(seat)].sync_delay_max;
        let at = self.now + self.rng.random_range(Duration::from_micros(200)..=longest);
        self.push(at, seat, sync);
    }

    /// What honest members hold against others must be true: no honest member is blamed, no right encoding is refused.
    fn judge_the_judge(&mut self, seat: u16, effect: &Effect) {
        if !self.members[usize::from(seat)].is_honest() {
            return;
        }
        match effect {
            Effect::Penalise { seat: culprit, why } => {
                let guilty = !self.members[usize::from(*culprit)].is_honest();
                assert!(guilty, "seat {seat} blames seat {culprit}, which is honest: {why}");
                self.tally.penalties += 1;
            }
            Effect::StoreEvidence { open_id, .. } => {
                assert!(
                    !self.checker.is_honest_open(open_id),
                    "seat {seat} keeps evidence of a right encoding"
                );
                self.tally.evidence += 1;
            }
            Effect::Note(Note::Refused { open_id, reason, detail }) => {
                let wrong = matches!(reason, Reason::BadEncoding | Reason::CommitmentMismatch);
                let right = self.checker.is_honest_open(open_id);
                assert!(!(wrong && right), "seat {seat} calls a right encoding wrong: {detail}");
                self.tally.refusals += 1;
            }
            _ => {}
        }
    }

    /// Memory and queues of one member.
    pub(super) fn check_bounds(&mut self, seat: u16) {
        let member = &self.members[usize::from(seat)];
        let Some(engine) = member.engine.as_ref().filter(|_| member.is_honest()) else { return };
        let (count, bytes) = engine.in_flight();
        let config = &member.config;
        assert!(count <= config.batches_in_flight_max, "seat {seat}: {count} batches in flight");
        assert!(bytes <= config.bytes_in_flight_max, "seat {seat}: {bytes} bytes in flight");
        let unjudged = member.gossip_pending.len();
        assert!(unjudged <= UNJUDGED_MAX, "seat {seat}: {unjudged} gossip messages not judged");
        let waiting = member.backlog.values().map(std::collections::VecDeque::len).max().unwrap_or(0);
        assert!(waiting <= QUEUE_FRAMES_MAX, "seat {seat}: {waiting} frames of one peer wait");
        self.tally.in_flight_most = self.tally.in_flight_most.max(count as u64);
        self.tally.limits_reached += u64::from(count == config.batches_in_flight_max);
        self.tally.bytes_limits_reached += u64::from(bytes == config.bytes_in_flight_max);
    }

    fn judge(&mut self, seat: u16, gossip: u64, verdict: Verdict) {
        let pending = self.member(seat).gossip_pending.remove(&gossip);
        let (from, key, bytes) = pending.expect("a gossip message is judged once");
        if verdict == Verdict::Accept {
            self.forward(seat, Some(from), key, &bytes);
        }
        if verdict == Verdict::Reject && self.members[usize::from(seat)].is_honest() {
            let guilty = !self.members[usize::from(from)].is_honest();
            assert!(guilty, "seat {seat} rejects gossip of seat {from}, which is honest");
        }
    }

    /// Publishes bytes, unless the member has seen the same before.
    pub(super) fn publish_bytes(&mut self, from: u16, bytes: Bytes) {
        assert!(bytes.len() <= GOSSIP_BYTES_MAX, "gossip of {} bytes", bytes.len());
        let hash = fpga_hash::keccak256(&bytes);
        let key = GossipKey::from_le_bytes(hash[..8].try_into().expect("8 of 32 bytes"));
        if self.member(from).gossip_seen.insert(key) {
            self.forward(from, None, key, &bytes);
        }
    }

    fn forward(&mut self, from: u16, source: Option<u16>, key: GossipKey, bytes: &Bytes) {
        for to in self.seats().filter(|to| Some(*to) != source) {
            let seen = self.members[usize::from(to)].gossip_seen.contains(&key);
            if !seen && self.connected(from, to) {
                for at in self.network.arrivals(&mut self.rng, from, to, self.now) {
                    self.push(at, to, What::Gossip { from, key, bytes: bytes.clone() });
                }
            }
        }
    }

    fn send_patiently(&mut self, from: u16, to: u16, message: Message) {
        let World { members, rng, .. } = self;
        let (delay, message) = match &members[usize::from(from)].liar {
            Some(liar) => match liar.tamper(to, message, rng) {
                Some(sent) => sent,
                None => return,
            },
            None => (Duration::ZERO, message),
        };
        self.send_frame(from, to, message.to_frame().slice(4..), delay, true);
    }

    /// Puts a frame on a link, `delay` from now.
    pub(super) fn send_frame(&mut self, from: u16, to: u16, body: Bytes, delay: Duration, patient: bool) {
        assert_ne!(from, to, "a member does not send to itself");
        if !self.connected(from, to) {
            return;
        }
        for at in self.network.arrivals(&mut self.rng, from, to, self.now + delay) {
            if self.network.enqueue(from, to, patient) {
                self.push(at, to, What::Frame { from, body: body.clone() });
            } else {
                self.tally.dropped += 1;
            }
        }
    }

    pub(super) fn receive_frame(&mut self, seat: u16, from: u16, body: Bytes) {
        let Ok(message) = Message::from_body(body) else {
            let guilty = !self.members[usize::from(from)].is_honest();
            assert!(guilty, "seat {from} is honest and sends what is no message");
            self.network.dequeue(from, seat);
            return;
        };
        if self.members[usize::from(seat)].engine.is_none() {
            self.network.dequeue(from, seat);
            return self.liar_hears(seat, from, message);
        }
        let class = (from, message.is_repair());
        self.member(seat).backlog.entry(class).or_default().push_back(message);
        self.drain_backlog(seat);
    }

    /// Takes what waits as far as credits go.
    pub(super) fn drain_backlog(&mut self, seat: u16) {
        while let Some((from, message, credit)) = self.member(seat).next_in_backlog() {
            self.network.dequeue(from, seat);
            self.tell(seat, Event::Message { from, message, credit });
        }
    }

    pub(super) fn receive_gossip(&mut self, seat: u16, from: u16, key: GossipKey, bytes: Bytes) {
        if self.members[usize::from(seat)].engine.is_none() {
            return;
        }
        if let Some(event) = self.member(seat).hear(from, key, bytes) {
            self.tell(seat, event);
        }
    }

    /// Work takes up to two milliseconds.
    fn later(&mut self, seat: u16, event: Event, credit: Credit) {
        let at = self.now + Duration::from_micros(self.rng.random_range(10..2_000));
        self.push(at, seat, What::Event(Box::new(event), credit));
    }

    fn push(&mut self, at: Duration, seat: u16, what: What) {
        self.number += 1;
        let life = self.members[usize::from(seat)].life;
        self.queue.push(Reverse(Job { at, number: self.number, seat, life, what }));
    }

    /// Members that were told that a certificate of the batch is durable.
    pub(super) fn has_certificate(&self, seat: u16, batch_id: &BatchId) -> bool {
        self.checker.has_stored(seat, batch_id)
    }
}
