//! The OpenAPI document: routes and handlers in one list, so that neither lacks the other.
//!
//! The types of `attest` know nothing of HTTP; the mirrors here describe their JSON, and a test compares the two.

use axum::Router;
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::{OpenApi as _, ToResponse, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::ProblemDocument;
use super::{Shared, batch, certificate, operation, piece, submit};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Validium DAC",
        version = "1",
        description = "One member of a data-availability committee. A rollup submits batches and gets certificates; \
                       anyone reads batches back. Errors are RFC 9457 problem documents with a stable `code`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "batches", description = "Submit, read, follow"),
        (name = "committee", description = "Who signs, and what that means"),
        (name = "operation", description = "Liveness, readiness, metrics"),
    ),
    components(responses(ProblemResponse), schemas(ProblemDocument))
)]
struct Document;

/// Any refusal: an RFC 9457 problem document.
#[derive(Serialize, ToResponse, ToSchema)]
#[response(
    description = "RFC 9457 problem document; `code` is stable",
    content_type = "application/problem+json",
    headers(
        ("retry-after" = Option<u64>, description = "seconds, when trying again can help"),
        ("x-request-id" = String, description = "the id of this request in the node's logs"),
    )
)]
pub(super) struct ProblemResponse(ProblemDocument);

/// A certificate in JSON: byte strings as 0x hex.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateDocument {
    /// EIP-155 chain id of the signing domain.
    chain_id: u64,
    /// Committee registry of the signing domain, 20 bytes.
    #[schema(example = "0x0000000000000000000000000000000000000000")]
    registry: String,
    /// What was signed.
    statement: StatementDocument,
    /// Signer bitmap, bit `i` = member `i`, least significant first.
    #[schema(example = "0x1f")]
    signers: String,
    /// Aggregate BLS12-381 signature, 48 bytes compressed.
    signature: String,
}

/// What members sign about one batch.
#[derive(Serialize, ToSchema)]
pub(super) struct StatementDocument {
    /// 32 bytes.
    rollup_id: String,
    /// Epoch of the committee.
    epoch: u64,
    /// 32 bytes.
    committee_hash: String,
    /// Length of the batch in bytes.
    data_bytes: u64,
    /// keccak256 of the batch, 32 bytes.
    data_hash: String,
    /// Poseidon root of the batch, 32 bytes.
    data_root: String,
    /// Keccak root over the coded pieces, 32 bytes.
    shards_root: String,
    /// Unix seconds.
    hot_until: u64,
    /// Unix seconds.
    retain_until: u64,
}

/// The committee file.
#[derive(Serialize, ToSchema)]
pub(super) struct CommitteeDocument {
    /// Epoch it serves.
    epoch: u64,
    /// EIP-155 chain id.
    chain_id: u64,
    /// Committee registry, 20 bytes; zero without L1.
    registry: String,
    /// Minimum shards `k`.
    minimum_shards: u16,
    /// Quorum `q`.
    quorum: u16,
    /// Members in seat order.
    members: Vec<CommitteeMemberDocument>,
}

/// One member of a committee file.
#[derive(Serialize, ToSchema)]
pub(super) struct CommitteeMemberDocument {
    /// For people.
    #[schema(required = false)]
    name: Option<String>,
    /// Who registered the key on L1, 20 bytes.
    operator: String,
    /// BLS public key, 96 bytes compressed.
    public_key: String,
    /// Proof of possession, 48 bytes.
    proof_of_possession: String,
    /// libp2p peer id.
    #[schema(required = false)]
    peer_id: Option<String>,
    /// Multiaddresses, best first.
    #[schema(required = false)]
    addresses: Vec<String>,
    /// Base URL of this interface.
    #[schema(required = false)]
    api: Option<String>,
}

/// Every documented route with its handler.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(submit::post_batch))
        .routes(routes!(batch::get_batch))
        .routes(routes!(batch::get_status))
        .routes(routes!(certificate::get_certificate))
        .routes(routes!(piece::get_shard))
        .routes(routes!(piece::get_piece))
        .routes(routes!(operation::get_committee))
        .routes(routes!(operation::get_params))
        .routes(routes!(operation::get_custody))
        .routes(routes!(operation::get_livez))
        .routes(routes!(operation::get_readyz))
        .routes(routes!(operation::get_metrics))
}

/// The page at `/docs` and the document at `/openapi.json`.
pub(super) fn page(document: OpenApi) -> Router {
    SwaggerUi::new("/docs").url("/openapi.json", document).into()
}

/// The OpenAPI document of this API.
pub fn document() -> OpenApi {
    routes().into_openapi()
}
