//! Getting a shard back from the others.
//!
//! Promise: a repaired shard was checked piece by piece against the certificate's `shardsRoot`, synced, and read back. While
//! a member holds the hot copy it costs one shard of traffic and the table of piece roots; else `k` pieces a stripe are
//! fetched and decoded. Pieces of a damaged shard that still check are not fetched.
//!
//! A damaged hot copy is rebuilt stripe by stripe from whatever checks here and elsewhere, and written again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dac_node_coding::{Layout, Piece, PieceRoots, decode_stripe};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::super::read::{Target, gather, own_piece, stripe_data};
use super::super::stored::find_target;
use super::super::{Completion, NodeError, Shared};
use super::ask::{ask, peers};
use super::ledger::{Due, Need, key_of};
use super::{blocking, scrub};
use crate::net::Class;
use crate::service::ReadError;
use dac_node_engine::SeatSet;
use dac_node_engine::message::{Message, Question, Read, Reply};
use dac_node_store::RestoredContent;

/// Repairs at a time: with 64 MiB batches and `k = 1`, at most 256 MiB in memory.
pub(super) const PARALLEL: usize = 4;
/// Repairs taken from the ledger at once.
const ROUND: usize = 64;
/// Stripes of one repair on their way.
const STRIPES_AHEAD: usize = 4;
/// Pause while nothing is due.
const IDLE: Duration = Duration::from_millis(200);
/// A member that sends nothing of what was asked for so long is not waited for.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Why a repair did not succeed.
#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error("nobody here knows the batch any more")]
    Forgotten,
    #[error("no member gave the piece roots")]
    Roots,
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{0}")]
    Store(#[from] dac_node_store::Error),
    #[error("what was written does not check: {0}")]
    ReadBack(String),
}

/// Does what is due, for ever.
pub(super) async fn run(shared: Arc<Shared>, fatal: mpsc::Sender<Completion>) {
    loop {
        let now = shared.clock.now().monotonic;
        let due = shared.heal.ledger.lock().ready(now, ROUND);
        if due.is_empty() {
            tokio::time::sleep(IDLE).await;
            continue;
        }
        futures::stream::iter(due).for_each_concurrent(PARALLEL, |due| attempt(&shared, due, &fatal)).await;
        log_progress(&shared);
    }
}

fn log_progress(shared: &Shared) {
    let report = super::report::repair(shared);
    tracing::info!(
        waiting = report.waiting,
        repaired = report.repaired,
        bytes_per_second = format!("{:.0}", report.bytes_per_second),
        seconds_left = report.estimate_seconds,
        "repairing shards"
    );
}

async fn attempt(shared: &Arc<Shared>, due: Due, fatal: &mpsc::Sender<Completion>) {
    let key = key_of(&due.statement);
    let result = repair(shared, &due).await;
    let now = shared.clock.now().monotonic;
    match result {
        Ok(Some(shard_bytes)) => {
            tracing::debug!(batch = %due.batch_id, need = ?due.need, "shard repaired");
            shared.heal.ledger.lock().repaired(key, shard_bytes);
        }
        Ok(None) => shared.heal.ledger.lock().not_needed(&key),
        Err(RepairError::Store(error)) if error.is_fatal() => {
            // The node stopped already: it says so itself.
            let _stopped = fatal.send(Completion::Fatal(NodeError::Storage(error.to_string()))).await;
        }
        Err(error) => {
            tracing::warn!(batch = %due.batch_id, need = ?due.need, %error, "repair failed, tried again later");
            let pause = shared.heal.config.repair_after;
            shared.heal.ledger.lock().failed(key, error.to_string(), now, pause);
        }
    }
}

/// Repairs one shard; its bytes. `None` when the exchange brought it meanwhile.
async fn repair(shared: &Arc<Shared>, due: &Due) -> Result<Option<u64>, RepairError> {
    let batch_id = due.batch_id;
    let target = blocking(shared, move |shared| find_target(shared, batch_id)).await?;
    let mut target = target.ok_or(RepairError::Forgotten)?;
    let key = target.key;
    if due.need == Need::Missing
        && blocking(shared, move |shared| shared.store.content(&key)).await?.is_some()
    {
        return Ok(None);
    }
    if target.roots.is_none() {
        target.roots = Some(Arc::new(fetch_roots(shared, &target).await.ok_or(RepairError::Roots)?));
    }
    let target = Arc::new(target);
    let (shard, batch) = match due.need {
        Need::Hot => rebuild(shared, &target).await?,
        Need::Missing | Need::Shard => (fetch_shard(shared, &target).await?, None),
    };
    let Some(roots) = &target.roots else { return Err(RepairError::Roots) };
    let content = RestoredContent {
        key: target.key,
        layout: target.layout,
        data_root: target.statement.data_root,
        piece_roots: PieceRoots::clone(roots),
        shard,
        batch,
        retain_until: target.statement.retain_until,
    };
    blocking(shared, move |shared| shared.store.restore(content)).await?;
    let found = blocking(shared, move |shared| scrub::check(shared, &key)).await?;
    match found.damage {
        None => Ok(Some(target.layout.shard_bytes() as u64)),
        Some((_, detail)) => Err(RepairError::ReadBack(detail)),
    }
}

/// The table of piece roots from any member that has it; it is checked as a whole.
async fn fetch_roots(shared: &Arc<Shared>, target: &Target) -> Option<PieceRoots> {
    for peer in peers(shared) {
        let Some(bytes) = fetch_table(shared, target, peer).await else { continue };
        shared.heal.ledger.lock().repair.received_bytes += bytes.len() as u64;
        let (worker, layout, root) = (shared.clone(), target.layout, target.statement.shards_root);
        let checked =
            shared.compute.run(move || PieceRoots::from_bytes(&layout, &bytes, &root, &*worker.hasher)).await;
        match checked {
            Some(Ok(roots)) => return Some(roots),
            Some(Err(error)) => tracing::warn!(member = peer, %error, "piece roots refused"),
            None => {}
        }
    }
    None
}

async fn fetch_table(shared: &Arc<Shared>, target: &Target, peer: u16) -> Option<Vec<u8>> {
    let stripe_bytes = usize::from(target.layout.members()) * 32;
    let expected = stripe_bytes * target.layout.stripes() as usize;
    let mut table = Vec::new();
    while table.len() < expected {
        let stripe = u32::try_from(table.len() / stripe_bytes).ok()?;
        let question = Question::PieceRoots(target.batch_id, stripe);
        let Some(Reply::PieceRoots(roots)) = ask(shared, peer, question, ANSWER_MAX).await else {
            return None;
        };
        let is_whole = !roots.is_empty() && roots.len().is_multiple_of(stripe_bytes);
        if !is_whole || table.len() + roots.len() > expected {
            return None;
        }
        table.extend_from_slice(&roots);
    }
    Some(table)
}

/// This member's piece of every stripe.
async fn fetch_shard(shared: &Arc<Shared>, target: &Arc<Target>) -> Result<Vec<Bytes>, ReadError> {
    let peers = peers(shared);
    let first = fetch_piece(shared, target, 0, &peers).await?;
    // Whoever gave the first piece has the hot copy, so it is asked first for the others.
    let donor = first.1;
    let order: Vec<u16> = match donor {
        Some(donor) => {
            std::iter::once(donor).chain(peers.iter().copied().filter(|peer| *peer != donor)).collect()
        }
        // Here already, or nobody has the hot copy.
        None => peers,
    };
    let rest = futures::stream::iter(1..target.layout.stripes())
        .map(|stripe| fetch_piece(shared, target, stripe, &order))
        .buffered(STRIPES_AHEAD)
        .map_ok(|(bytes, _)| bytes);
    let mut shard = vec![first.0];
    shard.extend(rest.try_collect::<Vec<Bytes>>().await?);
    Ok(shard)
}

/// The own piece of one stripe: from the own disk, from a hot copy (and then whose), or from `k` other pieces.
async fn fetch_piece(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
    peers: &[u16],
) -> Result<(Bytes, Option<u16>), ReadError> {
    if let Some(piece) = own_piece(shared, target, stripe).await {
        return Ok((piece.bytes().clone(), None));
    }
    let is_hot = target.statement.hot_until >= shared.clock.now().unix_seconds;
    for peer in peers.iter().filter(|_| is_hot) {
        if let Some(bytes) = ask_piece(shared, target, stripe, *peer).await {
            return Ok((bytes, Some(*peer)));
        }
    }
    let own = shared.engine.seat;
    let pieces = gather(shared, target, stripe).await?;
    let fetched: usize =
        pieces.iter().filter(|piece| piece.index() != own).map(|piece| piece.bytes().len()).sum();
    shared.heal.ledger.lock().repair.received_bytes += fetched as u64;
    let (worker, at) = (shared.clone(), target.clone());
    let decoded = shared
        .compute
        .run(move || decode_stripe(&worker.coder, &at.layout, stripe, &pieces, &*worker.hasher))
        .await
        .ok_or_else(|| ReadError::Storage("decoding was interrupted".to_owned()))?
        .map_err(|error| ReadError::Storage(error.to_string()))?;
    Ok((decoded.pieces().bytes(own), None))
}

/// One piece of this seat from a member that can encode it, checked.
async fn ask_piece(shared: &Arc<Shared>, target: &Arc<Target>, stripe: u32, peer: u16) -> Option<Bytes> {
    let own = shared.engine.seat;
    let mut asked = shared.reader.open();
    // Whoever is told that the asker has all pieces but its own can only send that one.
    let held: SeatSet = (0..target.layout.members()).filter(|seat| *seat != own).collect();
    let read = Read { request: asked.request(), batch_id: target.batch_id, stripe, held, count: 1 };
    shared.network.send(peer, Class::Repair, Message::Read(read).to_frame()).ok()?;
    loop {
        match tokio::time::timeout(ANSWER_MAX, asked.next()).await.ok().flatten()? {
            (from, Message::ReadPiece(_, piece)) if from == peer => {
                shared.heal.ledger.lock().repair.received_bytes += piece.bytes.len() as u64;
                return checked(shared, target, stripe, piece, peer).await;
            }
            (from, Message::ReadEnd(..)) if from == peer => return None,
            _ => {}
        }
    }
}

async fn checked(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
    piece: Piece,
    peer: u16,
) -> Option<Bytes> {
    if (piece.stripe, piece.index) != (stripe, shared.engine.seat) {
        return None;
    }
    let (worker, at) = (shared.clone(), target.clone());
    let result = shared
        .compute
        .run(move || piece.check(&at.layout, &at.statement.shards_root, &*worker.hasher))
        .await?;
    match result {
        Ok(piece) => Some(piece.bytes().clone()),
        Err(error) => {
            tracing::warn!(member = peer, %error, "piece of a repair refused");
            None
        }
    }
}

/// The whole batch and this member's shard of it, from whatever checks.
async fn rebuild(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
) -> Result<(Vec<Bytes>, Option<Bytes>), ReadError> {
    let layout: Layout = target.layout;
    let mut batch = Vec::with_capacity(usize::try_from(layout.batch_bytes()).unwrap_or(0));
    let mut shard = Vec::new();
    for stripe in 0..layout.stripes() {
        let data = stripe_data(shared, target, stripe).await?;
        let (worker, bytes) = (shared.clone(), data.clone());
        let piece = shared
            .compute
            .run(move || worker.coder.encode_stripe(&layout, stripe, &bytes).bytes(worker.engine.seat))
            .await
            .ok_or_else(|| ReadError::Storage("encoding was interrupted".to_owned()))?;
        batch.extend_from_slice(&data);
        shard.push(piece);
    }
    Ok((shard, Some(batch.into())))
}
