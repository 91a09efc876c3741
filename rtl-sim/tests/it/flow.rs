//! Messages of four blocks and more keep the permutation busy: the device's clocks are those of its permutations.

use fpga::Device;
use fpga::packet::{Header, Opcode, Status, stride};
use fpga::registers::{ERRORS, ITEMS_DONE};
use fpga_hash::keccak256;
use rtl_sim::Stalls;

use crate::bench_device::{Random, WAIT, device, limits, packet, reply};
use crate::hostile::Pair;

/// Clocks from one block to the next.
const BLOCK_CLOCKS: u64 = 24;

/// Clocks of a request beside reading and permuting: its checks, the pipeline at its end, the header of its reply.
const REQUEST_CLOCKS: u64 = 150;

/// Bytes of the longest message of so many blocks, of which the prefix is one.
fn item_bytes(blocks: u32) -> u32 {
    136 * blocks - 2
}

/// As many items as a payload holds.
fn items(blocks: u32, payload_bytes_max: u32) -> u32 {
    payload_bytes_max / u32::try_from(stride(item_bytes(blocks))).unwrap()
}

fn check(device: &mut impl Device, payload: &[u8], blocks: u32) -> Header {
    let (header, digests) = reply(device).unwrap();
    assert_eq!(header.status, Status::Ok.number());
    let item_bytes = item_bytes(blocks) as usize;
    for (item, digest) in payload.chunks(item_bytes.next_multiple_of(8)).zip(digests.as_chunks::<32>().0) {
        assert_eq!(*digest, keccak256(&[&[1], &item[..item_bytes]].concat()));
    }
    header
}

/// One request by itself: it is read, then every block takes its clocks and no more.
#[test]
fn a_request_of_long_messages_takes_the_clocks_of_its_blocks() {
    let mut random = Random(4);
    for blocks in [4, 5, 9, 60, 240] {
        let mut device = device(Stalls::default());
        let items = items(blocks, limits(&mut device).payload_bytes_max);
        // Three slots share the pipeline: with fewer messages, or with some left over, slots stand empty.
        let items = items - items % 3;
        let messages = if items == 0 { 1 } else { items };
        let header = Header::request(Opcode::MerkleKeccak, 1, 1, messages, item_bytes(blocks));
        let payload = random.bytes(header.payload_bytes as usize);
        device.write_stream(&packet(header, &payload), WAIT).unwrap();
        let cycles = check(&mut device, &payload, blocks).cycles;
        let slots = if messages < 3 { 3 } else { messages };
        let permuting = BLOCK_CLOCKS * u64::from(slots) * u64::from(blocks);
        let reading = 8 + header.padded_payload_bytes() / 8;
        assert!(
            (permuting..permuting + reading + REQUEST_CLOCKS).contains(&cycles),
            "{messages} messages of {blocks} blocks: {cycles} clocks, {permuting} of them permuting, {reading} reading"
        );
    }
}

/// Requests one behind the other: while one is permuted the next is read and the one before leaves.
#[test]
fn requests_in_full_flow_never_starve_the_permutation() {
    // What is counted beyond the last reply: a run of the simulation, and its silence.
    const LAST_RUN_CLOCKS: u64 = (1 << 14) + 256;
    let mut random = Random(5);
    for blocks in [4, 9] {
        let mut device = device(Stalls::default());
        let items = items(blocks, limits(&mut device).payload_bytes_max);
        let header = Header::request(Opcode::MerkleKeccak, 1, 1, items, item_bytes(blocks));
        let payload = random.bytes(header.payload_bytes as usize);
        let (requests, packet) = (20, packet(header, &payload));
        let before = device.endpoint().clocks();
        device.write_stream(&packet.repeat(requests), WAIT).unwrap();
        for _ in 0..requests {
            check(&mut device, &payload, blocks);
        }
        let clocks = device.endpoint().clocks() - before;
        let permuting = BLOCK_CLOCKS * u64::from(items) * u64::from(blocks);
        let reading = 8 + header.padded_payload_bytes() / 8;
        let most = requests as u64 * (permuting + REQUEST_CLOCKS) + reading + LAST_RUN_CLOCKS;
        assert!(clocks < most, "{requests} requests of {items} messages: {clocks} clocks, not below {most}");
    }
}

/// One message of four blocks more than a payload holds, announced and sent whole, announced and sent in part.
#[test]
fn one_message_of_four_blocks_too_many_is_refused_and_the_most_that_fit_are_hashed() {
    let mut pair = Pair::new();
    let most = items(4, pair.limits.payload_bytes_max);
    let request = |items| Header::request(Opcode::MerkleKeccak, 1, 7, items, item_bytes(4));
    let (fits, exceeds) = (request(most), request(most + 1));
    assert!(exceeds.payload_bytes > pair.limits.payload_bytes_max);
    let mut random = Random(6);
    let good = packet(fits, &random.bytes(fits.payload_bytes as usize));
    let bad = packet(exceeds, &random.bytes(exceeds.payload_bytes as usize));
    let shape = Status::Shape;
    assert_eq!(pair.feed(&good), (vec![0], 0));
    assert_eq!(pair.feed(&bad), (vec![shape.number()], shape.sticky_bit()));
    assert_eq!(pair.feed(&good), (vec![0], shape.sticky_bit()));
    assert_eq!(pair.design.reg_read(ITEMS_DONE, WAIT).unwrap(), 2 * most);
    // Announced, and then what comes is another request: it is the payload.
    assert_eq!(pair.feed(&bad[..64]), (vec![], shape.sticky_bit()));
    assert_eq!(pair.feed(&good[..16_384]), (vec![], shape.sticky_bit()));
    pair.recover(true);
    assert_eq!(pair.design.reg_read(ERRORS, WAIT).unwrap(), 0);
}
