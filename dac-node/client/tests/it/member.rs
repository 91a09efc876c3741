//! A committee with its keys, and members that answer by script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attest::{
    Address, CheckedCertificate, Committee, CommitteeFile, DataHash, DataRoot, Decode, Domain, Encode, Epoch,
    MemberEntry, RollupId, SeatIndex, SecretKey, ShardsRoot, Statement, Submission, SubmitterKey, aggregate,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dac_client::{Client, ClientConfig, Clock, SubmitOptions, Until};
use dac_node_coding::{Coder, Layout, commit};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ROLLUP: RollupId = RollupId([0xa1; 32]);
pub(crate) const MEMBERS: u16 = 4;

/// Four members, `k` = 2, `q` = 3.
pub(crate) struct Seats {
    pub(crate) file: CommitteeFile,
    pub(crate) committee: Committee,
    keys: Vec<SecretKey>,
}

impl Seats {
    pub(crate) fn new(seed: u8) -> Self {
        let domain = Domain { chain_id: 31_337, registry: Address::ZERO };
        let keys: Vec<_> = (0..MEMBERS)
            .map(|seat| SecretKey::generate(&[seed + u8::try_from(seat).unwrap(); 32]).unwrap())
            .collect();
        let members = keys.iter().map(|key| MemberEntry {
            name: None,
            operator: Address::ZERO,
            public_key: key.public_key().to_bytes(),
            proof_of_possession: key.prove_possession(&domain, Address::ZERO),
            peer_id: None,
            addresses: vec![],
            api: None,
        });
        let file = CommitteeFile {
            epoch: Epoch(1),
            chain_id: domain.chain_id,
            registry: domain.registry,
            minimum_shards: 2,
            quorum: 3,
            members: members.collect(),
        };
        Seats { committee: file.check().unwrap(), file, keys }
    }

    /// The true statement about a batch.
    pub(crate) fn statement(&self, batch: &[u8]) -> Statement {
        let layout = Layout::new(MEMBERS, 2, batch.len() as u64).unwrap();
        let coder = Coder::new(MEMBERS, 2).unwrap();
        let (commitments, _) = commit(&*fpga_hash::software(), &coder, &layout, batch);
        submission(batch).statement(&self.committee, commitments.data_root, commitments.shards_root)
    }

    pub(crate) fn sign(&self, statement: &Statement) -> CheckedCertificate {
        let attestations = self
            .keys
            .iter()
            .zip(0..)
            .map(|(key, seat)| key.attest(statement, self.committee.domain(), SeatIndex(seat)).unwrap());
        aggregate(&self.committee, statement, attestations).certificate.unwrap()
    }

    pub(crate) fn certify(&self, batch: &[u8]) -> CheckedCertificate {
        self.sign(&self.statement(batch))
    }
}

pub(crate) fn submission(batch: &[u8]) -> Submission {
    Submission {
        rollup_id: ROLLUP,
        data_hash: hash(batch),
        data_bytes: batch.len() as u64,
        hot_until: NOW + 60,
        retain_until: NOW + 3600,
        deadline: NOW + 30,
    }
}

pub(crate) fn hash(batch: &[u8]) -> DataHash {
    DataHash(fpga_hash::keccak256(batch))
}

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

pub(crate) fn key() -> SubmitterKey {
    SubmitterKey::from_bytes(&[9; 32]).unwrap()
}

pub(crate) fn options() -> SubmitOptions {
    SubmitOptions {
        hot: Until::For(Duration::from_secs(60)),
        retain: Until::At(NOW + 3600),
        deadline: Until::For(Duration::from_secs(30)),
        check_roots: false,
    }
}

/// A client with short pauses and a stopped clock.
pub(crate) fn config(seats: &Seats, members: &[&Member]) -> ClientConfig {
    let urls = members.iter().map(|member| member.url.clone());
    ClientConfig {
        pause_min: Duration::from_millis(5),
        clock: Clock::new(|| NOW),
        ..ClientConfig::new(urls, seats.committee.clone())
    }
}

pub(crate) fn client(seats: &Seats, members: &[&Member]) -> Client {
    Client::new(config(seats, members)).unwrap()
}

/// A request as a member saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) struct Member {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Member {
    /// Answers the `n`-th request (from 0) by script.
    pub(crate) async fn start(script: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (seen.clone(), Arc::new(script));
        let router = Router::new().fallback(move |request: Request| {
            let (log, script) = (log.clone(), script.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 128 << 20).await.unwrap_or_default();
                let seen = Seen {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().map(ToOwned::to_owned),
                    headers: head.headers,
                    body,
                };
                let nth = {
                    let mut log = log.lock().unwrap();
                    log.push(seen.clone());
                    log.len() - 1
                };
                let response = script(nth, &seen);
                if response.extensions().get::<Hang>().is_some() {
                    std::future::pending::<()>().await;
                }
                response
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Member { url, seen }
    }

    /// An address where nobody listens.
    pub(crate) async fn dead() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Member { url: format!("http://{}", listener.local_addr().unwrap()), seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method).count()
    }
}

#[derive(Clone)]
struct Hang;

/// Never answers.
pub(crate) fn hang() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Hang);
    response
}

/// A body that breaks after `part`, before its `length`.
pub(crate) fn breaks(
    status: u16,
    length: usize,
    part: &[u8],
    headers: &[(&'static str, String)],
) -> Response {
    let part = Bytes::copy_from_slice(part);
    let parts = [Ok(part), Err(std::io::Error::other("as scripted"))];
    // The pause lets the first part leave before the connection is torn down.
    let stream = futures::StreamExt::then(futures::stream::iter(parts), |part| async move {
        if part.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        part
    });
    let mut builder = Response::builder().status(status).header("content-length", length);
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(Body::from_stream(stream)).unwrap()
}

pub(crate) fn problem(status: u16, code: &str, more: Value) -> Response {
    let mut document =
        json!({ "type": "urn:x", "title": code, "status": status, "detail": "as scripted", "code": code });
    for (name, value) in more.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    (
        StatusCode::from_u16(status).unwrap(),
        [("content-type", "application/problem+json")],
        document.to_string(),
    )
        .into_response()
}

pub(crate) fn status(certificate: &CheckedCertificate, stage: &str) -> Value {
    let statement = certificate.statement();
    json!({
        "batch_id": certificate.batch_id(), "rollup_id": statement.rollup_id, "data_bytes": statement.data_bytes,
        "data_hash": statement.data_hash, "hot_until": statement.hot_until, "retain_until": statement.retain_until,
        "stage": stage, "coordinator": 0, "quorum": 3, "signers": 4, "members": [], "a_newer_field": true,
    })
}

pub(crate) fn certified(certificate: &CheckedCertificate) -> Response {
    let scale = certificate.certificate().encode();
    let answer = json!({
        "certificate": {}, "certificate_scale": format!("0x{}", hex::encode(scale)),
        "status": status(certificate, "certified"), "urls": {},
    });
    axum::Json(answer).into_response()
}

pub(crate) fn scale(certificate: &CheckedCertificate) -> Response {
    certificate.certificate().encode().into_response()
}

/// An honest member: takes submissions it can check, serves the batch with ranges, status and certificate.
pub(crate) fn honest(seats: &Seats, batch: &[u8]) -> impl Fn(usize, &Seen) -> Response + use<> {
    let (certificate, batch) = (seats.certify(batch), batch.to_vec());
    let domain = *seats.committee.domain();
    move |_, seen| match (seen.method.as_str(), seen.path.rsplit('/').next().unwrap()) {
        ("POST", _) => {
            let signature = seen.header("dac-signature").unwrap().parse::<attest::SubmissionSignature>();
            let signer = signature.unwrap().recover(&submission(&seen.body).digest(&domain));
            assert_eq!(signer.unwrap(), key().address(), "the signature is over what was sent");
            certified(&certificate)
        }
        (_, "certificate") => scale(&certificate),
        (_, "status") => axum::Json(status(&certificate, "certified")).into_response(),
        _ => serve(&batch, seen),
    }
}

/// The bytes, or the range that is asked for.
pub(crate) fn serve(batch: &[u8], seen: &Seen) -> Response {
    let Some(range) = seen.header("range") else { return batch.to_vec().into_response() };
    let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    partial(&batch[start..], start, batch.len())
}

pub(crate) fn partial(part: &[u8], start: usize, length: usize) -> Response {
    let range = format!("bytes {start}-{}/{length}", start + part.len() - 1);
    (StatusCode::PARTIAL_CONTENT, [("content-range", range)], part.to_vec()).into_response()
}

/// A statement with roots that belong to nothing.
pub(crate) fn false_roots(statement: Statement) -> Statement {
    let root = DataRoot::decode(&mut [7; 32].as_slice()).unwrap();
    Statement { data_root: root, shards_root: ShardsRoot([8; 32]), ..statement }
}
