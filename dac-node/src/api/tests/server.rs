//! A served router, a raw connection to it, and answers of either.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::memory::{Memory, ROLLUP, Script};
use crate::api::{ApiConfig, ServeError, ServeLimits, router, serve};

pub(super) struct Served {
    pub(super) memory: Arc<Memory>,
    pub(super) address: SocketAddr,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) task: JoinHandle<Result<(), ServeError>>,
    pub(super) http: reqwest::Client,
}

/// Bounds small enough to be met in a test.
pub(super) fn limits() -> ServeLimits {
    ServeLimits {
        header_bytes_max: 8192,
        headers_max: 32,
        shutdown_max: Duration::from_secs(5),
        ..Default::default()
    }
}

pub(super) async fn start(script: Script) -> Served {
    start_with(script, |_| {}, limits()).await
}

pub(super) async fn start_with(
    script: Script,
    adjust: impl FnOnce(&mut ApiConfig),
    limits: ServeLimits,
) -> Served {
    let memory = Arc::new(Memory::new(script));
    let mut config = ApiConfig::new(0);
    adjust(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(memory.clone(), config);
    let task = tokio::spawn(serve(listener, router, limits, async {
        let _ = stopped.await;
    }));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Served { memory, address, stop: Some(stop), task, http }
}

impl Served {
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// An authorised POST of `batch`, to be changed by the test.
    pub(super) fn post(&self, batch: &[u8]) -> reqwest::RequestBuilder {
        let mut request = self.http.post(self.url(&format!("/v1/rollups/{ROLLUP}/batches")));
        for (name, value) in self.headers(batch) {
            request = request.header(name, value);
        }
        request.body(batch.to_vec())
    }

    pub(super) fn headers(&self, batch: &[u8]) -> Vec<(&'static str, String)> {
        let submission = self.memory.submission(batch);
        vec![
            ("dac-hot-until", submission.hot_until.to_string()),
            ("dac-retain-until", submission.retain_until.to_string()),
            ("dac-deadline", submission.deadline.to_string()),
            ("dac-signature", self.memory.sign(&submission).to_string()),
            ("dac-data-hash", submission.data_hash.to_string()),
        ]
    }

    /// The head of an authorised POST, for sending by hand.
    pub(super) fn head(&self, batch: &[u8], without: &[&str], extra: &str) -> String {
        let mut head = format!("POST /v1/rollups/{ROLLUP}/batches HTTP/1.1\r\nhost: test\r\n{extra}");
        for (name, value) in self.headers(batch) {
            if !without.contains(&name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head + "\r\n"
    }

    pub(super) async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap(), Vec::new())
    }
}

/// An answer with its headers in lower case.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a problem document and gives it back.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:validium-dac:problem:{code}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(problem["instance"].as_str().unwrap().starts_with('/'));
        problem
    }
}

/// One connection, byte by byte.
pub(super) struct Raw(pub(super) TcpStream, Vec<u8>);

impl Raw {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn more(&mut self) -> usize {
        let mut part = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(30), self.0.read(&mut part));
        let count = read.await.expect("an answer within 30 s").unwrap_or(0);
        self.1.extend_from_slice(&part[..count]);
        count
    }

    /// The next head: status and headers.
    pub(super) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.1.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            assert_ne!(self.more().await, 0, "closed inside a head: {:?}", String::from_utf8_lossy(&self.1));
        };
        let head = String::from_utf8(self.1[..end].to_vec()).unwrap();
        self.1.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Answer { status, headers, body: Vec::new() }
    }

    /// The next answer with a body of its `content-length`, or as much of it as came before the end.
    pub(super) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.1.len() < length && self.more().await > 0 {}
        let body = self.1.len().min(length);
        answer.body = self.1.drain(..body).collect();
        answer
    }

    /// Whether the peer closed without sending more.
    pub(super) async fn closed(&mut self) -> bool {
        self.1.is_empty() && self.more().await == 0
    }
}
