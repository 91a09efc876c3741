//! Why an operation failed, with every member that was asked.

use std::fmt;

use attest::{BatchId, DataHash};
use serde::Serialize;

use crate::answer::{BatchStatus, Problem};

/// One request to one endpoint, and how it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Base URL of the member.
    pub endpoint: String,
    /// What happened, for people.
    pub detail: String,
    /// The member's own words, when it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.endpoint, self.detail)
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names no member.
    #[error("no endpoint is configured")]
    NoEndpoint,
    /// An endpoint is no base URL.
    #[error("endpoint {endpoint:?}: {detail}")]
    InvalidEndpoint {
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The HTTP client could not be set up.
    #[error("setting up HTTP: {0}")]
    Http(#[source] reqwest::Error),
    /// The committee does not hold.
    #[error("committee: {0}")]
    Committee(#[source] attest::Error),
    /// The batch or its times are not what can be submitted.
    #[error("submission: {0}")]
    Submission(#[source] attest::Error),
    /// The deadline passed before a certificate was there.
    #[error("deadline {deadline} is over, now is {now}; {}", list(.attempts))]
    DeadlineOver {
        /// Unix seconds.
        deadline: u64,
        /// Unix seconds.
        now: u64,
        /// What was tried before.
        attempts: Vec<Attempt>,
    },
    /// A member refused, and asking others would not help.
    #[error("{endpoint} refused: {problem}")]
    Refused {
        /// Base URL of the member.
        endpoint: String,
        /// Its problem document.
        problem: Box<Problem>,
        /// What was tried before.
        attempts: Vec<Attempt>,
    },
    /// No member gave what was asked for.
    #[error("no member gave what was asked for; {}", list(.attempts))]
    Exhausted {
        /// Every request and how it ended.
        attempts: Vec<Attempt>,
    },
    /// The batch will get no certificate; the status names every member and its reason.
    #[error("batch {} is {} with {} of {} signatures", .status.batch_id, .status.stage, .status.signers, .status.quorum)]
    NotCertified {
        /// What the member says about the batch.
        status: Box<BatchStatus>,
    },
    /// No certificate within the time that was given.
    #[error("no certificate for {batch_id} within {waited_ms} ms")]
    NoCertificateInTime {
        /// The batch.
        batch_id: BatchId,
        /// Milliseconds waited.
        waited_ms: u128,
    },
    /// Certificate bytes that do not verify.
    #[error("certificate: {0}")]
    Certificate(#[source] attest::Error),
    /// The certificate is valid and about something else.
    #[error("certificate is about another batch: {what} is {found}, expected {expected}")]
    AnotherBatch {
        /// The field that differs.
        what: &'static str,
        /// What was submitted or asked for.
        expected: String,
        /// What the certificate says.
        found: String,
    },
    /// The bytes do not have the commitments of the certificate.
    #[error("commitments: {0}")]
    Commitments(#[source] dac_node_coding::Error),
    /// Bytes that hash to something else.
    #[error("bytes hash to {found}, expected {expected}")]
    DataHash {
        /// What was asked for.
        expected: DataHash,
        /// What came.
        found: DataHash,
    },
    /// The local file could not be written or read.
    #[error("file {path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A thread that hashes died.
    #[error("hashing thread: {0}")]
    Thread(String),
}

fn list(attempts: &[Attempt]) -> String {
    match attempts {
        [] => "nothing was tried".to_owned(),
        attempts => attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

impl Error {
    /// The stable code of the member's problem document, when one decided the outcome.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// The problem document that decided the outcome: of the refusal, or of the last member that sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused { problem, .. } => Some(problem),
            error => error.attempts().iter().rev().find_map(|attempt| attempt.problem.as_ref()),
        }
    }

    /// Every request that was made for the operation and did not succeed, in order.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Error::Exhausted { attempts }
            | Error::Refused { attempts, .. }
            | Error::DeadlineOver { attempts, .. } => attempts,
            _ => &[],
        }
    }
}
