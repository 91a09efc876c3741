//! What the unit tests share: keys and committees from seeds, and random statements.

use proptest::prelude::*;

use crate::*;

pub(crate) const DOMAIN: Domain = Domain { chain_id: 31337, registry: Address([0xab; 20]) };
pub(crate) const EPOCH: Epoch = Epoch(3);

pub(crate) fn key(seat: u16) -> SecretKey {
    let [high, low] = seat.to_be_bytes();
    let mut ikm = [0x5e; 32];
    ikm[..2].copy_from_slice(&[high, low]);
    SecretKey::generate(&ikm).unwrap()
}

pub(crate) fn member(key: &SecretKey, operator: Address) -> Member {
    Member {
        operator,
        public_key: key.public_key(),
        proof_of_possession: key.prove_possession(&DOMAIN, operator),
    }
}

/// `n` members with the keys of [`key`] and the default thresholds.
pub(crate) fn committee(members: u16) -> Committee {
    let list = (0..members).map(|seat| member(&key(seat), Address([7; 20]))).collect();
    Committee::new(EPOCH, DOMAIN, Thresholds::default_for(members).unwrap(), list).unwrap()
}

pub(crate) fn statement(committee: &Committee) -> Statement {
    let submission = Submission {
        rollup_id: RollupId([1; 32]),
        data_hash: DataHash([2; 32]),
        data_bytes: 12345,
        hot_until: 1_800_000_000,
        retain_until: 1_900_000_000,
        deadline: 1_700_000_000,
    };
    submission.statement(committee, DataRoot([3; 32]), ShardsRoot([4; 32]))
}

pub(crate) fn attestation(committee: &Committee, seat: u16) -> Attestation {
    key(seat).attest(&statement(committee), committee.domain(), SeatIndex(seat)).unwrap()
}

/// The certificate signed by `seats`.
pub(crate) fn certificate(committee: &Committee, seats: impl IntoIterator<Item = u16>) -> Certificate {
    let attestations = seats.into_iter().map(|seat| attestation(committee, seat));
    aggregate(committee, &statement(committee), attestations).certificate.unwrap().into_certificate()
}

/// Any domain and statement, well-formed or not.
pub(crate) fn any_statement() -> impl Strategy<Value = (Domain, Statement)> {
    let words = any::<([u8; 32], [u8; 32], [u8; 32], [u8; 32], [u8; 32])>();
    let numbers = any::<(u64, u64, u64, u64)>();
    (any::<(u64, [u8; 20])>(), words, numbers).prop_map(|(domain, words, numbers)| {
        let statement = Statement {
            rollup_id: RollupId(words.0),
            epoch: Epoch(numbers.0),
            committee_hash: CommitteeHash(words.1),
            data_bytes: numbers.1,
            data_hash: DataHash(words.2),
            data_root: DataRoot(words.3),
            shards_root: ShardsRoot(words.4),
            hot_until: numbers.2,
            retain_until: numbers.3,
        };
        (Domain { chain_id: domain.0, registry: Address(domain.1) }, statement)
    })
}

/// The same domain as alloy knows it.
pub(crate) fn alloy_domain(domain: &Domain) -> alloy_sol_types::Eip712Domain {
    alloy_sol_types::eip712_domain! {
        name: "Validium DAC",
        version: "1",
        chain_id: domain.chain_id,
        verifying_contract: alloy_primitives::Address::from(domain.registry.0),
    }
}
