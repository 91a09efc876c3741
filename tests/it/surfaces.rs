//! What an operator and a browser see.

use attest::CommitteeFile;
use e2e::{metric, noise, until};

use crate::shared::{BATCH_BYTES_MAX, shared};

#[tokio::test(flavor = "multi_thread")]
async fn every_member_shows_the_committee_of_the_file_and_its_thresholds() {
    let shared = shared().await;
    let file = std::fs::read_to_string(&shared.committee).unwrap();
    let file = CommitteeFile::from_json(&file).unwrap();
    let committee = file.check().unwrap();
    for api in &shared.api {
        let shown = shared.rollup.get(api, "/v1/committee").await.text();
        let shown = CommitteeFile::from_json(&shown).unwrap();
        assert_eq!(shown.check().unwrap().hash(), committee.hash());
        assert_eq!(shown, file, "addresses and names too");
        let params = shared.rollup.get(api, "/v1/params").await.json();
        for (name, expected) in [
            ("members", 7),
            ("minimum_shards", 3),
            ("quorum", 5),
            ("offline_members_tolerated", 7 - 5),
            ("lying_signers_tolerated", 5 - 3),
            ("honest_members_needed", 7 - 5 + 3),
            ("honest_members_needed_while_hot", 7 - 5 + 1),
            ("pieces_sent", 3 + 7 - 5),
            ("batch_bytes_max", BATCH_BYTES_MAX),
        ] {
            assert_eq!(params[name], expected, "{name}: {params}");
        }
        assert_eq!(params["warnings"], serde_json::json!([]), "{params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_member_is_alive_and_ready() {
    let shared = shared().await;
    for api in &shared.api {
        assert_eq!(shared.rollup.get(api, "/livez").await.status, 200);
        let ready = shared.rollup.get(api, "/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        let ready = ready.json();
        assert_eq!((&ready["connected"], &ready["quorum"]), (&7.into(), &5.into()), "{ready}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_describes_itself() {
    let shared = shared().await;
    let document = shared.rollup.get(&shared.api[0], "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for path in [
        "/v1/rollups/{rollup_id}/batches",
        "/v1/batches/{id}",
        "/v1/batches/{id}/status",
        "/v1/batches/{id}/certificate",
        "/v1/batches/{id}/shards/{index}",
        "/v1/batches/{id}/pieces/{stripe}/{index}",
        "/v1/committee",
        "/v1/params",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path} is not described");
    }
    let page = shared.rollup.get(&shared.api[0], "/docs").await;
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(String::from_utf8(page.ok().to_vec()).unwrap().contains("<html"));
}

/// Other committees of this process add to the same counters, so this looks at growth; exact counts are in `killed.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_grow_at_every_stage_of_a_batch() {
    let shared = shared().await;
    let (rollup, api) = (&shared.rollup, &shared.api[0]);
    let before = rollup.get(api, "/metrics").await.text();
    let batch = noise(300, 100_000);
    // Member 0 is a plain member of this batch: it receives pieces, verifies and decodes.
    let id =
        rollup.submit(&shared.api[1], &batch, shared.times()).await.certified(&shared.committee).batch_id;
    assert!(rollup.fetch(api, id).await.ok() == batch);
    for stage in ["received", "verified", "decoded", "rooted", "synced", "signed", "certified"] {
        for (name, by) in [("dac_stage_batches_total", 1.0), ("dac_stage_bytes_total", 100_000.0)] {
            let labels = [("seat", "0"), ("stage", stage)];
            let old = metric(&before, name, &labels);
            until(&format!("{name} {stage} grows"), || async {
                let text = rollup.get(api, "/metrics").await.text();
                (metric(&text, name, &labels) >= old + by).then_some(())
            })
            .await;
        }
    }
    let after = rollup.get(api, "/metrics").await.text();
    let bytes = |text: &str, direction: &str, class: &str| {
        metric(text, "dac_network_bytes_total", &[("seat", "0"), ("direction", direction), ("class", class)])
    };
    for (direction, class) in [("in", "bulk"), ("out", "bulk"), ("in", "control"), ("out", "http")] {
        let (old, new) = (bytes(&before, direction, class), bytes(&after, direction, class));
        assert!(new > old, "{direction} {class}: {old} then {new}");
    }
    assert_eq!(metric(&after, "dac_members_connected", &[("seat", "0")]), 7.0);
    assert!(metric(&after, "dac_store_bytes", &[("seat", "0"), ("kind", "used")]) > 100_000.0);
    assert!(metric(&after, "dac_hash_bytes_total", &[("seat", "0"), ("function", "poseidon")]) > 100_000.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_has_three_forms() {
    let shared = shared().await;
    let batch = noise(310, 1000);
    let certified = shared.rollup.submit(&shared.api[0], &batch, shared.times()).await;
    let id = certified.certified(&shared.committee).batch_id;
    let path = format!("/v1/batches/{id}/certificate");
    until("the certificate comes to another member by gossip", || async {
        (shared.rollup.get(&shared.api[2], &path).await.status == 200).then_some(())
    })
    .await;
    for form in ["application/json", "application/octet-stream", "application/vnd.ethereum.abi"] {
        let answer = shared.rollup.get_with(&shared.api[2], &path, "accept", form).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, form));
    }
    let answer = shared.rollup.get_with(&shared.api[2], &path, "accept", "text/html").await;
    answer.problem(406, "not_acceptable");
}
