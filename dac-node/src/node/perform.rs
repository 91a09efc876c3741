//! Performs effects, one arm each: what is cheap here, the rest elsewhere, with an event for an answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attest::{Attestation, BatchId, Certificate, SeatIndex, Statement, SubmissionDigest};
use bytes::Bytes;
use dac_node_coding::{Layout, Piece, PieceRoots, decode_stripe, encode_and_root};
use fpga_hash::Hasher;
use parity_scale_codec::Encode;
use tokio::sync::mpsc;

use super::stored::check_shard;
use super::{Completion, NodeError, Usage, Worker, disperse, refusal_of};
use crate::compute::Turn;
use crate::metrics::Step;
use crate::net::Class;
use dac_node_engine::message::{Message, OpenId};
use dac_node_engine::{Credit, Effect, Event, Facts, Note, Plan};
use dac_node_store::{ContentKey, NewContent, StatementRecord};

impl Worker {
    /// Does what the engine asks.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Answer { ticket, result } => {
                if let Some(reply) = self.tickets.remove(&ticket) {
                    // The client went away; the batch goes on.
                    let _unheard = reply.send(result);
                }
            }
            Effect::Send { to, message } => self.send(&to, &message),
            Effect::Gossip(control) => self.shared.network.gossip(control.encode()),
            Effect::Judge { gossip, verdict } => self.shared.network.judge(gossip, verdict),
            Effect::Encode { submission, layout, batch } => self.encode(submission, layout, batch),
            Effect::Root { open_id, layout, batch } => self.root(open_id, layout, batch),
            Effect::Disperse { open_id, plan, batch, piece_roots } => {
                self.disperse(open_id, plan, batch, piece_roots);
            }
            Effect::Admit { open_id, content, rollup } => self.admit(open_id, content, rollup),
            Effect::CheckPiece { open_id, from, layout, shards_root, piece, credit } => {
                self.check_piece(open_id, from, layout, shards_root, piece, credit);
            }
            Effect::Decode { open_id, layout, stripe, pieces } => {
                let (shared, coder) = (self.shared.clone(), self.shared.coder.clone());
                self.compute(open_id, move || {
                    let decode =
                        |hasher: &dyn Hasher| decode_stripe(&coder, &layout, stripe, &pieces, hasher);
                    let result = shared.hash.judge(decode);
                    // Here, and not when all stripes are there: then every member would hash at the same time, last.
                    let result = result.map(|stripe| stripe.with_data_subtrees(&*shared.hasher));
                    Event::StripeDecoded { open_id, stripe, result }
                });
            }
            Effect::Finish { open_id, assembler, data_hash, shards_root } => {
                let (shared, coder) = (self.shared.clone(), self.shared.coder.clone());
                self.compute(open_id, move || {
                    let result = assembler
                        .finish_announced(data_hash, shards_root, &*shared.hasher)
                        .and_then(|decoded| shared.hash.vouch(&coder, decoded));
                    Event::Finished { open_id, result }
                });
            }
            Effect::Persist { open_id, record, content } => self.persist(open_id, record, content),
            Effect::Sign { open_id, statement } => self.sign(open_id, statement),
            Effect::Aggregate { open_id, statement, attestations } => {
                self.aggregate(open_id, statement, attestations);
            }
            Effect::CheckCertificate { from, gossip, bytes } => {
                let committee = self.shared.engine.committee.clone();
                let check = move || {
                    let result =
                        Certificate::decode_strict(&bytes).and_then(|c| c.verify(&committee)).map(Box::new);
                    Event::CertificateChecked { from, gossip, result }
                };
                // What peers send must not keep this member's own signatures waiting.
                let turn = self.shared.compute.turn();
                self.shared.compute.spawn(turn, self.signatures(check));
            }
            Effect::StoreCertificate { batch_id, certificate } => {
                self.store_certificate(batch_id, &certificate)
            }
            Effect::StoreEvidence { open_id, frames } => self.store_evidence(open_id, &frames),
            Effect::ServeRead { to, read, credit } => {
                super::serve::read(self.shared.clone(), to, read, credit);
            }
            Effect::ServeAsk { to, request, question, credit } => {
                super::serve::question(self.shared.clone(), to, request, question, credit);
            }
            Effect::ServeWant { to, batch_id, want, credit } => {
                let usage = self.usage(want.open_id);
                super::serve::want(self.shared.clone(), to, batch_id, want, credit, usage);
            }
            Effect::ReadAnswer { from, message } => self.shared.reader.deliver(from, message),
            Effect::Penalise { seat, why } => self.penalise(seat, &why),
            Effect::Changed(batch_id) => self.post_status(&batch_id),
            Effect::Note(note) => self.note(note),
        }
    }

    /// Encodes once, queues for each.
    fn send(&mut self, to: &[u16], message: &Message) {
        if to.is_empty() {
            return;
        }
        let class = if message.is_repair() { Class::Repair } else { Class::Bulk };
        // A pulled piece travels in the bulk class like any other piece of an exchange.
        let frame = message.to_frame();
        let open_id = message.open_id(self.shared.engine.committee.domain());
        let usage = open_id.map(|open_id| self.usage(open_id));
        for seat in to {
            let dropped = self.shared.network.send(*seat, class, frame.clone());
            match (dropped, &usage) {
                (Ok(()), Some(usage)) => {
                    usage.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
                }
                (Ok(()), None) => {}
                (Err(_), _) => {
                    self.shared.network.counters().frames_dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Runs work on the compute pool in the batch's turn; its event comes back.
    fn compute(&mut self, open_id: OpenId, work: impl FnOnce() -> Event + Send + 'static) {
        let turn = self.usage(open_id).turn;
        self.compute_in(turn, work);
    }

    fn compute_in(&self, turn: Turn, work: impl FnOnce() -> Event + Send + 'static) {
        self.shared.compute.spawn(turn, answering(&self.completions, move || Completion::Event(work())));
    }

    /// Work on signatures; its event comes back.
    fn signatures(&self, work: impl FnOnce() -> Event + Send + 'static) -> impl FnOnce() + Send + 'static {
        let work = answering(&self.completions, move || Completion::Event(work()));
        self.shared.compute.on_signatures(work)
    }

    /// Runs work that waits for the disk; its event comes back.
    fn blocking(&self, work: impl FnOnce() -> Completion + Send + 'static) {
        tokio::task::spawn_blocking(answering(&self.completions, work));
    }

    fn encode(&self, submission: SubmissionDigest, layout: Layout, batch: Bytes) {
        let (shared, coder) = (self.shared.clone(), self.shared.coder.clone());
        self.compute_in(self.shared.compute.turn(), move || {
            let piece_roots = encode_and_root(&*shared.hasher, &coder, &layout, &batch);
            Event::Encoded { submission, piece_roots }
        });
    }

    fn root(&mut self, open_id: OpenId, layout: Layout, batch: Bytes) {
        let (shared, coder, seat) = (self.shared.clone(), self.shared.coder.clone(), self.shared.engine.seat);
        self.compute(open_id, move || {
            let data_root = fpga_hash::tree::data_root(&*shared.hasher, &batch);
            let mut shard = Vec::with_capacity(layout.shard_bytes());
            for stripe in 0..layout.stripes() {
                let data = &batch[layout.stripe_range(stripe)];
                shard.extend_from_slice(&coder.encode_stripe(&layout, stripe, data).bytes(seat));
            }
            Event::Rooted { open_id, data_root: data_root.into(), shard: shard.into() }
        });
    }

    fn disperse(&mut self, open_id: OpenId, plan: Plan, batch: Bytes, piece_roots: PieceRoots) {
        let (shared, usage) = (self.shared.clone(), self.usage(open_id));
        let completions = self.completions.clone();
        tokio::spawn(async move {
            disperse::disperse(shared, open_id, plan, batch, Arc::new(piece_roots), usage).await;
            let _stopped = completions.send(Completion::Event(Event::Dispersed { open_id })).await;
        });
    }

    fn admit(&self, open_id: OpenId, content: ContentKey, rollup: attest::RollupId) {
        let (store, day) = (self.shared.store.clone(), self.shared.clock.now().unix_seconds / 86_400);
        self.blocking(move || {
            let facts = store.content(&content).and_then(|info| {
                let quota_used = store.quota_used(rollup, day)?;
                let free_bytes = store.space()?.free_bytes;
                // Without the whole copy a later `hotUntil` cannot be promised: receive the bytes again.
                let stored = info.filter(|info| info.hot).map(|info| info.data_root);
                Ok(Facts { stored, quota_used, free_bytes })
            });
            Completion::Event(Event::Admitted { open_id, facts: facts.map_err(|error| refusal_of(&error)) })
        });
    }

    fn check_piece(
        &mut self,
        open_id: OpenId,
        from: u16,
        layout: Layout,
        shards_root: attest::ShardsRoot,
        piece: Piece,
        credit: Credit,
    ) {
        let (shared, turn) = (self.shared.clone(), self.usage(open_id).turn);
        let (stripe, index) = (piece.stripe, piece.index);
        let check = answering(&self.completions, move || {
            let result = shared.hash.judge(|hasher| piece.clone().check(&layout, &shards_root, hasher));
            drop(credit);
            Completion::Event(Event::PieceChecked { open_id, from, stripe, index, result })
        });
        // The others wait for the piece that this member pushes on.
        match index == self.shared.engine.seat {
            true => self.shared.compute.spawn_short(check),
            false => self.shared.compute.spawn(turn, check),
        }
    }

    fn persist(&self, open_id: OpenId, record: Box<StatementRecord>, content: Option<Box<NewContent>>) {
        let shared = self.shared.clone();
        let persist = move || {
            check_shard(&shared, &record.content_key()).map_err(Ok)?;
            shared.store.persist(&record, content.map(|content| *content)).map_err(Err)
        };
        self.blocking(move || match persist() {
            Ok(()) => Completion::Event(Event::Persisted { open_id, result: Ok(()) }),
            Err(Err(error)) if error.is_fatal() => Completion::Fatal(NodeError::Storage(error.to_string())),
            Err(Err(error)) => {
                Completion::Event(Event::Persisted { open_id, result: Err(refusal_of(&error)) })
            }
            Err(Ok(refusal)) => Completion::Event(Event::Persisted { open_id, result: Err(refusal) }),
        });
    }

    fn sign(&self, open_id: OpenId, statement: Box<Statement>) {
        let (secret, shared) = (self.secret.clone(), self.shared.clone());
        let sign = self.signatures(move || {
            let domain = shared.engine.committee.domain();
            let attestation = secret.attest(&statement, domain, SeatIndex(shared.engine.seat));
            let attestation = attestation.expect("the engine asks for checked statements only");
            Event::Signed { open_id, attestation }
        });
        self.shared.compute.spawn_short(sign);
    }

    fn aggregate(&self, open_id: OpenId, statement: Box<Statement>, attestations: Vec<Attestation>) {
        let committee = self.shared.engine.committee.clone();
        let aggregate = self.signatures(move || {
            let aggregation = Box::new(attest::aggregate(&committee, &statement, attestations));
            Event::Aggregated { open_id, aggregation }
        });
        self.shared.compute.spawn_short(aggregate);
    }

    fn store_certificate(&self, batch_id: BatchId, certificate: &Certificate) {
        let (store, bytes) = (self.shared.store.clone(), certificate.encode());
        self.blocking(move || match store.put_certificate(batch_id, &bytes) {
            Ok(()) => Completion::Event(Event::CertificateStored { batch_id, result: Ok(()) }),
            Err(error) if error.is_fatal() => Completion::Fatal(NodeError::Storage(error.to_string())),
            Err(error) => {
                Completion::Event(Event::CertificateStored { batch_id, result: Err(refusal_of(&error)) })
            }
        });
    }

    fn store_evidence(&self, open_id: OpenId, frames: &[Message]) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_frame().to_vec()).collect();
        let store = self.shared.store.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.put_evidence(BatchId(open_id.0), &bytes) {
                tracing::error!(%open_id, %error, "evidence of a bad encoding not stored");
            }
        });
    }

    fn post_status(&mut self, batch_id: &BatchId) {
        let Some(status) = self.engine.status(batch_id) else { return };
        let usage = match self.engine.open_id_of(batch_id) {
            Some(open_id) => self.usage(open_id),
            None => Usage::new(self.shared.compute.turn()),
        };
        self.shared.board.post(status, usage);
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Stage { stage, open_id, batch_id, batch_bytes, after_ms } => {
                let before = self.stage_times.insert(open_id, after_ms).filter(|before| *before <= after_ms);
                let elapsed = Duration::from_secs_f64((after_ms - before.unwrap_or(0.0)).max(0.0) / 1e3);
                if let Some(step) = Step::ALL.into_iter().find(|step| step.label() == stage) {
                    self.shared.meter.step(step, batch_bytes, elapsed);
                }
                let batch = batch_id.map_or_else(|| open_id.to_string(), |id| id.to_string());
                tracing::info!(batch, bytes = batch_bytes, after_ms = format!("{after_ms:.1}"), "{stage}");
            }
            Note::Refused { open_id, reason, detail } => {
                self.shared.meter.refused(reason);
                tracing::warn!(batch = %open_id, reason = reason.code(), detail, "refused");
            }
            Note::DuplicatePiece => {}
            Note::Pulled { open_id, stripe, from } => {
                tracing::debug!(batch = %open_id, stripe, from, "pulled")
            }
        }
    }
}

/// The work with its completion handed to the node's task, which it may wait for: not for tasks of tokio. Work that
/// panics is a bug, and what waits for its answer would wait for ever: the node stops.
fn answering(
    completions: &mpsc::Sender<Completion>,
    work: impl FnOnce() -> Completion + Send + 'static,
) -> impl FnOnce() + Send + 'static {
    let completions = completions.clone();
    move || {
        let completion = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Completion::Fatal(NodeError::Task("work for a batch panicked".to_owned())));
        // The node stopped: nobody needs the answer.
        let _stopped = completions.blocking_send(completion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_stops_the_node() {
        let (completions, mut receiver) = mpsc::channel(1);
        answering(&completions, || panic!("planted"))();
        let completion = receiver.blocking_recv();
        assert!(matches!(completion, Some(Completion::Fatal(NodeError::Task(_)))), "{completion:?}");
    }
}
