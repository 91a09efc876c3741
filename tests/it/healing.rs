//! What a member lost, missed or let rot comes back, is proven to be right, and costs little more than it must.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attest::{BatchId, Thresholds};
use bytes::Bytes;
use bytesize::ByteSize;
use dac_node::clock::ShiftedClock;
use dac_node::config::NodeConfig;
use dac_node::custody::CustodyReport;
use dac_node::devnet::{Devnet, DevnetConfig};
use dac_node::net::Class;
use dac_node_store::{DiskStore, DiskStoreConfig, ShardStore as _};
use e2e::{Rollup, Times, noise, until};

/// Live batches when a disk is lost; a thousand in the long run.
fn live_batches() -> u64 {
    if std::env::var_os("NIGHTLY").is_some() { 1000 } else { 40 }
}

/// Everything at once instead of in minutes; audits only where a test turns them on.
fn quick(config: &mut NodeConfig) {
    let heal = &mut config.heal;
    heal.repair_after = Duration::from_millis(300);
    heal.catch_up_every = Duration::from_millis(500);
    heal.scrub_rate = ByteSize::gib(4);
    heal.scrub_pause = Duration::from_millis(100);
    heal.audit_every = Duration::from_secs(86_400);
}

fn config(directory: &Path, thresholds: (u16, u16, u16)) -> DevnetConfig {
    let (n, k, q) = thresholds;
    DevnetConfig { adjust: quick, ..DevnetConfig::new(Thresholds::new(n, k, q).unwrap(), directory) }
}

fn data_dir(devnet: &Devnet, seat: u16) -> PathBuf {
    devnet.directory().join(format!("member-{seat}/data"))
}

fn custody(devnet: &Devnet, seat: u16) -> CustodyReport {
    devnet.member(seat).unwrap().node().custody()
}

/// Certifies `count` batches and returns their names.
async fn certify(devnet: &Devnet, rollup: &Rollup, first: u64, count: u64, bytes: usize) -> Vec<BatchId> {
    let times = Times::from(devnet.clock().now().unix_seconds);
    let (_, at) = devnet.running().next().unwrap();
    let mut ids = Vec::new();
    for number in first..first + count {
        let answer = rollup.submit(&at.api_url(), &noise(number, bytes), times).await;
        ids.push(answer.certified(&devnet.committee_path()).batch_id);
    }
    ids
}

/// Waits until a member says that it signed a batch.
async fn signed_by(devnet: &Devnet, rollup: &Rollup, seat: u16, id: BatchId) {
    let path = format!("/v1/batches/{id}/status");
    until("the member signed", || async {
        let status = rollup.get(&devnet.member(seat).unwrap().api_url(), &path).await.json();
        (status["members"][usize::from(seat)]["outcome"] == "signed").then_some(())
    })
    .await;
}

/// Waits until a member says that everything it owes is here and was read back; `until` for each step forward.
async fn whole(devnet: &Devnet, seat: u16, live: u64) -> CustodyReport {
    let mut checked = 0;
    loop {
        let report = until("more shards are here and checked", || async {
            let report = custody(devnet, seat);
            (report.shards_checked > checked || is_whole(&report, live)).then_some(report)
        })
        .await;
        if is_whole(&report, live) {
            return report;
        }
        checked = report.shards_checked;
    }
}

fn is_whole(report: &CustodyReport, live: u64) -> bool {
    report.complete && report.certificates_live == live && report.shards_checked == live
}

async fn shard(rollup: &Rollup, devnet: &Devnet, at: u16, id: BatchId, of: u16) -> Bytes {
    let api = devnet.member(at).unwrap().api_url();
    rollup.get(&api, &format!("/v1/batches/{id}/shards/{of}")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_comes_back_whole_for_little_more_than_one_shard_a_batch() {
    let directory = tempfile::tempdir().unwrap();
    let mut devnet = Devnet::start(config(directory.path(), (7, 3, 5))).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let ids = certify(&devnet, &rollup, 7000, live_batches(), 256 << 10).await;
    let lost = 6;
    // What it has not signed would come again by the usual way, and not be a repair.
    for id in &ids {
        signed_by(&devnet, &rollup, lost, *id).await;
    }
    whole(&devnet, lost, ids.len() as u64).await;
    devnet.stop_member(lost).await.unwrap();
    std::fs::remove_dir_all(data_dir(&devnet, lost)).unwrap();
    devnet.restart_member(lost).await.unwrap();
    let report = whole(&devnet, lost, ids.len() as u64).await;
    // Recent ones come by gossip, too.
    let found = report.catch_up.certificates_found;
    assert!(found > 0 && found <= ids.len() as u64, "{report:?}");
    // Everything that came for it: names, certificates, roots, pieces, paths.
    let member = devnet.member(lost).unwrap().node();
    let received = member.network().counters().received_bytes[Class::Repair as usize].load(Ordering::Relaxed);
    drop(member);
    let least = report.repair.repaired_bytes;
    let repaired = report.repair.repaired;
    println!("lost disk: {repaired} shards of {least} bytes for {received} bytes received");
    assert!(received * 10 <= least * 11, "{received} bytes for shards of {least}");
    for id in ids.iter().step_by(7) {
        let (own, right) =
            (shard(&rollup, &devnet, lost, *id, lost).await, shard(&rollup, &devnet, 0, *id, lost).await);
        assert!(own == right && !own.is_empty(), "shard of {id}");
    }
    let disk = data_dir(&devnet, lost);
    devnet.stop().await.unwrap();
    // Gossip remembers the openings of the last second or two: those batches were exchanged again, not repaired.
    let store = DiskStore::open(&disk, &DiskStoreConfig::default()).unwrap();
    let exchanged = ids.iter().filter(|id| store.statement(**id).unwrap().is_some()).count() as u64;
    let all = ids.len() as u64;
    assert!(
        repaired <= all && repaired + exchanged >= all,
        "{repaired} repaired, {exchanged} exchanged of {all}"
    );
    assert!(exchanged < all / 2, "{exchanged} of {all} were exchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_catches_up_and_signs_nothing_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let mut devnet = Devnet::start(config(directory.path(), (4, 2, 3))).await.unwrap();
    let rollup = Rollup::of(&devnet);
    devnet.stop_member(3).await.unwrap();
    let ids = certify(&devnet, &rollup, 7100, 5, 150_000).await;
    devnet.restart_member(3).await.unwrap();
    whole(&devnet, 3, 5).await;
    let api = devnet.member(3).unwrap().api_url();
    for (number, id) in (7100..).zip(&ids) {
        let own = shard(&rollup, &devnet, 3, *id, 3).await;
        assert!(own == shard(&rollup, &devnet, 0, *id, 3).await);
        assert!(rollup.fetch(&api, *id).await.ok() == noise(number, 150_000));
        let status = rollup.get(&api, &format!("/v1/batches/{id}/status")).await.json();
        assert_eq!(status["signers"], 3, "a shard that came back is no signature: {status}");
    }
    // With it any two hold enough: it serves what it fetched.
    for seat in [0, 1] {
        devnet.stop_member(seat).await.unwrap();
    }
    assert!(rollup.fetch(&api, ids[0]).await.ok() == noise(7100, 150_000));
    devnet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_comes_back_from_other_shards_when_every_whole_copy_expired() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ShiftedClock::default());
    let config = DevnetConfig { clock: clock.clone(), ..config(directory.path(), (4, 2, 3)) };
    let devnet = Devnet::start(config.clone()).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let now = devnet.clock().now().unix_seconds;
    let short = Times { hot_until: now + 60, retain_until: now + 30 * 86_400, deadline: now + 600 };
    let batch = noise(7200, 200_000);
    let answer = rollup.submit(&devnet.api_urls()[0], &batch, short).await;
    let id = answer.certified(&devnet.committee_path()).batch_id;
    let right = shard(&rollup, &devnet, 2, id, 2).await;
    let lost = data_dir(&devnet, 2);
    devnet.stop().await.unwrap();
    clock.advance(3600);
    std::fs::remove_dir_all(lost).unwrap();
    let devnet = Devnet::start(config).await.unwrap();
    let report = whole(&devnet, 2, 1).await;
    assert!(shard(&rollup, &devnet, 2, id, 2).await == right);
    let (received, owed) = (report.repair.received_bytes, report.repair.repaired_bytes);
    assert!(received >= 2 * owed, "k = 2 shards were decoded: {received} bytes for {owed}");
    devnet.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rot_is_found_and_repaired_while_the_member_runs() {
    for prefix in ["shard", "hot"] {
        let directory = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(config(directory.path(), (4, 2, 3))).await.unwrap();
        let rollup = Rollup::of(&devnet);
        let ids = certify(&devnet, &rollup, 7300, 3, 150_000).await;
        whole(&devnet, 1, 3).await;
        rot(&data_dir(&devnet, 1), prefix);
        let report = until("the damage is found and repaired", || async {
            let report = custody(&devnet, 1);
            (report.repair.repaired > 0 && report.complete).then_some(report)
        })
        .await;
        assert!(report.scrub.damage_found > 0, "{prefix}: {report:?}");
        let api = devnet.member(1).unwrap().api_url();
        for (number, id) in (7300..).zip(&ids) {
            assert!(rollup.fetch(&api, *id).await.ok() == noise(number, 150_000), "{prefix}");
            let own = shard(&rollup, &devnet, 1, *id, 1).await;
            assert!(own == shard(&rollup, &devnet, 0, *id, 1).await, "{prefix}");
        }
        devnet.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_starts_with_damaged_segments_and_repairs_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut devnet = Devnet::start(config(directory.path(), (4, 2, 3))).await.unwrap();
    let rollup = Rollup::of(&devnet);
    let ids = certify(&devnet, &rollup, 7500, 1, 150_000).await;
    whole(&devnet, 1, 1).await;
    devnet.stop_member(1).await.unwrap();
    rot(&data_dir(&devnet, 1), "shard");
    devnet.restart_member(1).await.unwrap();
    let report = whole(&devnet, 1, 1).await;
    assert!(report.scrub.damage_found > 0, "{report:?}");
    let own = shard(&rollup, &devnet, 1, ids[0], 1).await;
    assert!(own == shard(&rollup, &devnet, 0, ids[0], 1).await);
    devnet.stop().await.unwrap();
}

/// Flips bits in the middle of every segment file of a sort.
fn rot(directory: &Path, prefix: &str) {
    use std::os::unix::fs::FileExt as _;
    let mut flipped = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let length = std::fs::metadata(&path).unwrap().len();
        if name.starts_with(prefix) && length > 5000 {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, length / 2).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], length / 2).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0, "there are {prefix} segments in {}", directory.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn audits_tell_who_keeps_its_shards_and_who_does_not() {
    fn audited(config: &mut NodeConfig) {
        quick(config);
        config.heal.audit_every = Duration::from_millis(20);
        if config.data_dir.to_string_lossy().contains("member-3") {
            // This one does not repair what it lost.
            config.heal.repair_after = Duration::from_secs(86_400);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let config = DevnetConfig { adjust: audited, ..config(directory.path(), (4, 2, 3)) };
    let mut devnet = Devnet::start(config).await.unwrap();
    let rollup = Rollup::of(&devnet);
    certify(&devnet, &rollup, 7400, 3, 150_000).await;
    devnet.stop_member(3).await.unwrap();
    std::fs::remove_dir_all(data_dir(&devnet, 3)).unwrap();
    devnet.restart_member(3).await.unwrap();
    let report = until("audits found out", || async {
        let report = custody(&devnet, 0);
        let asked = |seat: u16| report.members.iter().find(|member| member.seat == seat).unwrap().clone();
        (asked(3).missing >= 3 && asked(1).held >= 3 && asked(2).held >= 3).then_some(report)
    })
    .await;
    for member in &report.members {
        assert_eq!(member.wrong, 0, "{member:?}");
        if member.seat == 3 {
            assert!(member.last_failure.is_some(), "{member:?}");
        } else {
            assert_eq!(member.missing, 0, "{member:?}");
        }
    }
    until("the member itself says what it lacks", || async {
        (custody(&devnet, 3).shards_missing == 3).then_some(())
    })
    .await;
    devnet.stop().await.unwrap();
}
