//! Epochs: announced with a delay, one at a time, verifiable until their certificates expire.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use attest::Thresholds;
use contracts::CertificateVerifier::{EpochNotActive, EpochSuperseded, RetentionTooLong, UnknownEpoch};
use contracts::CommitteeRegistry::{
    self, ActivationTooEarly, ActivationTooLate, DuplicateMember, EpochAnnounced, EpochNotAbove,
    EpochNotPending, EpochPending, EpochTooFar, KeyAlreadyStored, NewKeyMismatch, OwnableUnauthorizedAccount,
    OwnerRequired, Retired, TooManyNewKeys, UnknownMember, aggregateKeyCall, announceCall, cancelCall,
    committeeCall, epochsCall, keyOfCall, renounceOwnershipCall, retireCall, scheduleOfCall, storeKeysCall,
};
use contracts::ICommitteeRegistry::Announcement;
use contracts::harness::{ANNOUNCEMENT_DELAY_SECONDS, RETENTION_SECONDS_MAX, Seats, Settlement};

use super::shared::*;

fn thresholds(members: u16) -> Thresholds {
    Thresholds::default_for(members).unwrap()
}

/// Four registered members, nothing announced.
fn registered() -> (Settlement, Seats) {
    let seats = Seats::new("member", 4).unwrap();
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    for seat in 0..4 {
        settlement.register(&seats, seat).unwrap();
    }
    (settlement, seats)
}

fn current(settlement: &mut Settlement) -> u64 {
    settlement.chain.send(Address::ZERO, settlement.registry, &epochsCall {}).unwrap().output.current
}

/// The registry and `attest` know the same committee.
fn agrees(settlement: &mut Settlement, committee: &attest::Committee) {
    let (registry, epoch) = (settlement.registry, committee.epoch().0);
    let found = settlement.chain.send(Address::ZERO, registry, &committeeCall { epoch }).unwrap().output;
    let expected = committee.thresholds();
    assert_eq!(found.committeeHash.0, committee.hash().0);
    assert_eq!((found.members, found.minimumShards), (expected.members(), expected.minimum_shards()));
    assert_eq!(found.quorum, expected.quorum());
    let sum = settlement.chain.send(Address::ZERO, registry, &aggregateKeyCall { epoch }).unwrap().output;
    assert_eq!(sum.as_ref(), committee.aggregate_key().to_padded());
    for (seat, member) in (0..).zip(committee.members()) {
        let call = keyOfCall { epoch, seat };
        let key = settlement.chain.send(Address::ZERO, registry, &call).unwrap().output;
        assert_eq!(key.as_ref(), member.public_key.to_padded(), "seat {seat}");
    }
}

#[test]
fn the_registry_knows_the_committee_that_attest_knows() {
    for members in [1, 4, 7, 32] {
        let Installed { mut settlement, committee, .. } = installed(members);
        agrees(&mut settlement, &committee);
    }
}

#[test]
fn an_announcement_says_what_it_announces() {
    let (mut settlement, seats) = registered();
    let receipt = settlement.announce(5, thresholds(4), seats.ids(), seats.padded_keys(0..4)).unwrap();
    let event = EpochAnnounced::decode_log(&receipt.logs[0]).unwrap();
    assert_eq!((event.epoch, &event.members), (5, &seats.ids()));
    assert_eq!(event.activatesAt.to::<u64>(), NOW + ANNOUNCEMENT_DELAY_SECONDS);
    let committee = seats.committee(5, settlement.domain(), thresholds(4)).unwrap();
    assert_eq!(event.committeeHash.0, committee.hash().0);
}

#[test]
fn an_epoch_begins_in_its_second_and_ends_the_one_before() {
    let (mut settlement, mut seats) = registered();
    settlement.announce(1, thresholds(4), seats.ids(), seats.padded_keys(0..4)).unwrap();
    assert_eq!(current(&mut settlement), 0);
    let first = seats.committee(1, settlement.domain(), thresholds(4)).unwrap();
    let begins = NOW + ANNOUNCEMENT_DELAY_SECONDS;
    let early = seats.certify(&first, ROLLUP, begins + DAY, 0..4).unwrap();
    settlement.chain.set_now(begins - 1);
    let EpochNotActive { activatesAt, .. } = refused(settlement.verify(&early));
    assert_eq!(activatesAt.to::<u64>(), begins);
    settlement.chain.set_now(begins);
    assert_eq!(current(&mut settlement), 1);
    settlement.verify(&early).unwrap();

    // One member changes; its key alone is new.
    let fresh = Seats::new("fresh", 1).unwrap();
    settlement.register(&fresh, 0).unwrap();
    seats.replace(2, fresh, 0);
    settlement.announce(2, thresholds(4), seats.ids(), seats.padded_keys([2])).unwrap();
    let second = seats.committee(2, settlement.domain(), thresholds(4)).unwrap();
    agrees(&mut settlement, &second);
    assert_eq!(current(&mut settlement), 1);
    settlement.activate();
    assert_eq!(current(&mut settlement), 2);
    let retain_until = settlement.chain.now() + DAY;
    for absent in 0..4 {
        let signers = (0..4).filter(|seat| *seat != absent);
        let certificate = seats.certify(&second, ROLLUP, retain_until, signers).unwrap();
        settlement.verify(&certificate).unwrap();
    }
}

/// Old certificates stay good until they expire; an old epoch cannot vouch for longer than its members could have
/// promised while it was active.
#[test]
fn an_old_epoch_vouches_for_what_it_signed_and_no_more() {
    let mut installed = installed(4);
    let Installed { settlement, seats, committee } = &mut installed;
    settlement.announce(2, thresholds(4), seats.ids(), Bytes::new()).unwrap();
    settlement.activate();
    let ended = settlement.chain.now();
    let longest = ended + RETENTION_SECONDS_MAX;
    let in_flight = seats.certify(committee, ROLLUP, longest, 0..4).unwrap();
    settlement.verify(&in_flight).unwrap();
    let forged = seats.certify(committee, ROLLUP, longest + 1, 0..4).unwrap();
    let EpochSuperseded { latestRetention, .. } = refused(settlement.verify(&forged));
    assert_eq!(latestRetention.to::<u64>(), longest);
    settlement.chain.set_now(longest - 1);
    settlement.verify(&in_flight).unwrap();
}

/// What is good once is good until it expires: no announcement, cancellation or end of its epoch voids it. And nothing is
/// good that could be voided: an active epoch vouches no longer than a rollup is kept, too.
#[test]
fn no_announcement_voids_a_certificate() {
    let mut installed = installed(4);
    let Installed { settlement, seats, committee } = &mut installed;
    let (owner, registry) = (settlement.owner, settlement.registry);
    let longest = settlement.chain.now() + RETENTION_SECONDS_MAX;
    let good = seats.certify(committee, ROLLUP, longest, 0..4).unwrap();
    let longer = seats.certify(committee, ROLLUP, longest + 1, 0..4).unwrap();
    settlement.verify(&good).unwrap();
    let RetentionTooLong { latestRetention, .. } = refused(settlement.verify(&longer));
    assert_eq!(latestRetention.to::<u64>(), longest);
    // An epoch that is announced and cancelled leaves both as they were.
    settlement.announce(2, thresholds(4), seats.ids(), Bytes::new()).unwrap();
    settlement.verify(&good).unwrap();
    let RetentionTooLong { .. } = refused(settlement.verify(&longer));
    settlement.chain.send(owner, registry, &cancelCall { epoch: 2 }).unwrap();
    settlement.verify(&good).unwrap();
    settlement.announce(3, thresholds(4), seats.ids(), Bytes::new()).unwrap();
    settlement.activate();
    for now in [settlement.chain.now(), longest - 1] {
        settlement.chain.set_now(now);
        settlement.verify(&good).unwrap();
    }
}

/// Mistakes in units are refused: they would use up all numbers, or hold the place of the next epoch for years.
#[test]
fn rejects_numbers_and_times_that_are_mistakes() {
    const LEAD: u64 = 365 * DAY;
    let (mut settlement, seats) = registered();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let keys = seats.padded_keys(0..4);
    let EpochTooFar { latestNumber, .. } =
        refused(settlement.announce((1 << 32) + 1, thresholds(4), seats.ids(), keys.clone()));
    assert_eq!(latestNumber.to::<u64>(), 1 << 32);
    let EpochTooFar { .. } = refused(settlement.announce(u64::MAX, thresholds(4), seats.ids(), keys.clone()));
    let at = |activates_at: u64| Announcement {
        epoch: 1 << 32,
        minimumShards: 2,
        quorum: 3,
        activatesAt: alloy_primitives::aliases::U48::from(activates_at),
        members: seats.ids(),
        newKeys: keys.clone(),
    };
    let latest_start = NOW + ANNOUNCEMENT_DELAY_SECONDS + LEAD;
    let late = announceCall { announcement: at(latest_start + 1) };
    let ActivationTooLate { latest, .. } = refused(settlement.chain.send(owner, registry, &late));
    assert_eq!(latest.to::<u64>(), latest_start);
    settlement.chain.send(owner, registry, &announceCall { announcement: at(latest_start) }).unwrap();
}

#[test]
fn a_cancelled_epoch_never_was() {
    let mut installed = installed(4);
    let Installed { settlement, seats, committee } = &mut installed;
    let (owner, registry) = (settlement.owner, settlement.registry);
    settlement.announce(2, thresholds(4), seats.ids(), Bytes::new()).unwrap();
    let EpochNotPending { .. } = refused(settlement.chain.send(owner, registry, &cancelCall { epoch: 1 }));
    let EpochNotPending { .. } = refused(settlement.chain.send(owner, registry, &cancelCall { epoch: 0 }));
    settlement.chain.send(owner, registry, &cancelCall { epoch: 2 }).unwrap();
    let EpochNotPending { .. } = refused(settlement.chain.send(owner, registry, &cancelCall { epoch: 2 }));
    settlement.activate();
    assert_eq!(current(settlement), 1);
    let record = settlement.chain.send(owner, registry, &scheduleOfCall { epoch: 2 }).unwrap().output;
    assert_eq!(record, U256::ZERO);
    // Epoch 1 has no end again.
    let far = settlement.chain.now() + RETENTION_SECONDS_MAX;
    let certificate = seats.certify(committee, ROLLUP, far, 0..4).unwrap();
    settlement.verify(&certificate).unwrap();
    // The number is used up, the members are not.
    let EpochNotAbove { numbered, .. } =
        refused(settlement.announce(2, thresholds(4), seats.ids(), Bytes::new()));
    assert_eq!(numbered.to::<u64>(), 2);
    settlement.announce(3, thresholds(4), seats.ids(), Bytes::new()).unwrap();
    let second = seats.committee(2, settlement.domain(), thresholds(4)).unwrap();
    let certificate = seats.certify(&second, ROLLUP, far, 0..4).unwrap();
    let UnknownEpoch { .. } = refused(settlement.verify(&certificate));
}

#[test]
fn rejects_announcements_out_of_order_or_too_early() {
    let (mut settlement, seats) = registered();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let announcement = Announcement {
        epoch: 1,
        minimumShards: 2,
        quorum: 3,
        activatesAt: alloy_primitives::aliases::U48::from(NOW + ANNOUNCEMENT_DELAY_SECONDS - 1),
        members: seats.ids(),
        newKeys: seats.padded_keys(0..4),
    };
    let early = announceCall { announcement };
    let ActivationTooEarly { earliest, .. } = refused(settlement.chain.send(owner, registry, &early));
    assert_eq!(earliest.to::<u64>(), NOW + ANNOUNCEMENT_DELAY_SECONDS);
    let keys = seats.padded_keys(0..4);
    let EpochNotAbove { .. } = refused(settlement.announce(0, thresholds(4), seats.ids(), keys.clone()));
    settlement.announce(3, thresholds(4), seats.ids(), keys).unwrap();
    let EpochPending { epoch } = refused(settlement.announce(4, thresholds(4), seats.ids(), Bytes::new()));
    assert_eq!(epoch, 3);
    settlement.activate();
    let EpochNotAbove { .. } = refused(settlement.announce(3, thresholds(4), seats.ids(), Bytes::new()));
}

#[test]
fn only_the_owner_announces_and_it_cannot_leave() {
    let (mut settlement, seats) = registered();
    let owner = std::mem::replace(&mut settlement.owner, seats.operator(0));
    let registry = settlement.registry;
    let keys = seats.padded_keys(0..4);
    let OwnableUnauthorizedAccount { .. } =
        refused(settlement.announce(1, thresholds(4), seats.ids(), keys.clone()));
    let OwnableUnauthorizedAccount { .. } =
        refused(settlement.chain.send(seats.operator(0), registry, &cancelCall { epoch: 1 }));
    let OwnableUnauthorizedAccount { .. } =
        refused(settlement.chain.send(seats.operator(0), registry, &storeKeysCall { keys }));
    let OwnerRequired {} = refused(settlement.chain.send(owner, registry, &renounceOwnershipCall {}));
}

#[test]
fn rejects_committees_that_cannot_be() {
    let (mut settlement, seats) = registered();
    let keys = || seats.padded_keys(0..4);
    let (ids, all) = (seats.ids(), thresholds(4));
    let twice = vec![ids[0], ids[1], ids[0], ids[2]];
    let DuplicateMember { memberId } = refused(settlement.announce(1, all, twice, seats.padded_keys(0..3)));
    assert_eq!(memberId, ids[0]);
    let stranger = vec![ids[0], ids[1], ids[2], B256::repeat_byte(7)];
    let UnknownMember { .. } = refused(settlement.announce(1, all, stranger, keys()));
    settlement.chain.send(seats.operator(3), settlement.registry, &retireCall { memberId: ids[3] }).unwrap();
    let Retired { .. } = refused(settlement.announce(1, all, ids, keys()));
}

#[test]
fn rejects_keys_that_are_not_the_members() {
    let (mut settlement, seats) = registered();
    let (ids, all) = (seats.ids(), thresholds(4));
    for keys in [
        seats.padded_keys([]),
        seats.padded_keys(0..3),
        seats.padded_keys([0, 1, 3, 2]),
        seats.padded_keys([0, 1, 2, 3, 0]),
        Seats::new("another", 4).unwrap().padded_keys(0..4),
    ] {
        let NewKeyMismatch { .. } = refused(settlement.announce(1, all, ids.clone(), keys));
    }
    let mut odd = seats.padded_keys(0..4).to_vec();
    odd.pop();
    let CommitteeRegistry::WrongPointLength { .. } =
        refused(settlement.announce(1, all, ids.clone(), odd.into()));
    let many = vec![0; 97 * 256];
    let TooManyNewKeys { .. } = refused(settlement.announce(1, all, ids, many.into()));
}

/// Keys stored ahead are not stored again, and only registered ones are stored.
#[test]
fn stores_keys_ahead_once() {
    let (mut settlement, seats) = registered();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let store = |keys| storeKeysCall { keys };
    settlement.chain.send(owner, registry, &store(seats.padded_keys([1, 3]))).unwrap();
    let KeyAlreadyStored { .. } =
        refused(settlement.chain.send(owner, registry, &store(seats.padded_keys([3]))));
    let stranger = Seats::new("another", 1).unwrap().padded_keys([0]);
    let UnknownMember { .. } = refused(settlement.chain.send(owner, registry, &store(stranger)));
    settlement.announce(1, thresholds(4), seats.ids(), seats.padded_keys([0, 2])).unwrap();
    let committee = seats.committee(1, settlement.domain(), thresholds(4)).unwrap();
    agrees(&mut settlement, &committee);
    settlement.activate();
    let retain_until = settlement.chain.now() + DAY;
    for absent in 0..4 {
        let signers = (0..4).filter(|seat| *seat != absent);
        settlement.verify(&seats.certify(&committee, ROLLUP, retain_until, signers).unwrap()).unwrap();
    }
}

/// Keys of one member after the other come from other epochs; each stays where it was first written.
#[test]
fn keys_are_stored_once_however_often_the_committee_changes() {
    let Installed { mut settlement, mut seats, .. } = installed(7);
    for (epoch, seat) in (2..9).zip(0..7) {
        let fresh = Seats::new(&format!("epoch {epoch}"), 1).unwrap();
        settlement.register(&fresh, 0).unwrap();
        seats.replace(seat, fresh, 0);
        settlement.announce(epoch, thresholds(7), seats.ids(), seats.padded_keys([seat])).unwrap();
        settlement.activate();
        let call = scheduleOfCall { epoch };
        let record: U256 = settlement.chain.send(Address::ZERO, settlement.registry, &call).unwrap().output;
        let code = settlement.chain.code(Address::from_word(B256::from(record))).unwrap();
        assert!(code.len() < 296 + 7 * 20 + 7 * 3 + 192 + 1, "{} bytes", code.len());
    }
    let committee = seats.committee(8, settlement.domain(), thresholds(7)).unwrap();
    agrees(&mut settlement, &committee);
    let retain_until = settlement.chain.now() + DAY;
    for first in 0..7_u16 {
        let signers = (0..7).filter(|seat| *seat != first && *seat != (first + 1) % 7);
        settlement.verify(&seats.certify(&committee, ROLLUP, retain_until, signers).unwrap()).unwrap();
    }
}
