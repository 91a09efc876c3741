//! Reading: whole batches, ranges, conditions, and reads that break.

use super::memory::Script;
use super::server::{Served, start};

fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn served_batch(length: u32) -> (Served, Vec<u8>, String) {
    let served = start(Script::default()).await;
    let batch = pattern(length);
    let id = served.memory.put(&batch);
    (served, batch, format!("/v1/batches/{id}"))
}

#[tokio::test]
async fn the_whole_batch_comes_back_by_id_and_by_hash() {
    let (served, batch, path) = served_batch(200_000).await;
    let answer = served.get(&path).await;
    assert_eq!((answer.status, &answer.body), (200, &batch));
    let hash = served.memory.submission(&batch).data_hash;
    assert_eq!(answer.header("etag"), Some(format!("\"{hash}\"").as_str()));
    assert_eq!(answer.header("content-length"), Some("200000"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("dac-data-hash"), Some(hash.to_string().as_str()));
    assert_eq!(answer.header("dac-batch-id"), Some(&path[12..]));
    assert_eq!(served.get(&format!("/v1/batches/{hash}")).await.body, batch);
}

#[tokio::test]
async fn one_range_is_partial_content() {
    let (served, batch, path) = served_batch(200_000).await;
    let cases = [
        ("bytes=0-0", 0..1),
        ("bytes=100000-", 100_000..200_000),
        ("bytes=-5", 199_995..200_000),
        ("bytes=65535-65536", 65_535..65_537),
        ("bytes=199999-999999", 199_999..200_000),
    ];
    for (value, range) in cases {
        let answer = served.send(served.http.get(served.url(&path)).header("range", value)).await;
        assert_eq!(answer.status, 206, "{value}");
        assert_eq!(answer.body, &batch[range.clone()], "{value}");
        let content_range = format!("bytes {}-{}/200000", range.start, range.end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()));
        assert_eq!(answer.header("content-length"), Some(range.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_range_past_the_end_says_how_long_the_batch_is() {
    let (served, _, path) = served_batch(1000).await;
    let answer = served.send(served.http.get(served.url(&path)).header("range", "bytes=1000-")).await;
    let problem = answer.problem(416, "range_not_satisfiable");
    assert_eq!(answer.header("content-range"), Some("bytes */1000"));
    assert_eq!(problem["data_bytes"], 1000);
    let malformed = served.http.get(served.url(&path)).header("range", "bytes=9-1");
    served.send(malformed).await.problem(400, "malformed_header");
}

#[tokio::test]
async fn several_ranges_are_answered_with_the_whole() {
    let (served, batch, path) = served_batch(1000).await;
    for value in ["bytes=0-1,5-6", "lines=1-2"] {
        let answer = served.send(served.http.get(served.url(&path)).header("range", value)).await;
        assert_eq!((answer.status, answer.body), (200, batch.clone()));
    }
}

#[tokio::test]
async fn conditions_follow_the_entity_tag() {
    let (served, batch, path) = served_batch(1000).await;
    let tag = format!("\"{}\"", served.memory.submission(&batch).data_hash);
    let get = |name: &'static str, value: String| served.http.get(served.url(&path)).header(name, value);
    for value in [tag.clone(), format!("W/{tag}"), "*".to_owned(), format!("\"x\", {tag}")] {
        let answer = served.send(get("if-none-match", value).header("range", "bytes=0-1")).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(served.send(get("if-none-match", "\"x\"".to_owned())).await.status, 200);
    served.send(get("if-match", "\"x\"".to_owned())).await.problem(412, "precondition_failed");
    served.send(get("if-match", format!("W/{tag}"))).await.problem(412, "precondition_failed");
    assert_eq!(served.send(get("if-match", tag.clone())).await.status, 200);
    let ranged = |value: String| get("if-range", value).header("range", "bytes=1-2");
    assert_eq!(served.send(ranged(tag)).await.status, 206);
    assert_eq!(served.send(ranged("\"x\"".to_owned())).await.status, 200);
    assert_eq!(served.send(ranged("Wed, 21 Oct 2015 07:28:00 GMT".to_owned())).await.status, 200);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_ignores_ranges() {
    let (served, _, path) = served_batch(1000).await;
    let request = served.http.head(served.url(&path)).header("range", "bytes=5000-");
    let answer = served.send(request).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("1000")));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn unknown_and_malformed_names_are_told_apart() {
    let served = start(Script::default()).await;
    let unknown = format!("/v1/batches/0x{}", "ab".repeat(32));
    for tail in ["", "/status", "/certificate", "/shards/0", "/pieces/0/0"] {
        served.get(&format!("{unknown}{tail}")).await.problem(404, "unknown_batch");
        served.get(&format!("/v1/batches/0xzz{tail}")).await.problem(400, "malformed_path");
    }
    served.get(&format!("{unknown}/shards/65536")).await.problem(400, "malformed_path");
    served.get(&format!("{unknown}/pieces/-1/0")).await.problem(400, "malformed_path");
}

#[tokio::test]
async fn a_read_that_breaks_midway_breaks_the_connection() {
    let served = start(Script { break_read_after: Some(100_000), ..Script::default() }).await;
    let batch = pattern(200_000);
    let id = served.memory.put(&batch);
    let mut raw = served.raw().await;
    raw.send(format!("GET /v1/batches/{id} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("200000")));
    assert!(answer.body.len() < 200_000 && batch.starts_with(&answer.body));
    assert!(raw.closed().await, "the connection is not used again");
}

#[tokio::test]
async fn a_read_that_breaks_at_once_is_a_problem() {
    let served = start(Script { break_read_after: Some(0), ..Script::default() }).await;
    let id = served.memory.put(b"a batch");
    let answer = served.get(&format!("/v1/batches/{id}")).await;
    let problem = answer.problem(503, "irretrievable");
    assert_eq!(problem["detail"], "stripe 1: 2 of 3 pieces could be had");
    assert_eq!(problem["batch_id"], id.to_string());
    assert_eq!(answer.header("retry-after"), Some("10"));
}

#[tokio::test]
async fn shards_and_pieces_come_in_their_forms() {
    use attest::Decode;
    let (served, _, path) = served_batch(1000).await;
    let shard = served.get(&format!("{path}/shards/0")).await;
    assert_eq!((shard.status, shard.body.as_slice()), (200, b"shard zero".as_slice()));
    assert_eq!(shard.header("dac-shard-index"), Some("0"));
    served.get(&format!("{path}/shards/3")).await.problem(404, "shard_not_here");
    served.get(&format!("{path}/shards/7")).await.problem(404, "out_of_range");

    let piece = served.get(&format!("{path}/pieces/0/2")).await.json();
    assert_eq!(piece["bytes"], "0x00ff07");
    assert_eq!(piece["path"][1], format!("0x{}", "02".repeat(32)));
    let scale = served.http.get(served.url(&format!("{path}/pieces/0/2")));
    let scale = served.send(scale.header("accept", "application/octet-stream")).await;
    type Piece = (u32, u16, Vec<u8>, Vec<[u8; 32]>);
    let decoded = Piece::decode(&mut scale.body.as_slice()).unwrap();
    assert_eq!(decoded, (0, 2, vec![0, 255, 7], vec![[1; 32], [2; 32]]));
    served.get(&format!("{path}/pieces/1/0")).await.problem(404, "out_of_range");
    let html = served.http.get(served.url(&format!("{path}/pieces/0/0"))).header("accept", "text/html");
    served.send(html).await.problem(406, "not_acceptable");
}
