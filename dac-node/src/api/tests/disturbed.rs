//! Hostile and unlucky clients, over raw connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::memory::{BYTES_MAX, Script};
use super::server::{Served, limits, start, start_with};
use crate::api::ServeLimits;

const NO_HASH: &[&str] = &["dac-data-hash"];

#[tokio::test]
async fn a_truncated_body_is_named_with_both_lengths() {
    let served = start(Script::default()).await;
    for without in [&[][..], NO_HASH] {
        let mut raw = served.raw().await;
        raw.send(served.head(&[5; 1000], without, "content-length: 1000\r\n")).await;
        raw.send([5; 400]).await;
        raw.0.shutdown().await.unwrap();
        let problem = raw.answer().await.problem(400, "truncated_body");
        assert_eq!(problem["data_bytes"], 400);
        assert!(problem["detail"].as_str().unwrap().contains("400 of 1000 bytes"), "{problem}");
    }
    let mut raw = served.raw().await;
    raw.send(served.head(&[5; 1000], &[], "transfer-encoding: chunked\r\n")).await;
    raw.send("a\r\n01234").await;
    raw.0.shutdown().await.unwrap();
    raw.answer().await.problem(400, "truncated_body");
    assert_eq!(served.memory.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_missing_length_is_an_empty_batch() {
    let served = start(Script::default()).await;
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], "")).await;
    raw.answer().await.problem(400, "empty_batch");
}

#[tokio::test]
async fn a_wrong_signature_is_refused_before_the_body_is_sent() {
    let served = start(Script::default()).await;
    let head = served.head(b"a batch", &[], "content-length: 1000000\r\n");
    let mut raw = served.raw().await;
    raw.send(head).await;
    raw.answer().await.problem(401, "unauthorised");
}

#[tokio::test]
async fn a_declared_length_beyond_the_limit_is_refused_before_the_body_is_sent() {
    let served = start(Script::default()).await;
    for length in [BYTES_MAX + 1, u64::MAX - 1] {
        let mut raw = served.raw().await;
        raw.send(served.head(b"a batch", &[], &format!("content-length: {length}\r\n"))).await;
        let answer = raw.answer().await;
        // hyper itself refuses a length near 2^64 with an empty 4xx.
        assert!(answer.status == 413 || (length > BYTES_MAX + 1 && answer.status / 100 == 4), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_expects_continue_is_asked_only_when_authorised() {
    let served = start(Script::default()).await;
    let expect = "content-length: 7\r\nexpect: 100-continue\r\n";
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], expect)).await;
    assert_eq!(raw.head().await.status, 100);
    raw.send("a batch").await;
    assert_eq!(raw.answer().await.status, 200);

    let mut raw = served.raw().await;
    raw.send(served.head(b"A batch", &["dac-signature"], expect)).await;
    raw.answer().await.problem(400, "missing_header");
    assert!(raw.closed().await);
}

#[tokio::test]
async fn a_known_submission_needs_no_second_upload() {
    let served = start(Script::default()).await;
    served.memory.put(b"a batch");
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], "content-length: 7\r\n")).await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(served.memory.begun.load(Ordering::SeqCst), 0);
    raw.send("a batch").await;
    raw.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200, "the connection is still in step");
}

#[tokio::test]
async fn a_refusal_can_be_read_by_a_client_that_sends_everything_first() {
    let served = start(Script::default()).await;
    let batch = vec![1; usize::try_from(BYTES_MAX).unwrap()];
    let mut raw = served.raw().await;
    raw.send(served.head(b"other", &[], &format!("content-length: {BYTES_MAX}\r\n"))).await;
    raw.send(&batch).await;
    raw.answer().await.problem(401, "unauthorised");
    raw.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing() {
    let served = start(Script::default()).await;
    let held = served.memory.gate.acquire_many(1000).await.unwrap();
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], "content-length: 7\r\n")).await;
    raw.send("a batch").await;
    reached(|| served.memory.begun.load(Ordering::SeqCst) == 1).await;
    drop(raw);
    // The server has to see the end of the connection before the gate opens: another request takes a turn.
    assert_eq!(served.get("/livez").await.status, 200);
    drop(held);
    reached(|| served.memory.ended.load(Ordering::SeqCst) == 1).await;
    assert_eq!(served.memory.stored(), 1);
}

/// Waits for what another task does, with a bound.
async fn reached(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("reached within 30 s");
}

#[tokio::test]
async fn silent_and_slow_bodies_are_cut_off() {
    let idle = |config: &mut crate::api::ApiConfig| config.body_idle_max = Duration::from_millis(50);
    let served = start_with(Script::default(), idle, limits()).await;
    let mut raw = served.raw().await;
    // One write, so that no delay between head and body counts as silence.
    raw.send(served.head(&[5; 1000], &[], "content-length: 1000\r\n") + "0123456789").await;
    let problem = raw.answer().await.problem(408, "body_timeout");
    assert!(problem["detail"].as_str().unwrap().contains("after byte 10"), "{problem}");

    let trickle = |config: &mut crate::api::ApiConfig| {
        config.body_idle_max = Duration::from_millis(100);
        config.body_rate_min = 1 << 40;
    };
    let served = start_with(Script::default(), trickle, limits()).await;
    let mut raw = served.raw().await;
    raw.send(served.head(&[5; 1000], &[], "content-length: 1000\r\n")).await;
    let (mut reader, mut writer) = raw.0.into_split();
    let sending = tokio::spawn(async move {
        while writer.write_all(&[5]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut head = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut reader, &mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 408");
    sending.abort();
}

async fn small_budgets() -> Served {
    let adjust = |config: &mut crate::api::ApiConfig| {
        config.unauthenticated_bytes_max = 1 << 20;
        config.authorised_bytes_max = 1 << 20;
    };
    start_with(Script::default(), adjust, limits()).await
}

#[tokio::test]
async fn unauthenticated_bytes_are_bounded_by_what_came_not_by_claims() {
    let served = small_budgets().await;
    let batch = vec![5; 900_000];
    let mut claims = served.raw().await;
    claims.send(served.head(&batch, NO_HASH, "content-length: 900000\r\n")).await;
    let mut sends = served.raw().await;
    sends.send(served.head(&batch, NO_HASH, "content-length: 900000\r\n")).await;
    sends.send(&batch).await;
    assert_eq!(sends.answer().await.status, 200, "a claim alone takes no room");

    // Two bodies that do not fit together, both nearly here: one is refused, the other goes on.
    let mut other = served.raw().await;
    other.send(served.head(&batch, NO_HASH, "content-length: 900000\r\n")).await;
    claims.send(&batch[..899_000]).await;
    other.send(&batch[..899_000]).await;
    let (answer, mut going_on) = tokio::select! {
        answer = claims.answer() => (answer, other),
        answer = other.answer() => (answer, claims),
    };
    let problem = answer.problem(503, "busy");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(problem["detail"].as_str().unwrap().contains("of 1048576 are free"), "{problem}");
    going_on.send(&batch[899_000..]).await;
    assert_eq!(going_on.answer().await.status, 200);
}

#[tokio::test]
async fn authorised_bodies_take_their_whole_length_ahead() {
    let served = small_budgets().await;
    let batch = vec![6; 900_000];
    let expect = "content-length: 900000\r\nexpect: 100-continue\r\n";
    let mut first = served.raw().await;
    first.send(served.head(&batch, &[], expect)).await;
    assert_eq!(first.head().await.status, 100, "its room is taken");
    let other = vec![7; 900_000];
    served.send(served.post(&other)).await.problem(503, "busy");
    first.send(&batch).await;
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(served.send(served.post(&other)).await.status, 200, "the room came back");
}

#[tokio::test]
async fn huge_heads_and_garbage_are_refused_and_the_server_goes_on() {
    let served = start(Script::default()).await;
    let mut raw = served.raw().await;
    raw.send(format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000))).await;
    assert_eq!(raw.head().await.status, 431);
    let many: String = (0..100).map(|at| format!("x{at}: y\r\n")).collect();
    let mut raw = served.raw().await;
    raw.send(format!("GET /livez HTTP/1.1\r\n{many}\r\n")).await;
    assert_eq!(raw.head().await.status, 431);
    let mut raw = served.raw().await;
    raw.send([0; 64]).await;
    assert_eq!(raw.head().await.status, 400);
    assert_eq!(served.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed() {
    let quick = ServeLimits { header_read_max: Duration::from_millis(500), ..limits() };
    let served = start_with(Script::default(), |_| {}, quick).await;
    let mut slow = served.raw().await;
    slow.send("GET /livez HT").await;
    let mut idle = served.raw().await;
    idle.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut silent = served.raw().await;
    assert!(idle.closed().await && silent.closed().await);
    assert!(slow.closed().await);
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_a_free_one() {
    let one = ServeLimits { connections_max: 1, ..limits() };
    let served = start_with(Script::default(), |_| {}, one).await;
    let mut first = served.raw().await;
    first.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = served.raw().await;
    second.send("GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let early = tokio::time::timeout(Duration::from_millis(50), second.head()).await;
    assert!(early.is_err(), "the only connection is taken");
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn a_shutdown_lets_requests_end_and_takes_no_new_ones() {
    let mut served = start(Script::default()).await;
    let held = served.memory.gate.acquire_many(1000).await.unwrap();
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], "content-length: 7\r\n")).await;
    raw.send("a batch").await;
    reached(|| served.memory.begun.load(Ordering::SeqCst) == 1).await;
    served.stop.take().unwrap().send(()).unwrap();
    while tokio::net::TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(held);
    assert_eq!(raw.answer().await.status, 200);
    assert!(raw.closed().await);
    served.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_cuts_off_what_takes_too_long() {
    let short = ServeLimits { shutdown_max: Duration::from_millis(50), ..limits() };
    let mut served = start_with(Script::default(), |_| {}, short).await;
    let _held = served.memory.gate.acquire_many(1000).await.unwrap();
    let mut raw = served.raw().await;
    raw.send(served.head(b"a batch", &[], "content-length: 7\r\n")).await;
    raw.send("a batch").await;
    reached(|| served.memory.begun.load(Ordering::SeqCst) == 1).await;
    served.stop.take().unwrap().send(()).unwrap();
    served.task.await.unwrap().unwrap();
    assert!(raw.closed().await);
}
