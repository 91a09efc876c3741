//! Bad input gets a problem document, leaves nothing behind, and the committee certifies afterwards.

use attest::{DataHash, Submission, SubmitterKey};
use bytes::Bytes;
use e2e::{Answer, Rollup, Times, noise};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shared::{BATCH_BYTES_MAX, SMALL_BATCH_BYTES_MAX, SMALL_QUOTA_BYTES, Shared, shared};

/// No member knows anything of these bytes.
async fn assert_nothing_stored(shared: &Shared, batch: &[u8]) {
    let hash = DataHash(fpga_hash::keccak256(batch));
    for api in &shared.api {
        for path in ["", "/status", "/certificate", "/shards/0", "/pieces/0/0"] {
            let answer = shared.rollup.get(api, &format!("/v1/batches/{hash}{path}")).await;
            answer.problem(404, "unknown_batch");
        }
    }
}

/// And what was refused did no harm.
async fn assert_still_certifies(shared: &Shared, seed: u64) {
    let batch = noise(seed, 5000);
    let answer = shared.rollup.submit(&shared.api[0], &batch, shared.times()).await;
    let id = answer.certified(&shared.committee).batch_id;
    assert!(shared.rollup.fetch(&shared.api[0], id).await.ok() == batch);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_and_oversized_batches_are_refused_by_their_length() {
    let shared = shared().await;
    let (rollup, api) = (&shared.rollup, &shared.api[0]);
    let empty = rollup.submit(api, &Bytes::new(), shared.times()).await;
    empty.problem(400, "empty_batch");

    let oversized = noise(100, BATCH_BYTES_MAX as usize + 1);
    let problem = rollup.submit(api, &oversized, shared.times()).await.problem(413, "too_large");
    assert_eq!(problem["data_bytes"], BATCH_BYTES_MAX + 1);
    assert_eq!(problem["data_bytes_max"], BATCH_BYTES_MAX);

    // Without a length it is found out on the way.
    let chunks: Vec<Result<Bytes, std::io::Error>> =
        oversized.chunks(64 << 10).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let submission = rollup.submission(&oversized, shared.times());
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    Answer::of(rollup.post(api, &submission).body(body)).await.problem(413, "too_large");

    // This rollup's own limit is lower.
    let small = shared.small_rollup();
    let batch = noise(101, SMALL_BATCH_BYTES_MAX as usize + 1);
    let problem = small.submit(api, &batch, shared.times()).await.problem(413, "too_large");
    assert!(problem["detail"].as_str().unwrap().contains(&SMALL_BATCH_BYTES_MAX.to_string()), "{problem}");

    for batch in [&oversized, &batch] {
        assert_nothing_stored(shared, batch).await;
    }
    let largest = noise(102, BATCH_BYTES_MAX as usize);
    rollup.submit(api, &largest, shared.times()).await.certified(&shared.committee);
}

/// A POST by hand: what HTTP clients do not let a test do.
async fn raw_post(api: &str, rollup: &Rollup, submission: &Submission, length: u64, body: &[u8]) -> String {
    let address = api.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/rollups/{}/batches HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\
         dac-hot-until: {}\r\ndac-retain-until: {}\r\ndac-deadline: {}\r\ndac-signature: {}\r\n\
         dac-data-hash: {}\r\nconnection: close\r\n\r\n",
        submission.rollup_id,
        submission.hot_until,
        submission.retain_until,
        submission.deadline,
        rollup.sign(submission),
        submission.data_hash,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_or_changed_body_is_refused_and_the_whole_one_accepted_after_it() {
    let shared = shared().await;
    let batch = noise(110, 50_000);
    let submission = shared.rollup.submission(&batch, shared.times());
    let half = &batch[..25_000];
    let answer = raw_post(&shared.api[2], &shared.rollup, &submission, 50_000, half).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(r#""code":"truncated_body""#), "{answer}");

    let mut changed = batch.to_vec();
    changed[49_999] ^= 1;
    let request = shared.rollup.post(&shared.api[2], &submission);
    let request = request.header("dac-data-hash", submission.data_hash.to_string());
    Answer::of(request.body(changed.clone())).await.problem(400, "data_hash_mismatch");
    // Without the hash in a header, the signature speaks of other bytes: somebody else signed, or nobody.
    let request = shared.rollup.post(&shared.api[2], &submission);
    Answer::of(request.body(changed.clone())).await.problem(401, "unauthorised");

    for bytes in [&*batch, half, &changed] {
        assert_nothing_stored(shared, bytes).await;
    }
    shared.rollup.submit(&shared.api[2], &batch, shared.times()).await.certified(&shared.committee);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_rollups_submitter_is_authorised() {
    let shared = shared().await;
    let (rollup, api, batch) = (&shared.rollup, &shared.api[3], noise(120, 3000));
    let foreign = Rollup::new(rollup.id, rollup.domain, SubmitterKey::from_bytes(&[7; 32]).unwrap());
    let problem = foreign.submit(api, &batch, shared.times()).await.problem(401, "unauthorised");
    let address = foreign.key.address().to_string();
    assert!(problem["detail"].as_str().unwrap().contains(&address), "{problem}");

    // A signature over anything else is a stranger's: another time, another domain.
    let mut submission = rollup.submission(&batch, shared.times());
    submission.retain_until += 1;
    let request = rollup.post(api, &submission).header("dac-retain-until", submission.retain_until - 1);
    Answer::of(request.body(batch.clone())).await.problem(400, "malformed_header");
    let mut domain = rollup.domain;
    domain.chain_id += 1;
    let elsewhere = Rollup::new(rollup.id, domain, SubmitterKey::from_bytes(&rollup.key.to_bytes()).unwrap());
    elsewhere.submit(api, &batch, shared.times()).await.problem(401, "unauthorised");

    let unknown = attest::RollupId([9; 32]);
    let key = SubmitterKey::from_bytes(&rollup.key.to_bytes()).unwrap();
    let unknown = Rollup::new(unknown, rollup.domain, key);
    let problem = unknown.submit(api, &batch, shared.times()).await.problem(401, "unauthorised");
    assert!(problem["detail"].as_str().unwrap().contains("unknown rollup 0x0909"), "{problem}");

    assert_nothing_stored(shared, &batch).await;
    assert_still_certifies(shared, 121).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_are_over_or_too_far_are_refused_with_both_sides() {
    let shared = shared().await;
    let (rollup, api, good) = (&shared.rollup, &shared.api[4], shared.times());
    let far = shared.now + 91 * 86_400;
    let cases = [
        (Times { deadline: shared.now - 60, ..good }, 403, "expired", shared.now - 60),
        (Times { hot_until: 1, retain_until: 2, ..good }, 403, "expired", 2),
        (Times { hot_until: good.retain_until + 1, ..good }, 403, "expired", good.retain_until + 1),
        (Times { retain_until: far, ..good }, 429, "quota_exceeded", far),
        (Times { retain_until: u64::MAX, hot_until: u64::MAX, ..good }, 429, "quota_exceeded", u64::MAX),
    ];
    for (seed, (times, status, code, number)) in (130..).zip(cases) {
        let batch = noise(seed, 2000);
        let problem = rollup.submit(api, &batch, times).await.problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(&number.to_string()), "{problem}");
        assert_nothing_stored(shared, &batch).await;
    }
    assert_still_certifies(shared, 139).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_each_batch_once_and_holds_on_every_member() {
    let shared = shared().await;
    let small = shared.small_rollup();
    let batches: Vec<Bytes> = (140..143).map(|seed| noise(seed, SMALL_BATCH_BYTES_MAX as usize)).collect();
    let first = small.submit(&shared.api[0], &batches[0], shared.times()).await.certified(&shared.committee);
    for api in &shared.api {
        let again = small.submit(api, &batches[0], shared.times()).await.certified(&shared.committee);
        assert_eq!(again.batch_id, first.batch_id);
    }
    small.submit(&shared.api[1], &batches[1], shared.times()).await.certified(&shared.committee);
    let problem =
        small.submit(&shared.api[2], &batches[2], shared.times()).await.problem(429, "quota_exceeded");
    let detail = problem["detail"].as_str().unwrap();
    let used = 2 * SMALL_BATCH_BYTES_MAX;
    let expected =
        format!("{used} of {SMALL_QUOTA_BYTES} bytes used today, {SMALL_BATCH_BYTES_MAX} more asked");
    assert_eq!(detail, expected);
    assert_nothing_stored(shared, &batches[2]).await;
    assert_still_certifies(shared, 149).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_headers_and_names_are_named() {
    let shared = shared().await;
    let (rollup, api, batch) = (&shared.rollup, &shared.api[5], noise(150, 1000));
    let submission = rollup.submission(&batch, shared.times());
    let signature = rollup.sign(&submission).to_string();
    let good = [
        ("dac-hot-until", submission.hot_until.to_string()),
        ("dac-retain-until", submission.retain_until.to_string()),
        ("dac-deadline", submission.deadline.to_string()),
        ("dac-signature", signature.clone()),
    ];
    let bad = [
        ("dac-hot-until", "+5"),
        ("dac-retain-until", "18446744073709551616"),
        ("dac-deadline", "0x10"),
        ("dac-deadline", ""),
        ("dac-signature", "0xzz"),
        ("dac-signature", &signature[..130]),
        ("dac-signature", &signature[2..]),
        ("dac-data-hash", "0x12"),
    ];
    let url = format!("{api}/v1/rollups/{}/batches", rollup.id);
    let http = reqwest::Client::new();
    for (name, value) in bad {
        let mut request = http.post(&url).body(batch.clone()).header(name, value);
        for (other, value) in good.iter().filter(|(other, _)| *other != name) {
            request = request.header(*other, value);
        }
        let problem = Answer::of(request).await.problem(400, "malformed_header");
        assert_eq!(problem["header"], name, "{problem}");
    }
    for (missing, _) in &good {
        let mut request = http.post(&url).body(batch.clone());
        for (other, value) in good.iter().filter(|(other, _)| other != missing) {
            request = request.header(*other, value);
        }
        let problem = Answer::of(request).await.problem(400, "missing_header");
        assert_eq!(problem["header"], *missing, "{problem}");
    }
    let coded = rollup.post(api, &submission).header("content-encoding", "gzip").body(batch.clone());
    Answer::of(coded).await.problem(415, "unsupported_content_coding");
    let query = http.post(format!("{url}?wait=forever")).body(batch.clone());
    Answer::of(query).await.problem(400, "malformed_query");
    let rollup_name = http.post(format!("{api}/v1/rollups/0x12/batches")).body(batch.clone());
    Answer::of(rollup_name).await.problem(400, "malformed_path");
    assert_nothing_stored(shared, &batch).await;
    assert_still_certifies(shared, 151).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_routes_and_methods_are_told_apart() {
    let shared = shared().await;
    let (rollup, api) = (&shared.rollup, &shared.api[6]);
    let hex = "0x".to_owned() + &"ab".repeat(32);
    for path in ["", "/status", "/certificate", "/shards/0", "/pieces/0/0"] {
        rollup.get(api, &format!("/v1/batches/{hex}{path}")).await.problem(404, "unknown_batch");
        for name in ["0x12", &hex[2..], "0xzz", &hex.replace('a', "g")] {
            rollup.get(api, &format!("/v1/batches/{name}{path}")).await.problem(400, "malformed_path");
        }
    }
    for path in ["/", "/v1", "/v2/committee", "/v1/batches", &format!("/v1/batches/{hex}/unknown")] {
        let problem = rollup.get(api, path).await.problem(404, "unknown_route");
        assert_eq!(problem["instance"], *path, "{problem}");
    }
    let wrong_method = rollup.get(api, &format!("/v1/rollups/{}/batches", rollup.id)).await;
    wrong_method.problem(405, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), "POST");
}
