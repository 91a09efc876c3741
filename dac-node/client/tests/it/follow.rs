//! Status, waiting, offline verification, and configuration.

use std::time::Duration;

use attest::Encode;
use axum::response::IntoResponse;
use dac_client::{BatchName, Client, ClientConfig, Error, verify_offline};
use serde_json::json;

use crate::member::*;

#[tokio::test]
async fn waiting_ends_when_the_coordinator_gave_up() {
    let seats = Seats::new(1);
    let certificate = seats.certify(b"a batch");
    let id = certificate.batch_id();
    let member = Member::start(move |_, seen| match seen.path.ends_with("/status") {
        true => axum::Json(status(&certificate, "below_quorum")).into_response(),
        false => problem(404, "not_certified", json!({})),
    })
    .await;
    let error = client(&seats, &[&member]).wait(id).await.unwrap_err();
    assert!(matches!(&error, Error::NotCertified { status } if status.quorum == 3), "{error}");
}

#[tokio::test]
async fn waiting_asks_others_when_one_refused_and_has_an_end() {
    let seats = Seats::new(1);
    let certificate = seats.certify(b"a batch");
    let id = certificate.batch_id();
    let refused = Member::start(move |_, seen| match seen.path.ends_with("/status") {
        true => axum::Json(status(&certificate, "refused")).into_response(),
        false => problem(404, "not_certified", json!({})),
    })
    .await;
    let having = Member::start(honest(&seats, b"a batch")).await;
    assert!(client(&seats, &[&refused, &having]).wait(id).await.is_ok());
    let short = ClientConfig { certificate_max: Duration::from_millis(50), ..config(&seats, &[&refused]) };
    let error = Client::new(short).unwrap().wait(id).await.unwrap_err();
    assert!(matches!(error, Error::NoCertificateInTime { .. }), "{error}");
}

#[tokio::test]
async fn status_is_the_first_members_that_knows_the_batch() {
    let seats = Seats::new(1);
    let unknown = Member::start(|_, _| problem(404, "unknown_batch", json!({}))).await;
    let having = Member::start(honest(&seats, b"a batch")).await;
    let client = client(&seats, &[&unknown, &having]);
    let status = client.status(BatchName::DataHash(hash(b"a batch"))).await.unwrap();
    assert_eq!(status.batch_id, seats.certify(b"a batch").batch_id());
}

#[tokio::test]
async fn an_endless_answer_is_not_buffered() {
    let seats = Seats::new(1);
    let endless = Member::start(|_, _| vec![b' '; 2 << 20].into_response()).await;
    let config = ClientConfig { attempts_max: 1, ..config(&seats, &[&endless]) };
    let name = BatchName::DataHash(hash(b"a batch"));
    let error = Client::new(config).unwrap().status(name).await.unwrap_err();
    assert!(error.to_string().contains("an answer above 1048576 bytes"), "{error}");
}

#[test]
fn a_certificate_is_verified_without_any_member() {
    let seats = Seats::new(1);
    let batch = pattern(70_000);
    let certificate = seats.certify(&batch);
    let scale = certificate.certificate().encode();
    let json = format!("  {}\n", certificate.certificate().to_json());
    for bytes in [scale.as_slice(), json.as_bytes()] {
        let (checked, verification) = verify_offline(bytes, &seats.committee, Some(&batch)).unwrap();
        assert!(checked == certificate && verification.batch_verified);
        assert!(!verify_offline(bytes, &seats.committee, None).unwrap().1.batch_verified);
    }
    let strangers = Seats::new(101);
    let error = verify_offline(&scale, &strangers.committee, None).unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error}");
    let mut wrong = batch.clone();
    wrong[0] ^= 1;
    let error = verify_offline(&scale, &seats.committee, Some(&wrong)).unwrap_err();
    assert!(matches!(error, Error::Commitments(_)), "{error}");
    let error = verify_offline(&scale, &seats.committee, Some(&batch[1..])).unwrap_err();
    assert!(matches!(error, Error::AnotherBatch { what: "dataBytes", .. }), "{error}");
    for at in 0..scale.len() {
        let mut flipped = scale.clone();
        flipped[at] ^= 1;
        assert!(verify_offline(&flipped, &seats.committee, None).is_err(), "byte {at}");
    }
}

#[test]
fn endpoints_are_checked_at_once() {
    let seats = Seats::new(1);
    let new = |urls: &[&str]| Client::new(ClientConfig::new(urls.iter().copied(), seats.committee.clone()));
    assert!(matches!(new(&[]), Err(Error::NoEndpoint)));
    for bad in ["", "member", "ftp://member", "http://member/?x=1", "http://member/#x"] {
        assert!(
            matches!(new(&["http://member", bad]), Err(Error::InvalidEndpoint { endpoint, .. }) if endpoint == bad)
        );
    }
    assert!(new(&["https://member:8547/dac", "http://[::1]:8547/"]).is_ok());
}

#[test]
fn a_committee_file_names_the_endpoints() {
    let mut file = Seats::new(1).file;
    assert!(matches!(ClientConfig::from_committee_file(&file), Err(Error::NoEndpoint)));
    file.members[2].api = Some("http://two:8547".to_owned());
    file.members[0].api = Some("http://zero:8547".to_owned());
    assert_eq!(
        ClientConfig::from_committee_file(&file).unwrap().endpoints,
        ["http://zero:8547", "http://two:8547"]
    );
    file.quorum = 9;
    assert!(matches!(ClientConfig::from_committee_file(&file), Err(Error::Committee(_))));
}
