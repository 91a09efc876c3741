use alloy_sol_types::SolStruct;
use parity_scale_codec::{DecodeAll, Encode};
use proptest::prelude::*;

use super::*;
use crate::Address;
use crate::testing::{alloy_domain, any_statement};

alloy_sol_types::sol! {
    struct DataAvailability {
        bytes32 rollupId;
        uint64 epoch;
        bytes32 committeeHash;
        uint64 dataBytes;
        bytes32 dataHash;
        bytes32 dataRoot;
        bytes32 shardsRoot;
        uint64 hotUntil;
        uint64 retainUntil;
    }
}

fn alloy(statement: &Statement) -> DataAvailability {
    DataAvailability {
        rollupId: statement.rollup_id.0.into(),
        epoch: statement.epoch.0,
        committeeHash: statement.committee_hash.0.into(),
        dataBytes: statement.data_bytes,
        dataHash: statement.data_hash.0.into(),
        dataRoot: statement.data_root.0.into(),
        shardsRoot: statement.shards_root.0.into(),
        hotUntil: statement.hot_until,
        retainUntil: statement.retain_until,
    }
}

proptest! {
    #[test]
    fn digest_is_that_of_another_eip712_implementation((domain, statement) in any_statement()) {
        let other = alloy_domain(&domain);
        prop_assert_eq!(domain.separator().0, other.separator().0);
        prop_assert_eq!(statement.struct_hash(), alloy(&statement).eip712_hash_struct().0);
        prop_assert_eq!(statement.digest(&domain).0, alloy(&statement).eip712_signing_hash(&other).0);
    }

    #[test]
    fn scale_is_192_bytes_in_protocol_order((_, statement) in any_statement()) {
        let mut bytes = Vec::new();
        bytes.extend(statement.rollup_id.0);
        bytes.extend(statement.epoch.0.to_le_bytes());
        bytes.extend(statement.committee_hash.0);
        bytes.extend(statement.data_bytes.to_le_bytes());
        bytes.extend(statement.data_hash.0);
        bytes.extend(statement.data_root.0);
        bytes.extend(statement.shards_root.0);
        bytes.extend(statement.hot_until.to_le_bytes());
        bytes.extend(statement.retain_until.to_le_bytes());
        prop_assert_eq!(bytes.len(), 192);
        prop_assert_eq!(&statement.encode(), &bytes);
        prop_assert_eq!(Statement::decode_all(&mut &bytes[..]).unwrap(), statement);
    }

    #[test]
    fn json_gives_the_statement_back((_, statement) in any_statement()) {
        let json = serde_json::to_string(&statement).unwrap();
        prop_assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
        let more = json.replacen('{', "{\"more\":1,", 1);
        prop_assert!(serde_json::from_str::<Statement>(&more).is_err());
    }

    #[test]
    fn every_field_and_the_domain_change_the_digest((domain, statement) in any_statement(), field in 0..11) {
        let (mut other_domain, mut other) = (domain, statement);
        match field {
            0 => other.rollup_id.0[31] ^= 1,
            1 => other.epoch.0 ^= 1,
            2 => other.committee_hash.0[0] ^= 1,
            3 => other.data_bytes ^= 1,
            4 => other.data_hash.0[0] ^= 1,
            5 => other.data_root.0[0] ^= 1,
            6 => other.shards_root.0[0] ^= 1,
            7 => other.hot_until ^= 1 << 63,
            8 => other.retain_until ^= 1,
            9 => other_domain.chain_id ^= 1,
            _ => other_domain.registry.0[19] ^= 1,
        }
        prop_assert_ne!(statement.digest(&domain), other.digest(&other_domain));
    }
}

#[test]
fn the_typed_names_are_those_of_the_protocol() {
    assert_eq!(DataAvailability::eip712_encode_type(), Statement::TYPE);
    let domain = Domain { chain_id: 1, registry: Address::ZERO };
    assert_eq!(alloy_domain(&domain).encode_type(), Domain::TYPE);
}

#[test]
fn checks_length_and_order_of_times() {
    let statement = crate::testing::statement(&crate::testing::committee(1));
    assert_eq!(statement.check(), Ok(()));
    for found in [0, BATCH_BYTES_MAX + 1, u64::MAX] {
        let expected = Error::DataBytesOutOfRange { found, bytes_max: 67_108_864 };
        assert_eq!(Statement { data_bytes: found, ..statement }.check(), Err(expected));
    }
    for data_bytes in [1, BATCH_BYTES_MAX] {
        assert_eq!(Statement { data_bytes, ..statement }.check(), Ok(()));
    }
    assert_eq!(Statement { hot_until: 9, retain_until: 9, ..statement }.check(), Ok(()));
    let expected = Error::HotAfterRetain { hot_until: 10, retain_until: 9 };
    assert_eq!(Statement { hot_until: 10, retain_until: 9, ..statement }.check(), Err(expected));
}
