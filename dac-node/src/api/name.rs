//! Names in paths, and small things shared by handlers: hex, JSON answers, query strings.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use attest::{BatchId, DataHash};

use super::problem::{Code, Problem};
use crate::service::BatchRef;

/// Path parameters; a malformed one is a problem document instead of axum's plain text.
pub(super) struct Names<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Names<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Names(names)),
            Err(rejection) => Err(Problem::new(Code::MalformedPath, rejection.body_text())),
        }
    }
}

/// What `{id}` in a path may mean. Both are 32 bytes, so an id is tried first, then a data hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchName(BatchId);

impl BatchName {
    /// Reads `0x` and 64 hex digits.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        parse("batch id or data hash", text).map(BatchName)
    }

    /// The two readings, in the order to try.
    pub(super) fn readings(self) -> [BatchRef; 2] {
        [BatchRef::Id(self.0), BatchRef::DataHash(DataHash(self.0.0))]
    }

    /// No batch of this name.
    pub(super) fn unknown(self) -> Problem {
        Problem::new(
            Code::UnknownBatch,
            format!("no batch with id or data hash {} was accepted here", self.0),
        )
    }
}

/// Reads one path parameter.
pub(super) fn parse<T>(what: &str, text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Problem::new(Code::MalformedPath, format!("{what}: {error}")))
}

/// A JSON answer with its cache rule.
pub(super) fn json<T: Serialize>(value: &T, cache: &'static str) -> Response {
    let mut response = Json(value).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// Cache rule of what changes from one request to the next.
pub(super) const NO_STORE: &str = "no-store";
/// Cache rule of what may change and has no lifetime.
pub(super) const NO_CACHE: &str = "no-cache";
/// Cache rule of bytes named by their own hash.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";
