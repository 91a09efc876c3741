//! One line per event and effect: what two runs of one seed must have in common.

use crate::message::{Control, Message};
use crate::{Effect, Event};

/// An event, short.
pub(super) fn of_event(event: &Event) -> String {
    match event {
        Event::Submit { ticket, .. } => format!("submit {ticket}"),
        Event::Encoded { submission, .. } => format!("encoded {submission}"),
        Event::Message { from, message, .. } => format!("from {from}: {}", of_message(message)),
        Event::Control { from, control, .. } => format!("gossip by {from}: {}", of_control(control)),
        Event::Connected(seat) => format!("connected {seat}"),
        Event::Disconnected(seat) => format!("disconnected {seat}"),
        Event::Admitted { open_id, facts } => format!("admitted {open_id} {}", facts.is_ok()),
        Event::PieceChecked { open_id, from, stripe, index, result } => {
            format!("checked {open_id} {stripe}/{index} from {from} {}", result.is_ok())
        }
        Event::StripeDecoded { open_id, stripe, result } => {
            format!("stripe {open_id} {stripe} {}", result.is_ok())
        }
        Event::Finished { open_id, result } => format!("finished {open_id} {}", result.is_ok()),
        Event::Rooted { open_id, .. } => format!("rooted {open_id}"),
        Event::Persisted { open_id, result } => format!("persisted {open_id} {}", result.is_ok()),
        Event::Signed { open_id, .. } => format!("signed {open_id}"),
        Event::Aggregated { open_id, aggregation } => {
            format!("aggregated {open_id} {} {:?}", aggregation.certificate.is_ok(), aggregation.liars)
        }
        Event::CertificateFound(certificate) => format!("certificate found: {}", certificate.batch_id()),
        Event::CertificateChecked { from, result, .. } => format!("certificate of {from} {}", result.is_ok()),
        Event::CertificateStored { batch_id, result } => format!("certificate {batch_id} {}", result.is_ok()),
        Event::Dispersed { open_id } => format!("dispersed {open_id}"),
        Event::Term(term) => format!("term {term:?}"),
        Event::Rollups(rollups) => format!("{} rollups", rollups.len()),
        Event::Tick => "tick".to_owned(),
        Event::Stop => "stop".to_owned(),
    }
}

/// An effect, short, with everything that an unordered collection could shuffle.
pub(super) fn of_effect(effect: &Effect) -> String {
    match effect {
        Effect::Answer { ticket, result } => format!("  answer {ticket} {result:?}"),
        Effect::Send { to, message } => format!("  to {to:?}: {}", of_message(message)),
        Effect::Gossip(control) => format!("  gossip {}", of_control(control)),
        Effect::Judge { gossip, verdict } => format!("  judge {gossip} {verdict:?}"),
        Effect::Encode { submission, .. } => format!("  encode {submission}"),
        Effect::Root { open_id, .. } => format!("  root {open_id}"),
        Effect::Disperse { open_id, .. } => format!("  disperse {open_id}"),
        Effect::Admit { open_id, .. } => format!("  admit {open_id}"),
        Effect::CheckPiece { open_id, from, piece, .. } => {
            format!("  check {open_id} {}/{} from {from}", piece.stripe, piece.index)
        }
        Effect::Decode { open_id, stripe, pieces, .. } => {
            let indices: Vec<u16> = pieces.iter().map(dac_node_coding::CheckedPiece::index).collect();
            format!("  decode {open_id} {stripe} from {indices:?}")
        }
        Effect::Finish { open_id, .. } => format!("  finish {open_id}"),
        Effect::Persist { open_id, content, .. } => format!("  persist {open_id} {}", content.is_some()),
        Effect::Sign { open_id, .. } => format!("  sign {open_id}"),
        Effect::Aggregate { open_id, attestations, .. } => {
            let seats: Vec<u16> = attestations.iter().map(|attestation| attestation.seat.0).collect();
            format!("  aggregate {open_id} {seats:?}")
        }
        Effect::CheckCertificate { from, .. } => format!("  check certificate of {from}"),
        Effect::StoreCertificate { batch_id, .. } => format!("  store certificate {batch_id}"),
        Effect::StoreEvidence { open_id, frames } => format!("  evidence {open_id} {}", frames.len()),
        Effect::ServeRead { to, read, .. } => format!("  read for {to}: {read:?}"),
        Effect::ServeWant { to, want, .. } => format!("  want of {to}: {want:?}"),
        Effect::ServeAsk { to, question, .. } => format!("  question of {to}: {question:?}"),
        Effect::ReadAnswer { from, message } => format!("  read answer of {from}: {}", of_message(message)),
        Effect::Penalise { seat, why } => format!("  penalise {seat}: {why}"),
        Effect::Changed(batch_id) => format!("  changed {batch_id}"),
        Effect::Note(note) => format!("  note {note:?}"),
    }
}

fn of_message(message: &Message) -> String {
    match message {
        Message::Open(open) => format!("open {} of {}", open.shards_root, open.coordinator),
        Message::Piece(open_id, piece) => format!("piece {open_id} {}/{}", piece.stripe, piece.index),
        Message::ReadPiece(request, piece) => format!("read {request} {}/{}", piece.stripe, piece.index),
        other => format!("{other:?}"),
    }
}

fn of_control(control: &Control) -> String {
    match control {
        Control::Open(open) => format!("open {} of {}", open.shards_root, open.coordinator),
        Control::Vote(vote) => format!("vote {:?}", vote.attestation),
        Control::Certificate(bytes) => format!("certificate {}", hex::encode(bytes)),
    }
}
