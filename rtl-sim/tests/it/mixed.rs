//! Good and bad packets in any mixture, whole and cut: at every pause the design and the model of the packet's rules have
//! given the same replies and show the same registers.

use fpga::Device;
use fpga::packet::{HEADER_BYTES, Header, Opcode, Status, VERSION};
use fpga::registers::{
    BUILD, CAPABILITIES, CONTROL, CONTROL_RESET, ERRORS, ID, ITEMS_DONE, OUTPUT_AVAILABLE, SELF_TEST,
};

use crate::bench_device::{Random, WAIT, packet};
use crate::hostile::Pair;

/// Registers that say the same in both once all replies are read: what they hold is not a count of clocks or of room.
const COMPARED: [u32; 9] =
    [ID, CAPABILITIES, CONTROL, ERRORS, OUTPUT_AVAILABLE, ITEMS_DONE, SELF_TEST, 0x1c, 0x34];

fn compare_registers(pair: &mut Pair) {
    for address in COMPARED {
        let design = pair.design.reg_read(address, WAIT).unwrap();
        assert_eq!(design, pair.model.reg_read(address, WAIT).unwrap(), "register 0x{address:02x}");
    }
    assert_eq!(pair.design.reg_read(BUILD, WAIT).unwrap().to_le_bytes()[0], VERSION);
}

/// A request, good in two of three cases, and whether what follows it has no framing.
fn request(random: &mut Random) -> (Vec<u8>, bool) {
    let opcode = [Opcode::Loopback, Opcode::Keccak256, Opcode::MerkleKeccak][random.below(3) as usize];
    let (items, item_bytes) = (1 + random.below(6), random.below(600));
    let mut header = Header::request(opcode, 0, random.next(), items, item_bytes);
    let fault = random.below(24);
    match fault {
        0 => header.version = 3,
        1 => header.opcode = 4 + random.next().to_le_bytes()[0] % 250,
        2 => header.flags = 0x100,
        3 => header.item_count += 1,
        // More than a bank holds.
        4 => header.payload_bytes = 33_000 + random.below(9_000),
        5 => header.status = 1,
        _ => {}
    }
    let mut bytes = packet(header, &random.bytes(header.payload_bytes as usize));
    let payload_bits = u32::try_from(8 * (bytes.len() - HEADER_BYTES)).unwrap();
    match fault {
        6 if payload_bits > 0 => {
            let bit = 8 * HEADER_BYTES + random.below(payload_bits) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        7 => {
            // In the magic, or anywhere in the header.
            let bits = [32, 512][random.below(2) as usize];
            let bit = random.below(bits) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        _ => {}
    }
    (bytes, fault == 7)
}

/// Writes that both must take in the same way, those to registers that ignore them included.
fn write_registers(pair: &mut Pair, random: &mut Random) {
    let address = [ERRORS, SELF_TEST, ITEMS_DONE, 0x34][random.below(4) as usize];
    let value = random.below(u32::MAX);
    pair.design.reg_write(address, value, WAIT).unwrap();
    pair.model.reg_write(address, value, WAIT).unwrap();
}

fn reset(pair: &mut Pair, by_register: bool) {
    if by_register {
        pair.design.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
        pair.model.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
    } else {
        pair.design.reset(WAIT).unwrap();
        pair.model.reset(WAIT).unwrap();
    }
}

#[test]
fn mixed_good_and_bad_packets_leave_design_and_model_with_the_same_registers() {
    let (mut pair, mut random) = (Pair::new(), Random(2026));
    let (mut answered, mut seen) = (0, 0);
    for _ in 0..60 {
        // Up to three together, as a host with several in flight, then a part of one.
        let mut bytes = Vec::new();
        let mut is_lost = false;
        for _ in 0..random.below(4) {
            let (more, loses) = request(&mut random);
            bytes.extend(more);
            is_lost |= loses;
        }
        let (last, loses) = request(&mut random);
        is_lost |= loses;
        let cut = random.below(u32::try_from(last.len() / 8).unwrap() + 1) as usize * 8;
        bytes.extend(&last[..cut]);
        for part in [&bytes[..], &last[cut..]] {
            let (statuses, errors) = pair.feed(part);
            answered += statuses.len();
            seen |= errors;
            compare_registers(&mut pair);
            write_registers(&mut pair, &mut random);
            compare_registers(&mut pair);
        }
        if is_lost || random.below(10) == 0 {
            reset(&mut pair, random.below(2) == 0);
            compare_registers(&mut pair);
        }
    }
    let every = Status::ALL.iter().fold(0, |bits, status| bits | status.sticky_bit());
    assert!(answered > 60, "{answered} replies");
    assert_eq!(seen, every, "every sticky error was seen");
}

/// A host whose payload is too short for what it announced reads from the sticky errors that the header was refused.
#[test]
fn a_refused_header_shows_before_its_payload_in_design_and_model() {
    for (header, status) in [
        (Header { version: 9, ..Header::request(Opcode::Keccak256, 0, 1, 3, 70) }, Status::Version),
        (Header { opcode: 77, ..Header::request(Opcode::Keccak256, 0, 1, 3, 70) }, Status::Opcode),
        (Header { item_count: 2, ..Header::request(Opcode::Keccak256, 0, 1, 3, 70) }, Status::Shape),
    ] {
        let mut pair = Pair::new();
        let bytes = packet(header, &[1; 216]);
        assert_eq!(pair.feed(&bytes[..HEADER_BYTES]), (vec![], status.sticky_bit()));
        assert_eq!(pair.feed(&bytes[HEADER_BYTES..]), (vec![status.number()], status.sticky_bit()));
    }
}
