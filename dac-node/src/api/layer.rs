//! What surrounds every handler: request id, span, panics, metrics, and problem documents for what no handler sees.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;

use super::problem::{Code, Problem};
use crate::metrics::Meter;

/// Names a request in logs and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's own request id is taken over up to this length.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// State of the outermost layer.
struct Observer {
    meter: Meter,
    /// Tells the requests of one process from those of the next.
    prefix: u64,
    next: AtomicU64,
}

/// Adds fallbacks and the outermost layer.
pub(super) fn wrap(routes: Router, api: super::Shared) -> Router {
    let observer = Arc::new(Observer {
        meter: api.meter.clone(),
        prefix: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), api.config.seat),
        next: AtomicU64::new(0),
    });
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(observer, observe))
}

async fn unknown_route(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::UnknownRoute,
        format!("{method} {} leads nowhere; the routes are at /docs", uri.path()),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
}

async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let request_id = observer.request_id(request.headers());
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "http",
        request_id,
        method = %request.method(),
        path,
        batch_id = tracing::field::Empty
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "measures how long a request takes; no decision depends on it"
    )]
    let started = Instant::now();
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = handled.unwrap_or_else(|panic| span.in_scope(|| panicked(panic.as_ref())));
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.instance = Some(path);
        problem.request_id = Some(request_id.clone());
        response = rewrite(response, problem);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    // A batch holds what a stranger chose: a browser must not guess that it is a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    observer.meter.http_request(&route, status.as_u16(), started.elapsed());
    response
}

/// The problem again, now with what only this layer knows; the headers that others added stay.
fn rewrite(response: Response, problem: Problem) -> Response {
    let mut rewritten = problem.into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && !rewritten.headers().contains_key(name) {
            rewritten.headers_mut().insert(name, value.clone());
        }
    }
    rewritten
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not text");
    tracing::error!(message, "a handler panicked");
    Problem::new(Code::Internal, "this is a bug of the node; its log has more under the request id")
        .into_response()
}

impl Observer {
    /// The client's request id when it is short and harmless in a log, else one of our own.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let harmless = |id: &&str| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless) {
            Some(id) => id.to_owned(),
            None => format!("{:08x}-{}", self.prefix >> 32, self.next.fetch_add(1, Ordering::Relaxed)),
        }
    }
}
