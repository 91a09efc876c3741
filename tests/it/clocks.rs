//! Members whose calendars are wrong by minutes: which epoch it is, only L1's time says.

use std::sync::Arc;

use attest::{Certificate, Thresholds};
use dac_node::clock::{Clock, ShiftedClock};
use dac_node::settlement::Standing;
use e2e::onchain::{L1_START, Onchain};
use e2e::{Times, noise};

const EVERYONE: [usize; 4] = [0, 1, 2, 3];
/// How far member 0 is ahead of L1, and member 1 behind.
const WRONG_SECONDS: u64 = 300;

/// The calendars: member 0's is ahead of L1's time, member 1's behind, those of the others and of the rollup are right.
struct Calendars(Vec<Arc<ShiftedClock>>);

impl Calendars {
    fn new() -> Calendars {
        let ahead = L1_START - ShiftedClock::default().now().unix_seconds;
        let calendar = |ahead| {
            let clock = ShiftedClock::default();
            clock.advance(ahead);
            Arc::new(clock)
        };
        let wrong = [ahead + WRONG_SECONDS, ahead - WRONG_SECONDS, ahead, ahead];
        Calendars(wrong.map(calendar).to_vec())
    }

    fn of(&self, member: usize) -> Arc<dyn Clock> {
        self.0[member].clone()
    }

    fn right(&self) -> u64 {
        self.0[2].now().unix_seconds
    }

    /// Lets time pass for everybody, until it is `time` on L1.
    fn advance_to(&self, time: u64) {
        let seconds = time - self.right();
        self.0.iter().for_each(|clock| clock.advance(seconds));
    }
}

/// All four have to sign, so a certificate says that nobody's signature was lost.
fn thresholds() -> Thresholds {
    Thresholds::new(4, 2, 4).unwrap()
}

/// Certified through `member`, at the first attempt, by all.
async fn certify(onchain: &Onchain, calendars: &Calendars, member: usize, seed: u64) -> Certificate {
    let times = Times::from(calendars.right());
    let answer = onchain.rollup.submit(&onchain.api(member), &noise(seed, 20_000), times).await;
    assert_eq!(answer.status, 200, "through member {member}: {}", answer.text());
    onchain.verified(&answer)
}

/// Both sides of an activation: by the calendar of member 0 it has been for minutes when it has not on L1, by that of member
/// 1 it is not for minutes when it has been. All attest under the epoch that L1 is in, none under another, and no batch fails.
#[tokio::test(flavor = "multi_thread")]
async fn members_whose_clocks_are_wrong_attest_under_the_epoch_that_l1_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let calendars = Calendars::new();
    let mut onchain = Onchain::start_with(directory.path(), 4, |member| calendars.of(member)).await;
    onchain.authorise().await;
    let activates_at = onchain.announce(1, &EVERYONE, thresholds()).await;
    calendars.advance_to(activates_at);
    onchain.activate(activates_at);
    onchain.until_active(1, &EVERYONE).await;
    let activates_at = onchain.announce(2, &EVERYONE, thresholds()).await;
    for member in EVERYONE {
        onchain.until(member, |epochs| epochs.nodes.contains_key(&2)).await;
    }

    // Half of the error before it: member 0 would begin epoch 2.
    let before = activates_at - WRONG_SECONDS / 2;
    calendars.advance_to(before);
    onchain.activate(before - 36);
    assert!(calendars.of(0).now().unix_seconds > activates_at);
    for (seed, member) in (1..).zip(EVERYONE) {
        let certificate = certify(&onchain, &calendars, member, seed).await;
        assert_eq!(certificate.statement.epoch.0, 1, "through member {member}");
    }

    // A block of epoch 2 that is not confirmed: nobody begins anything under either, not member 1 under epoch 1.
    calendars.advance_to(activates_at + 1);
    onchain.chain.mine(activates_at + 1, vec![]);
    assert!(calendars.of(1).now().unix_seconds < activates_at);
    for member in EVERYONE {
        let changing = Standing::Changing { from: Some(1), to: 2 };
        onchain.until(member, |epochs| epochs.standing == changing).await;
        let times = Times::from(calendars.right());
        let refused = onchain.rollup.submit(&onchain.api(member), &noise(9, 20_000), times).await;
        refused.problem(409, "stale_epoch");
    }
    onchain.chain.mine_empty(e2e::onchain::CONFIRMATIONS, 12);
    onchain.until_active(2, &EVERYONE).await;
    assert!(calendars.of(1).now().unix_seconds < activates_at);
    for (seed, member) in (11..).zip(EVERYONE) {
        let certificate = certify(&onchain, &calendars, member, seed).await;
        assert_eq!(certificate.statement.epoch.0, 2, "through member {member}");
    }
    // What was signed on the way is served, by all.
    let batch = noise(1, 20_000);
    let name = attest::DataHash(fpga_hash::keccak256(&batch));
    for member in EVERYONE {
        let served = onchain.rollup.get(&onchain.api(member), &format!("/v1/batches/{name}")).await;
        assert!(served.ok() == batch);
    }
    onchain.stop().await;
}
