//! Requests to one endpoint: addresses, bounds, and what an answer means for the next step.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::answer::Problem;
use crate::backoff::Rounds;
use crate::config::ClientConfig;
use crate::error::{Attempt, Error};
use crate::progress::{Event, Progress};
use crate::{Client, Shared};

/// Largest document that is read into memory: the status of 256 members has about 100 KiB.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Base URL of one member; its path ends in a slash.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    base: Url,
}

impl Endpoint {
    /// The URL of a path without leading slash.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).expect("a path of hex and words joins every base")
    }
}

pub(crate) fn endpoints(configured: &[String]) -> Result<Vec<Endpoint>, Error> {
    if configured.is_empty() {
        return Err(Error::NoEndpoint);
    }
    configured.iter().map(|endpoint| parse(endpoint)).collect()
}

fn parse(endpoint: &str) -> Result<Endpoint, Error> {
    let invalid = |detail: String| Error::InvalidEndpoint { endpoint: endpoint.to_owned(), detail };
    let mut base = Url::parse(endpoint).map_err(|error| invalid(error.to_string()))?;
    if !["http", "https"].contains(&base.scheme()) {
        return Err(invalid(format!("scheme {} is not http or https", base.scheme())));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(invalid("a base URL has no query and no fragment".to_owned()));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(Endpoint { name: endpoint.trim_end_matches('/').to_owned(), base })
}

pub(crate) fn client(config: &ClientConfig) -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder()
        .connect_timeout(config.connect_max)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dac-client/", env!("CARGO_PKG_VERSION")));
    let builder = if config.proxy_from_environment { builder } else { builder.no_proxy() };
    builder.build().map_err(Error::Http)
}

/// Why one attempt gave nothing.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) detail: String,
    pub(crate) problem: Option<Box<Problem>>,
    pub(crate) retry_after: Option<Duration>,
    /// Another attempt, here or elsewhere, may succeed.
    pub(crate) retryable: bool,
}

impl Fault {
    /// The connection failed or broke, or the answer is not understood: another member may do better.
    pub(crate) fn broken(detail: impl ToString) -> Self {
        Fault { detail: detail.to_string(), problem: None, retry_after: None, retryable: true }
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.problem.as_ref().map(|problem| problem.code.as_str())
    }

    pub(crate) fn attempt(self, endpoint: &Endpoint) -> Attempt {
        Attempt {
            endpoint: endpoint.name.clone(),
            detail: self.detail,
            problem: self.problem.map(|problem| *problem),
        }
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            detail += &format!(": {cause}");
            source = cause.source();
        }
        Fault::broken(detail)
    }
}

/// What a member's own trouble looks like; another member may be without it. A quota is the rollup's trouble.
fn is_retryable(status: u16, retry_after: Option<Duration>) -> bool {
    match status {
        408 | 500..=599 => true,
        429 => retry_after.is_some(),
        // The body was cut on its way, or the member does not know the batch (yet).
        _ => false,
    }
}

/// Reads a refusal.
pub(crate) async fn refusal(response: Response, idle_max: Duration) -> Fault {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let problem = match document(response, idle_max).await {
        Ok(bytes) => {
            serde_json::from_slice::<Box<Problem>>(&bytes).ok().filter(|problem| !problem.code.is_empty())
        }
        Err(_) => None,
    };
    let detail =
        problem.as_ref().map_or_else(|| format!("HTTP status {status}"), |problem| problem.to_string());
    let cut = problem.as_ref().is_some_and(|problem| problem.code == "truncated_body");
    Fault { detail, problem, retry_after, retryable: cut || is_retryable(status, retry_after) }
}

/// A whole small answer.
pub(crate) async fn document(mut response: Response, idle_max: Duration) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    loop {
        let next = timeout(idle_max, response.chunk()).await;
        match next.map_err(|_| silence(idle_max))?? {
            None => return Ok(bytes),
            Some(part) if bytes.len() + part.len() <= DOCUMENT_BYTES_MAX => bytes.extend_from_slice(&part),
            Some(_) => return Err(Fault::broken(format!("an answer above {DOCUMENT_BYTES_MAX} bytes"))),
        }
    }
}

pub(crate) fn silence(idle_max: Duration) -> Fault {
    Fault::broken(format!("silent for {} ms", idle_max.as_millis()))
}

impl Shared {
    /// Sends a small request and reads its small answer, or the refusal.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), Fault> {
        let idle_max = self.config.idle_max;
        let response = timeout(idle_max, request.send()).await.map_err(|_| silence(idle_max))??;
        let status = response.status().as_u16();
        if status >= 300 {
            return Err(refusal(response, idle_max).await);
        }
        Ok((status, document(response, idle_max).await?))
    }

    /// The same for JSON.
    pub(crate) async fn ask_json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Fault> {
        let (_, bytes) = self.ask(request).await?;
        parse_json(&bytes)
    }
}

pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::broken(format!("answer not understood: {error}")))
}

/// The attempts of one operation.
pub(crate) struct Trial<'a> {
    client: &'a Client,
    rounds: Rounds,
    progress: &'a dyn Progress,
    pub(crate) attempts: Vec<Attempt>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(client: &'a Client, progress: &'a dyn Progress) -> Self {
        let rounds = Rounds::new(&client.shared.config);
        Trial { client, rounds, progress, attempts: Vec::new() }
    }

    /// The next endpoint, after its pause.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with every attempt.
    pub(crate) async fn next(&mut self) -> Result<(usize, &'a Endpoint), Error> {
        let Some((endpoint, pause)) = self.rounds.next() else {
            return Err(Error::Exhausted { attempts: std::mem::take(&mut self.attempts) });
        };
        if let Some(last) = self.attempts.last() {
            let (endpoint, detail) = (last.endpoint.clone(), last.detail.clone());
            self.progress.report(Event::Retrying { endpoint, detail, pause });
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok((endpoint, &self.client.shared.endpoints[endpoint]))
    }

    /// The last attempt brought the operation forward; it does not count, and its endpoint is next again.
    pub(crate) fn forgive(&mut self) {
        self.rounds.forgive();
    }

    /// Notes a failed attempt.
    ///
    /// # Errors
    /// [`Error::Refused`] when no other attempt can help.
    pub(crate) fn failed(&mut self, endpoint: &Endpoint, fault: Fault) -> Result<(), Error> {
        tracing::debug!(endpoint = endpoint.name, detail = fault.detail, "attempt failed");
        self.rounds.failed(fault.retry_after);
        if !fault.retryable
            && let Some(problem) = fault.problem
        {
            return Err(Error::Refused {
                endpoint: endpoint.name.clone(),
                problem,
                attempts: std::mem::take(&mut self.attempts),
            });
        }
        self.attempts.push(fault.attempt(endpoint));
        Ok(())
    }
}
