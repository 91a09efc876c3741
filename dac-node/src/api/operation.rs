//! What operators and wallets ask: committee, thresholds, liveness, readiness, metrics.

use attest::Thresholds;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::name::{NO_CACHE, NO_STORE, json};
use super::problem::{Code, Problem};
use crate::service::Readiness;

/// The threshold algebra of a committee (PROTOCOL section 2).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ParamsDocument {
    /// Members `n`.
    pub members: u16,
    /// Minimum shards `k`: any so many rebuild a batch.
    pub minimum_shards: u16,
    /// Quorum `q`: signatures of a certificate.
    pub quorum: u16,
    /// Members that may be silent while certificates are still made.
    pub offline_members_tolerated: u16,
    /// Signers that may lie while a certified batch is still rebuilt from the others' shards.
    pub lying_signers_tolerated: u16,
    /// Honest members that make a certificate never false, as long as shards are kept.
    pub honest_members_needed: u16,
    /// Honest members that make a certificate never false while whole copies are kept.
    pub honest_members_needed_while_hot: u16,
    /// Pieces of a stripe that the coordinator sends.
    pub pieces_sent: u16,
    /// Bytes the coordinator sends, in batches.
    pub sender_upload_ratio: f64,
    /// Largest batch that this member takes, in bytes.
    pub batch_bytes_max: u64,
    /// What is allowed but unwise.
    pub warnings: Vec<String>,
}

impl ParamsDocument {
    fn of(thresholds: Thresholds, batch_bytes_max: u64) -> Self {
        ParamsDocument {
            members: thresholds.members(),
            minimum_shards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            offline_members_tolerated: thresholds.offline_members_tolerated(),
            lying_signers_tolerated: thresholds.lying_signers_tolerated(),
            honest_members_needed: thresholds.honest_members_needed(),
            honest_members_needed_while_hot: thresholds.honest_members_needed_while_hot(),
            pieces_sent: thresholds.pieces_sent(),
            sender_upload_ratio: thresholds.sender_upload_ratio(),
            batch_bytes_max,
            warnings: thresholds.warnings().iter().map(ToString::to_string).collect(),
        }
    }
}

/// Committee
///
/// All that a verifier needs. Which committee is the right one is for L1 or an operator to say: compare its hash.
#[utoipa::path(
    get,
    path = "/v1/committee",
    tag = "committee",
    responses(
        (status = 200, description = "the committee file", body = super::openapi::CommitteeDocument),
        (status = 409, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_committee(State(api): State<Shared>) -> Result<Response, Problem> {
    Ok(json(&*api.backend.committee()?, NO_CACHE))
}

/// Thresholds
#[utoipa::path(
    get,
    path = "/v1/params",
    tag = "committee",
    responses(
        (status = 200, description = "what follows from n, k and q", body = ParamsDocument),
        (status = 409, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_params(State(api): State<Shared>) -> Result<Response, Problem> {
    Ok(json(&ParamsDocument::of(api.backend.thresholds()?, api.backend.batch_bytes_max()), NO_CACHE))
}

/// Custody
///
/// Whether the shard of every live certificate is here and checked, how repair and scrub get on, and what the other
/// members answered when they were asked for random leaves of theirs.
#[utoipa::path(
    get,
    path = "/v1/custody",
    tag = "operation",
    responses((status = 200, description = "what is kept, here and elsewhere", body = crate::custody::CustodyReport))
)]
pub(super) async fn get_custody(State(api): State<Shared>) -> Response {
    json(&api.backend.custody(), NO_STORE)
}

/// Liveness
///
/// Answers as long as the process runs its event loop; says nothing about the committee.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operation",
    responses((status = 200, description = "alive", body = String, content_type = "text/plain"))
)]
pub(super) async fn get_livez() -> Response {
    ([(header::CACHE_CONTROL, NO_STORE)], "alive\n").into_response()
}

/// Readiness
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "a submission could be certified now", body = Readiness),
        (status = 503, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_readyz(State(api): State<Shared>) -> Result<Response, Problem> {
    let readiness = api.backend.readiness();
    if readiness.ready {
        return Ok(json(&readiness, NO_STORE));
    }
    let detail = format!(
        "{} members connected, quorum {}: {}",
        readiness.connected,
        readiness.quorum,
        readiness.reasons.join("; ")
    );
    let mut problem = Problem::new(Code::NotReady, detail);
    problem.reasons = readiness.reasons;
    Err(problem)
}

/// Metrics
///
/// Every member of this process, told apart by the label `seat`, and libp2p's own counters of this member.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"))
)]
pub(super) async fn get_metrics(State(api): State<Shared>) -> Response {
    api.backend.refresh_metrics();
    let mut text = crate::metrics::render();
    if let Some(extra) = &api.config.extra_metrics {
        // OpenMetrics closes its text with a line that may stand only once, at the end; Prometheus text has none.
        text.push_str(extra().trim_end().trim_end_matches("# EOF"));
        text.push('\n');
    }
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    (
        [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE))],
        text,
    )
        .into_response()
}
