//! Fetching through broken connections and wrong bytes.

use axum::response::IntoResponse;
use bytes::Bytes;
use dac_client::{BatchName, Client, ClientConfig, Error, Silent};
use serde_json::json;

use crate::member::*;

fn by_hash(batch: &[u8]) -> BatchName {
    BatchName::DataHash(hash(batch))
}

#[tokio::test]
async fn a_batch_comes_back_by_hash_by_id_and_by_certificate() {
    let seats = Seats::new(1);
    let batch = pattern(300_000);
    let member = Member::start(honest(&seats, &batch)).await;
    let client = client(&seats, &[&member]);
    let (bytes, report) = client.fetch_bytes(by_hash(&batch), &Silent).await.unwrap();
    assert_eq!(bytes, batch);
    assert!(!report.roots_verified && report.certificate.is_none());
    let certificate = seats.certify(&batch);
    for wanted in
        [BatchName::Id(certificate.batch_id()).into(), dac_client::Wanted::from(certificate.clone())]
    {
        let (bytes, report) = client.fetch_bytes(wanted, &Silent).await.unwrap();
        assert_eq!((bytes, report.data_bytes), (Bytes::from(batch.clone()), 300_000));
        assert!(report.roots_verified && report.batch_id == Some(certificate.batch_id()));
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped_with_the_next_member() {
    let seats = Seats::new(1);
    let batch = pattern(300_000);
    let part = batch.clone();
    let breaking = Member::start(move |_, _| breaks(200, 300_000, &part[..100_000], &[])).await;
    let other = Member::start(honest(&seats, &batch)).await;
    let (bytes, report) =
        client(&seats, &[&breaking, &other]).fetch_bytes(by_hash(&batch), &Silent).await.unwrap();
    assert_eq!(bytes, batch);
    assert_eq!(report.endpoints, [breaking.url, other.url.clone()]);
    assert_eq!(report.attempts.len(), 1);
    let seen = other.seen();
    assert_eq!(seen[0].header("range"), Some("bytes=100000-"));
    assert_eq!(seen[0].header("if-range"), Some(format!("\"{}\"", hash(&batch)).as_str()));
}

#[tokio::test]
async fn many_breaks_are_survived_as_long_as_bytes_come() {
    let seats = Seats::new(1);
    let batch = pattern(12 << 20);
    let length = batch.len();
    let whole = batch.clone();
    let member = Member::start(move |_, seen| {
        let start = seen.header("range").map_or(0, |range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap()
        });
        let end = (start + (5 << 18)).min(length);
        let range = ("content-range", format!("bytes {start}-{}/{length}", length - 1));
        let status = if start > 0 { 206 } else { 200 };
        if end == length {
            serve(&whole, seen)
        } else {
            breaks(status, length - start, &whole[start..end], &[range])
        }
    })
    .await;
    let config = ClientConfig { attempts_max: 2, ..config(&seats, &[&member]) };
    let (bytes, report) = Client::new(config).unwrap().fetch_bytes(by_hash(&batch), &Silent).await.unwrap();
    assert!(bytes == batch && report.attempts.len() >= 9, "{}", report.attempts.len());
}

#[tokio::test]
async fn wrong_bytes_are_never_handed_out() {
    let seats = Seats::new(1);
    let batch = pattern(100_000);
    let mut wrong = batch.clone();
    wrong[77_777] ^= 1;
    let liar = Member::start(honest(&seats, &wrong)).await;
    let other = Member::start(honest(&seats, &batch)).await;
    let (bytes, report) =
        client(&seats, &[&liar, &other]).fetch_bytes(by_hash(&batch), &Silent).await.unwrap();
    assert_eq!((bytes, report.endpoints), (Bytes::from(batch.clone()), vec![other.url.clone()]));
    assert!(report.attempts[0].detail.contains(&format!("expected {}", hash(&batch))));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batch");
    std::fs::write(&path, b"older").unwrap();
    let config = ClientConfig { attempts_max: 3, ..config(&seats, &[&liar]) };
    let error =
        Client::new(config).unwrap().fetch_to_file(by_hash(&batch), &path, &Silent).await.unwrap_err();
    assert!(matches!(&error, Error::Exhausted { attempts } if attempts.len() == 3), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"older");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file stays");
}

#[tokio::test]
async fn after_a_joint_lie_every_member_gives_the_whole() {
    let seats = Seats::new(1);
    let batch = pattern(100_000);
    let mut wrong = batch[..50_000].to_vec();
    wrong[3] ^= 1;
    let liar = Member::start(move |_, _| breaks(200, 100_000, &wrong, &[])).await;
    let other = Member::start(honest(&seats, &batch)).await;
    let (bytes, report) =
        client(&seats, &[&liar, &other]).fetch_bytes(by_hash(&batch), &Silent).await.unwrap();
    assert_eq!(bytes, batch);
    assert_eq!(report.endpoints, std::slice::from_ref(&other.url));
    assert!(report.attempts[1].detail.contains(&liar.url), "{:?}", report.attempts);
    assert_eq!(other.seen().last().unwrap().header("range"), None, "the liar's part is not kept");
}

#[tokio::test]
async fn a_file_appears_whole_or_not_at_all() {
    let seats = Seats::new(1);
    let batch = pattern(3 << 20);
    let half = batch[..1 << 20].to_vec();
    let breaking = Member::start(move |_, _| breaks(200, 3 << 20, &half, &[])).await;
    let other = Member::start(honest(&seats, &batch)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batch");
    let alone = ClientConfig { attempts_max: 1, ..config(&seats, &[&breaking]) };
    let failed = Client::new(alone).unwrap().fetch_to_file(by_hash(&batch), &path, &Silent).await;
    assert!(failed.is_err() && !path.exists());
    let both = client(&seats, &[&breaking, &other]);
    both.fetch_to_file(seats.certify(&batch), &path, &Silent).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == batch);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("missing").join("batch");
    let error = both.fetch_to_file(by_hash(&batch), &nowhere, &Silent).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[tokio::test]
async fn lengths_and_ranges_that_do_not_fit_are_refused() {
    let seats = Seats::new(1);
    let batch = pattern(10_000);
    let (first, certificate) = (batch.clone(), seats.certify(&batch));
    let oversized = Member::start(|_, _| breaks(200, 65 << 20, b"x", &[])).await;
    let alone = ClientConfig { attempts_max: 1, ..config(&seats, &[&oversized]) };
    let error = Client::new(alone).unwrap().fetch_bytes(by_hash(&batch), &Silent).await.unwrap_err();
    assert!(error.to_string().contains("68157440 bytes offered, expected 67108864"), "{error}");

    let longer = Member::start(|_, _| vec![0; 10_001].into_response()).await;
    let shifted = Member::start(move |nth, _| match nth {
        0 => breaks(200, 10_000, &first[..4000], &[]),
        1 => partial(&first[3999..], 3999, 10_000),
        2 => partial(&first[4000..], 4000, 10_001),
        // Ignores the range: everything comes again.
        _ => first.clone().into_response(),
    })
    .await;
    let (bytes, report) =
        client(&seats, &[&longer, &shifted]).fetch_bytes(certificate, &Silent).await.unwrap();
    assert_eq!(bytes, batch);
    let details: Vec<_> = report.attempts.iter().map(|attempt| attempt.detail.as_str()).collect();
    assert_eq!(details[0], "10001 bytes offered, expected 10000");
    assert_eq!(details[3], "range from 3999, asked from 4000");
}

#[tokio::test]
async fn a_batch_that_nobody_has_is_unknown_after_one_round() {
    let seats = Seats::new(1);
    let unknown = |_: usize, _: &Seen| problem(404, "unknown_batch", json!({}));
    let members = [Member::start(unknown).await, Member::start(unknown).await];
    let error =
        client(&seats, &[&members[0], &members[1]]).fetch_bytes(by_hash(b"x"), &Silent).await.unwrap_err();
    assert_eq!(error.code(), Some("unknown_batch"));
    assert_eq!(members.each_ref().map(|member| member.seen().len()), [1, 1]);
    let having = Member::start(honest(&seats, b"x")).await;
    let third = client(&seats, &[&members[0], &members[1], &having]);
    assert_eq!(third.fetch_bytes(by_hash(b"x"), &Silent).await.unwrap().0, "x");
}

#[tokio::test]
async fn an_id_is_worth_what_its_certificate_is() {
    let seats = Seats::new(1);
    let strangers = Seats::new(101);
    let batch = b"a batch";
    let id = seats.certify(batch).batch_id();
    let other = seats.certify(b"another");
    for lie in [strangers.certify(batch), other] {
        let liar = Member::start(move |_, _| scale(&lie)).await;
        let alone = ClientConfig { attempts_max: 1, ..config(&seats, &[&liar]) };
        let error = Client::new(alone).unwrap().fetch_bytes(BatchName::Id(id), &Silent).await.unwrap_err();
        assert!(matches!(&error, Error::Exhausted { .. }), "{error}");
        let honest = Member::start(honest(&seats, batch)).await;
        let both = client(&seats, &[&liar, &honest]);
        assert!(both.certificate(BatchName::Id(id)).await.is_ok());
    }
}

#[tokio::test]
async fn roots_that_do_not_belong_to_the_bytes_are_named() {
    let seats = Seats::new(1);
    let member = Member::start(honest(&seats, b"a batch")).await;
    let false_certificate = seats.sign(&false_roots(seats.statement(b"a batch")));
    let error = client(&seats, &[&member]).fetch_bytes(false_certificate, &Silent).await.unwrap_err();
    assert!(matches!(error, Error::Commitments(_)), "{error}");
}
