//! Serving a batch: from the hot copy when it is here, else from any `k` pieces of each stripe, wherever they are.
//!
//! Promise: every byte that leaves was checked against the batch's commitments on this read; memory is bounded by a few
//! stripes a reader. A damaged hot copy is not an error while peers hold enough pieces.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attest::{BatchId, Statement};
use bytes::Bytes;
use dac_node_coding::{CheckedPiece, Layout, PieceRoots, decode_stripe};
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use tokio::sync::mpsc;

use super::Shared;
use crate::net::Class;
use crate::service::ReadError;
use dac_node_engine::SeatSet;
use dac_node_engine::message::{Message, Read};
use dac_node_store::ContentKey;

/// Stripes fetched ahead of the reader.
const STRIPES_AHEAD: usize = 4;
/// A peer that does not answer a read for so long is not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Answers that may wait for one reader.
const ANSWERS_MAX: usize = 512;

/// Reads of this node that peers have not answered yet.
#[derive(Debug, Default)]
pub(super) struct Reader {
    next: AtomicU64,
    pending: Mutex<HashMap<u64, mpsc::Sender<(u16, Message)>>>,
}

impl Reader {
    /// Hands a peer's answer to whoever waits for it; drops it otherwise.
    pub(super) fn deliver(&self, from: u16, message: Message) {
        let request = match &message {
            Message::ReadPiece(request, _) | Message::ReadEnd(request, _) | Message::Reply(request, _) => {
                *request
            }
            _ => return,
        };
        if let Some(waiting) = self.pending.lock().get(&request)
            && waiting.try_send((from, message)).is_err()
        {
            tracing::debug!(request, from, "more answers than a read takes");
        }
    }

    /// A new question; its answers are dropped once it is.
    pub(super) fn open(&self) -> Asked<'_> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        self.pending.lock().insert(request, sender);
        Asked { reader: self, request, answers }
    }
}

/// A question that waits for answers.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    reader: &'a Reader,
    request: u64,
    answers: mpsc::Receiver<(u16, Message)>,
}

impl Asked<'_> {
    /// The number that answers echo.
    pub(super) fn request(&self) -> u64 {
        self.request
    }

    /// The next answer, and from whom. Anyone connected may send one.
    pub(super) async fn next(&mut self) -> Option<(u16, Message)> {
        self.answers.recv().await
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.reader.pending.lock().remove(&self.request);
    }
}

/// A batch being read.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) batch_id: BatchId,
    pub(super) statement: Statement,
    pub(super) key: ContentKey,
    pub(super) layout: Layout,
    /// Present when the content is stored here.
    pub(super) roots: Option<Arc<PieceRoots>>,
}

/// The bytes of `range`, stripe by stripe.
pub(super) fn range(
    shared: Arc<Shared>,
    target: Target,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, ReadError>> {
    let layout = target.layout;
    let target = Arc::new(target);
    let wanted = (0..layout.stripes()).filter_map(move |stripe| {
        let whole = layout.stripe_range(stripe);
        let (start, end) = ((whole.start as u64).max(range.start), (whole.end as u64).min(range.end));
        let inside = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(whole.start);
        (start < end).then(|| (stripe, inside(start)..inside(end)))
    });
    futures::stream::iter(wanted)
        .map(move |(stripe, part)| {
            let (shared, target) = (shared.clone(), target.clone());
            async move { stripe_data(&shared, &target, stripe).await.map(|data| data.slice(part)) }
        })
        .buffered(STRIPES_AHEAD)
        .boxed()
}

/// One stripe's bytes of the batch, checked.
pub(super) async fn stripe_data(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
) -> Result<Bytes, ReadError> {
    match hot(shared, target, stripe).await {
        Ok(Some(data)) => return Ok(data),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(batch = %target.batch_id, stripe, error, "hot copy damaged, rebuilding from pieces");
        }
    }
    let pieces = gather(shared, target, stripe).await?;
    let (worker, at) = (shared.clone(), target.clone());
    let decoded = shared
        .compute
        .run(move || decode_stripe(&worker.coder, &at.layout, stripe, &pieces, &*worker.hasher))
        .await
        .ok_or_else(|| ReadError::Storage("decoding was interrupted".to_owned()))?;
    decoded.map(|decoded| decoded.data()).map_err(|error| ReadError::Storage(error.to_string()))
}

/// The stripe from the hot copy; `None` when there is none.
async fn hot(shared: &Arc<Shared>, target: &Arc<Target>, stripe: u32) -> Result<Option<Bytes>, String> {
    if target.roots.is_none() {
        return Ok(None);
    }
    let (worker, at) = (shared.clone(), target.clone());
    let read = tokio::task::spawn_blocking(move || match &at.roots {
        Some(roots) => worker.holder().hot_stripe(&at.key, roots, stripe),
        None => Ok(None),
    });
    match read.await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Any `k` different pieces of a stripe: the own one and what peers have. Asks one peer more than needed, and the next
/// one whenever a peer cannot help.
pub(super) async fn gather(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
) -> Result<Vec<CheckedPiece>, ReadError> {
    let needed = target.layout.minimum_shards();
    let mut pieces: Vec<CheckedPiece> = own_piece(shared, target, stripe).await.into_iter().collect();
    let mut peers: Vec<u16> = shared.network.connected().borrow().iter().collect();
    peers.retain(|seat| *seat != shared.engine.seat);
    peers.shuffle(&mut rand::rng());
    collect(shared, target, stripe, &mut pieces, peers).await;
    let found = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
    if found >= needed { Ok(pieces) } else { Err(ReadError::Irretrievable { stripe, found, needed }) }
}

async fn collect(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
    pieces: &mut Vec<CheckedPiece>,
    peers: Vec<u16>,
) {
    let mut answers = shared.reader.open();
    let request = answers.request();
    let needed = usize::from(target.layout.minimum_shards());
    let mut peers = peers.into_iter();
    let mut asked = SeatSet::EMPTY;
    // Peers with a hot copy could send any piece; each is asked for one, so that the load is spread.
    let mut ask = |pieces: &[CheckedPiece], asked: &mut SeatSet| {
        let Some(peer) = peers.next() else { return false };
        let held = pieces.iter().map(CheckedPiece::index).collect();
        let read = Read { request, batch_id: target.batch_id, stripe, held, count: 1 };
        if shared.network.send(peer, Class::Repair, Message::Read(read).to_frame()).is_ok() {
            asked.insert(peer);
        }
        true
    };
    while pieces.len() < needed {
        while usize::from(asked.len()) + pieces.len() <= needed && ask(pieces, &mut asked) {}
        if asked.is_empty() {
            return;
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answers.next()).await {
            Ok(Some((from, Message::ReadPiece(_, piece)))) if piece.stripe == stripe => {
                let (worker, at) = (shared.clone(), target.clone());
                let checked = shared
                    .compute
                    .run(move || piece.check(&at.layout, &at.statement.shards_root, &*worker.hasher))
                    .await;
                match checked {
                    Some(Ok(piece)) if pieces.iter().all(|have| have.index() != piece.index()) => {
                        pieces.push(piece)
                    }
                    Some(Err(error)) => tracing::warn!(member = from, %error, "piece of a read refused"),
                    _ => {}
                }
            }
            Ok(Some((from, Message::ReadEnd(..)))) => asked.remove(from),
            Ok(Some(_)) => {}
            // Whoever was asked is too slow: ask others.
            Ok(None) | Err(_) => asked = SeatSet::EMPTY,
        }
    }
}

/// This member's own piece, checked like anyone's.
pub(super) async fn own_piece(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    stripe: u32,
) -> Option<CheckedPiece> {
    let (worker, at) = (shared.clone(), target.clone());
    tokio::task::spawn_blocking(move || stored_piece(&worker, &at, stripe)).await.ok().flatten()
}

/// The own piece from the store; `None` (and a log line) when it is damaged or not here.
pub(super) fn stored_piece(shared: &Shared, target: &Target, stripe: u32) -> Option<CheckedPiece> {
    let roots = target.roots.as_ref()?;
    let index = shared.engine.seat;
    let bytes = match shared.store.read_piece(&target.key, stripe) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::error!(batch = %target.batch_id, stripe, %error, "own piece cannot be read");
            return None;
        }
    };
    let path = roots.path(stripe, index, &*shared.hasher);
    let piece = dac_node_coding::Piece { stripe, index, bytes, path };
    match piece.check(&target.layout, &target.statement.shards_root, &*shared.hasher) {
        Ok(piece) => Some(piece),
        Err(error) => {
            tracing::error!(batch = %target.batch_id, stripe, %error, "own piece is damaged");
            None
        }
    }
}
