//! Submissions: what is accepted, what is refused, and when.

use attest::{Certificate, CommitteeFile};

use super::memory::{BYTES_MAX, ROLLUP, Script};
use super::server::{limits, start, start_with};
use crate::service::Reason;

fn with(change: impl FnOnce(&mut Script)) -> Script {
    let mut script = Script::default();
    change(&mut script);
    script
}

#[tokio::test]
async fn a_submission_answers_with_a_certificate_that_verifies() {
    let served = start(Script::default()).await;
    let answer = served.send(served.post(b"a batch")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let certificate = Certificate::from_json(&json["certificate"].to_string()).unwrap();
    let checked = certificate.verify(&served.memory.committee).unwrap();
    assert_eq!(checked.statement().data_bytes, 7);
    let scale = hex::decode(json["certificate_scale"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    assert_eq!(Certificate::decode_strict(&scale).unwrap(), certificate);
    assert_eq!(json["status"]["stage"], "certified");
    assert_eq!(json["status"]["members"].as_array().unwrap().len(), 7);
    for (url, content_type) in [("batch", "application/octet-stream"), ("status", "application/json")] {
        let linked = served.get(json["urls"][url].as_str().unwrap()).await;
        assert_eq!((linked.status, linked.header("content-type")), (200, Some(content_type)));
    }
    let committee: CommitteeFile = serde_json::from_slice(&served.get("/v1/committee").await.body).unwrap();
    assert!(certificate.verify(&committee.check().unwrap()).is_ok());
}

#[tokio::test]
async fn the_same_submission_again_is_the_same_batch() {
    let served = start(Script::default()).await;
    let first = served.send(served.post(b"a batch")).await.json();
    let again = served.send(served.post(b"a batch")).await.json();
    assert_eq!(first["status"]["batch_id"], again["status"]["batch_id"]);
    assert_eq!(served.memory.stored(), 1);
    let other = served.send(served.post(b"another batch")).await.json();
    assert_ne!(first["status"]["batch_id"], other["status"]["batch_id"]);
}

#[tokio::test]
async fn two_clients_at_once_make_one_batch() {
    let served = start(Script::default()).await;
    let batch = vec![3; 1 << 20];
    let (one, two) = tokio::join!(served.send(served.post(&batch)), served.send(served.post(&batch)));
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(one.json()["status"]["batch_id"], two.json()["status"]["batch_id"]);
    assert_eq!(served.memory.stored(), 1);
}

#[tokio::test]
async fn without_waiting_the_answer_is_where_to_look() {
    let served = start(Script::default()).await;
    let mut request = served.post(b"a batch").build().unwrap();
    request.url_mut().set_query(Some("wait=none"));
    let request = reqwest::RequestBuilder::from_parts(served.http.clone(), request);
    let answer = served.send(request).await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["batch_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/v1/batches/{id}/status").as_str()));
    assert_eq!(served.get(answer.header("location").unwrap()).await.json()["batch_id"], id);
}

#[tokio::test]
async fn a_wait_that_ends_first_is_202_as_well() {
    let script = with(|script| script.never_certified = true);
    let served =
        start_with(script, |config| config.wait_max = std::time::Duration::from_millis(20), limits()).await;
    let answer = served.send(served.post(b"a batch")).await;
    assert_eq!(answer.status, 202);
    assert!(answer.header("location").is_some());
}

#[tokio::test]
async fn below_quorum_names_every_member_and_its_reason() {
    let served = start(with(|script| script.silent_members = 3)).await;
    let answer = served.send(served.post(b"a batch")).await;
    let problem = answer.problem(503, "quorum_not_reached");
    assert_eq!(answer.header("retry-after"), Some("5"));
    let members = problem["members"].as_array().unwrap();
    assert_eq!(members.len(), 7);
    assert_eq!(members[3]["outcome"], "signed");
    assert_eq!(members[4]["outcome"], "refused");
    assert_eq!(members[6]["reason"], "no_answer");
    assert_eq!(members[6]["detail"], "no attestation for 5000 ms");
    assert!(problem["detail"].as_str().unwrap().contains("4 members signed, the quorum is 5"));
    let id = problem["batch_id"].as_str().unwrap();
    served.get(&format!("/v1/batches/{id}/certificate")).await.problem(404, "not_certified");
}

#[tokio::test]
async fn every_refusal_has_its_status_and_code() {
    let cases = [
        (Reason::Unauthorised, 401, "unauthorised", None),
        (Reason::Expired, 403, "expired", None),
        (Reason::StaleEpoch, 409, "stale_epoch", None),
        (Reason::TooLarge, 413, "too_large", None),
        (Reason::BadEncoding, 422, "bad_encoding", None),
        (Reason::CommitmentMismatch, 422, "commitment_mismatch", None),
        (Reason::QuotaExceeded, 429, "quota_exceeded", None),
        (Reason::StorageError, 500, "storage_error", None),
        (Reason::Unreachable, 502, "unreachable", None),
        (Reason::NoAnswer, 502, "no_answer", None),
        (Reason::BadAttestation, 502, "bad_attestation", None),
        (Reason::Busy, 503, "busy", Some("1")),
        (Reason::ShuttingDown, 503, "shutting_down", Some("5")),
        (Reason::PiecesMissing, 503, "pieces_missing", None),
        (Reason::StorageFull, 507, "storage_full", None),
    ];
    for (reason, status, code, retry_after) in cases {
        for script in [
            with(|script| script.refuse_precheck = Some(reason)),
            with(|script| script.refuse_submit = Some(reason)),
        ] {
            let served = start(script).await;
            let answer = served.send(served.post(b"a batch")).await;
            let problem = answer.problem(status, code);
            assert_eq!(problem["detail"], "as scripted");
            assert_eq!(answer.header("retry-after"), retry_after);
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        }
    }
}

#[tokio::test]
async fn a_member_that_refuses_after_accepting_says_its_own_reason() {
    let served = start(with(|script| script.own_refusal = Some(Reason::StorageFull))).await;
    let problem = served.send(served.post(b"a batch")).await.problem(507, "storage_full");
    assert_eq!(problem["members"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn wrong_signature_unknown_rollup_and_old_deadline_are_refused() {
    let served = start(Script::default()).await;
    let url = served.url(&format!("/v1/rollups/{ROLLUP}/batches"));
    let other = served.memory.sign(&served.memory.submission(b"other bytes"));
    let mut headers = served.headers(b"a batch");
    headers[3].1 = other.to_string();
    let post = |url: &str, headers: &[(&'static str, String)]| {
        let request = served.http.post(url).body("a batch");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    };
    served.send(post(&url, &headers)).await.problem(401, "unauthorised");
    let unknown = served.url(&format!("/v1/rollups/0x{}/batches", "00".repeat(32)));
    served.send(post(&unknown, &served.headers(b"a batch"))).await.problem(401, "unauthorised");
    let mut headers = served.headers(b"a batch");
    headers[2].1 = "1".to_owned();
    let problem = served.send(post(&url, &headers)).await.problem(403, "expired");
    assert!(problem["detail"].as_str().unwrap().contains("deadline 1 is over"));
    assert_eq!(served.memory.stored(), 0);
}

#[tokio::test]
async fn headers_are_read_strictly() {
    let served = start(Script::default()).await;
    let good = served.headers(b"a batch");
    let url = served.url(&format!("/v1/rollups/{ROLLUP}/batches"));
    for (at, (name, _)) in good.iter().enumerate() {
        for bad in ["", "+1", "-1", "1.0", "0x12", "99999999999999999999", "zz"] {
            let mut request = served.http.post(&url).body("a batch");
            for (other, (name, value)) in good.iter().enumerate() {
                request = request.header(*name, if other == at { bad } else { value });
            }
            let problem = served.send(request).await.problem(400, "malformed_header");
            assert_eq!(problem["header"], *name);
        }
        let rest = good.iter().enumerate().filter(|(other, _)| *other != at);
        let request = served.http.post(&url).body("a batch");
        let request = rest.fold(request, |request, (_, (name, value))| request.header(*name, value));
        let answer = served.send(request).await;
        if *name == "dac-data-hash" {
            assert_eq!(answer.status, 200, "the hash is optional");
        } else {
            assert_eq!(answer.problem(400, "missing_header")["header"], *name);
        }
    }
    let twice = served.post(b"a batch").header("dac-deadline", "5");
    assert_eq!(served.send(twice).await.problem(400, "malformed_header")["header"], "dac-deadline");
}

#[tokio::test]
async fn paths_queries_and_codings_are_read_strictly() {
    let served = start(Script::default()).await;
    for rollup in ["0x12", "12", "0xzz", "%FF%FE", &"0".repeat(66)] {
        let url = served.url(&format!("/v1/rollups/{rollup}/batches"));
        served.send(served.http.post(url).body("x")).await.problem(400, "malformed_path");
    }
    for query in ["wait=maybe", "wait", "wait=none&wait=none", "wait=none&x=1", "WAIT=none"] {
        let url = served.url(&format!("/v1/rollups/{ROLLUP}/batches?{query}"));
        served.send(served.http.post(url).body("x")).await.problem(400, "malformed_query");
    }
    let coded = served.post(b"a batch").header("content-encoding", "gzip");
    served.send(coded).await.problem(415, "unsupported_content_coding");
    let plain = served.post(b"a batch").header("content-encoding", "identity");
    assert_eq!(served.send(plain).await.status, 200);
}

#[tokio::test]
async fn empty_and_oversized_batches_are_refused_with_numbers() {
    let served = start(Script::default()).await;
    served.send(served.post(b"")).await.problem(400, "empty_batch");
    let empty = served.post(b"").body(chunked(vec![]));
    served.send(empty).await.problem(400, "empty_batch");

    let length = usize::try_from(BYTES_MAX).unwrap() + 1;
    let batch = vec![1; length];
    let problem = served.send(served.post(&batch)).await.problem(413, "too_large");
    assert_eq!(problem["data_bytes"], BYTES_MAX + 1);
    assert_eq!(problem["data_bytes_max"], BYTES_MAX);
    let parts = batch.chunks(1 << 20).map(<[u8]>::to_vec).collect();
    let problem = served.send(served.post(&batch).body(chunked(parts))).await.problem(413, "too_large");
    assert_eq!(problem["data_bytes_max"], BYTES_MAX);
    let largest = &batch[1..];
    assert_eq!(served.send(served.post(largest)).await.status, 200, "the limit itself is allowed");
}

/// A body without a length.
fn chunked(parts: Vec<Vec<u8>>) -> reqwest::Body {
    reqwest::Body::wrap_stream(futures::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn a_body_without_length_is_authorised_after_it_was_hashed() {
    let served = start(Script::default()).await;
    let request = served.post(b"a batch").body(chunked(vec![b"a ".to_vec(), b"batch".to_vec()]));
    assert_eq!(served.send(request).await.status, 200);
    let request = served.post(b"a batch").body(chunked(vec![b"a bitch".to_vec()]));
    served.send(request).await.problem(400, "data_hash_mismatch");
}

#[tokio::test]
async fn a_body_with_another_hash_than_its_header_is_refused() {
    let served = start(Script::default()).await;
    let request = served.post(b"a batch").body("A batch");
    let problem = served.send(request).await.problem(400, "data_hash_mismatch");
    let expected = served.memory.submission(b"a batch").data_hash.to_string();
    assert!(problem["detail"].as_str().unwrap().contains(&expected));
    assert_eq!(served.memory.stored(), 0);
}
