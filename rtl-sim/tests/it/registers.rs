//! The register file, over the bus.

use std::collections::BTreeSet;

use fpga::Device;
use fpga::packet::{Header, Opcode, Status, VERSION};
use fpga::registers::*;
use rtl_sim::Stalls;

use crate::bench_device::{Random, Simulated, WAIT, device, packet, reply};

#[test]
fn identity_and_capabilities_are_those_of_the_contract() {
    let mut device = device(Stalls::default());
    assert_eq!(device.reg_read(ID, WAIT).unwrap(), ID_VALUE);
    assert_eq!(device.reg_read(BUILD, WAIT).unwrap().to_le_bytes()[0], VERSION);
    let limits = Capabilities::decode(device.reg_read(CAPABILITIES, WAIT).unwrap()).limits().unwrap();
    for opcode in [Opcode::Loopback, Opcode::Keccak256, Opcode::MerkleKeccak] {
        assert!(limits.knows(opcode), "{opcode:?}");
    }
    assert!(limits.packets_max >= 3, "three in flight: {limits:?}");
}

#[test]
fn the_self_test_register_returns_the_complement() {
    let mut device = device(Stalls::default());
    for bit in 0..32 {
        device.reg_write(SELF_TEST, 1 << bit, WAIT).unwrap();
        assert_eq!(device.reg_read(SELF_TEST, WAIT).unwrap(), !(1 << bit));
    }
    device.reset(WAIT).unwrap();
    assert_eq!(device.reg_read(SELF_TEST, WAIT).unwrap(), u32::MAX);
}

#[test]
fn unlisted_addresses_read_as_zero_and_read_only_registers_ignore_writes() {
    let mut device = device(Stalls::default());
    for address in [0x1c, 0x2c, 0x34, 0x38, 0x3c, 0x40, 0x80, 0xffc] {
        device.reg_write(address, u32::MAX, WAIT).unwrap();
        assert_eq!(device.reg_read(address, WAIT).unwrap(), 0, "0x{address:x}");
    }
    for address in [ID, BUILD, CAPABILITIES, ITEMS_DONE] {
        let before = device.reg_read(address, WAIT).unwrap();
        device.reg_write(address, !before, WAIT).unwrap();
        assert_eq!(device.reg_read(address, WAIT).unwrap(), before, "0x{address:x}");
    }
}

fn cycles(device: &mut Simulated) -> u64 {
    let low = device.reg_read(CYCLES_LOW, WAIT).unwrap();
    u64::from(low) | u64::from(device.reg_read(CYCLES_HIGH, WAIT).unwrap()) << 32
}

/// Accesses under handshakes that the seed draws; clocks that the writes took.
fn accesses(stalls: Stalls) -> BTreeSet<u64> {
    let (mut device, mut random) = (device(stalls), Random(stalls.seed));
    let (mut paces, mut last) = (BTreeSet::new(), 0);
    for tag in 0..40 {
        let values = [0, 1].map(|_| random.below(u32::MAX));
        for value in values {
            let before = device.endpoint().clocks();
            device.reg_write(SELF_TEST, value, WAIT).unwrap();
            paces.insert(device.endpoint().clocks() - before);
        }
        // A register that ignores it: a half that were kept would go to the next write.
        device.reg_write(ID, values[0], WAIT).unwrap();
        assert_eq!(device.reg_read(ID, WAIT).unwrap(), ID_VALUE);
        assert_eq!(device.reg_read(SELF_TEST, WAIT).unwrap(), !values[1]);
        let now = cycles(&mut device);
        assert!(now > last, "clocks go on");
        last = now;
        // A sticky error comes, and goes when it is written to.
        let header = Header { version: 2, ..Header::request(Opcode::Loopback, 0, tag, 1, 0) };
        device.write_stream(&packet(header, &[]), WAIT).unwrap();
        assert_eq!(reply(&mut device).unwrap().0.status, Status::Version.number());
        assert_eq!(device.reg_read(ERRORS, WAIT).unwrap(), Status::Version.sticky_bit());
        device.reg_write(ERRORS, Status::Version.sticky_bit(), WAIT).unwrap();
        assert_eq!(device.reg_read(ERRORS, WAIT).unwrap(), 0);
        if tag % 8 == 7 {
            device.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
            assert_eq!(device.reg_read(SELF_TEST, WAIT).unwrap(), u32::MAX, "of 0 after reset");
            last = 0;
        }
    }
    paces
}

/// An address before its data, behind it or with it; answers taken late; one channel slow, or all.
#[test]
fn registers_work_in_any_order_and_at_any_pace_of_the_handshakes() {
    assert_eq!(accesses(Stalls::default()).len(), 1, "every write at the same pace");
    for seed in 0..8 {
        for (input, output) in [(128, 128), (240, 0), (0, 240), (200, 60), (60, 240)] {
            let paces = accesses(Stalls { seed, input, output });
            assert!(paces.len() > 5, "{paces:?} clocks");
        }
    }
}

#[test]
fn counters_count_and_the_output_says_how_much_there_is() {
    let mut device = device(Stalls::default());
    let (before, clocks) = (cycles(&mut device), device.endpoint().clocks());
    let header = Header::request(Opcode::MerkleKeccak, 1, 9, 4, 64);
    device.write_stream(&packet(header, &[1; 256]), WAIT).unwrap();
    let (answer, _) = reply(&mut device).unwrap();
    let elapsed = device.endpoint().clocks() - clocks;
    assert!(answer.cycles < elapsed && answer.cycles > 4 * 24, "{answer:?} in {elapsed} clocks");
    let counted = cycles(&mut device) - before;
    assert!((elapsed..elapsed + 100).contains(&counted), "{counted} counted, {elapsed} passed");
    assert_eq!(device.reg_read(ITEMS_DONE, WAIT).unwrap(), 4);
    assert_eq!(device.reg_read(OUTPUT_AVAILABLE, WAIT).unwrap(), 0);
    assert!(device.reg_read(INPUT_FREE, WAIT).unwrap() >= 64);
}
