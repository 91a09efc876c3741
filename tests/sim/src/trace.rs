//! The running hash of everything that happens: what two runs of one seed must have in common. Printed when asked for.

use std::fmt::Write;
use std::time::Duration;

use dac_node_engine::message::{Control, Message};
use dac_node_engine::{Effect, Event};

/// FNV-1a, 64 bits: offset basis and prime (draft-eastlake-fnv, section 5).
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// A trace as it grows.
#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,
    pub(super) lines: u64,
    /// Prints every line.
    loud: bool,
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        if self.loud {
            print!("{text}");
        }
        Ok(())
    }
}

impl Trace {
    pub(super) fn new(loud: bool) -> Trace {
        Trace { hash: FNV_OFFSET, lines: 0, loud }
    }

    /// Of all lines so far.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// What the simulation does itself.
    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.lines += 1;
        writeln!(self, "{text}").expect("a trace takes every line");
    }

    /// What happens to a member.
    pub(super) fn event(&mut self, now: Duration, seat: u16, event: &Event) {
        self.lines += 1;
        write!(self, "{} us, seat {seat}: ", now.as_micros()).expect("a trace takes every line");
        self.write_event(event).expect("a trace takes every line");
        self.write_char('\n').expect("a trace takes every line");
    }

    /// What its engine asks for, with everything that an unordered collection could shuffle.
    pub(super) fn effect(&mut self, effect: &Effect) {
        self.lines += 1;
        self.write_effect(effect).expect("a trace takes every line");
        self.write_char('\n').expect("a trace takes every line");
    }

    fn write_event(&mut self, event: &Event) -> std::fmt::Result {
        match event {
            Event::Submit { ticket, .. } => write!(self, "submit {ticket}"),
            Event::Encoded { submission, .. } => write!(self, "encoded {submission}"),
            Event::Message { from, message, .. } => {
                write!(self, "from {from}: ")?;
                self.write_message(message)
            }
            Event::Control { from, control, .. } => {
                write!(self, "gossip by {from}: ")?;
                self.write_control(control)
            }
            Event::Connected(seat) => write!(self, "connected {seat}"),
            Event::Disconnected(seat) => write!(self, "disconnected {seat}"),
            Event::Admitted { open_id, facts } => write!(self, "admitted {open_id} {}", facts.is_ok()),
            Event::PieceChecked { open_id, from, stripe, index, result } => {
                write!(self, "checked {open_id} {stripe}/{index} of {from} {}", result.is_ok())
            }
            Event::StripeDecoded { open_id, stripe, result } => {
                write!(self, "stripe {open_id} {stripe} {}", result.is_ok())
            }
            Event::Finished { open_id, result } => write!(self, "finished {open_id} {}", result.is_ok()),
            Event::Rooted { open_id, .. } => write!(self, "rooted {open_id}"),
            Event::Persisted { open_id, result } => write!(self, "persisted {open_id} {}", result.is_ok()),
            Event::Signed { open_id, .. } => write!(self, "signed {open_id}"),
            Event::Aggregated { open_id, aggregation } => {
                let (certified, liars) = (aggregation.certificate.is_ok(), &aggregation.liars);
                write!(self, "aggregated {open_id} {certified} {liars:?}")
            }
            Event::CertificateFound(certificate) => {
                write!(self, "certificate found {}", certificate.batch_id())
            }
            Event::CertificateChecked { from, result, .. } => {
                write!(self, "certificate of {from} {}", result.is_ok())
            }
            Event::CertificateStored { batch_id, result } => {
                write!(self, "certificate {batch_id} {}", result.is_ok())
            }
            Event::Dispersed { open_id } => write!(self, "dispersed {open_id}"),
            Event::Term(term) => write!(self, "term {term:?}"),
            Event::Rollups(rollups) => write!(self, "{} rollups", rollups.len()),
            Event::Tick => write!(self, "tick"),
            Event::Stop => write!(self, "stop"),
        }
    }

    fn write_effect(&mut self, effect: &Effect) -> std::fmt::Result {
        match effect {
            Effect::Answer { ticket, result } => write!(self, "  answer {ticket} {result:?}"),
            Effect::Send { to, message } => {
                write!(self, "  to {to:?}: ")?;
                self.write_message(message)
            }
            Effect::Gossip(control) => {
                write!(self, "  gossip ")?;
                self.write_control(control)
            }
            Effect::Judge { gossip, verdict } => write!(self, "  judge {gossip} {verdict:?}"),
            Effect::Encode { submission, .. } => write!(self, "  encode {submission}"),
            Effect::Root { open_id, .. } => write!(self, "  root {open_id}"),
            Effect::Disperse { open_id, .. } => write!(self, "  disperse {open_id}"),
            Effect::Admit { open_id, .. } => write!(self, "  admit {open_id}"),
            Effect::CheckPiece { open_id, from, piece, .. } => {
                write!(self, "  check {open_id} {}/{} of {from}", piece.stripe, piece.index)
            }
            Effect::Decode { open_id, stripe, pieces, .. } => {
                write!(self, "  decode {open_id} {stripe} from")?;
                pieces.iter().try_for_each(|piece| write!(self, " {}", piece.index()))
            }
            Effect::Finish { open_id, .. } => write!(self, "  finish {open_id}"),
            Effect::Persist { open_id, content, .. } => {
                write!(self, "  persist {open_id} {}", content.is_some())
            }
            Effect::Sign { open_id, .. } => write!(self, "  sign {open_id}"),
            Effect::Aggregate { open_id, attestations, .. } => {
                write!(self, "  aggregate {open_id}")?;
                attestations.iter().try_for_each(|attestation| write!(self, " {}", attestation.seat.0))
            }
            Effect::CheckCertificate { from, .. } => write!(self, "  check certificate of {from}"),
            Effect::StoreCertificate { batch_id, .. } => write!(self, "  store certificate {batch_id}"),
            Effect::StoreEvidence { open_id, frames } => {
                write!(self, "  evidence {open_id} {}", frames.len())
            }
            Effect::ServeRead { to, read, .. } => write!(self, "  read {} for {to}", read.request),
            Effect::ServeWant { to, want, .. } => write!(self, "  want {} of {to}", want.stripe),
            Effect::ServeAsk { to, request, .. } => write!(self, "  question {request} of {to}"),
            Effect::ReadAnswer { from, message } => {
                write!(self, "  read answer of {from}: ")?;
                self.write_message(message)
            }
            Effect::Penalise { seat, why } => write!(self, "  penalise {seat}: {why}"),
            Effect::Changed(batch_id) => write!(self, "  changed {batch_id}"),
            Effect::Note(note) => write!(self, "  note {note:?}"),
        }
    }

    fn write_message(&mut self, message: &Message) -> std::fmt::Result {
        match message {
            Message::Open(open) => write!(self, "open {} by {}", open.shards_root, open.coordinator),
            Message::Piece(open_id, piece) => {
                write!(self, "piece {open_id} {}/{}", piece.stripe, piece.index)
            }
            Message::ReadPiece(request, piece) => {
                write!(self, "read {request} {}/{}", piece.stripe, piece.index)
            }
            Message::Vote(vote) => write!(self, "vote {} by {}", vote.open_id, vote.attestation.seat.0),
            Message::No(no) => write!(self, "no {} {:?}", no.open_id, no.reason),
            Message::Want(want) => write!(self, "want {} {} {}", want.open_id, want.stripe, want.count),
            Message::Lack(open_id, stripe) => write!(self, "lack {open_id} {stripe}"),
            Message::Read(read) => write!(self, "read {} {} {}", read.request, read.stripe, read.count),
            Message::ReadEnd(request, sent) => write!(self, "end of read {request} {sent}"),
            Message::Ask(request, question) => write!(self, "question {request} {question:?}"),
            Message::Reply(request, reply) => write!(self, "reply {request} {reply:?}"),
        }
    }

    fn write_control(&mut self, control: &Control) -> std::fmt::Result {
        match control {
            Control::Open(open) => write!(self, "open {} by {}", open.shards_root, open.coordinator),
            Control::Vote(vote) => write!(self, "vote {} by {}", vote.open_id, vote.attestation.seat.0),
            Control::Certificate(bytes) => {
                write!(self, "certificate {:x?}", &fpga_hash::keccak256(bytes)[..8])
            }
        }
    }
}
