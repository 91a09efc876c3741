//! Providers that lag, lie, say too much or nothing: a follower leaves them, and loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::post;
use futures::StreamExt;
use serde_json::{Value, json};

use super::super::ethereum::Ethereum;
use super::*;

/// A block that was confirmed and that the provider does not have: it is behind, and no epoch is forgotten for it.
#[tokio::test]
async fn a_provider_that_lags_takes_no_epoch_away() {
    let (chain, mut follower) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    let before = chain.head().await.unwrap().number;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    let known = follower.checkpoint().unwrap().clone();
    chain.stick(Some(before));
    let error = follower.poll(&chain, seconds(1)).await.unwrap_err();
    assert!(matches!(error, Error::Behind { found, .. } if found == before), "{error}");
    assert_eq!(follower.checkpoint(), Some(&known));
    assert_eq!(chain.switches(), 1);
    chain.stick(None);
    assert_eq!(follower.poll(&chain, seconds(2)).await.unwrap().went_back, None);
}

/// Behind one address there may be several machines: the head of one, and a block that another does not have.
#[tokio::test]
async fn a_block_that_is_missing_is_no_reorg() {
    let (chain, mut follower) = settled().await;
    let known = follower.checkpoint().unwrap().clone();
    chain.stick_after(1, known.block.number - 1);
    let error = follower.poll(&chain, seconds(1)).await.unwrap_err();
    assert!(matches!(error, Error::Behind { .. }), "{error}");
    assert_eq!(follower.checkpoint(), Some(&known));
}

/// One look in ten that shows nothing new is no reason, two minutes without a block are, and every failure is.
#[tokio::test]
async fn a_provider_that_is_silent_or_fails_is_left() {
    let (chain, mut follower) = settled().await;
    for now in 0..120 {
        follower.poll(&chain, seconds(now)).await.unwrap();
    }
    assert_eq!(chain.switches(), 0);
    for now in 120..240 {
        follower.poll(&chain, seconds(now)).await.unwrap();
    }
    assert_eq!(chain.switches(), 1);
    chain.mine_empty(1, SLOT);
    follower.poll(&chain, seconds(240)).await.unwrap();
    assert_eq!(chain.switches(), 1);
    chain.fail(3);
    for now in 241..244 {
        follower.poll(&chain, seconds(now)).await.unwrap_err();
    }
    assert_eq!(chain.switches(), 4);
}

/// Anybody may register, and say where it is reached: as many events as somebody pays for, which no provider gives at once.
#[tokio::test]
async fn a_crowded_stretch_is_read_in_smaller_pieces() {
    let chain = SimulatedChain::new(START);
    for index in 1..=8 {
        chain.mine_empty(30, SLOT);
        chain.mine(head_time(&chain) + SLOT, vec![registered(index)]);
    }
    chain.mine_empty(CONFIRMATIONS, SLOT);
    chain.limit_events(1);
    let mut follower = Follower::new(config(), None);
    let mut steps = 0;
    while follower.poll(&chain, Duration::ZERO).await.map_or(true, |progress| progress.pause.is_zero()) {
        steps += 1;
        assert!(steps < 100, "the stretch is never read");
    }
    assert_eq!(follower.checkpoint().unwrap().view.members().len(), 8);
}

/// A JSON-RPC server on chain `chain_id`, whose newest block has this time; counts requests.
async fn provider(chain_id: u64, timestamp: u64) -> (String, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    let answer = move |body: Bytes| async move {
        counted.fetch_add(1, Ordering::Relaxed);
        let request: Value = serde_json::from_slice(&body).unwrap();
        let result = match request["method"].as_str().unwrap() {
            "eth_chainId" => json!(format!("{chain_id:#x}")),
            "eth_getBlockByNumber" => block(timestamp),
            other => panic!("{other} was asked"),
        };
        axum::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    };
    (serve(Router::new().route("/", post(answer))).await, requests)
}

fn block(timestamp: u64) -> Value {
    let (hash, empty) = (format!("0x{}", "11".repeat(32)), Vec::<String>::new());
    json!({
        "hash": hash, "parentHash": hash, "sha3Uncles": hash, "stateRoot": hash, "transactionsRoot": hash,
        "receiptsRoot": hash, "mixHash": hash, "miner": format!("0x{}", "22".repeat(20)),
        "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0", "number": "0x7", "gasLimit": "0x1",
        "gasUsed": "0x0", "timestamp": format!("{timestamp:#x}"), "extraData": "0x", "nonce": "0x0000000000000000",
        "uncles": empty, "transactions": empty,
    })
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_provider_of_another_chain_is_passed_over() {
    let (wrong, _) = provider(5, 1).await;
    let (right, _) = provider(CHAIN_ID, 2).await;
    let both = Ethereum::new(&[wrong.clone(), right], CHAIN_ID, REGISTRY).unwrap();
    assert_eq!(both.head().await.unwrap().timestamp, 2);
    let alone = Ethereum::new(&[wrong], CHAIN_ID, REGISTRY).unwrap();
    let error = alone.head().await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { expected: CHAIN_ID, found: 5 }), "{error}");
}

#[tokio::test]
async fn the_next_provider_is_asked_when_the_present_one_is_of_no_use() {
    let ((one, first), (two, second)) = (provider(CHAIN_ID, 1).await, provider(CHAIN_ID, 2).await);
    let both = Ethereum::new(&[one, two], CHAIN_ID, REGISTRY).unwrap();
    for expected in [1, 1, 2, 1] {
        assert_eq!(both.head().await.unwrap().timestamp, expected);
        if first.load(Ordering::Relaxed) > 2 {
            both.next_provider();
        }
    }
    assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (6, 2));
}

/// An answer without end is read up to its limit, not into memory for ever.
#[tokio::test]
async fn an_answer_without_end_is_broken_off() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let endless = move || async move {
        let chunks = futures::stream::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20]))
        });
        Response::new(Body::from_stream(chunks.take(1 << 20)))
    };
    let url = serve(Router::new().route("/", post(endless))).await;
    let provider = Ethereum::new(&[url], CHAIN_ID, REGISTRY).unwrap();
    let error = provider.head().await.unwrap_err();
    assert!(error.to_string().contains("an answer of more than"), "{error}");
    assert!(sent.load(Ordering::Relaxed) < 64, "{} MiB were taken", sent.load(Ordering::Relaxed));
}
