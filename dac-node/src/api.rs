//! The HTTP API of PROTOCOL section 7: what a rollup, an operator and a browser see of a member.
//!
//! Promises:
//! - Headers, names and the submitter's signature are checked before a byte of a body is read; a body is bounded by
//!   bytes (not by requests) while it is buffered, and a client that goes away never cancels an accepted batch.
//! - A read is streamed in constant memory. An error after its first byte breaks the connection, so a short body is
//!   never mistaken for the whole batch.
//! - Every refusal is an RFC 9457 problem document with a stable `code` and the numbers behind it, panics included.
//!
//! Terms: *backend*, the node as seen from here ([`Backend`]); *problem*, an error document ([`Problem`]); *upload*,
//! a body on its way in.
//!
//! Choices: HTTP/1.1 only, one request at a time per connection, so that the bound on connections bounds requests;
//! TLS belongs to the proxy in front. Cross-origin reads are not allowed to browsers. Several ranges in one request
//! are answered with the whole batch (RFC 9110 section 14.2 permits it). The clock stays behind [`Backend`].

mod backend;
mod batch;
mod body;
mod certificate;
mod layer;
mod name;
mod openapi;
mod operation;
mod piece;
mod problem;
mod range;
mod serve;
mod stall;
mod submit;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

pub use backend::{Backend, ShardStream};
pub use certificate::ABI_MEDIA_TYPE;
pub use openapi::document;
pub use problem::{Code, Problem, ProblemDocument};
pub use serve::{ServeError, ServeLimits, serve};

use crate::metrics::Meter;

/// The text of another Prometheus registry (libp2p's), appended to `/metrics`.
pub type ExtraMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Bounds of the API. The defaults suit one member of a committee with 64 MiB batches.
#[derive(Clone)]
pub struct ApiConfig {
    /// This member's seat: the label of its metrics.
    pub seat: u16,
    /// Bytes of bodies that may be buffered before anyone vouched for them, over all connections.
    pub unauthenticated_bytes_max: usize,
    /// Bytes of authorised bodies that may be buffered at once. At least one whole batch, or none fits.
    pub authorised_bytes_max: usize,
    /// Longest silence inside a body.
    pub body_idle_max: Duration,
    /// Slowest body, in bytes per second on average; slower ones are cut off.
    pub body_rate_min: u64,
    /// How long the rest of a refused body is still read and thrown away, so that the client can read the refusal.
    pub discard_max: Duration,
    /// Longest wait for a certificate inside one request; the answer is 202 when it is over.
    pub wait_max: Duration,
    /// Another registry for `/metrics`.
    pub extra_metrics: Option<ExtraMetrics>,
}

impl ApiConfig {
    /// The defaults for the member in `seat`: 64 MiB unauthenticated, 512 MiB authorised, 15 s of silence, 64 KiB/s,
    /// 10 s of discarding, 2 minutes of waiting.
    pub fn new(seat: u16) -> Self {
        ApiConfig {
            seat,
            unauthenticated_bytes_max: 64 << 20,
            authorised_bytes_max: 512 << 20,
            body_idle_max: Duration::from_secs(15),
            body_rate_min: 64 << 10,
            discard_max: Duration::from_secs(10),
            wait_max: Duration::from_secs(120),
            extra_metrics: None,
        }
    }
}

impl std::fmt::Debug for ApiConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ApiConfig")
            .field("seat", &self.seat)
            .field("unauthenticated_bytes_max", &self.unauthenticated_bytes_max)
            .field("authorised_bytes_max", &self.authorised_bytes_max)
            .finish_non_exhaustive()
    }
}

/// What every handler shares.
pub(crate) struct Api {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: ApiConfig,
    pub(crate) unauthenticated: body::Budget,
    pub(crate) authorised: body::Budget,
    pub(crate) meter: Meter,
}

/// The state of the router.
pub(crate) type Shared = Arc<Api>;

/// All routes of PROTOCOL section 7 over `backend`.
///
/// Serve it with [`serve`], which also bounds connections and headers; another server has to bring its own bounds.
pub fn router(backend: Arc<dyn Backend>, config: ApiConfig) -> Router {
    let api = Arc::new(Api {
        backend,
        unauthenticated: body::Budget::new("unauthenticated", config.unauthenticated_bytes_max),
        authorised: body::Budget::new("authorised", config.authorised_bytes_max),
        meter: Meter::new(config.seat),
        config,
    });
    let (routes, document) = openapi::routes().split_for_parts();
    let routes = routes.with_state(api.clone()).merge(openapi::page(document));
    layer::wrap(routes, api)
}
