//! Following a batch: its status, its certificate, and waiting for one.

use std::time::Duration;

use attest::{BatchId, Certificate, CheckedCertificate};
use reqwest::header::ACCEPT;
use tokio::time::{Instant, sleep};

use crate::answer::BatchStatus;
use crate::check::check_field;
use crate::error::Error;
use crate::fetch::BatchName;
use crate::http::{Endpoint, Fault, Trial};
use crate::progress::{Progress, Silent};
use crate::{Client, Shared};

/// Pauses between two questions for a certificate.
const POLL_MIN: Duration = Duration::from_millis(25);
const POLL_MAX: Duration = Duration::from_secs(1);

impl Shared {
    pub(crate) async fn status_at(&self, endpoint: &Endpoint, name: BatchName) -> Result<BatchStatus, Fault> {
        let url = endpoint.url(&format!("v1/batches/{name}/status"));
        self.ask_json(self.http.get(url)).await
    }

    /// The certificate as one member has it, verified, and about the batch that was asked for.
    pub(crate) async fn certificate_at(
        &self,
        endpoint: &Endpoint,
        name: BatchName,
    ) -> Result<CheckedCertificate, Fault> {
        let url = endpoint.url(&format!("v1/batches/{name}/certificate"));
        let (_, bytes) = self.ask(self.http.get(url).header(ACCEPT, "application/octet-stream")).await?;
        let checked = self.check_certificate(&bytes)?;
        match name {
            BatchName::Id(id) => check_field("batch id", &checked.batch_id(), &id),
            BatchName::DataHash(hash) => check_field("dataHash", &checked.statement().data_hash, &hash),
        }
        .map_err(Fault::broken)?;
        Ok(checked)
    }

    /// A certificate in SCALE, verified against the committee. A member that sends a wrong one is failed over.
    pub(crate) fn check_certificate(&self, scale: &[u8]) -> Result<CheckedCertificate, Fault> {
        Certificate::decode_strict(scale)
            .and_then(|certificate| certificate.verify(&self.config.committee))
            .map_err(|error| Fault::broken(format!("certificate: {error}")))
    }
}

impl Client {
    /// What the first reachable member says about a batch. Not verified.
    ///
    /// # Errors
    /// [`Error::Refused`] with `unknown_batch` when no member knows it; [`Error::Exhausted`].
    pub async fn status(&self, name: BatchName) -> Result<BatchStatus, Error> {
        let mut trial = Trial::new(self, &Silent);
        loop {
            let (_, endpoint) = trial.next().await?;
            match self.shared.status_at(endpoint, name).await {
                Ok(status) => return Ok(status),
                Err(fault) => self.over(&mut trial, endpoint, fault)?,
            }
        }
    }

    /// The certificate of a batch, verified against the committee.
    ///
    /// # Errors
    /// [`Error::Refused`] with `unknown_batch` or `not_certified` when no member has it; [`Error::Exhausted`].
    pub async fn certificate(&self, name: BatchName) -> Result<CheckedCertificate, Error> {
        self.certificate_reporting(name, &Silent).await
    }

    pub(crate) async fn certificate_reporting(
        &self,
        name: BatchName,
        progress: &dyn Progress,
    ) -> Result<CheckedCertificate, Error> {
        let mut trial = Trial::new(self, progress);
        loop {
            let (_, endpoint) = trial.next().await?;
            match self.shared.certificate_at(endpoint, name).await {
                Ok(certificate) => return Ok(certificate),
                Err(fault) => self.over(&mut trial, endpoint, fault)?,
            }
        }
    }

    /// Notes a failed attempt to read. A member that lacks a batch says nothing about the others, so everyone gets a
    /// turn; when all of them lack it, that is the committee's answer.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(crate) fn over(
        &self,
        trial: &mut Trial<'_>,
        endpoint: &Endpoint,
        mut fault: Fault,
    ) -> Result<(), Error> {
        let lacks = |code: &str| matches!(code, "unknown_batch" | "not_certified");
        if fault.code().is_some_and(lacks) {
            let others = trial.attempts.iter().map(|attempt| attempt.problem.as_ref());
            let lacking =
                others.filter(|problem| problem.is_some_and(|problem| lacks(&problem.code))).count();
            fault.retryable = lacking + 1 < self.shared.endpoints.len();
        }
        trial.failed(endpoint, fault)
    }

    /// Waits until the batch has a certificate, at most `certificate_max` of the configuration.
    ///
    /// Asks one member at a time: the next one when it does not answer or does not take part, and now and then.
    ///
    /// # Errors
    /// [`Error::NotCertified`] as soon as a coordinator says that the quorum was not reached;
    /// [`Error::NoCertificateInTime`].
    pub async fn wait(&self, batch_id: BatchId) -> Result<CheckedCertificate, Error> {
        self.wait_from(0, batch_id).await
    }

    pub(crate) async fn wait_from(
        &self,
        first: usize,
        batch_id: BatchId,
    ) -> Result<CheckedCertificate, Error> {
        let started = Instant::now();
        let name = BatchName::Id(batch_id);
        let endpoints = &self.shared.endpoints;
        let (mut at, mut pause) = (first, POLL_MIN);
        loop {
            let endpoint = &endpoints[at % endpoints.len()];
            let mut stay = pause < POLL_MAX;
            match self.shared.certificate_at(endpoint, name).await {
                Ok(certificate) => return Ok(certificate),
                Err(fault) if fault.code() == Some("not_certified") => {
                    match self.shared.status_at(endpoint, name).await {
                        Ok(status) if status.stage == "below_quorum" => {
                            return Err(Error::NotCertified { status: Box::new(status) });
                        }
                        // A refusal is this member's own; others may still make the quorum.
                        Ok(status) => stay &= status.stage != "refused",
                        Err(_) => stay = false,
                    }
                }
                Err(_) => stay = false,
            }
            if started.elapsed() >= self.shared.config.certificate_max {
                return Err(Error::NoCertificateInTime {
                    batch_id,
                    waited_ms: started.elapsed().as_millis(),
                });
            }
            at += usize::from(!stay);
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    }
}
