//! Full disks: said member by member, nothing lost, and over when there is room again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use attest::Thresholds;
use bytes::Bytes;
use bytesize::ByteSize;
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, noise, until};

/// What all members but the first may store. Only the test below uses it.
static ROOM_BYTES: AtomicU64 = AtomicU64::new(10 << 20);

fn small_disks(config: &mut NodeConfig) {
    if !config.data_dir.parent().is_some_and(|member| member.ends_with(Path::new("member-0"))) {
        config.store.max_bytes = Some(ByteSize::b(ROOM_BYTES.load(Ordering::Relaxed)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_members_are_named_keep_what_they_have_and_sign_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let thresholds = Thresholds::new(4, 2, 3).unwrap();
    let config = DevnetConfig { adjust: small_disks, ..DevnetConfig::new(thresholds, directory.path()) };
    let mut devnet = Devnet::start(config).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let (api, times) = (devnet.api_urls(), Times::from(devnet.clock().now().unix_seconds));

    let mut kept: Vec<(attest::BatchId, Bytes)> = Vec::new();
    let (refused, batch) = loop {
        let batch = noise(500 + kept.len() as u64, 512 << 10);
        let answer = rollup.submit(&api[0], &batch, times).await;
        if answer.status != 200 {
            break (answer, batch);
        }
        kept.push((answer.certified(&devnet.committee_path()).batch_id, batch));
        assert!(kept.len() < 20, "10 MiB hold no 20 batches of 768 KiB each");
    };
    assert!(kept.len() > 1, "there was room in the beginning");
    let problem = refused.problem(503, "quorum_not_reached");
    assert_eq!(problem["members"][0]["outcome"], "signed", "the first member has room: {problem}");
    // The coordinator answers as soon as the quorum is out of reach; the last refusals may come a moment later.
    let path = format!("/v1/batches/{}/status", problem["batch_id"].as_str().unwrap());
    let status = until("every full member said so", || async {
        let status = rollup.get(&api[0], &path).await.json();
        let refused = (1..4).all(|seat| status["members"][seat]["outcome"] == "refused");
        refused.then_some(status)
    })
    .await;
    for member in &status["members"].as_array().unwrap()[1..] {
        assert_eq!(member["reason"], "storage_full", "{status}");
        let detail = member["detail"].as_str().unwrap();
        assert!(detail.contains("bytes needed") && detail.contains("free above the reserve"), "{detail}");
    }
    let named = problem["members"].as_array().unwrap().iter().filter(|m| m["reason"] == "storage_full");
    assert!(named.count() >= 2, "two refusals put the quorum of three out of reach: {problem}");
    // Asked directly, a full member says so before it takes the work.
    let other = noise(600, 512 << 10);
    let direct = rollup.submit(&api[1], &other, times).await;
    direct.problem(507, "storage_full");
    for (id, batch) in &kept {
        for api in &api {
            assert!(rollup.fetch(api, *id).await.ok() == *batch, "a full disk lost {id}");
        }
    }

    ROOM_BYTES.store(64 << 20, Ordering::Relaxed);
    for seat in 1..4 {
        devnet.restart_member(seat).await.unwrap();
    }
    let certified = rollup.submit(&api[0], &batch, times).await.certified(&devnet.committee_path());
    assert_eq!(problem["batch_id"], certified.batch_id.to_string());
    devnet.stop().await.unwrap();
}
