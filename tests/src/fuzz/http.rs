//! HTTP requests, byte by byte, through hyper and the whole API in front of a node that knows one batch.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use attest::{BatchId, Certificate, CommitteeFile, DataHash, Thresholds};
use bytes::Bytes;
use dac_node::api::{ApiConfig, Backend, ShardStream, router};
use dac_node::custody::CustodyReport;
use dac_node::service::{
    BatchRef, BatchStatus, PieceAnswer, ReadError, ReadableBatch, Readiness, Reason, Refusal,
    SubmissionRequest,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Length of the batch that the node knows.
const BATCH_BYTES: u64 = 1_000;
/// Answers are read to their end, up to this.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// A node that refuses every submission and serves one batch of zeros under any name.
#[derive(Debug)]
struct OneBatch(CommitteeFile);

impl OneBatch {
    fn new() -> OneBatch {
        let json = r#"{"epoch":1,"chain_id":31337,"registry":"0x0000000000000000000000000000000000000000",
            "minimum_shards":1,"quorum":1,"members":[]}"#;
        OneBatch(CommitteeFile::from_json(json).expect("the form of a committee file"))
    }
}

fn no<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    std::future::ready(value).boxed()
}

fn refusal() -> Refusal {
    Refusal::new(Reason::Unauthorised, "this node takes nothing")
}

impl Backend for OneBatch {
    fn precheck(&self, _: &SubmissionRequest, _: Option<u64>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorise(&self, _: &SubmissionRequest, _: DataHash, _: u64) -> BoxFuture<'_, Result<(), Refusal>> {
        no(Err(refusal()))
    }

    fn submit(&self, _: SubmissionRequest, _: DataHash, _: Bytes) -> BoxFuture<'_, Result<BatchId, Refusal>> {
        unreachable!("no submission is authorised here")
    }

    fn wait(&self, _: BatchId) -> BoxFuture<'_, BatchStatus> {
        unreachable!("nothing was submitted here")
    }

    fn status(&self, _: BatchRef) -> BoxFuture<'_, Option<BatchStatus>> {
        no(None)
    }

    fn certificate(&self, _: BatchRef) -> BoxFuture<'_, Option<Certificate>> {
        no(None)
    }

    fn find(&self, _: BatchRef) -> BoxFuture<'_, Result<ReadableBatch, ReadError>> {
        let (batch_id, data_hash) = (BatchId([1; 32]), DataHash([2; 32]));
        no(Ok(ReadableBatch { batch_id, data_hash, data_bytes: BATCH_BYTES, hot: true }))
    }

    fn read(&self, _: &ReadableBatch, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        assert!(range.start < range.end && range.end <= BATCH_BYTES, "a range outside the batch: {range:?}");
        let bytes = vec![0; usize::try_from(range.end - range.start).expect("inside the batch")];
        Box::pin(futures::stream::iter([Ok(Bytes::from(bytes))]))
    }

    fn shard(&self, _: BatchRef, asked: u16) -> BoxFuture<'_, Result<ShardStream, ReadError>> {
        no(Err(ReadError::NotHere { asked, own: 0 }))
    }

    fn piece(&self, _: BatchRef, stripe: u32, _: u16) -> BoxFuture<'_, Result<PieceAnswer, ReadError>> {
        no(Err(ReadError::OutOfRange { what: "stripe", asked: stripe.into(), limit: 1 }))
    }

    fn custody(&self) -> CustodyReport {
        CustodyReport::default()
    }

    fn committee(&self) -> Result<Arc<CommitteeFile>, Refusal> {
        Ok(Arc::new(self.0.clone()))
    }

    fn thresholds(&self) -> Result<Thresholds, Refusal> {
        Ok(Thresholds::new(1, 1, 1).expect("a committee of one"))
    }

    fn readiness(&self) -> Readiness {
        Readiness { ready: true, reasons: Vec::new(), connected: 1, quorum: 1, advice: Vec::new() }
    }

    fn batch_bytes_max(&self) -> u64 {
        4_096
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime of one thread")
});

/// A connection that says these bytes and ends: every answer is HTTP, and none is an internal error.
pub fn http_request(input: &[u8]) {
    let answer = RUNTIME.block_on(exchange(input));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "an answer that is no HTTP");
    let internal = answer.windows(13).any(|part| part == b"HTTP/1.1 500 ");
    assert!(!internal, "an internal error: {}", String::from_utf8_lossy(&answer));
}

async fn exchange(input: &[u8]) -> Vec<u8> {
    let service = TowerToHyperService::new(router(Arc::new(OneBatch::new()), ApiConfig::new(0)));
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let serving = async move {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.half_close(true);
        // A connection that ends badly is the client's doing.
        let _ended = builder.serve_connection(TokioIo::new(server), service).await;
    };
    let asking = async move {
        // The server may hang up in the middle of it.
        let _sent = client.write_all(input).await;
        let _closed = client.shutdown().await;
        let mut answer = Vec::new();
        let _read = client.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
        answer
    };
    tokio::join!(serving, asking).1
}
