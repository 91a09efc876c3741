//! `dac verify`: every form of a certificate, and every byte of it and of the batch.

use parity_scale_codec::Encode as _;
use serde_json::json;

use super::{Run, SITE, dac};

/// Runs `dac verify` on certificate bytes and a batch.
fn verify(certificate: &[u8], batch: Option<&[u8]>) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let (certificate_path, batch_path) =
        (directory.path().join("certificate"), directory.path().join("batch"));
    std::fs::write(&certificate_path, certificate).unwrap();
    let committee = SITE.path("committee.json");
    let certificate_path = certificate_path.to_str().unwrap();
    let mut arguments =
        vec!["--json", "verify", "--certificate", certificate_path, "--committee", &committee];
    if let Some(batch) = batch {
        std::fs::write(&batch_path, batch).unwrap();
        arguments.extend(["--batch", batch_path.to_str().unwrap()]);
    }
    dac(&arguments)
}

#[test]
fn verifies_a_certificate_in_every_form_and_the_batch_with_it() {
    let certificate = &SITE.certificate;
    let scale = certificate.encode();
    let hex = format!("0x{}", hex::encode(&scale));
    let json = certificate.to_json();
    let batch = std::fs::read(SITE.path("batch")).unwrap();
    for form in [
        scale.clone(),
        format!("{hex}\n").into_bytes(),
        json.clone().into_bytes(),
        json!({ "certificate": hex, "members": 4 }).to_string().into_bytes(),
        format!("{{\"certificate\": {json}, \"status\": {{}}}}").into_bytes(),
    ] {
        let found = verify(&form, Some(&batch)).succeeds().json();
        assert_eq!((&found["valid"], &found["batch_checked"]), (&json!(true), &json!(true)));
        assert_eq!(found["batch_id"], certificate.batch_id().to_string());
        assert_eq!(found["signers"], json!([0, 2, 3]));
    }
    let found = verify(&scale, None).succeeds().json();
    assert_eq!(found["batch_checked"], false);
    let (path, committee) = (SITE.path("certificate"), SITE.path("committee.json"));
    let text = dac(&["verify", "--certificate", &path, "--committee", &committee]).succeeds();
    assert!(text.stdout.contains("certificate valid") && text.stdout.contains("2 (member 2)"), "{text:?}");
}

#[test]
fn refuses_every_changed_byte_of_a_certificate() {
    let scale = SITE.certificate.encode();
    // One byte of each field: chain id, registry, every field of the statement, bitmap, signature.
    for position in [0, 8, 28, 60, 68, 100, 108, 140, 172, 204, 212, 221, scale.len() - 1] {
        let mut changed = scale.clone();
        changed[position] ^= 1;
        let run = verify(&changed, None);
        assert_eq!(run.code, 4, "byte {position}: {run:?}");
    }
    verify(&scale[..scale.len() - 1], None).fails(4, "malformed_certificate");
    verify(b"", None).fails(4, "malformed_certificate");
    verify(b"0xzz", None).fails(4, "malformed_certificate");
    verify(b"{\"certificate\": {\"certificate\": \"0x\"}}", None).fails(4, "malformed_certificate");
    verify(b"[1]", None).fails(4, "malformed_certificate");
}

#[test]
fn refuses_every_other_batch() {
    let scale = SITE.certificate.encode();
    let batch = std::fs::read(SITE.path("batch")).unwrap();
    let mut changed = batch.clone();
    changed[99_999] ^= 1;
    verify(&scale, Some(&changed)).fails(4, "batch_mismatch");
    verify(&scale, Some(&batch[..99_999])).fails(4, "batch_mismatch");
    verify(&scale, Some(&[])).fails(4, "batch_mismatch");
    verify(&scale, Some(&[batch.as_slice(), &[0]].concat())).fails(4, "batch_mismatch");
    let committee = SITE.path("committee.json");
    dac(&["--json", "verify", "--certificate", "none", "--committee", &committee]).fails(7, "cannot_read");
}
