//! The Verilated design and software agree on every digest.

use std::collections::VecDeque;

use fpga::Device;
use fpga::packet::{Header, Opcode, Status, stride};
use fpga::registers::{CONTROL, CONTROL_RESET, ERRORS, ITEMS_DONE};
use fpga_hash::{Digest, keccak256};
use rtl_sim::Stalls;

use crate::bench_device::{Random, Simulated, WAIT, device, limits, packet, reply};

/// Bytes that Keccak-256 takes per permutation.
const BLOCK_BYTES: u32 = 136;

/// A request and what must come back.
struct Sent {
    header: Header,
    digests: Vec<Digest>,
}

/// Up to 12 messages of one length, 0 to 20 blocks, with random bytes even where they do not count.
fn request(random: &mut Random, tag: u64) -> (Vec<u8>, Sent) {
    let blocks = random.below(21);
    // Often at a block's edge, where padding is special.
    let item_bytes = match random.below(3) {
        0 => blocks * BLOCK_BYTES,
        1 => (blocks * BLOCK_BYTES).saturating_sub(1 + random.below(9)),
        _ => random.below(20 * BLOCK_BYTES + 1),
    };
    let (opcode, prefix) = match random.below(2) {
        0 => (Opcode::Keccak256, 0),
        _ => (Opcode::MerkleKeccak, random.next().to_le_bytes()[0]),
    };
    let items = 1 + random.below(12);
    let header = Header::request(opcode, prefix, tag, items, item_bytes);
    let payload = random.bytes(header.payload_bytes as usize);
    let digest = |item: u32| {
        let start = usize::try_from(u64::from(item) * stride(item_bytes)).unwrap();
        let item = &payload[start..start + item_bytes as usize];
        if opcode == Opcode::MerkleKeccak { keccak256(&[&[prefix], item].concat()) } else { keccak256(item) }
    };
    let digests = (0..items).map(digest).collect();
    (packet(header, &payload), Sent { header, digests })
}

fn check(device: &mut Simulated, sent: &Sent) {
    let (header, payload) = reply(device).unwrap();
    assert_eq!((header.tag, header.status), (sent.header.tag, Status::Ok.number()), "{:?}", sent.header);
    assert!(header.cycles > 0, "cycles are counted");
    let (digests, fill) = payload.as_chunks::<32>();
    assert!(fill.is_empty());
    assert_eq!(digests[..sent.digests.len()], sent.digests, "{:?}", sent.header);
    assert!(digests[sent.digests.len()..].iter().all(|fill| *fill == [0; 32]));
}

/// Messages checked, requests that were in flight together at most, and resets with requests in flight: by the pin, by
/// the register.
fn run(seed: u64, stalls: Stalls, messages: usize) -> (usize, usize, [usize; 2]) {
    let (mut random, mut device) = (Random(seed), device(stalls));
    let packets_max = limits(&mut device).packets_max as usize;
    let (mut in_flight, mut checked, mut most, mut resets, mut tag) = (VecDeque::new(), 0, 0, [0; 2], 0);
    while checked < messages {
        tag += 1;
        let (bytes, sent) = request(&mut random, tag);
        if random.below(60) == 0 {
            // In the middle: of a packet's bytes, and with others in work.
            let cut = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
            device.write_stream(&bytes[..cut], WAIT).unwrap();
            let by_register = random.below(2) == 0;
            if by_register {
                device.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
            } else {
                device.reset(WAIT).unwrap();
            }
            assert_eq!(device.reg_read(ITEMS_DONE, WAIT).unwrap(), 0);
            resets[usize::from(by_register)] += usize::from(!in_flight.is_empty());
            in_flight.clear();
            continue;
        }
        device.write_stream(&bytes, WAIT).unwrap();
        in_flight.push_back(sent);
        most = most.max(in_flight.len());
        if in_flight.len() == packets_max || random.below(4) == 0 {
            let sent = in_flight.pop_front().unwrap();
            check(&mut device, &sent);
            checked += sent.digests.len();
        }
    }
    for sent in in_flight {
        check(&mut device, &sent);
    }
    assert_eq!(device.reg_read(ERRORS, WAIT).unwrap(), 0);
    (checked, most, resets)
}

#[test]
fn ten_thousand_random_messages_under_stalls_and_resets() {
    // Both sides stall in every case that counts; the last is one more, at full speed.
    let cases = [(64, 16), (16, 64), (100, 100), (200, 20), (20, 200), (0, 0)];
    let parts = cases.map(|(input, output)| {
        let stalls = Stalls { seed: 7, input, output };
        let messages = if (input, output) == (0, 0) { 500 } else { 2_010 };
        std::thread::spawn(move || run(u64::from(input) << 8 | u64::from(output), stalls, messages))
    });
    let parts = parts.map(|part| part.join().unwrap());
    let stalled = cases.iter().zip(&parts).filter(|((input, output), _)| *input > 0 && *output > 0);
    let messages: usize = stalled.map(|(_, (checked, _, _))| checked).sum();
    assert!(messages >= 10_000, "{messages} messages with stalls on both sides");
    assert!(parts.iter().all(|(_, most, _)| *most >= 3), "three in flight: {parts:?}");
    for by in 0..2 {
        let resets: usize = parts.iter().map(|(_, _, resets)| resets[by]).sum();
        assert!(resets >= 5, "resets in the middle of work: {parts:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_clocks() {
    let clocks = |seed| {
        let mut device = device(Stalls { seed, input: 90, output: 90 });
        let (bytes, sent) = request(&mut Random(5), 1);
        device.write_stream(&bytes, WAIT).unwrap();
        check(&mut device, &sent);
        device.endpoint().clocks()
    };
    assert_eq!(clocks(3), clocks(3));
    assert_ne!(clocks(3), clocks(4));
}

/// Keccak-256 of nothing and of "abc", as Ethereum's documents print them.
#[test]
fn known_answers() {
    let mut device = device(Stalls::default());
    for (message, expected) in [
        (&b""[..], "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (&b"abc"[..], "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ] {
        let length = u32::try_from(message.len()).unwrap();
        let mut payload = message.to_vec();
        payload.resize(message.len().next_multiple_of(8), 0);
        let header = Header::request(Opcode::Keccak256, 0, 1, 1, length);
        device.write_stream(&packet(header, &payload), WAIT).unwrap();
        let (_, digest) = reply(&mut device).unwrap();
        let digest: String = digest[..32].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, expected);
    }
}

#[test]
fn loopback_returns_every_byte_at_every_length() {
    let mut device = device(Stalls { seed: 9, input: 50, output: 50 });
    let bytes_max = limits(&mut device).loopback_bytes_max();
    let mut random = Random(3);
    for (items, item_bytes) in [(1, 0), (1, 1), (1, 8), (3, 7), (9, 64), (5, 100), (1, bytes_max)] {
        let header = Header::request(Opcode::Loopback, 0, random.next(), items, item_bytes);
        let payload = random.bytes(header.payload_bytes as usize);
        device.write_stream(&packet(header, &payload), WAIT).unwrap();
        let (answer, returned) = reply(&mut device).unwrap();
        assert_eq!((answer.tag, answer.item_count, answer.item_bytes), (header.tag, items, item_bytes));
        assert_eq!(&returned[..payload.len()], payload);
    }
}

/// The register while requests come, are worked on, wait in front of a full device, and while a reply leaves. A word that
/// the host still offered outlived the reset and shifted everything behind it.
#[test]
fn a_reset_by_register_at_any_moment_leaves_nothing_behind() {
    let mut random = Random(21);
    for moment in 0..24 {
        let stalls =
            if moment % 2 == 0 { Stalls::default() } else { Stalls { seed: 5, input: 90, output: 90 } };
        let mut device = device(stalls);
        // Up to more than the device takes, so that a word stands in front of it.
        for tag in 0..moment / 4 {
            let header = Header::request(Opcode::Keccak256, 0, tag, 12, 2_700);
            device.write_stream(&packet(header, &random.bytes(header.payload_bytes as usize)), WAIT).unwrap();
        }
        let (bytes, _) = request(&mut random, moment);
        let cut = random.below(u32::try_from(bytes.len()).unwrap() + 1) as usize;
        device.write_stream(&bytes[..cut / 8 * 8], WAIT).unwrap();
        device.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
        assert_eq!(device.reg_read(ERRORS, WAIT).unwrap(), 0);
        assert_eq!(device.reg_read(ITEMS_DONE, WAIT).unwrap(), 0);
        let (bytes, sent) = request(&mut random, 1000 + moment);
        device.write_stream(&bytes, WAIT).unwrap();
        check(&mut device, &sent);
        assert_eq!(device.reg_read(ERRORS, WAIT).unwrap(), 0);
    }
}
