//! Bounds of the registry: thresholds, seats, keys and blobs of a committee, periods of the registry itself.

use alloy_primitives::{Address, B256, Bytes, aliases::U48};
use alloy_sol_types::SolValue as _;
use attest::Thresholds;
use contracts::CommitteeRegistry::{
    self, InvalidPeriods, InvalidThresholds, TooManyBlobs, TooManyNewKeys, UnknownEpoch, UnknownSeat,
    WrongPointLength, announceCall, keyOfCall, storeKeysCall,
};
use contracts::ICommitteeRegistry::Announcement;
use contracts::harness::{
    ANNOUNCEMENT_DELAY_SECONDS, Chain, NEW_KEYS_MAX, RETENTION_SECONDS_MAX, Seats, Settlement,
};

use super::shared::*;

/// `Thresholds` does not build what does not hold, so these calls are made by hand.
#[test]
fn rejects_thresholds_that_do_not_hold() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let bad = [
        // Nothing rebuilds a batch from no shards; nobody signs.
        (4, 0, 3),
        (4, 1, 0),
        (4, 0, 0),
        (0, 0, 0),
        // k above q: a quorum that cannot rebuild.
        (4, 3, 2),
        (1, u16::MAX, 1),
        // q above n.
        (0, 1, 1),
        (4, 2, 5),
        (256, 1, 257),
        // n above 256.
        (257, 86, 171),
        (257, 257, 257),
    ];
    for (members, k, q) in bad {
        let announcement = Announcement {
            epoch: 1,
            minimumShards: k,
            quorum: q,
            activatesAt: U48::from(NOW + ANNOUNCEMENT_DELAY_SECONDS),
            members: vec![B256::repeat_byte(7); usize::from(members)],
            newKeys: Bytes::new(),
        };
        let InvalidThresholds { members: found, minimumShards, quorum } =
            refused(settlement.chain.send(owner, registry, &announceCall { announcement }));
        assert_eq!((found.to::<u16>(), minimumShards.to::<u16>(), quorum.to::<u16>()), (members, k, q));
    }
}

#[test]
fn rejects_seats_and_epochs_that_are_none() {
    let Installed { mut settlement, .. } = installed(4);
    let registry = settlement.registry;
    settlement.chain.send(Address::ZERO, registry, &keyOfCall { epoch: 1, seat: 3 }).unwrap();
    for seat in [4, u16::MAX] {
        let call = keyOfCall { epoch: 1, seat };
        let UnknownSeat { seat: found, members } =
            refused(settlement.chain.send(Address::ZERO, registry, &call));
        assert_eq!((found.to::<u16>(), members.to::<u16>()), (seat, 4));
    }
    let call = keyOfCall { epoch: 2, seat: 0 };
    let UnknownEpoch { epoch } = refused(settlement.chain.send(Address::ZERO, registry, &call));
    assert_eq!(epoch.to::<u64>(), 2);
}

#[test]
fn stores_one_key_to_96_at_once() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let seats = Seats::new("member", NEW_KEYS_MAX + 2).unwrap();
    for seat in 0..seats.members() {
        settlement.register(&seats, seat).unwrap();
    }
    let store = |keys| storeKeysCall { keys };
    let mut odd = seats.padded_keys(0..2).to_vec();
    odd.pop();
    for (keys, expected) in [(Bytes::new(), 256), (vec![0; 255].into(), 256), (odd.into(), 512)] {
        let length = keys.len();
        let WrongPointLength { bytesFound, bytesExpected } =
            refused(settlement.chain.send(owner, registry, &store(keys)));
        assert_eq!((bytesFound.to(), bytesExpected.to()), (length, expected));
    }
    let many = seats.padded_keys(0..NEW_KEYS_MAX + 1);
    let TooManyNewKeys { found, keysMax } = refused(settlement.chain.send(owner, registry, &store(many)));
    assert_eq!((found.to::<u16>(), keysMax.to::<u16>()), (NEW_KEYS_MAX + 1, NEW_KEYS_MAX));
    settlement.chain.send(owner, registry, &store(seats.padded_keys(0..NEW_KEYS_MAX))).unwrap();
    settlement.chain.send(owner, registry, &store(seats.padded_keys([NEW_KEYS_MAX]))).unwrap();
}

/// The largest committee with each key in a blob of its own is one blob too many; two keys in one blob are not.
#[test]
fn an_epoch_names_255_other_blobs() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let (owner, registry) = (settlement.owner, settlement.registry);
    let seats = Seats::new("member", 257).unwrap();
    for seat in 0..257 {
        settlement.register(&seats, seat).unwrap();
    }
    let pages = (0..255).map(|seat| vec![seat]).chain([vec![255, 256]]);
    for page in pages {
        settlement.chain.send(owner, registry, &storeKeysCall { keys: seats.padded_keys(page) }).unwrap();
    }
    let thresholds = Thresholds::default_for(256).unwrap();
    let ids = seats.ids();
    let TooManyBlobs { found, blobsMax } =
        refused(settlement.announce(1, thresholds, ids[..256].to_vec(), Bytes::new()));
    assert_eq!((found.to::<u16>(), blobsMax.to::<u16>()), (256, 255));
    settlement.announce(1, thresholds, ids[1..].to_vec(), Bytes::new()).unwrap();
}

/// A registry is not made with periods that are zero or longer than ten years.
#[test]
fn rejects_absurd_periods() {
    const PERIOD_SECONDS_MAX: u64 = 3650 * DAY;
    let mut chain = Chain::new(CHAIN_ID, NOW);
    let owner = Address::repeat_byte(1);
    let mut deploy = |delay: u64, retention: u64| {
        let arguments = (owner, delay, retention).abi_encode_params();
        chain.deploy(owner, &CommitteeRegistry::BYTECODE, &arguments)
    };
    let bad = [
        (0, RETENTION_SECONDS_MAX),
        (ANNOUNCEMENT_DELAY_SECONDS, 0),
        (PERIOD_SECONDS_MAX + 1, RETENTION_SECONDS_MAX),
        (ANNOUNCEMENT_DELAY_SECONDS, PERIOD_SECONDS_MAX + 1),
    ];
    for (delay, retention) in bad {
        let InvalidPeriods { announcementDelaySeconds, retentionSecondsMax } =
            refused(deploy(delay, retention));
        assert_eq!((announcementDelaySeconds.to(), retentionSecondsMax.to()), (delay, retention));
    }
    deploy(PERIOD_SECONDS_MAX, PERIOD_SECONDS_MAX).unwrap();
}
