use alloy_primitives::keccak256 as other_keccak256;
use alloy_sol_types::{SolValue, sol_data};
use proptest::prelude::*;

use super::*;
use crate::testing::{DOMAIN, EPOCH, committee, key, member};
use crate::{ProofOfPossession, SecretKey, possession_digest};

fn members(count: u16) -> Vec<Member> {
    (0..count).map(|seat| member(&key(seat), Address([7; 20]))).collect()
}

fn new(members: Vec<Member>) -> Result<Committee, Error> {
    let thresholds = Thresholds::default_for(u16::try_from(members.len()).unwrap()).unwrap();
    Committee::new(EPOCH, DOMAIN, thresholds, members)
}

#[test]
fn hash_is_that_of_another_abi_encoder() {
    for count in [1, 4, 7, 32] {
        let committee = committee(count);
        let mut padded = Vec::new();
        for member in committee.members() {
            padded.extend(member.public_key.to_padded());
        }
        let thresholds = committee.thresholds();
        let encoded = (
            EPOCH.0,
            thresholds.members(),
            thresholds.minimum_shards(),
            thresholds.quorum(),
            other_keccak256(&padded),
        )
            .abi_encode();
        assert_eq!(encoded.len(), 5 * 32);
        assert_eq!(committee.hash().0, other_keccak256(encoded).0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn possession_digest_is_that_of_another_abi_encoder(chain_id: u64, registry: [u8; 20], operator: [u8; 20]) {
        type Tuple = (sol_data::Uint<64>, sol_data::Address, sol_data::Address, sol_data::FixedBytes<32>);
        let public_key = key(1).public_key();
        let padded_hash = other_keccak256(public_key.to_padded());
        let values = (
            chain_id,
            alloy_primitives::Address::from(registry),
            alloy_primitives::Address::from(operator),
            padded_hash,
        );
        let encoded = <Tuple as alloy_sol_types::SolType>::abi_encode(&values);
        let domain = Domain { chain_id, registry: Address(registry) };
        prop_assert_eq!(public_key.padded_hash(), padded_hash.0);
        prop_assert_eq!(possession_digest(&domain, Address(operator), &public_key).0, other_keccak256(encoded).0);
    }

    #[test]
    fn sum_of_signers_does_not_depend_on_the_way(bits in 1u32..1 << 16) {
        let committee = committee_of_16();
        let signers: Vec<_> = committee.seats().filter(|seat| bits >> seat.0 & 1 == 1).collect();
        let keys = signers.iter().map(|seat| &committee.members()[usize::from(seat.0)].public_key);
        prop_assert_eq!(committee.sum_of(&signers), PublicKey::sum(keys, []));
    }
}

fn committee_of_16() -> &'static Committee {
    static COMMITTEE: std::sync::OnceLock<Committee> = std::sync::OnceLock::new();
    COMMITTEE.get_or_init(|| committee(16))
}

#[test]
fn hash_depends_on_epoch_thresholds_and_order() {
    let base = committee(4);
    let mut hashes = std::collections::HashSet::from([base.hash()]);
    let thresholds = [(4, 1, 3), (4, 2, 4)].map(|(n, k, q)| Thresholds::new(n, k, q).unwrap());
    for thresholds in thresholds {
        hashes.insert(Committee::new(EPOCH, DOMAIN, thresholds, members(4)).unwrap().hash());
    }
    hashes.insert(Committee::new(Epoch(4), DOMAIN, base.thresholds(), members(4)).unwrap().hash());
    let mut swapped = members(4);
    swapped.swap(0, 1);
    hashes.insert(new(swapped).unwrap().hash());
    assert_eq!(hashes.len(), 5);
}

#[test]
fn refuses_another_number_of_members() {
    let thresholds = Thresholds::default_for(4).unwrap();
    for found in [0, 3, 5] {
        let refused = Committee::new(EPOCH, DOMAIN, thresholds, members(found));
        assert_eq!(refused, Err(Error::MemberCountMismatch { expected: 4, found: found.into() }));
    }
}

#[test]
fn refuses_one_key_in_two_seats() {
    let mut list = members(7);
    list[5] = member(&key(2), Address([8; 20]));
    let expected = Error::DuplicatePublicKey { first: SeatIndex(2), second: SeatIndex(5) };
    assert_eq!(new(list), Err(expected));
}

#[test]
fn refuses_a_proof_made_for_anything_else() {
    let of_key = |seat: u16, domain: &Domain, operator| key(seat).prove_possession(domain, operator);
    let operator = Address([7; 20]);
    let other_chain = Domain { chain_id: 1, ..DOMAIN };
    let other_registry = Domain { registry: Address::ZERO, ..DOMAIN };
    let attested = key(3).attest(&crate::testing::statement(&committee(1)), &DOMAIN, SeatIndex(3));
    let false_proofs = [
        of_key(2, &DOMAIN, operator),
        of_key(3, &other_chain, operator),
        of_key(3, &other_registry, operator),
        of_key(3, &DOMAIN, Address::ZERO),
        ProofOfPossession(attested.unwrap().signature.0),
    ];
    for proof in false_proofs {
        let mut list = members(4);
        list[3].proof_of_possession = proof;
        let reason = Box::new(Error::InvalidPossession);
        assert_eq!(new(list), Err(Error::Member { seat: SeatIndex(3), reason }));
    }
    let mut list = members(4);
    list[1].proof_of_possession = ProofOfPossession([0; 48]);
    let reason = Box::new(Error::InvalidSignaturePoint { detail: "not an encoding" });
    assert_eq!(new(list), Err(Error::Member { seat: SeatIndex(1), reason }));
}

/// A key made of the others' keys would let one member sign for all; it cannot be proven.
#[test]
fn refuses_a_rogue_key() {
    let own = key(9);
    let others: Vec<_> = (0..3).map(|seat| key(seat).public_key()).collect();
    let rogue = PublicKey::sum([&own.public_key()], &others).unwrap();
    let mut list = members(4);
    list[3] = Member { public_key: rogue, ..member(&own, Address([7; 20])) };
    // Without the proof this committee's aggregate would be the rogue's own key.
    let sum: Vec<_> = list.iter().map(|member| &member.public_key).collect();
    assert_eq!(PublicKey::sum(sum, []), Some(own.public_key()));
    let reason = Box::new(Error::InvalidPossession);
    assert_eq!(new(list), Err(Error::Member { seat: SeatIndex(3), reason }));
}

#[test]
fn refuses_keys_that_cancel() {
    let mut secret = [0; 32];
    secret[31] = 1;
    let order_less_one = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000";
    let keys = [secret, hex::decode(order_less_one).unwrap().try_into().unwrap()];
    let list = keys.iter().map(|key| member(&SecretKey::from_bytes(key).unwrap(), Address::ZERO)).collect();
    assert_eq!(new(list), Err(Error::KeysCancel));
}

#[test]
fn finds_members_and_seats() {
    let committee = committee(7);
    assert_eq!(committee.seats().collect::<Vec<_>>(), (0..7).map(SeatIndex).collect::<Vec<_>>());
    assert_eq!(committee.member(SeatIndex(6)).unwrap().public_key, key(6).public_key());
    assert_eq!(committee.member(SeatIndex(7)), Err(Error::UnknownSeat { seat: SeatIndex(7), members: 7 }));
    assert_eq!(committee.seat_of(&key(4).public_key()), Some(SeatIndex(4)));
    assert_eq!(committee.seat_of(&key(7).public_key()), None);
}

#[test]
fn statement_of_another_committee_is_refused() {
    let committee = committee(4);
    let statement = crate::testing::statement(&committee);
    assert_eq!(committee.check_statement(&statement), Ok(()));
    let other = Statement { epoch: Epoch(4), ..statement };
    let expected = Error::EpochMismatch { expected: EPOCH, found: Epoch(4) };
    assert_eq!(committee.check_statement(&other), Err(expected));
    let found = CommitteeHash([9; 32]);
    let other = Statement { committee_hash: found, ..statement };
    let expected = Error::CommitteeHashMismatch { expected: committee.hash(), found };
    assert_eq!(committee.check_statement(&other), Err(expected));
    let other = Statement { data_bytes: 0, ..statement };
    assert!(matches!(committee.check_statement(&other), Err(Error::DataBytesOutOfRange { found: 0, .. })));
}
