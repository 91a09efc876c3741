use proptest::prelude::*;

use super::*;
use crate::packet::{Opcode, VERSION};

#[test]
fn addresses_are_words_and_differ() {
    let all = [
        ID,
        BUILD,
        CAPABILITIES,
        CONTROL,
        ERRORS,
        INPUT_FREE,
        OUTPUT_AVAILABLE,
        CYCLES_LOW,
        CYCLES_HIGH,
        ITEMS_DONE,
        SELF_TEST,
    ];
    assert!(all.iter().all(|address| address % 4 == 0));
    assert!(all.is_sorted_by(|a, b| a < b), "in order and without doubles");
}

#[test]
fn capabilities_of_a_keccak_device_have_the_documented_bits() {
    let capabilities = Capabilities {
        opcodes: Opcode::Loopback.bit() | Opcode::Keccak256.bit() | Opcode::MerkleKeccak.bit(),
        item_count_max_log2: 7,
        payload_bytes_max_log2: 18,
        packets_max: 4,
    };
    assert_eq!(capabilities.encode(), 0x0412_070e);
    let limits = capabilities.limits().unwrap();
    assert_eq!((limits.item_count_max, limits.payload_bytes_max, limits.packets_max), (128, 262_144, 4));
    assert_eq!(limits.loopback_bytes_max(), 4096);
    assert!(limits.knows(Opcode::MerkleKeccak) && !limits.knows(Opcode::Poseidon3));
}

#[test]
fn build_holds_the_version_below_the_hash() {
    assert_eq!(build_value(VERSION, 0xff12_3456), 0x1234_5601);
}

proptest! {
    #[test]
    fn any_capabilities_decode_to_sane_limits_or_none(value: u32) {
        let capabilities = Capabilities::decode(value);
        prop_assert_eq!(capabilities.encode(), value);
        if let Some(limits) = capabilities.limits() {
            prop_assert!(limits.item_count_max >= 1 && limits.payload_bytes_max >= 64 && limits.packets_max >= 1);
            prop_assert!(limits.payload_bytes_max <= 1 << 28 && limits.item_count_max <= 1 << 24);
        }
    }
}
