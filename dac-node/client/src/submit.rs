//! Submitting: hash, sign once, send, and do not stop before a certificate verified or the committee said no.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attest::{CheckedCertificate, RollupId, Submission, SubmissionSignature, SubmitterKey};
use bytes::Bytes;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Response};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::answer::{Accepted, BatchStatus, Certified};
use crate::check::{check_batch, check_field, data_hash, off_runtime, scale_hex};
use crate::error::{Attempt, Error};
use crate::fetch::BatchName;
use crate::http::{Endpoint, Fault, Trial, document, parse_json, refusal, silence};
use crate::progress::{Event, Progress, Silent};
use crate::{Client, Shared};

/// Bytes of the batch per part of the body.
const PART_BYTES: usize = 64 << 10;
/// How often a running upload is looked at.
const TICK: Duration = Duration::from_millis(20);
/// Coordinators whose verdict "below quorum" is the committee's.
const QUORUM_VERDICTS_MAX: usize = 2;

/// A time, absolute or from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Unix seconds.
    At(u64),
    /// From the moment of submission; whole seconds.
    For(Duration),
}

impl Until {
    fn resolve(self, now: u64) -> u64 {
        match self {
            Until::At(at) => at,
            Until::For(duration) => now.saturating_add(duration.as_secs()),
        }
    }
}

/// How a batch is submitted.
#[derive(Clone, Copy, Debug)]
pub struct SubmitOptions {
    /// Whole copies are wanted until then.
    pub hot: Until,
    /// Shards are wanted until then.
    pub retain: Until,
    /// Members refuse to start afterwards, and no new attempt is made.
    pub deadline: Until,
    /// Recompute `dataRoot` and `shardsRoot` here as well, and compare. Members did that before they signed; this
    /// trusts none of them and costs about as much as being one.
    pub check_roots: bool,
}

impl SubmitOptions {
    /// Times from now, a deadline in ten minutes, roots left to the committee.
    pub fn new(hot_for: Duration, retain_for: Duration) -> Self {
        SubmitOptions {
            hot: Until::For(hot_for),
            retain: Until::For(retain_for),
            deadline: Until::For(Duration::from_secs(600)),
            check_roots: false,
        }
    }
}

/// A signed submission with its bytes. Sending it twice, also to two members, is one batch.
#[derive(Clone, Debug)]
pub struct Prepared {
    submission: Submission,
    signature: SubmissionSignature,
    batch: Bytes,
}

impl Prepared {
    /// What was signed.
    pub fn submission(&self) -> &Submission {
        &self.submission
    }

    /// Checks that a certificate is about these bytes, this rollup and these times.
    ///
    /// # Errors
    /// [`Error::AnotherBatch`].
    pub fn check(&self, certificate: &CheckedCertificate) -> Result<(), Error> {
        let (found, expected) = (certificate.statement(), &self.submission);
        check_field("rollupId", &found.rollup_id, &expected.rollup_id)?;
        check_field("dataHash", &found.data_hash, &expected.data_hash)?;
        check_field("dataBytes", &found.data_bytes, &expected.data_bytes)?;
        check_field("hotUntil", &found.hot_until, &expected.hot_until)?;
        check_field("retainUntil", &found.retain_until, &expected.retain_until)
    }

    fn is_about(&self, status: &BatchStatus) -> bool {
        let expected = &self.submission;
        status.rollup_id == expected.rollup_id
            && status.data_hash == expected.data_hash
            && status.data_bytes == expected.data_bytes
            && status.hot_until == expected.hot_until
            && status.retain_until == expected.retain_until
    }
}

/// A certified batch.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Verified against the committee, and about what was submitted.
    pub certificate: CheckedCertificate,
    /// What the coordinator says about stages and members, when it was asked. Not verified.
    pub status: Option<BatchStatus>,
    /// Base URL of the member that gave the certificate.
    pub endpoint: String,
    /// Attempts that failed before.
    pub attempts: Vec<Attempt>,
}

/// [`Submitted`] for machines.
#[derive(Clone, Debug, Serialize)]
pub struct SubmitReport {
    /// The batch.
    pub batch_id: attest::BatchId,
    /// What was signed.
    pub statement: attest::Statement,
    /// Seats that signed.
    pub signers: Vec<attest::SeatIndex>,
    /// The certificate in its SCALE form, as hex.
    pub certificate: String,
    /// See [`Submitted::status`].
    pub status: Option<BatchStatus>,
    /// See [`Submitted::endpoint`].
    pub endpoint: String,
    /// See [`Submitted::attempts`].
    pub attempts: Vec<Attempt>,
}

impl Submitted {
    /// The same for machines.
    pub fn report(&self) -> SubmitReport {
        SubmitReport {
            batch_id: self.certificate.batch_id(),
            statement: *self.certificate.statement(),
            signers: self.certificate.signers().to_vec(),
            certificate: scale_hex(self.certificate.certificate()),
            status: self.status.clone(),
            endpoint: self.endpoint.clone(),
            attempts: self.attempts.clone(),
        }
    }
}

impl Client {
    /// Hashes the batch and signs the submission. Talks to nobody.
    ///
    /// # Errors
    /// [`Error::Submission`] for an empty or oversized batch and for `hot` after `retain`.
    pub async fn prepare(
        &self,
        key: &SubmitterKey,
        rollup_id: RollupId,
        batch: Bytes,
        options: &SubmitOptions,
    ) -> Result<Prepared, Error> {
        let now = self.shared.config.clock.now();
        let mut submission = Submission {
            rollup_id,
            data_hash: attest::DataHash::ZERO,
            data_bytes: batch.len() as u64,
            hot_until: options.hot.resolve(now),
            retain_until: options.retain.resolve(now),
            deadline: options.deadline.resolve(now),
        };
        submission.check().map_err(Error::Submission)?;
        submission.data_hash = data_hash(batch.clone()).await?;
        let signature = key.sign(&submission.digest(self.committee().domain()));
        Ok(Prepared { submission, signature, batch })
    }

    /// Submits a batch and returns its verified certificate.
    ///
    /// # Errors
    /// [`Error::Refused`] with the problem document of the member that decided; [`Error::Exhausted`] with every
    /// attempt; [`Error::DeadlineOver`]; those of [`Client::prepare`]; [`Error::Commitments`] with `check_roots`.
    pub async fn submit(
        &self,
        key: &SubmitterKey,
        rollup_id: RollupId,
        batch: Bytes,
        options: SubmitOptions,
    ) -> Result<Submitted, Error> {
        self.submit_reporting(key, rollup_id, batch, options, &Silent).await
    }

    /// The same with progress.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn submit_reporting(
        &self,
        key: &SubmitterKey,
        rollup_id: RollupId,
        batch: Bytes,
        options: SubmitOptions,
        progress: &dyn Progress,
    ) -> Result<Submitted, Error> {
        progress.report(Event::Hashing { total_bytes: batch.len() as u64 });
        let prepared = self.prepare(key, rollup_id, batch, &options).await?;
        let submitted = self.submit_prepared(&prepared, progress).await?;
        if options.check_roots {
            progress.report(Event::Verifying);
            let (certificate, committee) = (submitted.certificate.clone(), self.committee().clone());
            off_runtime(move || check_batch(&certificate, &committee, &prepared.batch)).await?;
        }
        Ok(submitted)
    }

    /// Submits what was prepared before; may be called again after an error.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn submit_prepared(
        &self,
        prepared: &Prepared,
        progress: &dyn Progress,
    ) -> Result<Submitted, Error> {
        let mut trial = Trial::new(self, progress);
        let mut verdicts = 0;
        loop {
            let (at, endpoint) = self.next_before_deadline(&mut trial, prepared).await?;
            let mut fault = match self.shared.post(endpoint, prepared, Wait::ForCertificate, progress).await {
                Ok(answer) => match self.conclude(at, endpoint, prepared, answer, progress).await {
                    Ok((certificate, status)) => return Ok(submitted(certificate, status, endpoint, trial)),
                    Err(fault) => fault,
                },
                Err(Lost { fault, sent_all: false }) => fault,
                Err(Lost { fault, sent_all: true }) => match self.resume(at, endpoint, prepared).await {
                    Some((certificate, status)) => {
                        return Ok(submitted(certificate, Some(status), endpoint, trial));
                    }
                    None => fault,
                },
            };
            if fault.code() == Some("quorum_not_reached") {
                verdicts += 1;
                fault.retryable = verdicts < QUORUM_VERDICTS_MAX.min(self.shared.endpoints.len());
            }
            trial.failed(endpoint, fault)?;
        }
    }

    /// Sends what was prepared and returns as soon as a member accepted it, with the id that this member names. Give
    /// it to [`Client::wait`], and the certificate to [`Prepared::check`].
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn send_prepared(
        &self,
        prepared: &Prepared,
        progress: &dyn Progress,
    ) -> Result<attest::BatchId, Error> {
        let mut trial = Trial::new(self, progress);
        loop {
            let (_, endpoint) = self.next_before_deadline(&mut trial, prepared).await?;
            let fault = match self.shared.post(endpoint, prepared, Wait::None, progress).await {
                Ok((_, bytes)) => match parse_json::<Accepted>(&bytes) {
                    Ok(accepted) => return Ok(accepted.batch_id),
                    Err(fault) => fault,
                },
                Err(lost) => lost.fault,
            };
            trial.failed(endpoint, fault)?;
        }
    }

    async fn next_before_deadline<'a>(
        &self,
        trial: &mut Trial<'a>,
        prepared: &Prepared,
    ) -> Result<(usize, &'a Endpoint), Error> {
        let next = trial.next().await?;
        let (deadline, now) = (prepared.submission.deadline, self.shared.config.clock.now());
        if now > deadline && !trial.attempts.is_empty() {
            let attempts = std::mem::take(&mut trial.attempts);
            return Err(Error::DeadlineOver { deadline, now, attempts });
        }
        Ok(next)
    }

    /// From a member's answer to a verified certificate.
    async fn conclude(
        &self,
        at: usize,
        endpoint: &Endpoint,
        prepared: &Prepared,
        (status, bytes): (u16, Vec<u8>),
        progress: &dyn Progress,
    ) -> Result<(CheckedCertificate, Option<BatchStatus>), Fault> {
        progress.report(Event::Verifying);
        if status == 202 {
            let accepted: Accepted = parse_json(&bytes)?;
            let certificate = self.wait_from(at, accepted.batch_id).await.map_err(Fault::broken)?;
            prepared.check(&certificate).map_err(Fault::broken)?;
            let status = self.shared.status_at(endpoint, BatchName::Id(accepted.batch_id)).await.ok();
            return Ok((certificate, status));
        }
        let answer: Certified = parse_json(&bytes)?;
        let scale = answer.certificate_scale.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        let scale = scale.ok_or_else(|| Fault::broken("certificate_scale is no hex"))?;
        let certificate = self.shared.check_certificate(&scale)?;
        prepared.check(&certificate).map_err(Fault::broken)?;
        Ok((certificate, Some(answer.status)))
    }

    /// The connection broke after the last byte: the batch may be well on its way. When the member still answers and
    /// knows it, nothing is sent again.
    async fn resume(
        &self,
        at: usize,
        endpoint: &Endpoint,
        prepared: &Prepared,
    ) -> Option<(CheckedCertificate, BatchStatus)> {
        let name = BatchName::DataHash(prepared.submission.data_hash);
        let status = self.shared.status_at(endpoint, name).await.ok()?;
        if !prepared.is_about(&status) || ["refused", "below_quorum"].contains(&status.stage.as_str()) {
            return None;
        }
        tracing::debug!(endpoint = endpoint.name, batch_id = %status.batch_id, "going on after a broken connection");
        let certificate = self.wait_from(at, status.batch_id).await.ok()?;
        prepared.check(&certificate).ok()?;
        let status = self.shared.status_at(endpoint, BatchName::Id(status.batch_id)).await.unwrap_or(status);
        Some((certificate, status))
    }
}

fn submitted(
    certificate: CheckedCertificate,
    status: Option<BatchStatus>,
    endpoint: &Endpoint,
    trial: Trial<'_>,
) -> Submitted {
    Submitted { certificate, status, endpoint: endpoint.name.clone(), attempts: trial.attempts }
}

/// Whether the member answers before the batch is certified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForCertificate,
    None,
}

/// An upload that gave no usable answer.
struct Lost {
    fault: Fault,
    /// All bytes had left before: the member may have them.
    sent_all: bool,
}

impl Shared {
    /// One POST: status and body of a 2xx answer.
    async fn post(
        &self,
        endpoint: &Endpoint,
        prepared: &Prepared,
        wait: Wait,
        progress: &dyn Progress,
    ) -> Result<(u16, Vec<u8>), Lost> {
        let sent = Arc::new(AtomicU64::new(0));
        let total = prepared.submission.data_bytes;
        let result = self.exchange(endpoint, prepared, wait, &sent, progress).await;
        result.map_err(|fault| Lost {
            // A problem document is an answer, whatever was sent before it.
            sent_all: sent.load(Ordering::Relaxed) == total && fault.problem.is_none(),
            fault,
        })
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        prepared: &Prepared,
        wait: Wait,
        sent: &Arc<AtomicU64>,
        progress: &dyn Progress,
    ) -> Result<(u16, Vec<u8>), Fault> {
        let Submission { rollup_id, data_hash, data_bytes, hot_until, retain_until, deadline } =
            prepared.submission;
        let mut url = endpoint.url(&format!("v1/rollups/{rollup_id}/batches"));
        url.set_query(Some(if wait == Wait::None { "wait=none" } else { "wait=certificate" }));
        let request = self
            .http
            .post(url)
            .header(CONTENT_LENGTH, data_bytes)
            .header("dac-hot-until", hot_until)
            .header("dac-retain-until", retain_until)
            .header("dac-deadline", deadline)
            .header("dac-signature", prepared.signature.to_string())
            .header("dac-data-hash", data_hash.to_string())
            .body(body(prepared.batch.clone(), sent.clone()));
        let response = self.watch(request.send(), data_bytes, sent, progress).await?;
        let status = response.status().as_u16();
        if !response.status().is_success() {
            return Err(refusal(response, self.config.idle_max).await);
        }
        Ok((status, document(response, self.config.idle_max).await?))
    }

    /// Runs a request, reports its progress, and gives up on silence: `idle_max` while bytes are left to send,
    /// `certificate_max` afterwards.
    async fn watch(
        &self,
        request: impl Future<Output = reqwest::Result<Response>>,
        total_bytes: u64,
        sent: &AtomicU64,
        progress: &dyn Progress,
    ) -> Result<Response, Fault> {
        tokio::pin!(request);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut changed) = (0, Instant::now());
        loop {
            tokio::select! {
                answer = &mut request => return Ok(answer?),
                _ = ticks.tick() => {}
            }
            let bytes = sent.load(Ordering::Relaxed);
            if bytes != seen {
                (seen, changed) = (bytes, Instant::now());
                progress.report(Event::Sent { bytes, total_bytes });
                if bytes == total_bytes {
                    progress.report(Event::Waiting);
                }
            }
            let silence_max =
                if bytes == total_bytes { self.config.certificate_max } else { self.config.idle_max };
            if changed.elapsed() > silence_max {
                return Err(silence(silence_max));
            }
        }
    }
}

/// The batch in parts that share its memory; counts what the connection takes.
fn body(batch: Bytes, sent: Arc<AtomicU64>) -> Body {
    let parts = futures::stream::unfold(batch, move |mut rest| {
        let part = rest.split_to(rest.len().min(PART_BYTES));
        sent.fetch_add(part.len() as u64, Ordering::Relaxed);
        std::future::ready((!part.is_empty()).then_some((Ok::<_, std::io::Error>(part), rest)))
    });
    Body::wrap_stream(parts)
}
