//! Fetching: resume by range, fail over, and hand out nothing that does not hash to what was asked for.
//!
//! An id says nothing about bytes by itself: the certificate is fetched and verified first, and its statement names
//! the hash. Parts from several members may be joined; when the whole is wrong, nobody can say whose part it was, so
//! from then on every member has to give all of it.

use std::fmt;
use std::path::Path;

use attest::{BATCH_BYTES_MAX, BatchId, CheckedCertificate, DataHash};
use bytes::Bytes;
use fpga_hash::Keccak256;
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use serde::Serialize;
use tokio::time::timeout;

use crate::check::{check_batch, off_runtime, scale_hex};
use crate::error::{Attempt, Error};
use crate::http::{Endpoint, Fault, Trial, refusal, silence};
use crate::progress::{Event, Progress};
use crate::sink::Sink;
use crate::{Client, Shared};

/// An attempt that brought so much does not count as one.
const FORGIVEN_BYTES: u64 = 1 << 20;

/// Names a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchName {
    /// By statement digest.
    Id(BatchId),
    /// By keccak256 of its bytes.
    DataHash(DataHash),
}

impl fmt::Display for BatchName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchName::Id(id) => id.fmt(formatter),
            BatchName::DataHash(hash) => hash.fmt(formatter),
        }
    }
}

/// What is fetched, and by what it is recognised.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The certificate is fetched and verified first when the name is an id.
    Name(BatchName),
    /// Its statement names hash and length.
    Certificate(Box<CheckedCertificate>),
}

impl From<BatchName> for Wanted {
    fn from(name: BatchName) -> Self {
        Wanted::Name(name)
    }
}

impl From<CheckedCertificate> for Wanted {
    fn from(certificate: CheckedCertificate) -> Self {
        Wanted::Certificate(Box::new(certificate))
    }
}

/// A finished download.
#[derive(Clone, Debug, Serialize)]
pub struct FetchReport {
    /// keccak256 of the bytes, recomputed.
    pub data_hash: DataHash,
    /// Length in bytes.
    pub data_bytes: u64,
    /// The batch of the certificate that was used, if one was.
    pub batch_id: Option<BatchId>,
    /// That certificate in its SCALE form, as hex.
    pub certificate: Option<String>,
    /// True when all three commitments were recomputed from the bytes.
    pub roots_verified: bool,
    /// Members that gave bytes, in order.
    pub endpoints: Vec<String>,
    /// Attempts that failed.
    pub attempts: Vec<Attempt>,
}

/// A download under way.
struct Download {
    expected_hash: DataHash,
    expected_bytes: Option<u64>,
    certificate: Option<CheckedCertificate>,
    path: String,
    sink: Sink,
    hash: Keccak256,
    bytes: u64,
    endpoints: Vec<String>,
    /// Parts of different members may still be joined.
    joins: bool,
}

/// An attempt ends with a fault of the member, or with an error of this side.
enum Ended {
    Fault(Fault),
    Local(Error),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Ended::Fault(fault)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Local(error)
    }
}

impl Client {
    /// Fetches a batch into memory, at most 64 MiB. With a certificate (given, or fetched for an id) all three
    /// commitments are recomputed.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with every attempt, [`Error::Refused`] when every member lacks it,
    /// [`Error::Commitments`] for a certificate whose roots do not belong to its hash.
    pub async fn fetch_bytes(
        &self,
        wanted: impl Into<Wanted>,
        progress: &dyn Progress,
    ) -> Result<(Bytes, FetchReport), Error> {
        let mut download = self.begin(wanted.into(), Sink::memory(), progress).await?;
        let attempts = self.complete(&mut download, progress).await?;
        let (certificate, report) = (download.certificate.clone(), download.report(attempts));
        let bytes = download.sink.finish().await?;
        let Some(certificate) = certificate else { return Ok((bytes, report)) };
        progress.report(Event::Verifying);
        let (batch, committee) = (bytes.clone(), self.committee().clone());
        off_runtime(move || check_batch(&certificate, &committee, &batch)).await?;
        Ok((bytes, FetchReport { roots_verified: true, ..report }))
    }

    /// Fetches a batch into a file in constant memory. The file appears under its name, replacing another, only after
    /// its bytes hashed to what was asked for.
    ///
    /// # Errors
    /// [`Error::File`], and as [`Client::fetch_bytes`].
    pub async fn fetch_to_file(
        &self,
        wanted: impl Into<Wanted>,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<FetchReport, Error> {
        let sink = Sink::file(path).await?;
        let mut download = self.begin(wanted.into(), sink, progress).await?;
        let attempts = self.complete(&mut download, progress).await?;
        let report = download.report(attempts);
        download.sink.finish().await?;
        Ok(report)
    }

    /// Finds out what the bytes have to hash to.
    async fn begin(&self, wanted: Wanted, sink: Sink, progress: &dyn Progress) -> Result<Download, Error> {
        let certificate = match wanted {
            Wanted::Name(BatchName::DataHash(hash)) => return Ok(Download::new(hash, sink)),
            Wanted::Name(name) => self.certificate_reporting(name, progress).await?,
            Wanted::Certificate(certificate) => *certificate,
        };
        Ok(Download::certified(certificate, sink))
    }

    /// Attempts until the whole is here and has the right hash.
    async fn complete(
        &self,
        download: &mut Download,
        progress: &dyn Progress,
    ) -> Result<Vec<Attempt>, Error> {
        let mut trial = Trial::new(self, progress);
        loop {
            let (_, endpoint) = trial.next().await?;
            let before = download.bytes;
            let ended = match self.shared.download(endpoint, download, progress).await {
                Ok(()) => match download.check().await? {
                    None => return Ok(trial.attempts),
                    Some(fault) => Ended::Fault(fault),
                },
                Err(ended) => ended,
            };
            match ended {
                Ended::Local(error) => return Err(error),
                Ended::Fault(fault) => {
                    if download.bytes >= before + FORGIVEN_BYTES {
                        trial.forgive();
                    }
                    self.over(&mut trial, endpoint, fault)?;
                }
            }
        }
    }
}

impl Download {
    fn new(expected_hash: DataHash, sink: Sink) -> Self {
        Download {
            expected_hash,
            expected_bytes: None,
            certificate: None,
            path: format!("v1/batches/{expected_hash}"),
            sink,
            hash: Keccak256::new(),
            bytes: 0,
            endpoints: Vec::new(),
            joins: true,
        }
    }

    fn certified(certificate: CheckedCertificate, sink: Sink) -> Self {
        let mut download = Download::new(certificate.statement().data_hash, sink);
        download.expected_bytes = Some(certificate.statement().data_bytes);
        download.path = format!("v1/batches/{}", certificate.batch_id());
        download.certificate = Some(certificate);
        download
    }

    async fn reset(&mut self) -> Result<(), Error> {
        self.sink.reset().await?;
        self.hash = Keccak256::new();
        self.bytes = 0;
        self.endpoints.clear();
        Ok(())
    }

    async fn append(&mut self, endpoint: &Endpoint, part: &[u8]) -> Result<(), Error> {
        if self.endpoints.last() != Some(&endpoint.name) {
            self.endpoints.push(endpoint.name.clone());
        }
        self.hash.update(part);
        self.sink.append(part).await?;
        self.bytes += part.len() as u64;
        Ok(())
    }

    /// Compares the hash of the whole; a wrong one starts everything anew.
    async fn check(&mut self) -> Result<Option<Fault>, Error> {
        let found = DataHash(self.hash.clone().finalize());
        if found == self.expected_hash {
            return Ok(None);
        }
        let givers = self.endpoints.join(", ");
        let error = Error::DataHash { expected: self.expected_hash, found };
        self.joins = false;
        self.reset().await?;
        Ok(Some(Fault::broken(format!("{error} (given by {givers})"))))
    }

    fn report(&self, attempts: Vec<Attempt>) -> FetchReport {
        FetchReport {
            data_hash: self.expected_hash,
            data_bytes: self.bytes,
            batch_id: self.certificate.as_ref().map(CheckedCertificate::batch_id),
            certificate: self.certificate.as_ref().map(|checked| scale_hex(checked.certificate())),
            roots_verified: false,
            endpoints: self.endpoints.clone(),
            attempts,
        }
    }

    /// The length of the whole, from an answer that fits what is already here. What came before is kept until the
    /// answer turned out to fit: a member with a wrong length must not cost the others' bytes.
    async fn accept(&mut self, response: &Response) -> Result<u64, Ended> {
        let (start, total) = offered(response)?;
        let total_max = self.expected_bytes.unwrap_or(BATCH_BYTES_MAX);
        if total > total_max || self.expected_bytes.is_some_and(|expected| expected != total) {
            return Err(Fault::broken(format!("{total} bytes offered, expected {total_max}")).into());
        }
        match start {
            // The member ignores ranges: everything comes again.
            None if self.bytes > 0 => self.reset().await?,
            Some(start) if start != self.bytes => {
                return Err(Fault::broken(format!("range from {start}, asked from {}", self.bytes)).into());
            }
            _ => {}
        }
        Ok(total)
    }
}

/// Where the bytes of an answer start, when it is a range, and the length of the whole.
fn offered(response: &Response) -> Result<(Option<u64>, u64), Fault> {
    match response.status().as_u16() {
        206 => content_range(response)
            .map(|(start, total)| (Some(start), total))
            .ok_or_else(|| Fault::broken("a 206 without a range to the end")),
        200 => response
            .content_length()
            .map(|total| (None, total))
            .ok_or_else(|| Fault::broken("an answer without a length")),
        status => Err(Fault::broken(format!("unexpected HTTP status {status}"))),
    }
}

impl Shared {
    /// One request from where the download stands to its end.
    async fn download(
        &self,
        endpoint: &Endpoint,
        download: &mut Download,
        progress: &dyn Progress,
    ) -> Result<(), Ended> {
        let stranger = download.endpoints.last().is_some_and(|last| *last != endpoint.name);
        if stranger && !download.joins {
            download.reset().await?;
        }
        let mut request = self.http.get(endpoint.url(&download.path));
        if download.bytes > 0 {
            request = request
                .header(RANGE, format!("bytes={}-", download.bytes))
                .header(IF_RANGE, format!("\"{}\"", download.expected_hash));
        }
        let idle_max = self.config.idle_max;
        let sent = timeout(idle_max, request.send()).await.map_err(|_| silence(idle_max))?;
        let mut response = sent.map_err(Fault::from)?;
        if !response.status().is_success() {
            return Err(refusal(response, idle_max).await.into());
        }
        let total_bytes = download.accept(&response).await?;
        while download.bytes < total_bytes {
            let next = timeout(idle_max, response.chunk()).await.map_err(|_| silence(idle_max))?;
            let Some(part) = next.map_err(Fault::from)? else {
                let bytes = download.bytes;
                return Err(Fault::broken(format!("ended after {bytes} of {total_bytes} bytes")).into());
            };
            if download.bytes + part.len() as u64 > total_bytes {
                return Err(Fault::broken(format!("more than {total_bytes} bytes")).into());
            }
            download.append(endpoint, &part).await?;
            progress.report(Event::Received { bytes: download.bytes, total_bytes });
        }
        Ok(())
    }
}

/// First byte and length of the whole from `bytes 5-9/10`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end, total): (u64, u64, u64) = (start.parse().ok()?, end.parse().ok()?, total.parse().ok()?);
    (start <= end && end.checked_add(1) == Some(total)).then_some((start, total))
}
