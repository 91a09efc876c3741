//! Calendars that jump: what is promised stays, and the members go on when the clock is right again.

use e2e::noise;

use crate::load::{Load, assert_all_there};
use crate::shared::{four_members, times};

/// Ten years: everything in the store is long over.
const JUMP_SECONDS: i64 = 10 * 365 * 86_400;

/// A member boots with a clock that is years ahead, prunes as it does at every start, and would drop every batch it
/// promised to keep. Then the clock is set, far back at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_years_ahead_at_the_start_drops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut members = four_members(directory.path()).await;
    let load = Load::start(&members, 2, &[0, 1, 2, 3], 4);
    load.wait_for(8).await;
    let ledger = load.stop().await;
    members.faults(1).unwrap().move_calendar(JUMP_SECONDS).unwrap();
    members.kill(1).unwrap();
    members.restart(1).await.unwrap();
    assert_all_there(&members, &ledger).await;
    let (rollup, batch) = (members.rollup(), noise(400, 20_000));
    rollup.submit(members.api(1), &batch, times()).await.problem(403, "expired");
    // The others certify without it.
    rollup.submit(members.api(0), &batch, times()).await.certified(members.committee());
    let log = std::fs::read_to_string(members.directory(1).join("log.txt")).unwrap();
    assert!(log.contains("the clock is ahead of what this node knows of the time"), "{log}");

    for (seconds, seed) in [(-JUMP_SECONDS, 401), (0, 402)] {
        members.faults(1).unwrap().move_calendar(seconds).unwrap();
        assert_all_there(&members, &ledger).await;
        let answer = rollup.submit(members.api(0), &noise(seed, 20_000), times()).await;
        answer.certified(members.committee());
    }
    let last = rollup.submit(members.api(1), &noise(403, 20_000), times()).await;
    assert!(last.certified(members.committee()).certificate.signers().iter().any(|seat| seat.0 == 1));
}
