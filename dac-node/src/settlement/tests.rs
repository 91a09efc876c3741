mod providers;
mod time;

use std::time::Duration;

use attest::{Address, Domain, Epoch, Member, RollupId, SecretKey, SignatureBytes, Thresholds};

use super::follower::Checkpoint;
use super::simulated::SimulatedChain;
use super::*;

const START: u64 = 1_800_000_000;
const DELAY: u64 = 7 * 86_400;
const CONFIRMATIONS: u64 = 4;
const SLOT: u64 = 12;
const CHAIN_ID: u64 = 31337;
const REGISTRY: Address = Address([0xab; 20]);

fn config() -> FollowerConfig {
    FollowerConfig {
        first_block: 0,
        confirmations: CONFIRMATIONS,
        announcement_delay_seconds: DELAY,
        poll_period: Duration::from_secs(SLOT),
    }
}

fn key(index: u8) -> SecretKey {
    SecretKey::generate(&[index; 32]).unwrap()
}

fn operator(index: u8) -> Address {
    Address([index; 20])
}

fn id(index: u8) -> MemberId {
    key(index).public_key().padded_hash()
}

fn domain() -> Domain {
    Domain { chain_id: CHAIN_ID, registry: REGISTRY }
}

fn registered(index: u8) -> Change {
    let proof = key(index).prove_possession(&domain(), operator(index));
    Change::MemberRegistered {
        id: id(index),
        operator: operator(index),
        key: key(index).public_key().to_padded().to_vec(),
        proof: SignatureBytes(proof.0).decode().unwrap().to_padded().to_vec(),
        contact: Contact { name: format!("member {index}"), ..Contact::default() },
    }
}

fn committee(epoch: u64, members: &[u8]) -> attest::Committee {
    let thresholds = Thresholds::default_for(u16::try_from(members.len()).unwrap()).unwrap();
    let member = |index: &u8| Member {
        operator: operator(*index),
        public_key: key(*index).public_key(),
        proof_of_possession: key(*index).prove_possession(&domain(), operator(*index)),
    };
    attest::Committee::new(Epoch(epoch), domain(), thresholds, members.iter().map(member).collect()).unwrap()
}

fn announced(epoch: u64, members: &[u8], activates_at: u64) -> Change {
    let committee = committee(epoch, members);
    Change::EpochAnnounced {
        epoch,
        committee_hash: committee.hash().0,
        minimum_shards: committee.thresholds().minimum_shards(),
        quorum: committee.thresholds().quorum(),
        activates_at,
        members: members.iter().map(|index| id(*index)).collect(),
    }
}

/// A chain on which epoch 1 of members 1 to 4 is active, and a follower that knows it at monotonic time zero.
async fn settled() -> (SimulatedChain, Follower) {
    let chain = SimulatedChain::new(START);
    chain.mine(START + SLOT, (1..=5).map(registered).collect());
    chain.mine(START + 2 * SLOT, vec![announced(1, &[1, 2, 3, 4], START + 2 * SLOT + DELAY)]);
    chain.mine(START + 3 * SLOT + DELAY, vec![]);
    chain.mine_empty(CONFIRMATIONS + 3, SLOT);
    let mut follower = Follower::new(config(), None);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    (chain, follower)
}

fn head_time(chain: &SimulatedChain) -> u64 {
    futures::executor::block_on(chain.head()).unwrap().timestamp
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn follows_a_committee_that_attest_knows() {
    let (_, follower) = settled().await;
    assert_eq!(follower.standing(Duration::ZERO), Standing::Active(1));
    let view = &follower.checkpoint().unwrap().view;
    let (file, found) = view.committee(1, CHAIN_ID, REGISTRY).unwrap();
    assert_eq!(found, committee(1, &[1, 2, 3, 4]));
    assert_eq!(file.members[2].name.as_deref(), Some("member 3"));
}

/// Both signs of y occur, or this proves nothing about the compression.
#[tokio::test]
async fn keys_of_both_signs_are_compressed() {
    let mut view = View::default();
    let mut signs = [0; 2];
    for index in 1..=20 {
        view.apply(registered(index)).unwrap();
        let expected = key(index).public_key().to_bytes();
        assert_eq!(view.members().last().unwrap().1.public_key, expected);
        signs[usize::from(expected.0[0] >> 5 & 1)] += 1;
    }
    assert!(signs.iter().all(|count| *count > 2), "{signs:?}");
}

#[tokio::test]
async fn nothing_counts_before_its_confirmations() {
    let chain = SimulatedChain::new(START);
    chain.mine(START + SLOT, vec![registered(1)]);
    let mut follower = Follower::new(config(), None);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), Standing::Unknown);
    chain.mine_empty(CONFIRMATIONS - 1, SLOT);
    follower.poll(&chain, seconds(1)).await.unwrap();
    assert!(follower.checkpoint().unwrap().view.members().is_empty());
    chain.mine_empty(1, SLOT);
    assert_eq!(follower.poll(&chain, seconds(2)).await.unwrap().changes, 1);
    assert_eq!(follower.checkpoint().unwrap().view.members().len(), 1);
}

/// At the boundary nobody attests under either epoch until the new one has begun on a confirmed block.
#[tokio::test]
async fn changes_epochs_without_a_moment_under_the_old_one() {
    let (chain, mut follower) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), Standing::Active(1));
    let until = activates_at - head_time(&chain);
    // No new block, only time: the old epoch is over in its second.
    assert_eq!(follower.standing(seconds(until - 1)), Standing::Active(1));
    assert_eq!(follower.standing(seconds(until)), Standing::Changing { from: Some(1), to: 2 });
    chain.mine(activates_at, vec![]);
    follower.poll(&chain, seconds(until)).await.unwrap();
    assert_eq!(follower.standing(seconds(until)), Standing::Changing { from: Some(1), to: 2 });
    chain.mine_empty(CONFIRMATIONS, SLOT);
    follower.poll(&chain, seconds(until + 48)).await.unwrap();
    assert_eq!(follower.standing(seconds(until + 48)), Standing::Active(2));
}

/// A chain whose blocks came early takes them back and has other times: what was over stays over.
#[tokio::test]
async fn a_reorg_of_an_activation_brings_no_old_epoch_back() {
    let (chain, mut follower) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    chain.mine(activates_at - 1, vec![]);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), Standing::Active(1));
    chain.mine(activates_at + 1, vec![]);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    let changing = Standing::Changing { from: Some(1), to: 2 };
    assert_eq!(follower.standing(Duration::ZERO), changing);
    // The head that showed the activation is gone; its successor is a second older.
    chain.reorg(1);
    chain.reorg(2);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), changing);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(follower.standing(Duration::ZERO), Standing::Active(2));
}

/// Deeper than the confirmations: the announcement itself is taken back after it counted.
#[tokio::test]
async fn a_deep_reorg_takes_an_announcement_back() {
    let (chain, mut follower) = settled().await;
    let before = follower.checkpoint().unwrap().clone();
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 2, SLOT);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert!(follower.checkpoint().unwrap().view.epochs().contains_key(&2));
    chain.reorg(CONFIRMATIONS + 3);
    let progress = follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert!(progress.went_back.is_some());
    assert_eq!(follower.checkpoint().unwrap().view, before.view);
    // Time passes the activation that is no longer.
    let until = activates_at - head_time(&chain);
    chain.mine(activates_at + SLOT, vec![]);
    chain.mine_empty(CONFIRMATIONS, SLOT);
    follower.poll(&chain, seconds(until)).await.unwrap();
    assert_eq!(follower.standing(seconds(until)), Standing::Active(1));
}

#[tokio::test]
async fn a_reorg_below_every_checkpoint_is_read_again_from_the_start() {
    let (chain, mut follower) = settled().await;
    chain.reorg(u64::MAX);
    let progress = follower.poll(&chain, Duration::ZERO).await.unwrap();
    assert!(progress.went_back.is_some());
    assert_eq!(follower.checkpoint().unwrap().view, View::default());
    assert_eq!(follower.standing(Duration::ZERO), Standing::Unknown);
}

/// Wherever in a step the chain changes, the view is one of the old chain or of the new one, never of both.
#[tokio::test]
async fn a_reorg_in_the_middle_of_a_step_mixes_no_chains() {
    for requests in 0..6 {
        let chain = SimulatedChain::new(START);
        chain.mine(START + SLOT, vec![registered(1)]);
        chain.mine(START + 2 * SLOT, vec![registered(2)]);
        chain.mine_empty(CONFIRMATIONS, SLOT);
        let mut follower = Follower::new(config(), None);
        let original = chain.block(2).await.unwrap();
        chain.reorg_after(requests, CONFIRMATIONS + 1);
        let first = follower.poll(&chain, Duration::ZERO).await;
        if let Err(error) = &first {
            assert!(matches!(error, Error::Moved { .. }), "{error}");
            assert_eq!(follower.checkpoint(), None);
        }
        if let Some(Checkpoint { block, view }) = follower.checkpoint() {
            let is_old = Some(*block) == original;
            assert_eq!(view.members().len(), if is_old { 2 } else { 1 }, "reorg after {requests} requests");
        }
        for _ in 0..2 {
            follower.poll(&chain, Duration::ZERO).await.unwrap();
        }
        let members: Vec<_> =
            follower.checkpoint().unwrap().view.members().iter().map(|(id, _)| *id).collect();
        assert_eq!(members, [id(1)], "reorg after {requests} requests");
    }
}

/// Minutes without a provider stop nobody; nobody spins; the change of epochs in between is not missed.
#[tokio::test]
async fn a_provider_away_for_minutes_stops_nobody() {
    let (chain, mut follower) = settled().await;
    let begin = chain.requests();
    chain.fail(u64::MAX);
    let (mut now, mut steps) = (Duration::ZERO, 0);
    while now < seconds(15 * 60) {
        follower.poll(&chain, now).await.unwrap_err();
        assert_eq!(follower.standing(now), Standing::Active(1));
        let pause = follower.retry_after();
        assert!(pause >= seconds(SLOT), "{pause:?}");
        now += pause;
        steps += 1;
    }
    assert_eq!(chain.requests() - begin, steps);
    assert!(steps <= 20, "{steps} steps in 15 minutes");
    chain.fail(0);
    chain.mine_empty(75, SLOT);
    follower.poll(&chain, now).await.unwrap();
    assert_eq!(follower.standing(now), Standing::Active(1));
    assert_eq!(follower.retry_after(), seconds(SLOT));
}

/// A view older than the announcement delay may have missed an epoch: then nobody attests.
#[tokio::test]
async fn a_provider_away_for_longer_than_the_delay_stops_attestations() {
    let (chain, mut follower) = settled().await;
    chain.fail(u64::MAX);
    follower.poll(&chain, seconds(60)).await.unwrap_err();
    assert_eq!(follower.standing(seconds(DELAY - 3600)), Standing::Active(1));
    assert_eq!(follower.standing(seconds(DELAY + 3600)), Standing::Unknown);
}

#[tokio::test]
async fn an_epoch_known_before_the_provider_went_is_not_entered_without_it() {
    let (chain, mut follower) = settled().await;
    let activates_at = head_time(&chain) + DELAY + SLOT;
    chain.mine(head_time(&chain) + SLOT, vec![announced(2, &[1, 2, 3, 5], activates_at)]);
    chain.mine_empty(CONFIRMATIONS + 1, SLOT);
    chain.mine(activates_at - 300, vec![]);
    chain.mine_empty(CONFIRMATIONS, 1);
    follower.poll(&chain, Duration::ZERO).await.unwrap();
    chain.fail(u64::MAX);
    follower.poll(&chain, Duration::ZERO).await.unwrap_err();
    assert_eq!(follower.standing(seconds(200)), Standing::Active(1));
    // It may have been cancelled: only a block can tell.
    assert_eq!(follower.standing(seconds(400)), Standing::Changing { from: Some(1), to: 2 });
    chain.fail(0);
    chain.mine(activates_at - 250, vec![Change::EpochCancelled(2)]);
    chain.mine(activates_at + 100, vec![]);
    chain.mine_empty(CONFIRMATIONS, 1);
    follower.poll(&chain, seconds(500)).await.unwrap();
    assert_eq!(follower.standing(seconds(500)), Standing::Active(1));
}

#[tokio::test]
async fn a_restart_goes_on_where_the_checkpoint_is() {
    let (chain, follower) = settled().await;
    let json = serde_json::to_string(follower.checkpoint().unwrap()).unwrap();
    chain.mine(head_time(&chain) + SLOT, vec![Change::MemberRetired(id(5))]);
    chain.mine_empty(CONFIRMATIONS, SLOT);
    let mut restarted = Follower::new(config(), Some(serde_json::from_str(&json).unwrap()));
    assert_eq!(restarted.standing(Duration::ZERO), Standing::Unknown);
    let progress = restarted.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!((progress.changes, progress.went_back), (1, None));
    let mut fresh = Follower::new(config(), None);
    fresh.poll(&chain, Duration::ZERO).await.unwrap();
    assert_eq!(restarted.checkpoint(), fresh.checkpoint());
    assert_eq!(restarted.standing(Duration::ZERO), Standing::Active(1));
}

#[tokio::test]
async fn a_checkpoint_of_another_chain_is_not_believed() {
    let (chain, follower) = settled().await;
    let checkpoint = follower.checkpoint().unwrap().clone();
    chain.reorg(u64::MAX);
    let mut restarted = Follower::new(config(), Some(checkpoint));
    let progress = restarted.poll(&chain, Duration::ZERO).await.unwrap();
    assert!(progress.went_back.is_some());
    assert!(restarted.checkpoint().unwrap().view.members().is_empty());
}

#[tokio::test]
async fn long_histories_are_read_in_pieces() {
    let chain = SimulatedChain::new(START);
    for index in 1..=3 {
        chain.mine_empty(900, SLOT);
        chain.mine(head_time(&chain) + SLOT, vec![registered(index)]);
    }
    chain.mine_empty(CONFIRMATIONS, SLOT);
    let mut follower = Follower::new(config(), None);
    let mut steps = 1;
    while follower.poll(&chain, Duration::ZERO).await.unwrap().pause.is_zero() {
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert_eq!(follower.checkpoint().unwrap().view.members().len(), 3);
}

#[tokio::test]
async fn checkpoints_are_bounded_and_reach_back() {
    let (chain, mut follower) = settled().await;
    for step in 0..200 {
        chain.mine_empty(1, SLOT);
        follower.poll(&chain, seconds(step)).await.unwrap();
    }
    chain.reorg(40);
    let progress = follower.poll(&chain, seconds(201)).await.unwrap();
    assert!(progress.went_back.is_some_and(|blocks| blocks < 100), "{progress:?}");
    assert_eq!(follower.standing(seconds(201)), Standing::Active(1));
}

#[test]
fn rollups_and_their_submitters_follow() {
    let rollup = RollupId([7; 32]);
    let quota = Quota { batch_bytes_max: 1, bytes_per_day: 2, retention_seconds_max: 3 };
    let allow = |allowed| Change::SubmitterSet { id: rollup, submitter: operator(9), allowed };
    let mut view = View::default();
    assert!(view.apply(allow(true)).is_err());
    view.apply(Change::RollupSet { id: rollup, admin: operator(1), quota }).unwrap();
    view.apply(allow(true)).unwrap();
    let more = Quota { bytes_per_day: 5, ..quota };
    view.apply(Change::RollupSet { id: rollup, admin: operator(1), quota: more }).unwrap();
    assert!(view.rollups()[0].1.submitters.contains(&operator(9)));
    view.apply(allow(false)).unwrap();
    assert!(view.rollups()[0].1.submitters.is_empty());
    view.apply(allow(true)).unwrap();
    view.apply(Change::RollupSet { id: rollup, admin: operator(2), quota }).unwrap();
    assert!(view.rollups()[0].1.submitters.is_empty(), "another admin begins without submitters");
    view.apply(Change::RollupRemoved(rollup)).unwrap();
    assert!(view.rollups().is_empty());
}

#[test]
fn rejects_what_no_registry_emits() {
    let mut view = View::default();
    for change in [
        Change::MemberRetired(id(1)),
        Change::ContactChanged { id: id(1), contact: Contact::default() },
        Change::EpochCancelled(3),
    ] {
        assert!(matches!(view.apply(change), Err(Error::Malformed(_))));
    }
    view.apply(registered(1)).unwrap();
    let false_hash = match announced(1, &[1], 5) {
        Change::EpochAnnounced { epoch, minimum_shards, quorum, activates_at, members, .. } => {
            Change::EpochAnnounced {
                epoch,
                committee_hash: [9; 32],
                minimum_shards,
                quorum,
                activates_at,
                members,
            }
        }
        other => other,
    };
    view.apply(false_hash).unwrap();
    assert!(matches!(view.committee(1, CHAIN_ID, REGISTRY), Err(Error::Malformed(_))));
    assert!(matches!(view.apply(announced(1, &[1], 9)), Err(Error::Malformed(_))));
}

/// L1 takes any peer id. In a committee who named one first keeps it, so that no member draws another's connections to its
/// seat; who has no seat takes it from nobody, however early it came.
#[test]
fn a_peer_id_belongs_to_the_member_who_named_it_first() {
    let mut view = View::default();
    let name = |view: &mut View, index: u8, peer_id: &str| {
        let contact = Contact { peer_id: peer_id.into(), ..Contact::default() };
        view.apply(Change::ContactChanged { id: id(index), contact }).unwrap();
    };
    let named = |view: &View| -> Vec<String> {
        let (file, _) = view.committee(1, CHAIN_ID, REGISTRY).unwrap();
        file.members.into_iter().map(|member| member.peer_id.unwrap_or_default()).collect()
    };
    view.apply(registered(9)).unwrap();
    name(&mut view, 9, "first");
    (1..=4).for_each(|index| view.apply(registered(index)).unwrap());
    view.apply(announced(1, &[1, 2, 3, 4], START)).unwrap();
    name(&mut view, 2, "first");
    name(&mut view, 1, "first");
    assert_eq!(named(&view), ["", "first", "", ""]);
    // The same id with another address is not another naming.
    name(&mut view, 2, "first");
    assert_eq!(named(&view), ["", "first", "", ""]);
    name(&mut view, 2, "second");
    assert_eq!(named(&view), ["first", "second", "", ""]);
    name(&mut view, 2, "first");
    assert_eq!(named(&view), ["first", "", "", ""]);
}
