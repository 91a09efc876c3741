//! Disks that are full, fail to sync, or are gone.

use dac_node::config::NodeConfig;
use e2e::{SmallDisk, noise, until};

use crate::load::{Certified, Ledger, Load, assert_all_there};
use crate::shared::{four_members, members_with, times};

/// Room of the small disk: ballast and database, and a few batches.
const DISK_BYTES: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_refused_with_its_numbers_and_serves_again_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let small = SmallDisk::mount(&directory.path().join("member-3/data"), DISK_BYTES).unwrap();
    let adjust = |_, config: &mut NodeConfig| config.store.reserve = bytesize::ByteSize::mib(4);
    let members = members_with(directory.path(), false, adjust).await;
    let (rollup, times) = (members.rollup(), times());
    let before = noise(200, 300_000);
    let first = rollup.submit(members.api(3), &before, times).await.certified(members.committee());

    small.leave(1 << 20).unwrap();
    let refused = noise(201, 300_000);
    let problem = rollup.submit(members.api(3), &refused, times).await.problem(507, "storage_full");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("bytes needed") && detail.contains("free above the reserve"), "{detail}");
    let ready = rollup.get(members.api(3), "/readyz").await;
    assert!(ready.status == 503 && ready.text().contains("storage is full"), "{}", ready.text());
    // The others certify, and say why this one did not sign.
    let others = noise(202, 300_000);
    let id = rollup.submit(members.api(0), &others, times).await.certified(members.committee()).batch_id;
    let status = until("the full member said why", || async {
        let status = rollup.get(members.api(0), &format!("/v1/batches/{id}/status")).await.json();
        (status["members"][3]["outcome"] == "refused").then_some(status)
    })
    .await;
    assert_eq!(status["members"][3]["reason"], "storage_full", "{status}");
    assert!(rollup.fetch(members.api(3), first.batch_id).await.ok() == before, "what it has it serves");

    small.leave(40 << 20).unwrap();
    let certified = until("the same process takes batches again", || async {
        let answer = rollup.submit(members.api(3), &refused, times).await;
        (answer.status == 200).then(|| answer.certified(members.committee()))
    })
    .await;
    assert!(rollup.fetch(members.api(3), certified.batch_id).await.ok() == refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_sync_fails_stops_with_the_reason_and_has_all_it_signed_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut members = four_members(directory.path()).await;
    members.faults(2).unwrap();
    members.kill(2).unwrap();
    members.restart(2).await.unwrap();
    let load = Load::start(&members, 2, &[0, 1, 2, 3], 2);
    load.wait_for(6).await;
    members.faults(2).unwrap().fail_syncs(true).unwrap();
    let ended = members.wait_ended(2).await;
    assert!(!ended.status.success(), "{:?}", ended.status);
    assert!(
        ended.log.contains("check the disk, then start the node again"),
        "its last words say what to do: {}",
        ended.log
    );
    load.wait_for(4).await;
    members.faults(2).unwrap().fail_syncs(false).unwrap();
    members.restart(2).await.unwrap();
    load.wait_for(4).await;
    let ledger = load.stop().await;
    assert!(
        ledger.values().any(|one| one.signers.contains(&2))
            && ledger.values().any(|one| !one.signers.contains(&2))
    );
    assert_all_there(&members, &ledger).await;
}

/// A member whose disk was replaced by an empty one has promised what it does not hold. It must not do so again: when the
/// others certify the same bytes once more, for later times, it signs only what it fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_attests_nothing_that_it_does_not_hold() {
    let directory = tempfile::tempdir().unwrap();
    let mut members = four_members(directory.path()).await;
    let load = Load::start(&members, 2, &[0, 1, 2, 3], 3);
    load.wait_for(12).await;
    let before = load.stop().await;
    members.kill(1).unwrap();
    std::fs::remove_dir_all(members.directory(1).join("data")).unwrap();
    members.restart(1).await.unwrap();
    let rollup = members.rollup();
    let (mut after, mut later) = (Ledger::new(), times());
    later.retain_until += 86_400;
    for certified in before.values() {
        let answer =
            rollup.submit(members.api(0), &certified.batch(), later).await.certified(members.committee());
        let signers = answer.certificate.signers().iter().map(|seat| seat.0).collect();
        after.insert(answer.batch_id, Certified { number: certified.number, signers });
    }
    assert_all_there(&members, &after).await;
    let mut holds = 0;
    for id in before.keys().chain(after.keys()) {
        let shard = rollup.get(members.api(1), &format!("/v1/batches/{id}/shards/1")).await;
        assert!([200, 404].contains(&shard.status), "{}", shard.text());
        holds += u32::from(shard.status == 200);
    }
    let text = members.metrics(1).await.unwrap().text();
    let signed = e2e::metric(&text, "dac_stage_batches_total", &[("seat", "1"), ("stage", "signed")]);
    assert!(signed <= f64::from(holds), "{signed} signatures, {holds} shards");
}
