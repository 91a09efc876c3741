//! Responses, and what a test wants of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use attest::{BatchId, Certificate, CheckedCertificate, Committee, CommitteeFile};
use bytes::Bytes;
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A response read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A submission that was certified.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The batch.
    pub batch_id: BatchId,
    /// Its certificate, verified with nothing but the committee file.
    pub certificate: CheckedCertificate,
    /// The status document of the answer.
    pub status: Value,
}

impl Answer {
    /// Sends a request and reads the response.
    ///
    /// # Panics
    /// When the connection breaks: no test here expects that of a member that runs.
    pub async fn of(request: RequestBuilder) -> Answer {
        Answer::try_of(request).await.unwrap_or_else(|error| panic!("request failed: {error:?}"))
    }

    /// Sends a request to a member that may die meanwhile.
    ///
    /// # Errors
    /// When there is no whole response.
    pub async fn try_of(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Takes the body of a 200.
    ///
    /// # Panics
    /// With the problem, when it is one.
    #[track_caller]
    pub fn ok(self) -> Bytes {
        assert_eq!(self.status, 200, "{}", self.text());
        self.body
    }

    /// The problem document with this status and code (RFC 9457), complete.
    ///
    /// # Panics
    /// When it is another one, or none.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "expected {code}: {}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:validium-dac:problem:{code}"), "{problem}");
        assert!(!problem["title"].as_str().unwrap_or_default().is_empty(), "{problem}");
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty(), "{problem}");
        problem
    }

    /// The certificate of a 200, verified by someone who has the committee file and nothing else.
    ///
    /// # Panics
    /// When it is no certificate of that committee, or its three forms differ.
    #[track_caller]
    pub fn certified(&self, committee: &Path) -> Certified {
        assert_eq!(self.status, 200, "{}", self.text());
        let json = self.json();
        let scale = json["certificate_scale"].as_str().and_then(|hex| hex.strip_prefix("0x"));
        let scale = hex::decode(scale.expect("certificate_scale is hex")).expect("certificate_scale is hex");
        let certificate = verify_offline(committee, &scale);
        let from_json = Certificate::from_json(&json["certificate"].to_string());
        assert_eq!(from_json.as_ref(), Ok(certificate.certificate()), "JSON and SCALE are one certificate");
        let batch_id = certificate.batch_id();
        assert_eq!(json["status"]["batch_id"], batch_id.to_string());
        assert_eq!(json["status"]["stage"], "certified");
        Certified { batch_id, certificate, status: json["status"].clone() }
    }
}

/// Checks a certificate like a party that never spoke to a member.
#[track_caller]
fn verify_offline(committee: &Path, scale: &[u8]) -> CheckedCertificate {
    let committee = checked(std::fs::read_to_string(committee).expect("the committee file is on disk"));
    let certificate =
        Certificate::decode_strict(scale).and_then(|certificate| certificate.verify(&committee));
    certificate.unwrap_or_else(|error| panic!("certificate: {error}"))
}

/// The committee of a file's text. It has a pairing for each member, and tests verify many certificates of one committee.
#[track_caller]
fn checked(text: String) -> Arc<Committee> {
    static CHECKED: LazyLock<Mutex<HashMap<String, Arc<Committee>>>> = LazyLock::new(Mutex::default);
    let mut checked = CHECKED.lock().expect("nobody panics while holding it");
    if let Some(committee) = checked.get(&text) {
        return committee.clone();
    }
    let committee = CommitteeFile::from_json(&text).and_then(|file| file.check());
    // Let go of before a test may panic.
    let committee = committee.map(|committee| checked.entry(text).or_insert(Arc::new(committee)).clone());
    drop(checked);
    committee.expect("the committee file is right")
}

/// The value of a Prometheus sample with all these labels; 0 when there is none.
pub fn metric(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let sample = text.lines().find_map(|line| {
        let (sample_name, rest) = line.split_once('{')?;
        let (found, value) = rest.rsplit_once("} ")?;
        let matches = sample_name == name && wanted.iter().all(|label| found.split(',').any(|l| l == label));
        matches.then(|| value.trim().parse().ok())?
    });
    sample.unwrap_or(0.0)
}
