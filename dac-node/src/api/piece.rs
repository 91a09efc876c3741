//! `GET /v1/batches/{id}/shards/{i}` and `.../pieces/{s}/{i}`: what one member keeps, for repair and for audits.

use attest::Encode;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::batch::{insert, stream};
use super::certificate::{JSON_MEDIA_TYPE, SCALE_MEDIA_TYPE, negotiate};
use super::name::{BatchName, IMMUTABLE, Names, json, parse};
use super::problem::Problem;
use crate::service::{PieceAnswer, ReadError};

/// One piece in JSON.
///
/// The SCALE form has the same fields in this order: `stripe: u32, index: u16, bytes: Vec<u8>, path: Vec<[u8; 32]>`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PieceDocument {
    /// Stripe number, from 0.
    pub stripe: u32,
    /// Piece index: the seat that keeps it.
    pub index: u16,
    /// The piece, as hex.
    #[schema(example = "0x00ff")]
    pub bytes: String,
    /// Merkle path from the piece root up to `shardsRoot`, each node as hex.
    pub path: Vec<String>,
}

/// Shard of one member
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/shards/{index}",
    tag = "batches",
    params(
        ("id" = String, Path, description = "batch id or data hash, 0x and 64 hex digits"),
        ("index" = u16, Path, description = "seat of the member"),
    ),
    responses(
        (status = 200, description = "the pieces of this seat, stripe after stripe", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 404, response = super::openapi::ProblemResponse),
        (status = 500, response = super::openapi::ProblemResponse),
        (status = 503, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_shard(
    State(api): State<Shared>,
    Names((name, index)): Names<(String, String)>,
    method: Method,
) -> Result<Response, Problem> {
    let name = BatchName::parse(&name)?;
    let index = parse::<u16>("seat", &index)?;
    for reading in name.readings() {
        let shard = match api.backend.shard(reading, index).await {
            Ok(shard) => shard,
            Err(ReadError::Unknown) => continue,
            Err(error) => return Err(error.into()),
        };
        let body = match method {
            Method::HEAD => Body::empty(),
            _ => stream(shard.bytes, shard.batch_id, shard.shard_bytes, &api.meter).await?,
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SCALE_MEDIA_TYPE));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(shard.shard_bytes));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
        insert(headers, "dac-batch-id", &shard.batch_id.to_string());
        insert(headers, "dac-shard-index", &shard.index.to_string());
        return Ok(response);
    }
    Err(name.unknown())
}

/// Piece with its Merkle path
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/pieces/{stripe}/{index}",
    tag = "batches",
    params(
        ("id" = String, Path, description = "batch id or data hash, 0x and 64 hex digits"),
        ("stripe" = u32, Path, description = "stripe number, from 0"),
        ("index" = u16, Path, description = "piece index: the seat that keeps it"),
        ("accept" = Option<String>, Header, description = "application/json (default) or application/octet-stream (SCALE)"),
    ),
    responses(
        (status = 200, description = "the piece", content(
            (PieceDocument = "application/json"),
            (Vec<u8> = "application/octet-stream"),
        )),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 404, response = super::openapi::ProblemResponse),
        (status = 406, response = super::openapi::ProblemResponse),
        (status = 500, response = super::openapi::ProblemResponse),
        (status = 503, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_piece(
    State(api): State<Shared>,
    Names((name, stripe, index)): Names<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = BatchName::parse(&name)?;
    let stripe = parse::<u32>("stripe", &stripe)?;
    let index = parse::<u16>("piece index", &index)?;
    let form = negotiate(&headers, &[JSON_MEDIA_TYPE, SCALE_MEDIA_TYPE])?;
    for reading in name.readings() {
        match api.backend.piece(reading, stripe, index).await {
            Ok(piece) => return Ok(encode(&piece, form)),
            Err(ReadError::Unknown) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(name.unknown())
}

fn encode(piece: &PieceAnswer, form: &'static str) -> Response {
    let mut response = match form {
        SCALE_MEDIA_TYPE => {
            (piece.stripe, piece.index, piece.bytes.as_ref(), &piece.path).encode().into_response()
        }
        _ => json(&document(piece), IMMUTABLE),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn document(piece: &PieceAnswer) -> PieceDocument {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    PieceDocument {
        stripe: piece.stripe,
        index: piece.index,
        bytes: hex(&piece.bytes),
        path: piece.path.iter().map(|node| hex(node)).collect(),
    }
}
