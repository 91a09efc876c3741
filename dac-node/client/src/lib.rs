//! What a rollup links: submit a batch to the committee, wait for its certificate, fetch and verify.
//!
//! Promises:
//! - A [`CheckedCertificate`](attest::CheckedCertificate) comes back only after it verified against the committee
//!   *and* turned out to be about the bytes, the rollup and the times that were submitted. No member is believed.
//! - Bytes come back only after they hashed to what was asked for. A file appears under its name only then.
//! - Submitting is idempotent: every retry carries the same signature and is the same batch.
//! - Downloads to a file use constant memory; an answer is never buffered beyond its bound.
//!
//! Terms: an *endpoint* is the base URL of one member; *failing over* is going on with the next one; an *attempt* is
//! one request to one endpoint, kept with its outcome ([`Attempt`]) so that a failure names every member and why.
//!
//! Choices: endpoints are tried in the given order, after a round with a jittered pause that honours `Retry-After`.
//! Proxies from the environment are ignored unless asked for. The clock comes in as a closure ([`Clock`]).
//! Left out on purpose: choosing the committee (compare its hash with L1), keys at rest, L1 itself, and writing into
//! any `AsyncWrite`: what is not verified yet cannot be taken back from it.

mod answer;
mod backoff;
mod check;
mod config;
mod error;
mod fetch;
mod follow;
mod http;
mod progress;
mod sink;
mod submit;

pub use answer::{BatchStatus, MemberOutcome, Problem};
pub use check::{Verification, verify_offline};
pub use config::{ClientConfig, Clock, system_clock};
pub use error::{Attempt, Error};
pub use fetch::{BatchName, FetchReport, Wanted};
pub use progress::{Event, Progress, Silent};
pub use submit::{Prepared, SubmitOptions, SubmitReport, Submitted, Until};

use std::sync::Arc;

use attest::Committee;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Talks to the members of one committee. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    endpoints: Vec<http::Endpoint>,
    http: reqwest::Client,
}

impl Client {
    /// Checks the configuration; connects to nobody yet.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`], [`Error::InvalidEndpoint`], [`Error::Http`] when TLS cannot be set up.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let endpoints = http::endpoints(&config.endpoints)?;
        let http = http::client(&config)?;
        Ok(Client { shared: Arc::new(Shared { config, endpoints, http }) })
    }

    /// The committee that certificates are verified against.
    pub fn committee(&self) -> &Committee {
        &self.shared.config.committee
    }
}
