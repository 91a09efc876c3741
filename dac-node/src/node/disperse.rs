//! The coordinator's upload: every piece of the plan, stripe after stripe.
//!
//! Encoding runs a few stripes ahead of sending. A peer whose queue is full is waited for, but all waits for one peer
//! together are bounded: a member that stalls then loses its pieces (it will pull) and cannot hold up the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use dac_node_coding::PieceRoots;
use futures::StreamExt;

use super::{Shared, Usage};
use crate::net::Class;
use dac_node_engine::Plan;
use dac_node_engine::message::{Message, OpenId};

/// Stripes encoded ahead of sending.
const STRIPES_AHEAD: usize = 4;
/// All waits for one peer's queue in one batch.
const PATIENCE: Duration = Duration::from_secs(3);

/// One stripe's sends: the frame of each piece, and who gets it.
type Sends = Vec<(u16, Bytes)>;

/// Sends everything; returns when the last frame is queued.
pub(super) async fn disperse(
    shared: Arc<Shared>,
    open_id: OpenId,
    plan: Plan,
    batch: Bytes,
    piece_roots: Arc<PieceRoots>,
    usage: Arc<Usage>,
) {
    let stripes = piece_roots.layout().stripes();
    let turn = usage.turn;
    let encoded = futures::stream::iter(0..stripes).map(|stripe| {
        let (worker, plan, batch, roots) = (shared.clone(), plan.clone(), batch.clone(), piece_roots.clone());
        shared.compute.run_in(turn, move || encode(&worker, open_id, &plan, &batch, &roots, stripe))
    });
    let mut encoded = encoded.buffered(STRIPES_AHEAD);
    let mut patience: HashMap<u16, Duration> = HashMap::new();
    while let Some(sends) = encoded.next().await {
        for (seat, frame) in sends.unwrap_or_default() {
            let left = patience.entry(seat).or_insert(PATIENCE);
            send(&shared, seat, frame, left, &usage).await;
        }
    }
}

fn encode(
    shared: &Shared,
    open_id: OpenId,
    plan: &Plan,
    batch: &Bytes,
    roots: &PieceRoots,
    stripe: u32,
) -> Sends {
    let layout = roots.layout();
    let data = &batch[layout.stripe_range(stripe)];
    let pieces = shared.coder.encode_stripe(layout, stripe, data);
    let paths = roots.paths(stripe, &*shared.hasher);
    let mut frames: BTreeMap<u16, Bytes> = BTreeMap::new();
    let frame = |index| Message::Piece(open_id, pieces.piece(index, &paths)).to_frame();
    plan.direct(stripe)
        .into_iter()
        .map(|(index, seat)| (seat, frames.entry(index).or_insert_with(|| frame(index)).clone()))
        .collect()
}

async fn send(shared: &Shared, seat: u16, frame: Bytes, patience: &mut Duration, usage: &Usage) {
    let Some(queue) = shared.network.queue(seat) else { return };
    let bytes = frame.len() as u64;
    let before = tokio::time::Instant::now();
    let queued = match queue.try_send(Class::Bulk, frame.clone()) {
        Err(crate::net::SendError::Full) if !patience.is_zero() => {
            matches!(tokio::time::timeout(*patience, queue.send(Class::Bulk, frame)).await, Ok(Ok(())))
        }
        result => result.is_ok(),
    };
    *patience = patience.saturating_sub(before.elapsed());
    if queued {
        usage.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}
