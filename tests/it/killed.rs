//! Eight clients at once, exact counts, and a committee that is killed in the middle of its work.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::{BatchId, CheckedCertificate, Thresholds};
use bytes::Bytes;
use e2e::{Answer, CommitteeProcess, Times, metric, noise, until};
use tokio::task::JoinSet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_committee");
const CLIENTS: u64 = 8;

fn now() -> u64 {
    use dac_node::clock::{Clock, SystemClock};
    SystemClock::new().now().unix_seconds
}

fn seven() -> Thresholds {
    Thresholds::new(7, 3, 5).unwrap()
}

/// What clients got: the batch and its certificate.
type Held = BTreeMap<BatchId, (Bytes, CheckedCertificate)>;

/// Eight clients submit `batches` batches, each to the next member; stops early when a member is gone.
fn submit_all(process: &CommitteeProcess, seed: u64, batches: u64, times: Times) -> JoinSet<Held> {
    let mut clients = JoinSet::new();
    let (api, committee) = (Arc::new(process.api().to_vec()), process.committee().to_owned());
    for client in 0..CLIENTS {
        let (rollup, api, committee) = (process.rollup(), api.clone(), committee.clone());
        clients.spawn(async move {
            let mut held = Held::new();
            for number in (client..batches).step_by(CLIENTS as usize) {
                let batch = noise(seed + number, 16 << 10);
                let submission = rollup.submission(&batch, times);
                let request = rollup.post(&api[number as usize % api.len()], &submission).body(batch.clone());
                let Ok(answer) = Answer::try_of(request).await else { break };
                let certified = answer.certified(&committee);
                assert!(held.insert(certified.batch_id, (batch, certified.certificate)).is_none());
            }
            held
        });
    }
    clients
}

async fn all_of(mut clients: JoinSet<Held>) -> Held {
    let mut held = Held::new();
    while let Some(one) = clients.join_next().await {
        held.extend(one.unwrap());
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_batches_of_eight_clients_are_certified_once_each_and_counted() {
    const BATCHES: u64 = 100;
    let directory = tempfile::tempdir().unwrap();
    let process = CommitteeProcess::start(PROGRAM, seven(), directory.path()).await.unwrap();
    let rollup = process.rollup();
    let held = all_of(submit_all(&process, 1 << 32, BATCHES, Times::from(now()))).await;
    assert_eq!(held.len() as u64, BATCHES, "every batch has a certificate of its own");

    // All members share the process's metrics; no other test does.
    let expected = BATCHES as f64;
    let at_each = |text: &str, name: &str, stage: &str| -> Vec<f64> {
        let of = |seat: u16| metric(text, name, &[("seat", &seat.to_string()), ("stage", stage)]);
        (0..7).map(of).collect()
    };
    let text = until("every member stored every certificate", || async {
        let text = rollup.get(&process.api()[0], "/metrics").await.text();
        let certified = at_each(&text, "dac_stage_batches_total", "certified");
        let signed = at_each(&text, "dac_stage_batches_total", "signed");
        (certified.iter().chain(&signed).all(|count| *count >= expected)).then_some(text)
    })
    .await;
    for stage in ["rooted", "synced", "signed"] {
        let batches = at_each(&text, "dac_stage_batches_total", stage);
        assert_eq!(batches, [expected; 7], "no member {stage} a batch twice");
        let bytes = at_each(&text, "dac_stage_bytes_total", stage);
        assert_eq!(bytes, [expected * f64::from(16 << 10); 7], "{stage}");
    }
    // A coordinator receives by HTTP and neither verifies pieces nor decodes; each batch has one.
    for (stage, batches) in [("received", 1.0), ("verified", 6.0), ("decoded", 6.0)] {
        let sum: f64 = at_each(&text, "dac_stage_batches_total", stage).iter().sum();
        assert_eq!(sum, batches * expected, "{stage}");
    }
    let bytes = |direction: &str, class: &str| -> f64 {
        let of = |seat: u16| {
            let labels = [("seat", &*seat.to_string()), ("direction", direction), ("class", class)];
            metric(&text, "dac_network_bytes_total", &labels)
        };
        (0..7).map(of).sum()
    };
    assert_eq!(bytes("in", "http"), expected * f64::from(16 << 10));
    assert!(bytes("out", "bulk") > 0.0 && bytes("in", "control") > 0.0);
    process.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_work_every_signer_serves_what_it_signed() {
    const BATCHES: u64 = 400;
    let directory = tempfile::tempdir().unwrap();
    let process = CommitteeProcess::start(PROGRAM, seven(), directory.path()).await.unwrap();
    let (rollup, times) = (process.rollup(), Times::from(now()));
    let clients = submit_all(&process, 2 << 32, BATCHES, times);
    until("the first member signed twenty batches", || async {
        let text = rollup.get(&process.api()[0], "/metrics").await.text();
        let signed = metric(&text, "dac_stage_batches_total", &[("seat", "0"), ("stage", "signed")]);
        (signed >= 20.0).then_some(())
    })
    .await;
    process.kill().unwrap();
    let held = all_of(clients).await;
    assert!(!held.is_empty() && (held.len() as u64) < BATCHES, "killed in the middle: {}", held.len());

    let process = CommitteeProcess::start(PROGRAM, seven(), directory.path()).await.unwrap();
    let api = process.api();
    for (id, (batch, certificate)) in &held {
        for seat in certificate.signers().iter().map(|seat| seat.0) {
            let api = &api[usize::from(seat)];
            let status = rollup.get(api, &format!("/v1/batches/{id}/status")).await.json();
            assert_eq!(status["members"][usize::from(seat)]["outcome"], "signed", "member {seat}: {status}");
            assert!(rollup.fetch(api, *id).await.ok() == *batch, "member {seat} lost {id}");
            let shard = rollup.get(api, &format!("/v1/batches/{id}/shards/{seat}")).await.ok();
            assert!(!shard.is_empty(), "member {seat} lost its shard of {id}");
        }
    }
    // What nobody got an answer for can be asked for again.
    let again = all_of(submit_all(&process, 2 << 32, 16, times)).await;
    assert_eq!(again.len(), 16);
    process.kill().unwrap();
}
