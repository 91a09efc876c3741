//! The register file, over the bus.

use fpga::Device;
use fpga::packet::{Header, Opcode, VERSION};
use fpga::registers::*;
use rtl_sim::Stalls;

use crate::bench_device::{WAIT, device, packet, reply};

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

#[test]
fn counters_count_and_the_output_says_how_much_there_is() {
    let mut device = device(Stalls::default());
    let cycles = |device: &mut crate::bench_device::Simulated| {
        let low = device.reg_read(CYCLES_LOW, WAIT).unwrap();
        u64::from(low) | u64::from(device.reg_read(CYCLES_HIGH, WAIT).unwrap()) << 32
    };
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
