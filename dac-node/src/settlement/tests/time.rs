//! L1's time: when an epoch ends for a member, whatever its provider does.

use super::*;

/// L1's clock is years away from anybody's calendar, and its blocks come late: only its own time counts.
#[tokio::test]
async fn only_the_time_of_l1_counts() {
    let chain = SimulatedChain::new(1000);
    chain.mine(1012, (1..=4).map(registered).collect());
    chain.mine(1024, vec![announced(1, &[1, 2, 3, 4], 1024 + DELAY)]);
    chain.mine_empty(CONFIRMATIONS, SLOT);
    let mut follower = Follower::new(config(), None);
    let booted = seconds(86_400 * 365);
    follower.poll(&chain, booted).await.unwrap();
    assert_eq!(follower.standing(booted), Standing::Unknown);
    chain.mine(1024 + DELAY, vec![]);
    chain.mine_empty(CONFIRMATIONS, SLOT);
    follower.poll(&chain, booted + seconds(5)).await.unwrap();
    assert_eq!(follower.standing(booted + seconds(5)), Standing::Active(1));
}

/// The end of an epoch is known as a moment of the monotonic clock before it comes, and no reading of it is late.
#[tokio::test]
async fn the_end_of_an_epoch_is_a_moment() {
    let (chain, _) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    let mut follower = Follower::new(config(), None);
    let booted = Duration::from_millis(1_234_567);
    follower.poll(&chain, booted).await.unwrap();
    let until = follower.until(booted).unwrap();
    assert_eq!(until, booted + seconds(activates_at - head_time(&chain)));
    assert_eq!(follower.standing(until - Duration::from_millis(1)), Standing::Active(1));
    assert_ne!(follower.standing(until), Standing::Active(1));
}

/// Without a later epoch it is the age of the view that ends it.
#[tokio::test]
async fn a_view_that_is_too_old_ends_at_a_moment() {
    let (_, follower) = settled().await;
    let until = follower.until(Duration::ZERO).unwrap();
    assert_eq!(follower.standing(until - Duration::from_millis(1)), Standing::Active(1));
    assert_eq!(follower.standing(until), Standing::Unknown);
}

/// A member of epoch 1 that knows when epoch 2 begins, at monotonic time zero. Gives that moment too.
async fn before_a_change() -> (SimulatedChain, Follower, u64) {
    let (chain, mut follower) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    chain.mine(activates_at - 600, vec![]);
    chain.mine_empty(CONFIRMATIONS, SLOT);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), Standing::Active(1));
    let end = activates_at - head_time(&chain);
    (chain, follower, end)
}

/// A provider that answers, and always the same: its newest block stays, time does not.
#[tokio::test]
async fn a_provider_that_stands_still_stops_no_clock() {
    let (chain, mut follower, end) = before_a_change().await;
    for now in (0..end).step_by(12) {
        follower.poll(&chain, seconds(now)).await.unwrap();
        assert_eq!(follower.standing(seconds(now)), Standing::Active(1));
        assert_eq!(follower.until(seconds(now)), Some(seconds(end)));
    }
    for now in (end..end + 600).step_by(12) {
        follower.poll(&chain, seconds(now)).await.unwrap();
        assert_eq!(follower.standing(seconds(now)), Standing::Changing { from: Some(1), to: 2 });
    }
    // An epoch that it does not show may have been announced.
    let now = seconds(DELAY);
    follower.poll(&chain, now).await.unwrap();
    assert_eq!(follower.standing(now), Standing::Unknown);
}

/// A provider that lost hours catches up block by block: what it shows is old, and the epoch that is over stays over.
#[tokio::test]
async fn a_provider_that_catches_up_sets_no_time_back() {
    let (chain, mut follower, end) = before_a_change().await;
    let changing = Standing::Changing { from: Some(1), to: 2 };
    let later = end + 4 * 3600;
    assert_eq!(follower.standing(seconds(later)), changing);
    for block in 0..50 {
        chain.mine_empty(1, SLOT);
        let now = seconds(later + block);
        follower.poll(&chain, now).await.unwrap();
        let standing = follower.standing(now);
        let is_over = standing == changing || standing == Standing::Active(2);
        assert!(is_over, "{standing:?} after {block} blocks");
    }
}

/// A monotonic clock that runs fast, a minute in a day and a half, does not end epochs early: blocks set it right.
#[tokio::test]
async fn blocks_correct_a_clock_that_runs_fast() {
    let (chain, mut follower) = settled().await;
    let mut now = Duration::ZERO;
    for _ in 0..30 * 24 {
        chain.mine(head_time(&chain) + 3600, vec![]);
        now += Duration::from_millis(3_601_500);
        follower.poll(&chain, now).await.unwrap();
    }
    let ahead = follower.l1_time(now).unwrap() - head_time(&chain);
    assert!(ahead < 5, "{ahead} seconds after 30 days");
}

/// No timestamp makes the follower panic.
#[tokio::test]
async fn a_time_beyond_all_times_is_survived() {
    let (chain, mut follower) = settled().await;
    chain.mine(u64::MAX, vec![]);
    follower.poll(&chain, seconds(5)).await.unwrap();
    follower.poll(&chain, Duration::MAX).await.unwrap();
    assert_eq!(follower.standing(Duration::MAX), Standing::Unknown);
    assert!(follower.until(Duration::MAX).is_some());
}
