//! Members follow L1 while they run: committees, rollups, reorgs, a provider that is away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use attest::{Certificate, Thresholds};
use bytes::Bytes;
use dac_node::settlement::{Change, Contact, Standing};
use e2e::onchain::{Onchain, RETENTION};
use e2e::{Times, noise};

fn thresholds() -> Thresholds {
    Thresholds::new(4, 2, 3).unwrap()
}

/// Members 0 to 3 of five in epoch 1, active, and a rollup that may submit.
async fn settled(directory: &tempfile::TempDir, members: u16) -> Onchain {
    let mut onchain = Onchain::start(directory.path(), members).await;
    onchain.authorise().await;
    let activates_at = onchain.announce(1, &[0, 1, 2, 3], thresholds()).await;
    onchain.activate(activates_at);
    onchain.until_active(1, &[0, 1, 2, 3]).await;
    onchain
}

/// One client under load: certifies batch after batch, until told.
async fn load(
    onchain: &Onchain,
    stream: u64,
    done: &AtomicBool,
    of_epoch: &[AtomicUsize; 2],
) -> Vec<(Bytes, Certificate, bool)> {
    let mut certified = Vec::new();
    for number in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let batch = noise(1000 * stream + number, 40_000);
        // Seen before the submission: a batch that begins after the change is of the new epoch.
        let members = [0, 1, 2, 3, 4];
        let changed = members.iter().all(|index| {
            let epochs = onchain.members[*index].as_ref().unwrap().epochs();
            let standing = epochs.borrow().standing;
            standing == Standing::Active(2)
        });
        let (certificate, _) = onchain.certify(&batch, &members).await;
        let second = certificate.statement.epoch.0 == 2;
        of_epoch[usize::from(second)].fetch_add(1, Ordering::Relaxed);
        certified.push((batch, certificate, changed));
    }
    certified
}

/// Member 3 leaves, member 4 joins, members 0 and 1 change seats, while three clients submit. Every batch is certified by
/// the committee of the epoch it began in, or of the next one; none under the old epoch after the change; who left serves
/// until it is released. That one in flight at the change ends under its epoch is for processes to show, which can be
/// held: `process/l1.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_committee_changes_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let mut onchain = settled(&directory, 5).await;
    let activates_at = onchain.announce(2, &[1, 0, 2, 4], thresholds()).await;
    // Who joins is connected before its epoch begins.
    onchain.until(4, |epochs| epochs.nodes.contains_key(&2)).await;
    let (done, of_epoch) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let of_epoch = &of_epoch;
    let certified_in = |epoch: usize, count: usize| async move {
        (of_epoch[epoch - 1].load(Ordering::Relaxed) >= count).then_some(())
    };
    let script = async {
        e2e::until("batches are certified in epoch 1", || certified_in(1, 9)).await;
        onchain.activate(activates_at);
        onchain.until_active(2, &[0, 1, 2, 4]).await;
        e2e::until("batches are certified in epoch 2", || certified_in(2, 9)).await;
        done.store(true, Ordering::Relaxed);
    };
    let streams = futures::future::join_all((0..3).map(|stream| load(&onchain, stream, &done, of_epoch)));
    let (certified, ()) = futures::join!(streams, script);
    let certified: Vec<_> = certified.into_iter().flatten().collect();
    let epoch_of = |certificate: &Certificate| certificate.statement.epoch.0;
    assert!(certified.iter().filter(|(_, certificate, _)| epoch_of(certificate) == 1).count() >= 9);
    for (_, certificate, changed) in &certified {
        assert!(!changed || epoch_of(certificate) == 2, "a batch under epoch 1 after the change");
    }
    serves_what_it_signed(&onchain, &certified).await;
    refuses_a_second_shard(&onchain, &certified).await;
    // Who left takes nothing new.
    let left = onchain.rollup.submit(&onchain.api(3), &noise(77, 1000), times(&onchain)).await;
    left.problem(409, "stale_epoch");
    // Released: the old epoch counts for nothing any more.
    onchain.activate(activates_at + RETENTION);
    onchain.until(3, |epochs| epochs.nodes.is_empty()).await;
    onchain.until(0, |epochs| epochs.nodes.keys().eq(&[2])).await;
    onchain.certify(&noise(78, 1000), &[0]).await;
    onchain.stop().await;
}

fn times(onchain: &Onchain) -> Times {
    Times::from(onchain.devnet.clock.now().unix_seconds)
}

/// Member 3 has left, member 4 has joined: each serves the batches of its epoch, bytes and shard.
async fn serves_what_it_signed(onchain: &Onchain, certified: &[(Bytes, Certificate, bool)]) {
    for (batch, certificate, _) in certified {
        let (member, seat) = if certificate.statement.epoch.0 == 1 { (3, 3) } else { (4, 3) };
        let (api, id) = (onchain.api(member), certificate.batch_id());
        assert!(onchain.rollup.fetch(&api, id).await.ok() == *batch);
        let signed = certificate.signers.as_bytes()[0] >> seat & 1 == 1;
        if signed {
            onchain.rollup.get(&api, &format!("/v1/batches/{id}/shards/{seat}")).await.ok();
        }
    }
}

/// The same bytes under the new epoch would be another shard for who changed seats: it says so, and keeps the one it
/// promised.
async fn refuses_a_second_shard(onchain: &Onchain, certified: &[(Bytes, Certificate, bool)]) {
    let all_signed = |certificate: &Certificate| certificate.signers.as_bytes()[0] & 0b11 == 0b11;
    let (batch, certificate, _) = certified
        .iter()
        .find(|(_, certificate, _)| certificate.statement.epoch.0 == 1 && all_signed(certificate))
        .expect("members 0 and 1 signed together in epoch 1");
    let mut times = times(onchain);
    times.retain_until += 1;
    let problem = onchain.rollup.submit(&onchain.api(2), batch, times).await;
    let problem = problem.problem(503, "quorum_not_reached");
    for (seat, kept) in [(0, 1), (1, 0)] {
        let member = &problem["members"][seat];
        assert_eq!(member["reason"], "storage_error", "{problem}");
        let detail = format!("these bytes are kept here as shard {kept} of an earlier epoch, not {seat}");
        assert_eq!(member["detail"], detail);
    }
    for seat in [0, 1] {
        let path = format!("/v1/batches/{}/shards/{seat}", certificate.batch_id());
        onchain.rollup.get(&onchain.api(seat), &path).await.ok();
    }
}

/// The activation's block is taken back and comes again, the provider is away, a member restarts in the middle of it: no
/// certificate while no epoch is confirmed, and all that was asked for in the end.
#[tokio::test(flavor = "multi_thread")]
async fn no_epoch_is_attested_under_before_it_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let mut onchain = settled(&directory, 4).await;
    let everyone = [0, 1, 2, 3];
    let activates_at = onchain.announce(2, &everyone, thresholds()).await;
    onchain.until(0, |epochs| epochs.nodes.contains_key(&2)).await;
    let (certificate, _) = onchain.certify(&noise(1, 10_000), &everyone).await;
    assert_eq!(certificate.statement.epoch.0, 1, "announced is not active");
    // Blocks until shortly before: a view that is older than the announcement delay would say nothing at all.
    onchain.activate(activates_at - 100);
    let changing = Standing::Changing { from: Some(1), to: 2 };
    for depth in [1, 2] {
        // The activation shows itself on a block that is then taken back: what is over stays over.
        onchain.chain.mine(activates_at + depth, vec![]);
        for index in everyone {
            onchain.until(index, |epochs| epochs.standing == changing).await;
        }
        let refused = onchain.rollup.submit(&onchain.api(1), &noise(2, 10_000), times(&onchain)).await;
        refused.problem(409, "stale_epoch");
        onchain.chain.reorg(depth);
    }
    // Now nobody can ask L1, and a member restarts: it knows the epochs and will not attest under any.
    onchain.chain.fail(u64::MAX);
    onchain.stop_member(2).await;
    onchain.restart_member(2).await;
    let refused = onchain.rollup.submit(&onchain.api(2), &noise(2, 10_000), times(&onchain)).await;
    refused.problem(409, "stale_epoch");
    // What it signed it serves, with L1 or without.
    let (api, id) = (onchain.api(2), certificate.batch_id());
    onchain.until(2, |epochs| epochs.nodes.contains_key(&1)).await;
    assert!(onchain.rollup.fetch(&api, id).await.ok() == noise(1, 10_000));
    looks_further_and_further_apart(&onchain).await;
    onchain.chain.fail(0);
    onchain.activate(activates_at + 30);
    onchain.until_active(2, &everyone).await;
    let (certificate, _) = onchain.certify(&noise(2, 10_000), &everyone).await;
    assert_eq!(certificate.statement.epoch.0, 2);
    onchain.stop().await;
}

/// Failed looks for which an outage lasts, of all members together.
const LOOKS_FAILED: u64 = 24;

/// While the provider fails, a member's looks come at twice the pause each time, up to 32 times the period. So that many
/// looks take at least what the pauses of the member with most of them take: however busy the machine is, it cannot be less.
async fn looks_further_and_further_apart(onchain: &Onchain) {
    let members = onchain.members.len() as u64;
    let (began, before) = (onchain.devnet.clock.now().monotonic, onchain.chain.requests());
    e2e::until("members have looked in vain", || async {
        (onchain.chain.requests() - before >= LOOKS_FAILED).then_some(())
    })
    .await;
    let looks = u32::try_from((onchain.chain.requests() - before) / members).unwrap();
    let took = onchain.devnet.clock.now().monotonic - began;
    // The first look ends a pause that began before; the pause after the first failure is twice the period.
    let shortest: Duration = (1..looks).map(|failed| onchain.devnet.poll_period * (1 << failed.min(5))).sum();
    assert!(took >= shortest, "{looks} looks of a member in {took:?}, with pauses of {shortest:?}");
}

/// A provider that is away stops nobody, for as long as it is; a cancelled epoch is as if it had never been; what the rollup
/// may do changes without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn members_go_on_without_a_provider_and_take_new_terms() {
    let directory = tempfile::tempdir().unwrap();
    let mut onchain = settled(&directory, 4).await;
    let everyone = [0, 1, 2, 3];
    onchain.chain.fail(u64::MAX);
    let before = onchain.chain.requests();
    // Until they have looked in vain so often that their pauses are about the longest there are.
    for number in 0.. {
        let (certificate, _) = onchain.certify(&noise(1000 + number, 10_000), &everyone).await;
        assert_eq!(certificate.statement.epoch.0, 1);
        if number >= 4 && onchain.chain.requests() - before >= LOOKS_FAILED {
            break;
        }
    }
    onchain.chain.fail(0);
    // The registry takes the submitter's permission back, and gives it again.
    let (id, submitter) = (onchain.rollup.id, onchain.rollup.key.address());
    onchain.mine(vec![Change::SubmitterSet { id, submitter, allowed: false }]).await;
    let refused = e2e::until("the permission is gone", || async {
        let answer = onchain.rollup.submit(&onchain.api(0), &noise(9, 10_000), times(&onchain)).await;
        // While only the others know, this member coordinates and they refuse: no quorum.
        (answer.status == 401).then_some(answer)
    })
    .await;
    refused.problem(401, "unauthorised");
    onchain.mine(vec![Change::SubmitterSet { id, submitter, allowed: true }]).await;
    e2e::until("the permission is back", || async {
        let answer = onchain.rollup.submit(&onchain.api(0), &noise(10, 10_000), times(&onchain)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let activates_at = onchain.announce(2, &everyone, thresholds()).await;
    onchain.until(0, |epochs| epochs.nodes.contains_key(&2)).await;
    onchain.mine(vec![Change::EpochCancelled(2)]).await;
    onchain.until(0, |epochs| epochs.nodes.keys().eq(&[1])).await;
    onchain.activate(activates_at + 60);
    let (certificate, _) = onchain.certify(&noise(11, 10_000), &everyone).await;
    assert_eq!(certificate.statement.epoch.0, 1, "the cancelled epoch does not begin");
    onchain.stop().await;
}

/// Member 4 takes the seat of member 3, and is away while the committee certifies: back again it hears of it and fetches its
/// shards.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joined_repairs_what_its_seat_owes() {
    let directory = tempfile::tempdir().unwrap();
    let mut onchain = settled(&directory, 5).await;
    let activates_at = onchain.announce(2, &[0, 1, 2, 4], thresholds()).await;
    onchain.until(4, |epochs| epochs.nodes.contains_key(&2)).await;
    onchain.activate(activates_at);
    onchain.until_active(2, &[0, 1, 2, 4]).await;
    onchain.stop_member(4).await;
    let mut owed = Vec::new();
    for number in 0..3 {
        let (certificate, _) = onchain.certify(&noise(number, 40_000), &[0, 1, 2]).await;
        assert_eq!((certificate.statement.epoch.0, certificate.signers.as_bytes()), (2, &[0b0111][..]));
        owed.push(certificate.batch_id());
    }
    // Nobody remembers that it coordinated these: what is in the stores is all there is.
    for index in [0, 1, 2] {
        onchain.stop_member(index).await;
        onchain.restart_member(index).await;
    }
    onchain.restart_member(4).await;
    e2e::until("member 4 has repaired what it owes", || async {
        let custody = onchain.rollup.get(&onchain.api(4), "/v1/custody").await.json();
        let found =
            ["certificates_live", "shards_here", "shards_missing"].map(|field| custody[field].as_u64());
        (found == [Some(3), Some(3), Some(0)] && custody["repair"]["repaired"] == 3).then_some(())
    })
    .await;
    for id in owed {
        let path = format!("/v1/batches/{id}/shards/3");
        let shard = onchain.rollup.get(&onchain.api(4), &path).await.ok();
        assert!(shard.len() >= 20_000, "half of the batch: {} bytes", shard.len());
    }
    onchain.stop().await;
}

/// One member names one peer id after the other, none of them its own: what the others have in flight is finished, and
/// the epoch goes on with the peers it began with.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_renames_itself_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let onchain = settled(&directory, 4).await;
    for (number, peer_id) in (0..).zip(["12D3KooWGzBfXhAZVmDPJ2tRzVCSwGnqvdCzY4WdyJ1pF1oTZaR6", "nobody", ""])
    {
        let contact = Contact { peer_id: peer_id.into(), ..Contact::default() };
        onchain.mine(vec![Change::ContactChanged { id: onchain.id(3), contact }]).await;
        for member in [0, 1, 2] {
            onchain.until(member, |epochs| names(epochs, 3, peer_id)).await;
        }
        // At the first attempt: a member that starts its node again refuses for a while.
        let batch = noise(number, 10_000);
        let answer = onchain.rollup.submit(&onchain.api(0), &batch, times(&onchain)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    onchain.stop().await;
}

/// Whether a member has read that this seat has this peer id.
fn names(epochs: &dac_node::chain_member::Epochs, seat: usize, peer_id: &str) -> bool {
    let committee = epochs.committee.as_ref();
    committee.is_some_and(|file| file.members[seat].peer_id.as_deref().unwrap_or_default() == peer_id)
}
