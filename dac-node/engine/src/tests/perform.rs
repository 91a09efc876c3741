//! How the driver performs what engines ask for: work, disk, messages.

use std::cmp::Reverse;
use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;
use parity_scale_codec::Encode;
use rand::Rng;

use super::checker::key_of;
use super::cluster::Cluster;
use super::disk::Write;
use super::member::{GossipKey, compute, dispersal, stored_pieces};
use super::queue::{Job, What};
use crate::message::{Control, Message, Reply};
use crate::{Credit, Effect, Event, SeatSet, Verdict};

impl Cluster {
    /// Performs one effect of a member's engine.
    pub(super) fn perform(&mut self, seat: u16, effect: Effect) {
        match effect {
            Effect::Answer { ticket, result } => {
                let earlier = self.log.answers.insert(ticket, result);
                assert!(earlier.is_none(), "ticket {ticket} is answered twice");
            }
            Effect::Send { to, message } => {
                to.into_iter().for_each(|to| self.send(seat, to, message.clone()))
            }
            Effect::Gossip(control) => self.publish(seat, &control),
            Effect::Judge { gossip, verdict } => self.judge(seat, gossip, verdict),
            Effect::Disperse { open_id, plan, batch, piece_roots } => {
                for (to, piece) in dispersal(&plan, &batch, &piece_roots) {
                    self.send(seat, to, Message::Piece(open_id, piece));
                }
                self.later(seat, Event::Dispersed { open_id });
            }
            Effect::Admit { open_id, content, rollup } => {
                let facts = Ok(self.members[usize::from(seat)].disk.facts(&content, rollup));
                self.later(seat, Event::Admitted { open_id, facts });
            }
            Effect::Persist { open_id, record, content } => {
                *self.log.persisted_contents.entry(seat).or_default() += usize::from(content.is_some());
                match self.member(seat).disk.write(Write::Statement(record, content)) {
                    Ok(write) => self.sync_later(seat, What::StatementSynced(open_id, write)),
                    Err(refusal) => self.later(seat, Event::Persisted { open_id, result: Err(refusal) }),
                }
            }
            Effect::StoreCertificate { batch_id, certificate } => {
                self.checker.on_certificate(&certificate);
                match self.member(seat).disk.write(Write::Certificate(batch_id, certificate.encode())) {
                    Ok(write) => self.sync_later(seat, What::CertificateSynced(batch_id, write)),
                    Err(refusal) => {
                        self.later(seat, Event::CertificateStored { batch_id, result: Err(refusal) })
                    }
                }
            }
            Effect::StoreEvidence { frames, .. } => self.log.evidence.push((seat, frames)),
            Effect::ServeRead { to, read, .. } => {
                let pieces = self.stored(seat, &read.batch_id, (read.stripe, read.held, read.count));
                let sent = u16::try_from(pieces.len()).unwrap();
                for piece in pieces {
                    self.send(seat, to, Message::ReadPiece(read.request, piece));
                }
                self.send(seat, to, Message::ReadEnd(read.request, sent));
            }
            Effect::ServeWant { to, batch_id, want, .. } => {
                let pieces = self.stored(seat, &batch_id, (want.stripe, want.held, want.count));
                if pieces.is_empty() {
                    self.send(seat, to, Message::Lack(want.open_id, want.stripe));
                }
                for piece in pieces {
                    self.send(seat, to, Message::Piece(want.open_id, piece));
                }
            }
            Effect::ServeAsk { to, request, .. } => {
                self.send(seat, to, Message::Reply(request, Reply::NotHere))
            }
            Effect::ReadAnswer { from, message } => self.log.read_answers.push((from, message)),
            Effect::Penalise { seat: culprit, why } => self.log.penalties.push((seat, culprit, why)),
            Effect::Changed(_) => {}
            Effect::Note(note) => self.log.notes.push((seat, note)),
            computation => {
                if let Effect::Sign { statement, .. } = &computation {
                    self.checker.on_sign(seat, statement.digest(self.committee.domain()));
                }
                if let Effect::Aggregate { attestations, .. } = &computation {
                    self.log.aggregations += 1;
                    let of =
                        |seat| attestations.iter().filter(|attestation| attestation.seat.0 == seat).count();
                    let most = self.seats().map(of).max().unwrap_or(0);
                    self.log.candidates_most = self.log.candidates_most.max(most);
                }
                let event = compute(computation, seat, &self.committee);
                self.later(seat, event);
            }
        }
    }

    fn stored(&self, seat: u16, batch_id: &BatchId, ask: (u32, SeatSet, u16)) -> Vec<dac_node_coding::Piece> {
        let image = &self.members[usize::from(seat)].disk.durable;
        let Some(record) = image.statements.get(batch_id) else { return Vec::new() };
        stored_pieces(image, &key_of(&record.statement), seat, ask)
    }

    fn judge(&mut self, seat: u16, gossip: u64, verdict: Verdict) {
        let pending = self.member(seat).gossip_pending.remove(&gossip);
        let (from, key, bytes) = pending.expect("a gossip message is judged once");
        match verdict {
            Verdict::Accept => self.forward(seat, Some(from), key, &bytes),
            Verdict::Ignore => {}
            Verdict::Reject => self.log.rejected.push((seat, from)),
        }
    }

    pub(super) fn forward(&mut self, from: u16, source: Option<u16>, key: GossipKey, bytes: &Bytes) {
        for to in self.seats().filter(|to| Some(*to) != source) {
            if self.connected(from, to) {
                for at in self.network.arrivals(&mut self.rng, from, to, self.now) {
                    self.push(at, to, What::Gossip { from, key, bytes: bytes.clone() });
                }
            }
        }
    }

    pub(super) fn send_frame(&mut self, from: u16, to: u16, message: &Message) {
        assert_ne!(from, to, "a member does not send to itself");
        if !self.connected(from, to) {
            return;
        }
        let frame = message.to_frame();
        self.network.count_sent(from, frame.len());
        for at in self.network.arrivals(&mut self.rng, from, to, self.now) {
            self.push(at, to, What::Frame { from, body: frame.slice(4..) });
        }
    }

    pub(super) fn receive_frame(&mut self, seat: u16, from: u16, body: Bytes) {
        self.network.count_received(seat, body.len() + 4);
        let message = Message::from_body(body).expect("a frame decodes");
        if self.members[usize::from(seat)].puppet {
            self.member(seat).inbox.push((from, message));
        } else {
            self.tell(seat, Event::Message { from, message, credit: Credit::default() });
        }
    }

    pub(super) fn receive_gossip(&mut self, seat: u16, from: u16, key: GossipKey, bytes: Bytes) {
        let member = self.member(seat);
        if !member.gossip_seen.insert(key) {
            return;
        }
        let control = Control::from_bytes(&bytes).expect("gossip decodes");
        if member.puppet {
            return member.heard.push(control);
        }
        member.gossip_next += 1;
        let gossip = member.gossip_next;
        member.gossip_pending.insert(gossip, (from, key, bytes));
        self.tell(seat, Event::Control { from, control, gossip });
    }

    pub(super) fn connected(&self, a: u16, b: u16) -> bool {
        let up = |seat: u16| self.members[usize::from(seat)].is_up();
        a != b && up(a) && up(b) && !self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// Tells a member whom it can reach.
    pub(super) fn greet(&mut self, seat: u16) {
        for other in self.seats() {
            if self.connected(seat, other) {
                self.tell(seat, Event::Connected(other));
            }
        }
    }

    /// Work takes up to two milliseconds.
    fn later(&mut self, seat: u16, event: Event) {
        let at = self.now + Duration::from_micros(self.rng.random_range(10..2_000));
        self.push(at, seat, What::Event(Box::new(event)));
    }

    fn sync_later(&mut self, seat: u16, what: What) {
        let (shortest, longest) = self.members[usize::from(seat)].sync_delay;
        let at = self.now + self.rng.random_range(shortest..=longest);
        self.push(at, seat, what);
    }

    fn push(&mut self, at: Duration, seat: u16, what: What) {
        self.number += 1;
        let life = self.members[usize::from(seat)].life;
        self.queue.push(Reverse(Job { at, number: self.number, seat, life, what }));
    }
}
