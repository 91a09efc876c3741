//! Frames on long-lived streams: one writer per peer and class, one reader per inbound stream.
//!
//! A writer opens its stream when the peer is connected and opens it again, with a growing pause, when it breaks; what
//! was in flight is lost, and pulled by the peer if it matters. A reader takes a credit before it hands a message on and
//! stops reading when its peer's credits are spent: so a peer makes this node hold at most
//! `CREDITS_PER_PEER * FRAME_BYTES_MAX` bytes in each class.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::NetworkEvent;
use super::queue::{Class, Counters};
use dac_node_engine::message::{FRAME_BYTES_MAX, Message};
use dac_node_engine::{Credit, SeatSet};

/// Messages of one peer and class that may be in this node's hands at once.
pub(super) const CREDITS_PER_PEER: usize = 64;
/// First pause before a broken stream is opened again; doubles up to [`REOPEN_PAUSE_MAX`].
const REOPEN_PAUSE: Duration = Duration::from_millis(50);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);
/// A peer that takes no byte for so long is not reading: the stream is broken off.
const WRITE_STALL_MAX: Duration = Duration::from_secs(20);

/// Writes one class to one peer until the queue is closed.
pub(super) async fn write_to(
    seat: u16,
    peer_id: PeerId,
    (class, protocol): (Class, StreamProtocol),
    mut control: Control,
    mut frames: mpsc::Receiver<Bytes>,
    mut connected: watch::Receiver<SeatSet>,
    counters: Arc<Counters>,
) {
    let mut pause = REOPEN_PAUSE;
    loop {
        tokio::select! {
            // While the peer is there nothing is dropped.
            biased;
            changed = connected.wait_for(|seats| seats.contains(seat)) => {
                if changed.is_err() {
                    return;
                }
            }
            // Nobody is there: what was queued in a race with the disconnection is dropped.
            frame = frames.recv() => {
                if frame.is_none() {
                    return;
                }
                counters.frames_dropped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                continue;
            }
        }
        match control.open_stream(peer_id, protocol.clone()).await {
            Ok(stream) => match pump(stream, class, &mut frames, &counters).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(seat, class = class.name(), %error, "stream broke"),
            },
            Err(error) => tracing::debug!(seat, class = class.name(), %error, "stream not opened"),
        }
        tokio::time::sleep(pause + jitter(peer_id, pause)).await;
        pause =
            if connected.borrow().contains(seat) { (pause * 2).min(REOPEN_PAUSE_MAX) } else { REOPEN_PAUSE };
    }
}

/// Up to half of `pause`, different for each peer: streams of many members are not opened in one burst.
fn jitter(peer_id: PeerId, pause: Duration) -> Duration {
    let byte = peer_id.to_bytes().last().copied().unwrap_or(0);
    pause * u32::from(byte) / 512
}

/// Writes frames until the queue closes (`Ok`) or the stream breaks. Flushes whenever the queue runs empty.
///
/// The stream is watched while nothing is to be sent: a peer that went away and came back must not get its next frame on
/// the stream of its former life, where it is lost.
async fn pump(
    stream: Stream,
    class: Class,
    frames: &mut mpsc::Receiver<Bytes>,
    counters: &Counters,
) -> std::io::Result<()> {
    let stalled = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the peer does not read");
    let over = || std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the peer ended the stream");
    let (mut incoming, mut stream) = stream.split();
    let mut nothing = [0u8; 1];
    // A byte-less flush completes the protocol negotiation, so that the peer accepts the stream now.
    stream.flush().await?;
    loop {
        let frame = tokio::select! {
            biased;
            // A peer writes nothing here: whatever this returns, the stream is over. The frame stays in the queue.
            _ = incoming.read(&mut nothing) => return Err(over()),
            frame = frames.recv() => frame,
        };
        let Some(mut frame) = frame else { break };
        loop {
            let write = stream.write_all(&frame);
            tokio::time::timeout(WRITE_STALL_MAX, write).await.map_err(|_| stalled())??;
            counters.sent(class, frame.len());
            match frames.try_recv() {
                Ok(next) => frame = next,
                Err(_) => break,
            }
        }
        tokio::time::timeout(WRITE_STALL_MAX, stream.flush()).await.map_err(|_| stalled())??;
    }
    stream.close().await
}

/// Accepts inbound streams of one class; the newest stream of a peer replaces its older one.
pub(super) async fn accept(
    class: Class,
    mut incoming: IncomingStreams,
    seats: Arc<HashMap<PeerId, u16>>,
    events: mpsc::Sender<NetworkEvent>,
    counters: Arc<Counters>,
) {
    // Both end with this task, however it ends.
    let mut tasks = JoinSet::new();
    let mut readers: HashMap<u16, AbortHandle> = HashMap::new();
    let credits: HashMap<u16, Arc<Semaphore>> =
        seats.values().map(|seat| (*seat, Arc::new(Semaphore::new(CREDITS_PER_PEER)))).collect();
    while let Some((peer_id, stream)) = incoming.next().await {
        // The allow-list let it in; a stream of anyone else is dropped here all the same.
        let Some(seat) = seats.get(&peer_id).copied() else { continue };
        let Some(credits) = credits.get(&seat).cloned() else { continue };
        let reader = read_from(seat, class, stream, credits, events.clone(), counters.clone());
        if let Some(older) = readers.insert(seat, tasks.spawn(reader)) {
            older.abort();
        }
        while tasks.try_join_next().is_some() {}
    }
}

async fn read_from(
    seat: u16,
    class: Class,
    mut stream: Stream,
    credits: Arc<Semaphore>,
    events: mpsc::Sender<NetworkEvent>,
    counters: Arc<Counters>,
) {
    loop {
        match read_frame(&mut stream).await {
            Ok(Some(body)) => {
                let frame_bytes = body.len() + 4;
                counters.received(class, frame_bytes);
                let message = match Message::from_body(body) {
                    Ok(message) if message.is_repair() == (class == Class::Repair) => message,
                    Ok(_) => return malformed(seat, class, "message of the other class", &counters),
                    Err(error) => return malformed(seat, class, &error.to_string(), &counters),
                };
                let Ok(permit) = credits.clone().acquire_owned().await else { return };
                let credit = Credit::new(permit);
                if events
                    .send(NetworkEvent::Message { from: seat, message, frame_bytes, credit })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(seat, class = class.name(), %error, "inbound stream ended");
                return;
            }
        }
    }
}

/// Ends the stream: the peer opens another, slower each time.
fn malformed(seat: u16, class: Class, error: &str, counters: &Counters) {
    counters.malformed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    tracing::warn!(seat, class = class.name(), error, "malformed frame, stream dropped");
}

/// One frame's body; `None` at a clean end. The length is checked before anything is allocated.
///
/// # Errors
/// Those of the stream; `InvalidData` for a length above [`FRAME_BYTES_MAX`].
pub async fn read_frame(stream: &mut (impl futures::AsyncRead + Unpin)) -> std::io::Result<Option<Bytes>> {
    let mut prefix = [0u8; 4];
    match stream.read(&mut prefix[..1]).await? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut prefix[1..]).await?,
    }
    let length = u32::from_le_bytes(prefix) as usize;
    if length > FRAME_BYTES_MAX {
        let what = format!("frame of {length} bytes, at most {FRAME_BYTES_MAX}");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    }
    let mut body = BytesMut::zeroed(length);
    stream.read_exact(&mut body).await?;
    Ok(Some(body.freeze()))
}
