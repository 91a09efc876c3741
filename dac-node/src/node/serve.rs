//! What peers pull from the store: pieces of batches that are settled here, certificates, roots, leaves for audits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use attest::BatchId;
use dac_node_coding::Piece;

use super::read::stored_piece;
use super::stored::find_target;
use super::{Shared, Usage};
use crate::net::Class;
use dac_node_engine::message::{IDS_MAX, Message, Question, ROOTS_BYTES_MAX, Read, Reply, Want};
use dac_node_engine::{Credit, SeatSet};

/// Answers a read of a stored batch.
pub(super) fn read(shared: Arc<Shared>, to: u16, read: Read, credit: Credit) {
    tokio::task::spawn_blocking(move || {
        let pieces = stored_pieces(&shared, &read.batch_id, read.stripe, &read.held, read.count);
        let mut sent = 0;
        for piece in pieces {
            let frame = Message::ReadPiece(read.request, piece).to_frame();
            if shared.network.send(to, Class::Repair, frame).is_ok() {
                sent += 1;
            }
        }
        // A full queue loses the end too: the reader's timeout covers it.
        let _dropped =
            shared.network.send(to, Class::Repair, Message::ReadEnd(read.request, sent).to_frame());
        drop(credit);
    });
}

/// Answers a pull of an exchange that is settled here.
pub(super) fn want(
    shared: Arc<Shared>,
    to: u16,
    batch_id: BatchId,
    want: Want,
    credit: Credit,
    usage: Arc<Usage>,
) {
    tokio::task::spawn_blocking(move || {
        let pieces = stored_pieces(&shared, &batch_id, want.stripe, &want.held, want.count);
        let mut messages: Vec<(Class, Message)> =
            pieces.into_iter().map(|piece| (Class::Bulk, Message::Piece(want.open_id, piece))).collect();
        if messages.is_empty() {
            messages.push((Class::Repair, Message::Lack(want.open_id, want.stripe)));
        }
        for (class, message) in messages {
            let frame = message.to_frame();
            let bytes = frame.len() as u64;
            if shared.network.send(to, class, frame).is_ok() {
                usage.sent.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        drop(credit);
    });
}

/// Answers a question about what is kept here.
pub(super) fn question(shared: Arc<Shared>, to: u16, request: u64, question: Question, credit: Credit) {
    tokio::task::spawn_blocking(move || {
        let reply = reply_to(&shared, &question).unwrap_or_else(|error| {
            tracing::error!(member = to, ?question, %error, "a question cannot be answered");
            Reply::NotHere
        });
        // A full queue loses the answer: the asker's deadline covers it.
        let _dropped = shared.network.send(to, Class::Repair, Message::Reply(request, reply).to_frame());
        drop(credit);
    });
}

fn reply_to(shared: &Shared, question: &Question) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let live_at = shared.clock.now().unix_seconds;
    Ok(match question {
        Question::CertificatesSince(from) => {
            let page = shared.store.certificates_since(*from, live_at, IDS_MAX)?;
            Reply::CertificatesSince { ids: page.ids, next: page.next, more: page.more }
        }
        Question::Certificates(ids) => {
            let stored: Result<Vec<_>, _> = ids.iter().map(|id| shared.store.certificate(*id)).collect();
            Reply::Certificates(stored?.into_iter().flatten().collect())
        }
        Question::PieceRoots(batch_id, stripe) => {
            let Some(target) = find_target(shared, *batch_id)? else { return Ok(Reply::NotHere) };
            let Some(roots) = target.roots.filter(|_| *stripe < target.layout.stripes()) else {
                return Ok(Reply::NotHere);
            };
            let stripe_bytes = usize::from(target.layout.members()) * 32;
            let stripes = *stripe..target.layout.stripes();
            let bytes = stripes.take(ROOTS_BYTES_MAX / stripe_bytes).flat_map(|stripe| roots.stripe(stripe));
            Reply::PieceRoots(bytes.copied().flatten().collect())
        }
        Question::Leaf(batch_id, stripe, leaf) => {
            let Some(target) = find_target(shared, *batch_id)? else { return Ok(Reply::NotHere) };
            let is_asked_well = *stripe < target.layout.stripes() && *leaf < target.layout.leaves(*stripe);
            let piece = if is_asked_well { stored_piece(shared, &target, *stripe) } else { None };
            let Some(piece) = piece else { return Ok(Reply::NotHere) };
            let opening = piece.open_leaf(*leaf, &*shared.hasher)?;
            Reply::Leaf(opening.bytes.to_vec(), opening.path)
        }
    })
}

/// Up to `count` pieces of one stripe that the asker lacks: the own one, then the data pieces of the hot copy.
fn stored_pieces(shared: &Shared, batch_id: &BatchId, stripe: u32, held: &SeatSet, count: u16) -> Vec<Piece> {
    match shared.holder().pieces(batch_id, stripe, held, count) {
        Ok(pieces) => pieces,
        Err(error) => {
            tracing::error!(batch = %batch_id, stripe, %error, "a stored piece cannot be served");
            Vec::new()
        }
    }
}
