//! `kill -9` in the middle of work, again and again: what was certified is there.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::load::{Ledger, Load, assert_all_there};
use crate::shared::four_members;

/// Kills in the gate, and in a nightly run.
const KILLS: u64 = 24;
const KILLS_NIGHTLY: u64 = 1000;
/// Every so-manyth time all members are killed at once, as a power cut would.
const ALL_EVERY: u64 = 6;
/// After so many kills everything is read back.
const READ_EVERY: u64 = 50;
/// A kill comes at any moment of the work on a batch or two.
const MOMENT_MAX: Duration = Duration::from_millis(120);

fn kills() -> u64 {
    let asked = std::env::var("KILLS").ok().map(|kills| kills.parse().expect("KILLS is a number"));
    let nightly = std::env::var_os("NIGHTLY").is_some();
    asked.unwrap_or(if nightly { KILLS_NIGHTLY } else { KILLS })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certified_batch_comes_back_from_every_signer_after_kills_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let mut members = four_members(directory.path()).await;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut ledger = Ledger::new();
    let (kills, mut done) = (kills(), 0);
    while done < kills {
        let load = Load::start(&members, 3, &[0, 1, 2, 3], 1 + done);
        let round_ends = (done + READ_EVERY).min(kills);
        while done < round_ends {
            load.wait_for(2).await;
            tokio::time::sleep(rng.random_range(Duration::ZERO..MOMENT_MAX)).await;
            done += 1;
            let all = done % ALL_EVERY == 0;
            let seats = if all {
                0..4
            } else {
                let seat = rng.random_range(0..4);
                seat..seat + 1
            };
            for seat in seats.clone() {
                members.kill(seat).unwrap();
            }
            if !all && rng.random_bool(0.5) {
                // The others go on without it.
                load.wait_for(2).await;
            }
            for seat in seats {
                members.spawn(seat).unwrap();
            }
            members.wait_connected().await;
        }
        let fresh = load.stop().await;
        println!("{done} kills, {} batches certified since the last look", fresh.len());
        assert!(fresh.len() as u64 >= 2 * READ_EVERY.min(kills), "the kills came under load");
        assert_all_there(&members, &fresh).await;
        ledger.extend(fresh);
    }
    println!("{} batches certified under {kills} kills; all of them are read once more", ledger.len());
    assert_all_there(&members, &ledger).await;
}
