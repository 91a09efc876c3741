//! Bodies on their way in: bounded while buffered, hashed as they arrive, cut off when they are slow.
//!
//! Terms: a *budget* bounds bytes of all bodies of one class at once. An authorised body takes its declared length
//! from its budget before it starts; an unauthenticated one takes bytes as they arrive and never by its own claim.
//! A refused body is *discarded*: read on for a while and thrown away, because closing a connection with unread
//! bytes resets it, and a reset can destroy the refusal before the client has read it.

use std::sync::Arc;
use std::time::Duration;

use attest::DataHash;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use fpga_hash::Keccak256;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Code, Problem};
use crate::service::Reason;

/// A bound on buffered bytes, shared by all uploads of one class.
pub(crate) struct Budget {
    name: &'static str,
    bytes_max: usize,
    free: Arc<Semaphore>,
}

impl Budget {
    /// A budget of `bytes_max` bytes, clamped to what a semaphore counts.
    pub(crate) fn new(name: &'static str, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        Budget { name, bytes_max, free: Arc::new(Semaphore::new(bytes_max)) }
    }

    /// Takes `bytes` now or says `busy`; never waits, because a waiting upload would hold its connection.
    pub(super) fn take(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = u32::try_from(bytes).ok();
        permits.and_then(|permits| self.free.clone().try_acquire_many_owned(permits).ok()).ok_or_else(|| {
            let free = self.free.available_permits();
            let detail =
                format!("{bytes} more {} bytes wanted, {free} of {} are free", self.name, self.bytes_max);
            Problem::new(Code::Refused(Reason::Busy), detail)
        })
    }
}

/// Bounds on one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Most bytes of the body.
    pub(super) bytes_max: u64,
    /// Longest silence.
    pub(super) idle_max: Duration,
    /// Slowest average, bytes per second.
    pub(super) rate_min: u64,
    /// Longest reading of a refused body.
    pub(super) discard_max: Duration,
}

/// A whole body with its hash. The permit goes back to the budget when the last copy of this is dropped.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) hash: DataHash,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A body that has not been read yet, or only in part.
pub(super) struct Upload {
    stream: BodyDataStream,
    declared_bytes: Option<u64>,
    expects_continue: bool,
    finished: bool,
}

impl Upload {
    /// Takes the body over; reads nothing.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Self {
        Upload {
            declared_bytes: body.size_hint().exact(),
            expects_continue: headers.contains_key(header::EXPECT),
            finished: body.is_end_stream(),
            stream: body.into_data_stream(),
        }
    }

    /// `Content-Length`; none for a chunked body.
    pub(super) fn declared_bytes(&self) -> Option<u64> {
        self.declared_bytes
    }

    /// Reads to the end. With `reserved` the declared length was taken from a budget before; otherwise the bytes
    /// come out of `budget` as they arrive.
    ///
    /// # Errors
    /// `too_large`, `busy`, `truncated_body`, `body_timeout`.
    pub(super) async fn receive(
        &mut self,
        budget: &Budget,
        reserved: Option<OwnedSemaphorePermit>,
        pace: Pace,
    ) -> Result<Received, Problem> {
        let longest = self.declared_bytes.unwrap_or(pace.bytes_max).min(pace.bytes_max);
        let whole_max = pace.idle_max + Duration::from_secs(longest / pace.rate_min.max(1));
        let reading = self.read_all(budget, reserved, pace);
        match timeout(whole_max, reading).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!(
                    "the body took longer than {} s, slower than {} bytes/s",
                    whole_max.as_secs(),
                    pace.rate_min
                );
                Err(Problem::new(Code::BodyTimeout, detail))
            }
        }
    }

    async fn read_all(
        &mut self,
        budget: &Budget,
        reserved: Option<OwnedSemaphorePermit>,
        pace: Pace,
    ) -> Result<Received, Problem> {
        // Room is made ahead only for a length that a submitter signed.
        let ahead = reserved.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let grows = reserved.is_none();
        let mut permit = match reserved {
            Some(permit) => permit,
            None => budget.take(0)?,
        };
        let mut bytes = BytesMut::with_capacity(ahead);
        let mut hash = Keccak256::new();
        while let Some(chunk) = self.next(bytes.len() as u64, pace.idle_max).await? {
            let total = bytes.len() as u64 + chunk.len() as u64;
            if total > pace.bytes_max {
                return Err(Problem::too_large(self.declared_bytes.unwrap_or(total), pace.bytes_max));
            }
            if grows {
                permit.merge(budget.take(chunk.len() as u64)?);
            }
            hash.update(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        if bytes.is_empty() {
            return Err(Problem::new(Code::EmptyBatch, "a batch has at least one byte"));
        }
        Ok(Received { bytes: bytes.freeze(), hash: DataHash(hash.finalize()), permit })
    }

    /// The next part, or the end.
    async fn next(&mut self, received: u64, idle_max: Duration) -> Result<Option<Bytes>, Problem> {
        let Ok(part) = timeout(idle_max, self.stream.next()).await else {
            let detail = format!("nothing came for {} s after byte {received}", idle_max.as_secs());
            return Err(Problem::new(Code::BodyTimeout, detail));
        };
        self.finished = !matches!(part, Some(Ok(_)));
        part.transpose().map_err(|error| {
            let declared = self.declared_bytes.map_or("an unknown number".to_owned(), |n| n.to_string());
            let detail = format!("the body ended after {received} of {declared} bytes: {error}");
            let mut problem = Problem::new(Code::TruncatedBody, detail);
            problem.data_bytes = Some(received);
            problem
        })
    }

    /// Reads the rest in the background, within time and size, and throws it away.
    pub(super) fn discard(mut self, pace: Pace) {
        // A client that waits for "100 Continue" has sent nothing; asking for its body now would make it send.
        if self.expects_continue || self.finished {
            return;
        }
        tokio::spawn(timeout(pace.discard_max, async move {
            let mut discarded = 0_u64;
            while let Some(Ok(part)) = self.stream.next().await {
                discarded += part.len() as u64;
                if discarded > pace.bytes_max.saturating_mul(2) {
                    break;
                }
            }
        }));
    }
}
