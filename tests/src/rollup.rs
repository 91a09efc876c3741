//! A rollup as a member sees it: requests made by hand.

use attest::{BatchId, DataHash, Domain, RollupId, Submission, SubmissionSignature, SubmitterKey};
use bytes::Bytes;
use dac_node::devnet::Devnet;
use reqwest::{Client, RequestBuilder};

use crate::Answer;

/// Until when a batch is wanted, Unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Whole copies.
    pub hot_until: u64,
    /// Shards.
    pub retain_until: u64,
    /// Members refuse to begin after this.
    pub deadline: u64,
}

impl Times {
    /// Hot for an hour, kept for two, to be begun within ten minutes of `now`.
    pub fn from(now: u64) -> Times {
        Times { hot_until: now + 3600, retain_until: now + 7200, deadline: now + 600 }
    }
}

/// A rollup with the key that its members expect, and an HTTP client.
#[derive(Debug)]
pub struct Rollup {
    /// Its identity.
    pub id: RollupId,
    /// Signing domain of the committee.
    pub domain: Domain,
    /// Its key.
    pub key: SubmitterKey,
    http: Client,
}

impl Rollup {
    /// A rollup with its key.
    pub fn new(id: RollupId, domain: Domain, key: SubmitterKey) -> Rollup {
        // No connection outlives its request: each test has a runtime of its own, and connections live on it.
        // Members speak plain HTTP: the system's certificates, which take longer to read than most requests, are not read.
        let plain = Client::builder().pool_max_idle_per_host(0).tls_certs_only([]);
        let http = plain.build().expect("a plain client can be made");
        Rollup { id, domain, key, http }
    }

    /// The rollup that a devnet serves.
    pub fn of(devnet: &Devnet) -> Rollup {
        let key = SubmitterKey::from_bytes(&devnet.submitter().to_bytes());
        let key = key.expect("the key was a key before it was copied");
        Rollup::new(devnet.rollup_id(), *devnet.committee().domain(), key)
    }

    /// What it asks for.
    pub fn submission(&self, batch: &[u8], times: Times) -> Submission {
        Submission {
            rollup_id: self.id,
            data_hash: DataHash(fpga_hash::keccak256(batch)),
            data_bytes: batch.len() as u64,
            hot_until: times.hot_until,
            retain_until: times.retain_until,
            deadline: times.deadline,
        }
    }

    /// Its signature.
    pub fn sign(&self, submission: &Submission) -> SubmissionSignature {
        self.key.sign(&submission.digest(&self.domain))
    }

    /// The POST of a submission, to be changed or sent. Without a body.
    pub fn post(&self, api: &str, submission: &Submission) -> RequestBuilder {
        self.post_waiting(api, submission, "certificate")
    }

    /// The same, with what to wait for: `certificate` or `none`.
    pub fn post_waiting(&self, api: &str, submission: &Submission, wait: &str) -> RequestBuilder {
        self.http
            .post(format!("{api}/v1/rollups/{}/batches?wait={wait}", submission.rollup_id))
            .header("dac-hot-until", submission.hot_until)
            .header("dac-retain-until", submission.retain_until)
            .header("dac-deadline", submission.deadline)
            .header("dac-signature", self.sign(submission).to_string())
    }

    /// A whole submission, hashed and signed, ready to be sent.
    pub fn request(&self, api: &str, batch: &Bytes, times: Times) -> RequestBuilder {
        let submission = self.submission(batch, times);
        let named = self.post(api, &submission).header("dac-data-hash", submission.data_hash.to_string());
        named.body(batch.clone())
    }

    /// Posts a batch and waits for its certificate.
    pub async fn submit(&self, api: &str, batch: &Bytes, times: Times) -> Answer {
        Answer::of(self.request(api, batch, times)).await
    }

    /// Posts a batch to a member that may be gone, and waits for its certificate.
    ///
    /// # Errors
    /// When there is no whole response.
    pub async fn try_submit(&self, api: &str, batch: &Bytes, times: Times) -> Result<Answer, reqwest::Error> {
        Answer::try_of(self.request(api, batch, times)).await
    }

    /// `GET` of a path of the API of a member that may be gone.
    ///
    /// # Errors
    /// When there is no whole response.
    pub async fn try_get(&self, api: &str, path: &str) -> Result<Answer, reqwest::Error> {
        Answer::try_of(self.http.get(format!("{api}{path}"))).await
    }

    /// `GET` of a path of the API.
    pub async fn get(&self, api: &str, path: &str) -> Answer {
        Answer::of(self.http.get(format!("{api}{path}"))).await
    }

    /// `GET` with one header.
    pub async fn get_with(&self, api: &str, path: &str, name: &str, value: &str) -> Answer {
        Answer::of(self.http.get(format!("{api}{path}")).header(name, value)).await
    }

    /// The bytes of a batch, by id.
    pub async fn fetch(&self, api: &str, id: BatchId) -> Answer {
        self.get(api, &format!("/v1/batches/{id}")).await
    }
}
