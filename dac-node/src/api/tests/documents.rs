//! Certificates in every form, committee, thresholds, health, metrics, the OpenAPI document, and what no route takes.

use attest::{Certificate, CommitteeFile};
use serde_json::Value;

use super::memory::{Memory, Script};
use super::server::{limits, start, start_with};
use crate::api::{ABI_MEDIA_TYPE, document};

#[tokio::test]
async fn a_certificate_comes_as_json_scale_and_abi() {
    let served = start(Script::default()).await;
    let id = served.memory.put(b"a batch");
    let url = served.url(&format!("/v1/batches/{id}/certificate"));
    let get = |accept: &'static str| served.send(served.http.get(&url).header("accept", accept));
    let json = get("*/*").await;
    let certificate = Certificate::from_json(std::str::from_utf8(&json.body).unwrap()).unwrap();
    assert_eq!(certificate.verify(&served.memory.committee).unwrap().batch_id(), id);
    assert_eq!(json.header("vary"), Some("accept"));
    let scale = get("application/octet-stream").await;
    assert_eq!(Certificate::decode_strict(&scale.body).unwrap(), certificate);
    let abi = get(ABI_MEDIA_TYPE).await;
    assert_eq!(abi.header("content-type"), Some(ABI_MEDIA_TYPE));
    assert_eq!(Certificate::from_abi(&abi.body, 7).unwrap(), certificate);
    get("text/html").await.problem(406, "not_acceptable");
}

#[tokio::test]
async fn custody_is_served_and_kept_by_nobody() {
    let served = start(Script::default()).await;
    let answer = served.get("/v1/custody").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let report: crate::custody::CustodyReport = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((report.certificates_live, report.shards_checked, report.complete), (2, 1, true));
}

#[tokio::test]
async fn committee_and_thresholds_are_served() {
    let served = start(Script::default()).await;
    let file: CommitteeFile = serde_json::from_slice(&served.get("/v1/committee").await.body).unwrap();
    assert_eq!(file, served.memory.file);
    let params = served.get("/v1/params").await.json();
    for (name, value) in [("members", 7), ("minimum_shards", 3), ("quorum", 5), ("pieces_sent", 5)] {
        assert_eq!(params[name], value, "{name}");
    }
    assert_eq!(params["honest_members_needed"], 5);
    assert_eq!(params["warnings"], Value::Array(vec![]));
}

#[tokio::test]
async fn readiness_has_reasons_and_liveness_has_none() {
    let ready = start(Script::default()).await;
    assert_eq!(ready.get("/readyz").await.json()["connected"], 7);
    let alone = start(Script { silent_members: 4, ..Script::default() }).await;
    let problem = alone.get("/readyz").await.problem(503, "not_ready");
    assert_eq!(problem["reasons"][0], "members 3 to 6 are not connected");
    assert!(problem["detail"].as_str().unwrap().contains("3 members connected, quorum 5"));
    assert_eq!(alone.get("/livez").await.body, b"alive\n");
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_carry_another_registry() {
    let extra = |config: &mut crate::api::ApiConfig| {
        config.seat = 60_002;
        config.extra_metrics = Some(std::sync::Arc::new(|| "libp2p_peers 6\n# EOF\n".to_owned()));
    };
    let served = start_with(Script::default(), extra, limits()).await;
    let id = served.memory.put(b"a batch");
    served.get(&format!("/v1/batches/{id}")).await;
    served.get(&format!("/v1/batches/0x{}", "00".repeat(32))).await;
    let text = String::from_utf8(served.get("/metrics").await.body).unwrap();
    let line = |parts: &[&str]| {
        text.lines()
            .any(|line| line.contains("seat=\"60002\"") && parts.iter().all(|part| line.contains(part)))
    };
    assert!(
        line(&["dac_http_requests_total", "route=\"/v1/batches/{id}\"", "status=\"200\"", " 1"]),
        "{text}"
    );
    assert!(
        line(&["dac_http_requests_total", "route=\"/v1/batches/{id}\"", "status=\"404\"", " 1"]),
        "{text}"
    );
    assert!(line(&["dac_network_bytes_total", "class=\"http\"", "direction=\"out\"", " 7"]), "{text}");
    assert!(text.ends_with("libp2p_peers 6\n\n") && !text.contains("# EOF"), "{text}");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let served = start(Script::default()).await;
    served.get("/").await.problem(404, "unknown_route");
    served.get("/v1/batches").await.problem(404, "unknown_route");
    let answer = served.send(served.http.delete(served.url("/v1/params"))).await;
    answer.problem(405, "method_not_allowed");
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
    let rollup = "00".repeat(32);
    served.get(&format!("/v1/rollups/0x{rollup}/batches")).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let served = start(Script { status_panics: true, ..Script::default() }).await;
    let answer = served.get(&format!("/v1/batches/0x{}/status", "00".repeat(32))).await;
    answer.problem(500, "internal");
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    assert_eq!(served.get("/livez").await.status, 200, "the server goes on");
}

#[tokio::test]
async fn a_harmless_request_id_is_taken_over_and_another_replaced() {
    let served = start(Script::default()).await;
    let get =
        |id: &'static str| served.send(served.http.get(served.url("/livez")).header("x-request-id", id));
    assert_eq!(get("trace-12.a_b").await.header("x-request-id"), Some("trace-12.a_b"));
    for bad in
        ["a b", "<script>", "", "0123456789012345678901234567890123456789012345678901234567890123456789"]
    {
        assert_ne!(get(bad).await.header("x-request-id"), Some(bad));
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let served = start(Script::default()).await;
    let json = served.get("/openapi.json").await.json();
    assert_eq!(json, serde_json::to_value(document()).unwrap());
    let page = served.get("/docs/").await;
    assert!(page.status == 200 && String::from_utf8_lossy(&page.body).contains("swagger-ui"));
}

/// The committed document. `UPDATE_OPENAPI=1` writes it anew.
#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let current = document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == current, "dac-node/openapi.json is stale; UPDATE_OPENAPI=1 cargo test writes it");
}

/// The mirrors in `openapi.rs` describe the JSON that `attest` writes.
#[test]
fn mirrored_schemas_have_the_fields_of_attest() {
    let memory = Memory::new(Script::default());
    let id = memory.put(b"a batch");
    let found = futures::executor::block_on(crate::api::Backend::certificate(
        &memory,
        crate::service::BatchRef::Id(id),
    ));
    let certificate = serde_json::to_value(found.unwrap()).unwrap();
    let mut committee = memory.file.clone();
    committee.members[0].peer_id = Some("peer".to_owned());
    committee.members[0].addresses = vec!["address".to_owned()];
    committee.members[0].api = Some("url".to_owned());
    let committee = serde_json::to_value(committee).unwrap();
    let schemas = &serde_json::to_value(document()).unwrap()["components"]["schemas"];
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (name, value) in [
        ("CertificateDocument", &certificate),
        ("StatementDocument", &certificate["statement"]),
        ("CommitteeDocument", &committee),
        ("CommitteeMemberDocument", &committee["members"][0]),
    ] {
        let mut documented = fields(&schemas[name]["properties"]);
        let mut written = fields(value);
        documented.sort();
        written.sort();
        assert_eq!(documented, written, "{name}");
    }
}

/// Every operation names its problems, and every reference in the document leads somewhere.
#[test]
fn the_document_is_complete() {
    let json = serde_json::to_value(document()).unwrap();
    let paths = json["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 12);
    let text = json.to_string();
    for part in text.split("\"$ref\":\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap());
        assert!(json.pointer(&pointer).is_some(), "{pointer} leads nowhere");
    }
    for header in ["dac-hot-until", "dac-retain-until", "dac-deadline", "dac-signature", "dac-data-hash"] {
        assert!(text.contains(header), "{header}");
    }
    assert!(text.contains("application/problem+json"));
}
