//! A certificate with `n - q` members down; none below the quorum, and then the answer says who is missing.

use std::time::Duration;

use attest::{SeatIndex, Thresholds};
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use e2e::{Rollup, Times, noise, real_batch, until};
use serde_json::Value;

/// Members that are there answer in far less, also on a machine that is busy.
fn impatient(config: &mut NodeConfig) {
    config.timings.member_answer_timeout = Duration::from_secs(4);
}

async fn start(directory: &std::path::Path) -> (Devnet, Rollup) {
    let thresholds = Thresholds::new(7, 3, 5).unwrap();
    let config = DevnetConfig { adjust: impatient, ..DevnetConfig::new(thresholds, directory) };
    let devnet = Devnet::start(config).await.unwrap();
    let rollup = Rollup::of(&devnet);
    (devnet, rollup)
}

fn times(devnet: &Devnet) -> Times {
    Times::from(devnet.clock().now().unix_seconds)
}

fn outcomes(members: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let member = |m: &Value| (m["seat"].as_u64().unwrap(), text(&m["outcome"]), text(&m["reason"]));
    members.as_array().unwrap().iter().map(member).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn certifies_while_n_minus_q_members_are_down() {
    let directory = tempfile::tempdir().unwrap();
    let (mut devnet, rollup) = start(directory.path()).await;
    devnet.stop_member(2).await.unwrap();
    devnet.stop_member(6).await.unwrap();
    let batch = real_batch("scroll-block-04.json");
    let times = times(&devnet);
    let answer = rollup.submit(&devnet.member(3).unwrap().api_url(), &batch, times).await;
    let certified = answer.certified(&devnet.committee_path());
    assert_eq!(certified.certificate.signers(), [0, 1, 3, 4, 5].map(SeatIndex));
    let statement = certified.certificate.statement();
    assert_eq!(statement.data_hash.0, fpga_hash::keccak256(&batch));
    assert_eq!(statement.data_bytes, batch.len() as u64);
    assert_eq!((statement.hot_until, statement.retain_until), (times.hot_until, times.retain_until));
    assert_eq!((statement.rollup_id, statement.epoch.0), (rollup.id, 1));
    for (seat, outcome, reason) in outcomes(&certified.status["members"]) {
        let expected = if [2, 6].contains(&seat) { ("waiting", "unreachable") } else { ("signed", "") };
        assert_eq!((outcome.as_str(), reason.as_str()), expected, "member {seat}");
    }
    devnet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn below_quorum_names_each_missing_member_and_a_retry_certifies_the_same_batch() {
    let directory = tempfile::tempdir().unwrap();
    let (mut devnet, rollup) = start(directory.path()).await;
    let api = devnet.api_urls();
    assert_eq!(rollup.get(&api[0], "/readyz").await.json()["ready"], true);
    for seat in [4, 5, 6] {
        devnet.stop_member(seat).await.unwrap();
    }
    let ready = until("the member is not ready", || async {
        let ready = rollup.get(&api[0], "/readyz").await;
        (ready.status != 200 && ready.text().contains("4 members")).then_some(ready)
    })
    .await;
    let problem = ready.problem(503, "not_ready");
    assert_eq!(problem["reasons"][0], "4 members connected, the quorum is 5");
    assert_eq!(rollup.get(&api[0], "/livez").await.status, 200, "alive all the same");

    let (here, elsewhere) = (real_batch("scroll-block-02.json"), noise(1, 40_000));
    let times = times(&devnet);
    let (refused, refused_elsewhere) =
        tokio::join!(rollup.submit(&api[0], &here, times), rollup.submit(&api[1], &elsewhere, times));
    let ids = [refused, refused_elsewhere].map(|answer| {
        let problem = answer.problem(503, "quorum_not_reached");
        assert_eq!(problem["detail"], "4 members signed, the quorum is 5");
        assert!(!answer.header("retry-after").is_empty(), "a client is told when to try again");
        for (seat, outcome, reason) in outcomes(&problem["members"]) {
            let expected = if seat >= 4 { ("waiting", "unreachable") } else { ("signed", "") };
            assert_eq!((outcome.as_str(), reason.as_str()), expected, "member {seat}: {problem}");
        }
        problem["batch_id"].as_str().unwrap().to_owned()
    });
    for (api, id) in api.iter().zip(&ids) {
        let certificate = rollup.get(api, &format!("/v1/batches/{id}/certificate")).await;
        certificate.problem(404, "not_certified");
        let status = rollup.get(api, &format!("/v1/batches/{id}/status")).await.json();
        assert_eq!(status["stage"], "below_quorum", "{status}");
    }

    devnet.restart_member(5).await.unwrap();
    // The same member is asked again, and another one.
    let (first, second) =
        tokio::join!(rollup.submit(&api[0], &here, times), rollup.submit(&api[2], &elsewhere, times));
    for (answer, id) in [first, second].into_iter().zip(&ids) {
        let certified = answer.certified(&devnet.committee_path());
        assert_eq!(certified.batch_id.to_string(), *id, "the same submission is the same batch");
        assert_eq!(certified.certificate.signers(), [0, 1, 2, 3, 5].map(SeatIndex));
    }
    assert_eq!(rollup.get(&api[0], "/readyz").await.json()["connected"], 5);
    devnet.stop().await.unwrap();
}
