//! Problem documents (RFC 9457): one stable `code` per way to fail, with its status and title in one table.

use std::time::Duration;

use attest::BatchId;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::service::{MemberOutcome, ReadError, Reason, Refusal};

/// Media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The stable code of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A reason of PROTOCOL section 5.
    Refused(Reason),
    /// No such route.
    UnknownRoute,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// A name in the path is not what the route needs.
    MalformedPath,
    /// The query string is not understood.
    MalformedQuery,
    /// A required header is absent.
    MissingHeader,
    /// A header is there but cannot be read, or is there twice.
    MalformedHeader,
    /// The body has a content coding; batches are taken as they are.
    UnsupportedContentCoding,
    /// A batch has at least one byte.
    EmptyBatch,
    /// The body ended before its declared length.
    TruncatedBody,
    /// The body came too slowly.
    BodyTimeout,
    /// The body does not hash to `dac-data-hash`.
    DataHashMismatch,
    /// Fewer than `q` members signed.
    QuorumNotReached,
    /// Nothing of this name was accepted here.
    UnknownBatch,
    /// The batch is known and has no certificate yet.
    NotCertified,
    /// Another member keeps this shard.
    ShardNotHere,
    /// Stripe or seat outside the batch.
    OutOfRange,
    /// The range starts past the end.
    RangeNotSatisfiable,
    /// A precondition of the request does not hold.
    PreconditionFailed,
    /// None of the accepted media types is on offer.
    NotAcceptable,
    /// Too few pieces can be had from the committee now.
    Irretrievable,
    /// The node cannot certify now.
    NotReady,
    /// A bug here.
    Internal,
}

impl Code {
    /// Code, status, title.
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Code::Refused(reason) => (reason.code(), refusal_status(reason), refusal_title(reason)),
            Code::UnknownRoute => ("unknown_route", S::NOT_FOUND, "No such route"),
            Code::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, "Method not allowed"),
            Code::MalformedPath => ("malformed_path", S::BAD_REQUEST, "Malformed name in the path"),
            Code::MalformedQuery => ("malformed_query", S::BAD_REQUEST, "Malformed query"),
            Code::MissingHeader => ("missing_header", S::BAD_REQUEST, "Missing header"),
            Code::MalformedHeader => ("malformed_header", S::BAD_REQUEST, "Malformed header"),
            Code::UnsupportedContentCoding => {
                ("unsupported_content_coding", S::UNSUPPORTED_MEDIA_TYPE, "Content coding not supported")
            }
            Code::EmptyBatch => ("empty_batch", S::BAD_REQUEST, "Empty batch"),
            Code::TruncatedBody => ("truncated_body", S::BAD_REQUEST, "Truncated body"),
            Code::BodyTimeout => ("body_timeout", S::REQUEST_TIMEOUT, "Body too slow"),
            Code::DataHashMismatch => ("data_hash_mismatch", S::BAD_REQUEST, "Body has another hash"),
            Code::QuorumNotReached => {
                ("quorum_not_reached", S::SERVICE_UNAVAILABLE, "Too few members signed")
            }
            Code::UnknownBatch => ("unknown_batch", S::NOT_FOUND, "Unknown batch"),
            Code::NotCertified => ("not_certified", S::NOT_FOUND, "No certificate yet"),
            Code::ShardNotHere => ("shard_not_here", S::NOT_FOUND, "Shard not kept here"),
            Code::OutOfRange => ("out_of_range", S::NOT_FOUND, "Outside the batch"),
            Code::RangeNotSatisfiable => {
                ("range_not_satisfiable", S::RANGE_NOT_SATISFIABLE, "Range past the end")
            }
            Code::PreconditionFailed => {
                ("precondition_failed", S::PRECONDITION_FAILED, "Precondition failed")
            }
            Code::NotAcceptable => ("not_acceptable", S::NOT_ACCEPTABLE, "No acceptable media type"),
            Code::Irretrievable => ("irretrievable", S::SERVICE_UNAVAILABLE, "Too few pieces available"),
            Code::NotReady => ("not_ready", S::SERVICE_UNAVAILABLE, "Not ready"),
            Code::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Internal error"),
        }
    }

    /// The stable word, as in JSON.
    pub fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        self.parts().1
    }

    /// How long a client should wait before it tries again, when trying again can help.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Code::Refused(Reason::Busy) => Some(Duration::from_secs(1)),
            Code::Refused(Reason::ShuttingDown) | Code::NotReady | Code::QuorumNotReached => {
                Some(Duration::from_secs(5))
            }
            Code::Irretrievable => Some(Duration::from_secs(10)),
            _ => None,
        }
    }
}

fn refusal_status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Unauthorised => StatusCode::UNAUTHORIZED,
        Reason::Expired => StatusCode::FORBIDDEN,
        Reason::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Reason::StorageError => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::StaleEpoch => StatusCode::CONFLICT,
        Reason::BadEncoding | Reason::CommitmentMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::ShuttingDown | Reason::Busy | Reason::PiecesMissing => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Unreachable | Reason::NoAnswer | Reason::BadAttestation => StatusCode::BAD_GATEWAY,
    }
}

fn refusal_title(reason: Reason) -> &'static str {
    match reason {
        Reason::Unauthorised => "Submission not authorised",
        Reason::QuotaExceeded => "Quota exceeded",
        Reason::TooLarge => "Batch too large",
        Reason::PiecesMissing => "Pieces missing",
        Reason::BadEncoding => "Pieces are no encoding of a batch",
        Reason::CommitmentMismatch => "Commitments differ",
        Reason::StorageFull => "Storage full",
        Reason::StorageError => "Storage failed",
        Reason::StaleEpoch => "Another epoch",
        Reason::Expired => "Deadline or retention out of range",
        Reason::ShuttingDown => "Shutting down",
        Reason::Busy => "Busy",
        Reason::Unreachable => "Member unreachable",
        Reason::NoAnswer => "Member gave no answer",
        Reason::BadAttestation => "Attestation does not verify",
    }
}

/// An RFC 9457 problem document. Members after `code` appear when they apply.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `urn:validium-dac:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:validium-dac:problem:too_large")]
    pub kind: String,
    /// The kind of problem for people; the same for every problem with this code.
    #[schema(example = "Batch too large")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 413)]
    pub status: u16,
    /// This occurrence for people, with both sides of the comparison that failed.
    #[schema(example = "the batch has 67108865 bytes, this member takes 67108864")]
    pub detail: String,
    /// The stable code for programs.
    #[schema(example = "too_large")]
    pub code: String,
    /// Path of the request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The id that this request has in the node's logs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The header that is missing or malformed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub header: Option<String>,
    /// The batch, once it has an id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>)]
    pub batch_id: Option<BatchId>,
    /// Length of the batch as received or declared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_bytes: Option<u64>,
    /// The limit that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_bytes_max: Option<u64>,
    /// Every member of the committee with its answer, in seat order (`quorum_not_reached`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub members: Vec<MemberOutcome>,
    /// What stands in the way, one by one (`not_ready`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reasons: Vec<String>,
}

/// A refusal on its way out: the document, and what travels in headers beside it. One pointer wide.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    document: ProblemDocument,
    code: Code,
    content_range: Option<String>,
}

impl std::ops::Deref for Problem {
    type Target = ProblemDocument;

    fn deref(&self) -> &ProblemDocument {
        &self.0.document
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut ProblemDocument {
        &mut self.0.document
    }
}

impl Problem {
    /// A problem with its code, and this occurrence in words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (word, status, title) = code.parts();
        let document = ProblemDocument {
            kind: format!("urn:validium-dac:problem:{word}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: word.to_owned(),
            instance: None,
            request_id: None,
            header: None,
            batch_id: None,
            data_bytes: None,
            data_bytes_max: None,
            members: Vec::new(),
            reasons: Vec::new(),
        };
        Problem(Box::new(Parts { document, code, content_range: None }))
    }

    /// The code it was made with.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// A batch above a limit, with both numbers.
    pub(crate) fn too_large(data_bytes: u64, data_bytes_max: u64) -> Self {
        let detail = format!("the batch has {data_bytes} bytes or more, the limit is {data_bytes_max}");
        let mut problem = Problem::new(Code::Refused(Reason::TooLarge), detail);
        problem.data_bytes = Some(data_bytes);
        problem.data_bytes_max = Some(data_bytes_max);
        problem
    }

    /// A header that is missing or cannot be read.
    pub(crate) fn header(code: Code, name: &str, detail: impl std::fmt::Display) -> Self {
        let mut problem = Problem::new(code, format!("header {name}: {detail}"));
        problem.header = Some(name.to_owned());
        problem
    }

    /// A range outside a batch of `data_bytes` (RFC 9110 section 15.5.17).
    pub(crate) fn range(data_bytes: u64, asked: &str) -> Self {
        let detail = format!("{asked} selects nothing of {data_bytes} bytes");
        let mut problem = Problem::new(Code::RangeNotSatisfiable, detail);
        problem.0.content_range = Some(format!("bytes */{data_bytes}"));
        problem.data_bytes = Some(data_bytes);
        problem
    }

    /// Names the batch.
    pub(crate) fn about(mut self, batch_id: BatchId) -> Self {
        self.batch_id = Some(batch_id);
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem::new(Code::Refused(refusal.reason), refusal.detail)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let code = match &error {
            ReadError::Unknown => Code::UnknownBatch,
            ReadError::NotHere { .. } => Code::ShardNotHere,
            ReadError::OutOfRange { .. } => Code::OutOfRange,
            ReadError::Irretrievable { .. } => Code::Irretrievable,
            ReadError::Storage(_) => Code::Refused(Reason::StorageError),
        };
        Problem::new(code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code();
        let body = serde_json::to_vec(&*self).expect("strings, numbers and lists are always JSON");
        let mut response = (code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // A cached refusal outlives its cause; a cached 404 hides a batch that arrives a second later.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = code.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if code.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2 asks for a challenge; this one says which signature is meant.
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("EIP-712 struct=\"Submission\""));
        }
        if let Some(range) = &self.0.content_range {
            let range = HeaderValue::from_str(range).expect("digits and punctuation are visible ASCII");
            headers.insert(header::CONTENT_RANGE, range);
        }
        // The outermost layer adds `instance` and `request_id`, which only it knows.
        response.extensions_mut().insert(self);
        response
    }
}
