//! Bytes that change on the disk: never a wrong one is served.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use bytesize::ByteSize;
use dac_node::config::NodeConfig;
use e2e::{Members, noise, until};

use crate::shared::{members_with, times};

/// A bit of every so-manyth byte is flipped.
const EVERY: u64 = 512;
/// The first bytes of a segment are its header: a damaged one is noticed when the file is opened.
const HEADER_BYTES: u64 = 4096;

/// Damage that a member finds by itself it brings back from the others. While the test lasts nobody asks others for leaves,
/// and the scrub rests for minutes after it has read what [`lull`] gives it.
fn unsuspecting(_: u16, config: &mut NodeConfig) {
    config.heal.audit_every = Duration::from_secs(86_400);
    config.heal.scrub_rate = ByteSize::kib(64);
}

/// Certifies a large batch and waits until the scrub of every member has read it.
async fn lull(members: &Members) {
    let rollup = members.rollup();
    rollup.submit(members.api(0), &noise(299, 8 << 20), times()).await.certified(members.committee());
    for seat in 0..4 {
        until("the scrub has read something", || async {
            let report = rollup.get(members.api(seat), "/v1/custody").await.json();
            (report["scrub"]["bytes"].as_u64()? > 0).then_some(())
        })
        .await;
    }
}

/// Flips bits in all segments of a member, under its hands; how many.
fn damage(members: &Members, seat: u16) -> usize {
    let data = members.directory(seat).join("data");
    let mut flipped = 0;
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "segment") {
            continue;
        }
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let mut at = HEADER_BYTES;
        let mut byte = [0];
        while file.read_at(&mut byte, at).unwrap() == 1 {
            byte[0] ^= 1;
            file.write_all_at(&byte, at).unwrap();
            (at, flipped) = (at + EVERY, flipped + 1);
        }
    }
    flipped
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_damaged_segments_serves_right_bytes_while_others_have_them_and_none_when_nobody_has() {
    let directory = tempfile::tempdir().unwrap();
    let members = members_with(directory.path(), false, unsuspecting).await;
    lull(&members).await;
    let (rollup, times) = (members.rollup(), times());
    let mut held = Vec::new();
    for seed in 300..303 {
        let batch = noise(seed, 200_000);
        let answer = rollup.submit(members.api(0), &batch, times).await;
        let certified = answer.certified(members.committee());
        assert!(certified.certificate.signers().len() >= 3);
        held.push((certified.batch_id, batch));
    }
    assert!(damage(&members, 1) > 100);
    for (id, batch) in &held {
        assert!(rollup.fetch(members.api(1), *id).await.ok() == *batch, "rebuilt from the others");
        // Its own shard it can give to nobody.
        let shard = rollup.try_get(members.api(1), &format!("/v1/batches/{id}/shards/1")).await;
        assert!(
            shard.is_err() || shard.is_ok_and(|answer| answer.status != 200),
            "a damaged shard was served"
        );
    }
    for seat in [0, 2, 3] {
        assert!(damage(&members, seat) > 100);
    }
    for seat in 0..4 {
        for (id, _) in &held {
            // Refused, or broken off after the last good byte.
            let answer = rollup.try_get(members.api(seat), &format!("/v1/batches/{id}")).await;
            assert!(
                answer.is_err() || answer.is_ok_and(|a| a.status != 200),
                "member {seat} served damaged bytes"
            );
        }
    }
}
