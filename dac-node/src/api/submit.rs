//! `POST /v1/rollups/{rollupId}/batches`: a batch comes in.
//!
//! Order: path, query and headers; then the cheap checks; then, when the client names the hash in `dac-data-hash`,
//! the signature, all before a byte of the body is read. Without that header the body is read into a small common
//! budget, hashed as it comes, and the signature is checked after it.

use attest::{BatchId, Certificate, DataHash, Encode, RollupId};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;
use tracing::Instrument;

use super::body::{Pace, Received, Upload};
use super::name::{NO_STORE, Names, json, parse};
use super::problem::{Code, Problem};
use super::{Api, Shared};
use crate::metrics::{Class, Direction};
use crate::service::{BatchRef, BatchStatus, Stage, SubmissionRequest};

/// Where to look for a batch, relative to this API.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Urls {
    /// The bytes.
    pub(super) batch: String,
    /// Stage and members.
    pub(super) status: String,
    /// The certificate, once there is one.
    pub(super) certificate: String,
}

impl Urls {
    fn of(batch_id: BatchId) -> Self {
        let batch = format!("/v1/batches/{batch_id}");
        Urls { status: format!("{batch}/status"), certificate: format!("{batch}/certificate"), batch }
    }
}

/// Answer when the batch is certified.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Certified {
    /// The certificate in its JSON form.
    #[schema(value_type = super::openapi::CertificateDocument)]
    pub certificate: Certificate,
    /// The certificate in its SCALE form, as hex.
    pub certificate_scale: String,
    /// Every member's outcome, and the stages here.
    pub status: BatchStatus,
    /// Where to look.
    pub urls: Urls,
}

/// Answer when the batch is accepted and not waited for.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Accepted {
    /// The batch.
    #[schema(value_type = String)]
    pub batch_id: BatchId,
    /// Keccak-256 of what was received.
    #[schema(value_type = String)]
    pub data_hash: DataHash,
    /// Where it stands, if known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<BatchStatus>,
    /// Where to look.
    pub urls: Urls,
}

/// Submit a batch
///
/// The body is the batch, as it is. The signature is EIP-712 `Submission(bytes32 rollupId,bytes32 dataHash,uint64
/// dataBytes,uint64 hotUntil,uint64 retainUntil,uint64 deadline)`. The same submission again is the same batch.
#[utoipa::path(
    post,
    path = "/v1/rollups/{rollup_id}/batches",
    tag = "batches",
    params(
        ("rollup_id" = String, Path, description = "0x and 64 hex digits"),
        ("wait" = Option<String>, Query, description = "`certificate` (default): answer when certified or below quorum. `none`: answer when accepted"),
        ("dac-hot-until" = u64, Header, description = "Unix seconds; every signer serves the whole batch until then"),
        ("dac-retain-until" = u64, Header, description = "Unix seconds; every signer serves its shard until then"),
        ("dac-deadline" = u64, Header, description = "Unix seconds; the submission is refused afterwards"),
        ("dac-signature" = String, Header, description = "0x and 130 hex digits: r, s, v"),
        ("dac-data-hash" = Option<String>, Header, description = "keccak256 of the body; with it (and Content-Length) the signature is checked before the body is read"),
        ("expect" = Option<String>, Header, description = "`100-continue` is honoured"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "1 byte to the limit of the rollup"),
    responses(
        (status = 200, description = "certified", body = Certified),
        (status = 202, description = "accepted, or still without a certificate when the wait ended", body = Accepted,
            headers(("location" = String, description = "status of the batch"))),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 401, response = super::openapi::ProblemResponse),
        (status = 403, response = super::openapi::ProblemResponse),
        (status = 408, response = super::openapi::ProblemResponse),
        (status = 409, response = super::openapi::ProblemResponse),
        (status = 413, response = super::openapi::ProblemResponse),
        (status = 415, response = super::openapi::ProblemResponse),
        (status = 422, response = super::openapi::ProblemResponse),
        (status = 429, response = super::openapi::ProblemResponse),
        (status = 500, response = super::openapi::ProblemResponse),
        (status = 503, response = super::openapi::ProblemResponse),
        (status = 507, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn post_batch(
    State(api): State<Shared>,
    Names(rollup): Names<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut upload = Upload::new(&headers, body);
    let accepted = accept(&api, &rollup, query.as_deref(), &headers, &mut upload).await;
    let answer = match accepted {
        Ok(accepted) => {
            // The body is at its end, except when an earlier upload of the same submission made it needless.
            upload.discard(pace(&api));
            answer(&api, accepted).await
        }
        Err(problem) => {
            if problem.code() != Code::BodyTimeout {
                upload.discard(pace(&api));
            }
            Err(problem)
        }
    };
    answer.unwrap_or_else(|problem| {
        tracing::info!(code = problem.code, detail = problem.detail, "submission refused");
        problem.into_response()
    })
}

/// A submission that the node took over.
struct Taken {
    batch_id: BatchId,
    data_hash: DataHash,
    wait: bool,
}

async fn accept(
    api: &Shared,
    rollup: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    upload: &mut Upload,
) -> Result<Taken, Problem> {
    let wait = parse_wait(query)?;
    let request = parse_request(rollup, headers)?;
    let named = optional_header::<DataHash>(headers, "dac-data-hash")?;
    check_coding(headers)?;
    check_length(api, upload.declared_bytes())?;
    api.backend.precheck(&request, upload.declared_bytes())?;

    let received = match (named, upload.declared_bytes()) {
        (Some(hash), Some(bytes)) => {
            api.backend.authorise(&request, hash, bytes).await?;
            if let Some(batch_id) = api.backend.submitted(&request, hash, bytes).await {
                return Ok(Taken { batch_id, data_hash: hash, wait });
            }
            let reserved = api.authorised.take(bytes)?;
            let received = upload.receive(&api.authorised, Some(reserved), pace(api)).await?;
            check_hash(hash, received)?
        }
        (named, _) => {
            let received = upload.receive(&api.unauthenticated, None, pace(api)).await?;
            let received = check_hash(named.unwrap_or(received.hash), received)?;
            let bytes = received.bytes.len() as u64;
            api.backend.precheck(&request, Some(bytes))?;
            api.backend.authorise(&request, received.hash, bytes).await?;
            received
        }
    };
    api.meter.bytes(Direction::In, Class::Http, received.bytes.len() as u64);
    let data_hash = received.hash;
    let batch_id = hand_over(api, request, received).await?;
    Ok(Taken { batch_id, data_hash, wait })
}

/// Gives the batch to the node in a task of its own: a client that disconnects now cancels nothing.
async fn hand_over(api: &Shared, request: SubmissionRequest, received: Received) -> Result<BatchId, Problem> {
    let api = api.clone();
    let submitting = async move {
        let Received { bytes, hash, permit } = received;
        let result = api.backend.submit(request, hash, bytes).await;
        drop(permit);
        result
    };
    match tokio::spawn(submitting.in_current_span()).await {
        Ok(result) => result.map_err(Problem::from),
        Err(error) => {
            tracing::error!(%error, "submission task died");
            Err(Problem::new(Code::Internal, "the submission failed here; it may be sent again"))
        }
    }
}

async fn answer(api: &Api, taken: Taken) -> Result<Response, Problem> {
    let Taken { batch_id, data_hash, wait } = taken;
    tracing::Span::current().record("batch_id", tracing::field::display(batch_id));
    if wait && let Ok(status) = timeout(api.config.wait_max, api.backend.wait(batch_id)).await {
        return certified(api, status).await;
    }
    let urls = Urls::of(batch_id);
    let location = HeaderValue::from_str(&urls.status).ok();
    let status = api.backend.status(BatchRef::Id(batch_id)).await;
    let mut response = json(&Accepted { batch_id, data_hash, status, urls }, NO_STORE);
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn certified(api: &Api, status: BatchStatus) -> Result<Response, Problem> {
    let batch_id = status.batch_id;
    match status.stage {
        Stage::Certified => {}
        Stage::Refused => return Err(own_refusal(api.backend.seat().unwrap_or(api.config.seat), status)),
        _ => return Err(below_quorum(status)),
    }
    let Some(certificate) = api.backend.certificate(BatchRef::Id(batch_id)).await else {
        tracing::error!(%batch_id, "certified without a certificate");
        return Err(Problem::new(Code::Internal, "the certificate could not be read").about(batch_id));
    };
    let certificate_scale = format!("0x{}", hex::encode(certificate.encode()));
    let urls = Urls::of(batch_id);
    Ok(json(&Certified { certificate, certificate_scale, status, urls }, NO_STORE))
}

fn below_quorum(status: BatchStatus) -> Problem {
    let detail = format!("{} members signed, the quorum is {}", status.signers, status.quorum);
    let mut problem = Problem::new(Code::QuorumNotReached, detail).about(status.batch_id);
    problem.data_bytes = Some(status.data_bytes);
    problem.members = status.members;
    problem
}

/// This member refused after it had accepted: its own reason is the answer, the others' outcomes come along.
fn own_refusal(seat: u16, status: BatchStatus) -> Problem {
    let own = status.members.iter().find(|member| member.seat == seat);
    let mut problem = match own.and_then(|member| member.reason.map(|reason| (reason, member.detail.clone())))
    {
        Some((reason, detail)) => Problem::new(Code::Refused(reason), detail.unwrap_or_default()),
        None => return below_quorum(status),
    };
    problem.members = status.members;
    problem.about(status.batch_id)
}

fn pace(api: &Api) -> Pace {
    Pace {
        bytes_max: api.backend.batch_bytes_max(),
        idle_max: api.config.body_idle_max,
        rate_min: api.config.body_rate_min,
        discard_max: api.config.discard_max,
    }
}

fn check_hash(expected: DataHash, received: Received) -> Result<Received, Problem> {
    if received.hash == expected {
        return Ok(received);
    }
    let detail = format!("dac-data-hash is {expected}, the body hashes to {}", received.hash);
    Err(Problem::new(Code::DataHashMismatch, detail))
}

fn check_length(api: &Api, declared_bytes: Option<u64>) -> Result<(), Problem> {
    let data_bytes_max = api.backend.batch_bytes_max();
    match declared_bytes {
        Some(0) => Err(Problem::new(Code::EmptyBatch, "a batch has at least one byte")),
        Some(bytes) if bytes > data_bytes_max => Err(Problem::too_large(bytes, data_bytes_max)),
        _ => Ok(()),
    }
}

fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail = format!("Content-Encoding {coding:?}: a batch is taken byte for byte");
            Err(Problem::new(Code::UnsupportedContentCoding, detail))
        }
        _ => Ok(()),
    }
}

fn parse_wait(query: Option<&str>) -> Result<bool, Problem> {
    let mut wait = None;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let value = match pair {
            "wait=certificate" => true,
            "wait=none" => false,
            _ => {
                let detail = format!("{pair:?} is not understood; known: wait=certificate, wait=none");
                return Err(Problem::new(Code::MalformedQuery, detail));
            }
        };
        if wait.replace(value).is_some() {
            return Err(Problem::new(Code::MalformedQuery, "wait is given twice"));
        }
    }
    Ok(wait.unwrap_or(true))
}

fn parse_request(rollup: &str, headers: &HeaderMap) -> Result<SubmissionRequest, Problem> {
    Ok(SubmissionRequest {
        rollup_id: parse::<RollupId>("rollup id", rollup)?,
        hot_until: required_header::<Seconds>(headers, "dac-hot-until")?.0,
        retain_until: required_header::<Seconds>(headers, "dac-retain-until")?.0,
        deadline: required_header::<Seconds>(headers, "dac-deadline")?.0,
        signature: required_header::<attest::SubmissionSignature>(headers, "dac-signature")?.0,
    })
}

/// Unix seconds in decimal digits; `+5` and ` 5` are not numbers here.
struct Seconds(u64);

impl std::str::FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err("not decimal digits");
        }
        text.parse().map(Seconds).map_err(|_| "more than 64 bits")
    }
}

fn required_header<T>(headers: &HeaderMap, name: &'static str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    optional_header(headers, name)?.ok_or_else(|| Problem::header(Code::MissingHeader, name, "is missing"))
}

fn optional_header<T>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let malformed = |detail: &dyn std::fmt::Display| Problem::header(Code::MalformedHeader, name, detail);
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed(&"is given twice"));
    }
    let text = value.to_str().map_err(|_| malformed(&"not visible ASCII"))?;
    text.parse().map(Some).map_err(|error| malformed(&error))
}
