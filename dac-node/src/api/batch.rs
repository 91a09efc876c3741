//! `GET /v1/batches/{id}` and `.../status`: the bytes of a batch, streamed, and where it stands.

use attest::BatchId;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

use super::name::{BatchName, IMMUTABLE, NO_STORE, Names, json};
use super::problem::Problem;
use super::range::{Selected, select};
use super::{Api, Shared};
use crate::metrics::{Class, Direction, Meter};
use crate::service::{BatchStatus, ReadError, ReadableBatch};

/// Bytes of a batch
///
/// Every byte is checked against the commitments before it is sent. When something fails after the first byte, the
/// connection breaks before `Content-Length` bytes; such a body is never the whole batch. Several ranges in one
/// request are answered with the whole batch.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}",
    tag = "batches",
    params(
        ("id" = String, Path, description = "batch id or data hash, 0x and 64 hex digits"),
        ("range" = Option<String>, Header, description = "one byte range, for instance `bytes=1048576-`"),
        ("if-range" = Option<String>, Header, description = "the entity tag, to resume safely"),
        ("if-none-match" = Option<String>, Header, description = "entity tags already held"),
    ),
    responses(
        (status = 200, description = "the whole batch", body = Vec<u8>, content_type = "application/octet-stream",
            headers(
                ("etag" = String, description = "the data hash in quotes"),
                ("accept-ranges" = String, description = "bytes"),
                ("cache-control" = String, description = "immutable: the name is the hash"),
                ("dac-batch-id" = String, description = "a statement about these bytes"),
                ("dac-data-hash" = String, description = "keccak256 of the whole batch"),
            )),
        (status = 206, description = "the range", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("content-range" = String, description = "for instance `bytes 0-99/1000`"))),
        (status = 304, description = "an entity tag of If-None-Match is this batch"),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 404, response = super::openapi::ProblemResponse),
        (status = 412, response = super::openapi::ProblemResponse),
        (status = 416, response = super::openapi::ProblemResponse),
        (status = 500, response = super::openapi::ProblemResponse),
        (status = 503, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_batch(
    State(api): State<Shared>,
    Names(name): Names<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let batch = find(&api, BatchName::parse(&name)?).await?;
    tracing::Span::current().record("batch_id", tracing::field::display(batch.batch_id));
    let tag = format!("\"{}\"", batch.data_hash);
    let range = match select(&method, &headers, &tag, batch.data_bytes)? {
        Selected::NotModified => return Ok(describe(&batch, &tag, StatusCode::NOT_MODIFIED, Body::empty())),
        Selected::Whole => None,
        Selected::Part(range) => Some(range),
    };
    let (status, bytes) = match &range {
        None => (StatusCode::OK, 0..batch.data_bytes),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
    };
    let length = bytes.end - bytes.start;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        stream(api.backend.read(&batch, bytes), batch.batch_id, length, &api.meter).await?
    };
    let mut response = describe(&batch, &tag, status, body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = range {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, batch.data_bytes);
        insert(headers, "content-range", &content_range);
    }
    Ok(response)
}

async fn find(api: &Api, name: BatchName) -> Result<ReadableBatch, Problem> {
    for reading in name.readings() {
        match api.backend.find(reading).await {
            Ok(batch) => return Ok(batch),
            Err(ReadError::Unknown) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(name.unknown())
}

/// Headers that every answer about the bytes carries (RFC 9110 section 15.4.5 wants them with 304 as well).
fn describe(batch: &ReadableBatch, tag: &str, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, "etag", tag);
    insert(headers, "dac-batch-id", &batch.batch_id.to_string());
    insert(headers, "dac-data-hash", &batch.data_hash.to_string());
    response
}

/// Inserts a header made of hex digits and ASCII punctuation.
pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("hex and digits are visible ASCII"));
}

/// A body of exactly `length` bytes, or a broken connection.
///
/// The first part is awaited here, so that a read that fails at once is still a problem document.
pub(super) async fn stream(
    mut bytes: BoxStream<'static, Result<Bytes, ReadError>>,
    batch_id: BatchId,
    length: u64,
    meter: &Meter,
) -> Result<Body, Problem> {
    let first = match bytes.next().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(Problem::from(error).about(batch_id)),
        None => return Err(Problem::from(short(0, length)).about(batch_id)),
    };
    let counted = meter.clone();
    let mut sent = 0_u64;
    let all = futures::stream::iter([Ok(first)]).chain(bytes);
    let ended = futures::stream::iter([None]);
    let exact = all.map(Some).chain(ended).filter_map(move |part| {
        let result = match part {
            Some(Ok(part)) if sent + part.len() as u64 <= length => {
                sent += part.len() as u64;
                counted.bytes(Direction::Out, Class::Http, part.len() as u64);
                Some(Ok(part))
            }
            Some(Ok(part)) => {
                Some(Err(format!("{} bytes beyond {length}", sent + part.len() as u64 - length)))
            }
            Some(Err(error)) => Some(Err(error.to_string())),
            None if sent < length => Some(Err(short(sent, length).to_string())),
            None => None,
        };
        if let Some(Err(error)) = &result {
            tracing::error!(%batch_id, sent, length, error, "read broken off");
        }
        futures::future::ready(result)
    });
    Ok(Body::from_stream(exact))
}

fn short(found: u64, expected: u64) -> ReadError {
    ReadError::Storage(format!("the read ended after {found} of {expected} bytes"))
}

/// Stage of a batch
///
/// By data hash: the newest statement about these bytes.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/status",
    tag = "batches",
    params(("id" = String, Path, description = "batch id or data hash, 0x and 64 hex digits")),
    responses(
        (status = 200, description = "where it stands, with every member's outcome", body = BatchStatus),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 404, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_status(
    State(api): State<Shared>,
    Names(name): Names<String>,
) -> Result<Response, Problem> {
    let name = BatchName::parse(&name)?;
    for reading in name.readings() {
        if let Some(status) = api.backend.status(reading).await {
            return Ok(json(&status, NO_STORE));
        }
    }
    Err(name.unknown())
}
