//! Submitting through failures and lies.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use dac_client::{Client, Clock, Error, Event, SubmitOptions, Until};
use serde_json::json;
use tokio::time::Instant;

use crate::member::*;

#[tokio::test]
async fn a_certificate_that_holds_comes_back() {
    let seats = Seats::new(1);
    let batch = pattern(200_000);
    let member = Member::start(honest(&seats, &batch)).await;
    let events = Mutex::new(Vec::new());
    let record = |event: Event| events.lock().unwrap().push(event);
    let client = client(&seats, &[&member]);
    let options = SubmitOptions { check_roots: true, ..options() };
    let submitted =
        client.submit_reporting(&key(), ROLLUP, batch.clone().into(), options, &record).await.unwrap();
    assert_eq!(submitted.certificate, seats.certify(&batch));
    assert!(submitted.attempts.is_empty());
    assert_eq!(submitted.status.as_ref().unwrap().stage, "certified");
    let report = serde_json::to_value(submitted.report()).unwrap();
    assert_eq!(report["signers"], json!([0, 1, 2, 3]));
    assert_eq!(report["endpoint"], member.url);

    let seen = member.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, format!("/v1/rollups/{ROLLUP}/batches"));
    assert_eq!(seen[0].query.as_deref(), Some("wait=certificate"));
    assert_eq!(seen[0].body, batch);
    assert_eq!(
        seen[0].header("content-length"),
        Some("200000"),
        "the length lets a member check before it reads"
    );
    assert_eq!(seen[0].header("dac-data-hash"), Some(hash(&batch).to_string().as_str()));
    assert_eq!(seen[0].header("dac-hot-until"), Some((NOW + 60).to_string().as_str()));
    let events = events.into_inner().unwrap();
    assert_eq!(events.first(), Some(&Event::Hashing { total_bytes: 200_000 }));
    assert_eq!(events.last(), Some(&Event::Verifying));
}

#[tokio::test]
async fn a_dead_member_is_failed_over_and_named() {
    let seats = Seats::new(1);
    let (dead, alive) = (Member::dead().await, Member::start(honest(&seats, b"a batch")).await);
    let client = client(&seats, &[&dead, &alive]);
    let submitted = client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap();
    assert_eq!(submitted.endpoint, alive.url);
    assert_eq!(submitted.attempts.len(), 1);
    assert_eq!(submitted.attempts[0].endpoint, dead.url);
}

#[tokio::test]
async fn retry_after_is_honoured_and_every_retry_is_the_same_submission() {
    let seats = Seats::new(1);
    let honest = honest(&seats, b"a batch");
    let busy = Member::start(move |nth, seen| match nth {
        0 => {
            let mut refusal = problem(503, "busy", json!({}));
            refusal.headers_mut().insert("retry-after", "1".parse().unwrap());
            refusal
        }
        _ => honest(nth, seen),
    })
    .await;
    let started = Instant::now();
    let client = client(&seats, &[&busy]);
    let submitted = client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(submitted.attempts[0].problem.as_ref().unwrap().code, "busy");
    let seen = busy.seen();
    assert_eq!(seen.len(), 2);
    for name in ["dac-signature", "dac-deadline", "dac-retain-until", "dac-data-hash"] {
        assert_eq!(seen[0].header(name), seen[1].header(name), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_that_others_would_repeat_ends_it() {
    let seats = Seats::new(1);
    for (status, code) in
        [(401, "unauthorised"), (403, "expired"), (413, "too_large"), (429, "quota_exceeded")]
    {
        let refusing = Member::start(move |_, _| problem(status, code, json!({}))).await;
        let other = Member::start(honest(&seats, b"a batch")).await;
        let client = client(&seats, &[&refusing, &other]);
        let error =
            client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(matches!(&error, Error::Refused { endpoint, .. } if *endpoint == refusing.url), "{error}");
        assert!(other.seen().is_empty());
    }
}

#[tokio::test]
async fn a_members_own_trouble_is_failed_over() {
    let seats = Seats::new(1);
    for (status, code) in
        [(507, "storage_full"), (500, "internal"), (503, "shutting_down"), (400, "truncated_body")]
    {
        let refusing = Member::start(move |_, _| problem(status, code, json!({}))).await;
        let other = Member::start(honest(&seats, b"a batch")).await;
        let client = client(&seats, &[&refusing, &other]);
        let submitted =
            client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap();
        assert_eq!(submitted.attempts[0].problem.as_ref().unwrap().code, code);
    }
}

#[tokio::test]
async fn below_quorum_is_final_after_two_coordinators_and_names_the_members() {
    let seats = Seats::new(1);
    let missing = json!({ "members": [
        { "seat": 0, "outcome": "signed" },
        { "seat": 1, "outcome": "refused", "reason": "storage_full", "detail": "3 bytes free", "name": "one" },
    ] });
    let script = move |_: usize, _: &Seen| problem(503, "quorum_not_reached", missing.clone());
    let members = [
        Member::start(script.clone()).await,
        Member::start(script.clone()).await,
        Member::start(script).await,
    ];
    let client = client(&seats, &[&members[0], &members[1], &members[2]]);
    let error = client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap_err();
    assert_eq!(error.code(), Some("quorum_not_reached"));
    assert_eq!(error.problem().unwrap().members[1].reason.as_deref(), Some("storage_full"));
    assert!(error.to_string().contains("member 1 refused: storage_full (3 bytes free)"), "{error}");
    assert_eq!(members.each_ref().map(|member| member.count("POST")), [1, 1, 0]);
}

#[tokio::test]
async fn no_lie_about_a_certificate_is_believed() {
    let seats = Seats::new(1);
    let batch = b"a batch";
    let strangers = Seats::new(101);
    let other_times = attest::Statement { retain_until: NOW + 3601, ..seats.statement(batch) };
    let other_rollup = attest::Statement { rollup_id: attest::RollupId([3; 32]), ..seats.statement(batch) };
    let mut tampered = seats.certify(batch).into_certificate();
    tampered.statement.data_root = attest::DataRoot([1; 32]);
    let garbage =
        json!({ "certificate_scale": "0x00", "status": status(&seats.certify(batch), "certified") });
    let tampered = json!({
        "certificate_scale": format!("0x{}", hex::encode(attest::Encode::encode(&tampered))),
        "status": status(&seats.certify(batch), "certified"),
    });
    let lies = [
        certified(&strangers.certify(batch)).into_body(),
        certified(&seats.certify(b"another")).into_body(),
        certified(&seats.sign(&other_times)).into_body(),
        certified(&seats.sign(&other_rollup)).into_body(),
        axum::body::Body::from(garbage.to_string()),
        axum::body::Body::from(tampered.to_string()),
        axum::body::Body::from("{"),
    ];
    for lie in lies {
        let lie = axum::body::to_bytes(lie, 1 << 20).await.unwrap();
        let liar = Member::start(move |_, _| lie.clone().into_response()).await;
        let honest = Member::start(honest(&seats, batch)).await;
        let both = client(&seats, &[&liar, &honest]);
        let submitted = both.submit(&key(), ROLLUP, Bytes::from_static(batch), options()).await.unwrap();
        assert_eq!((submitted.endpoint, submitted.attempts.len()), (honest.url.clone(), 1));
        let alone =
            Client::new(dac_client::ClientConfig { attempts_max: 2, ..config(&seats, &[&liar]) }).unwrap();
        let error = alone.submit(&key(), ROLLUP, Bytes::from_static(batch), options()).await.unwrap_err();
        assert!(matches!(&error, Error::Exhausted { attempts } if attempts.len() == 2), "{error}");
    }
}

#[tokio::test]
async fn roots_of_a_colluding_committee_are_caught_when_checked() {
    let seats = Seats::new(1);
    let false_certificate = seats.sign(&false_roots(seats.statement(b"a batch")));
    let member = Member::start(move |_, _| certified(&false_certificate)).await;
    let client = client(&seats, &[&member]);
    let batch = Bytes::from_static(b"a batch");
    assert!(
        client.submit(&key(), ROLLUP, batch.clone(), options()).await.is_ok(),
        "the committee did sign it"
    );
    let checking = SubmitOptions { check_roots: true, ..options() };
    let error = client.submit(&key(), ROLLUP, batch, checking).await.unwrap_err();
    assert!(matches!(error, Error::Commitments(_)), "{error}");
}

#[tokio::test]
async fn a_connection_lost_while_waiting_is_resumed_without_a_second_upload() {
    let seats = Seats::new(1);
    let batch = b"a batch";
    let certificate = seats.certify(batch);
    let member = Member::start(move |nth, seen| match (nth, seen.path.rsplit('/').next().unwrap()) {
        (0, _) => breaks(200, 1000, b"{", &[]),
        (..=3, "status") => axum::Json(status(&certificate, "signed")).into_response(),
        (..=3, "certificate") => problem(404, "not_certified", json!({})),
        (_, "status") => axum::Json(status(&certificate, "certified")).into_response(),
        (_, "certificate") => scale(&certificate),
        _ => panic!("only one upload: {seen:?}"),
    })
    .await;
    let client = client(&seats, &[&member]);
    let submitted = client.submit(&key(), ROLLUP, Bytes::from_static(batch), options()).await.unwrap();
    assert_eq!(submitted.certificate.batch_id(), seats.certify(batch).batch_id());
    assert_eq!(member.count("POST"), 1);
    assert_eq!(member.seen()[1].path, format!("/v1/batches/{}/status", hash(batch)));
}

#[tokio::test]
async fn another_statement_about_the_same_bytes_is_no_resumption() {
    let seats = Seats::new(1);
    let batch = b"a batch";
    let other =
        seats.sign(&attest::Statement { retain_until: NOW + 9, hot_until: NOW, ..seats.statement(batch) });
    let honest = honest(&seats, batch);
    let member = Member::start(move |nth, seen| match nth {
        0 => breaks(200, 1000, b"{", &[]),
        1 => axum::Json(status(&other, "certified")).into_response(),
        _ => honest(nth, seen),
    })
    .await;
    let client = client(&seats, &[&member]);
    let submitted = client.submit(&key(), ROLLUP, Bytes::from_static(batch), options()).await.unwrap();
    assert_eq!(submitted.certificate, seats.certify(batch));
    assert_eq!(member.count("POST"), 2);
}

#[tokio::test]
async fn an_accepted_batch_is_followed_to_its_certificate() {
    let seats = Seats::new(1);
    let certificate = seats.certify(b"a batch");
    let id = certificate.batch_id();
    let member =
        Member::start(move |nth, seen| match (seen.method.as_str(), seen.path.rsplit('/').next().unwrap()) {
            ("POST", _) => {
                (axum::http::StatusCode::ACCEPTED, axum::Json(json!({ "batch_id": id }))).into_response()
            }
            (_, "certificate") if nth < 4 => problem(404, "not_certified", json!({})),
            (_, "certificate") => scale(&certificate),
            _ => axum::Json(status(&certificate, "verifying")).into_response(),
        })
        .await;
    let client = client(&seats, &[&member]);
    let batch = Bytes::from_static(b"a batch");
    let submitted = client.submit(&key(), ROLLUP, batch.clone(), options()).await.unwrap();
    assert_eq!(submitted.certificate.batch_id(), id);

    let prepared = client.prepare(&key(), ROLLUP, batch, &options()).await.unwrap();
    assert_eq!(client.send_prepared(&prepared, &dac_client::Silent).await.unwrap(), id);
    assert_eq!(member.seen().last().unwrap().query.as_deref(), Some("wait=none"));
    prepared.check(&client.wait(id).await.unwrap()).unwrap();
}

#[tokio::test]
async fn a_silent_member_is_given_up() {
    let seats = Seats::new(1);
    let (silent, other) =
        (Member::start(|_, _| hang()).await, Member::start(honest(&seats, b"a batch")).await);
    let mut config = config(&seats, &[&silent, &other]);
    config.certificate_max = Duration::from_millis(100);
    config.idle_max = Duration::from_millis(100);
    let client = Client::new(config).unwrap();
    let submitted = client.submit(&key(), ROLLUP, Bytes::from_static(b"a batch"), options()).await.unwrap();
    assert_eq!(submitted.endpoint, other.url);
    assert!(submitted.attempts[0].detail.contains("silent for 100 ms"), "{:?}", submitted.attempts);
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let seats = Seats::new(1);
    let busy = Member::start(|_, _| problem(503, "busy", json!({}))).await;
    let now = Arc::new(AtomicU64::new(NOW));
    let ticking = now.clone();
    let mut config = config(&seats, &[&busy]);
    config.clock = Clock::new(move || ticking.fetch_add(1, Ordering::SeqCst));
    let options = SubmitOptions { deadline: Until::For(Duration::from_secs(3)), ..options() };
    let batch = Bytes::from_static(b"a batch");
    let error = Client::new(config).unwrap().submit(&key(), ROLLUP, batch, options).await.unwrap_err();
    assert!(matches!(&error, Error::DeadlineOver { deadline, .. } if *deadline == NOW + 3), "{error}");
    assert_eq!(error.code(), Some("busy"));
    assert!(busy.seen().len() < 4);
}

#[tokio::test]
async fn what_cannot_be_submitted_reaches_nobody() {
    let seats = Seats::new(1);
    let member = Member::start(honest(&seats, b"a batch")).await;
    let client = client(&seats, &[&member]);
    let error = client.submit(&key(), ROLLUP, Bytes::new(), options()).await.unwrap_err();
    assert!(matches!(error, Error::Submission(attest::Error::DataBytesOutOfRange { .. })), "{error}");
    let backwards = SubmitOptions { hot: Until::At(NOW + 7200), ..options() };
    let error = client.submit(&key(), ROLLUP, Bytes::from_static(b"x"), backwards).await.unwrap_err();
    assert!(matches!(error, Error::Submission(attest::Error::HotAfterRetain { .. })), "{error}");
    assert!(member.seen().is_empty());
}
