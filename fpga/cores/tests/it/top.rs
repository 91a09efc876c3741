//! The whole accelerator in the Rust simulation: packets, errors, registers, reset.

use fpga::packet::{CheckedRequest, HEADER_BYTES, Header, Limits, Opcode, Status, checksum, padded, stride};
use fpga::registers;
use fpga_cores::bench::{settle, tick};
use fpga_cores::top::{Accelerator, CAPABILITIES, PAYLOAD_BYTES_MAX};
use fpga_hash::{Digest, software};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The accelerator with words waiting to go in and words that came out.
struct Bench {
    top: Accelerator,
    input: Vec<u64>,
    sent: usize,
    output: Vec<u64>,
    random: ChaCha8Rng,
    /// Probability that a word is offered, and that one is taken.
    flow: (f64, f64),
    offered: bool,
}

/// A reply as it came.
#[derive(Debug, PartialEq)]
struct Reply {
    header: Header,
    payload: Vec<u8>,
}

impl Bench {
    fn new(seed: u64, flow: (f64, f64)) -> Self {
        let mut bench = Self {
            top: Accelerator::new(0x0012_3456),
            input: vec![],
            sent: 0,
            output: vec![],
            random: ChaCha8Rng::seed_from_u64(seed),
            flow,
            offered: false,
        };
        bench.top.rst.next = true;
        for _ in 0..3 {
            settle(&mut bench.top);
            tick(&mut bench.top);
        }
        bench.top.rst.next = false;
        settle(&mut bench.top);
        bench
    }

    fn clock(&mut self) {
        self.offered = self.offered || self.random.random_bool(self.flow.0);
        let word = self.input.get(self.sent).copied().filter(|_| self.offered);
        let takes = self.random.random_bool(self.flow.1);
        self.top.s_axis_tvalid.next = word.is_some();
        self.top.s_axis_tdata.next = word.unwrap_or(0).into();
        self.top.m_axis_tready.next = takes;
        settle(&mut self.top);
        if word.is_some() && self.top.s_axis_tready.val() {
            self.sent += 1;
            self.offered = false;
        }
        if takes && self.top.m_axis_tvalid.val() {
            self.output.push(self.top.m_axis_tdata.val().value());
        }
        tick(&mut self.top);
    }

    fn send(&mut self, header: &[u8], payload: &[u8]) {
        let mut bytes = [header, payload].concat();
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        self.input.extend(bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)));
    }

    /// Clocks until a whole reply is there.
    fn receive(&mut self) -> Reply {
        self.wait(8);
        let bytes = |words: &[u64]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
        let header: [u8; HEADER_BYTES] = bytes(&self.output[..8]).try_into().unwrap();
        let header = Header::decode(&header).unwrap();
        header.check_reply().unwrap();
        let words = usize::try_from(padded(header.payload_bytes) / 8).unwrap();
        self.wait(8 + words);
        let payload = bytes(&self.output[8..8 + words]);
        self.output.drain(..8 + words);
        assert_eq!(header.payload_crc32c, checksum(&payload));
        Reply { header, payload }
    }

    fn wait(&mut self, words: usize) {
        let mut clocks = 0;
        while self.output.len() < words {
            self.clock();
            clocks += 1;
            assert!(clocks < 1_000_000, "the accelerator hangs");
        }
    }

    fn clocks(&mut self, count: usize) {
        for _ in 0..count {
            self.clock();
        }
    }

    fn read(&mut self, address: u32) -> u32 {
        self.top.s_axil_araddr.next = u64::from(address).into();
        self.top.s_axil_arvalid.next = true;
        self.top.s_axil_rready.next = true;
        settle(&mut self.top);
        if !self.top.s_axil_arready.val() {
            // The last clock of a reset.
            self.clock();
        }
        self.clock();
        self.top.s_axil_arvalid.next = false;
        settle(&mut self.top);
        assert!(self.top.s_axil_rvalid.val());
        let value = self.top.s_axil_rdata.val().value();
        self.clock();
        u32::try_from(value).unwrap()
    }

    fn write(&mut self, address: u32, value: u32) {
        self.top.s_axil_awaddr.next = u64::from(address).into();
        self.top.s_axil_wdata.next = u64::from(value).into();
        self.top.s_axil_wstrb.next = 15.into();
        self.top.s_axil_awvalid.next = true;
        self.top.s_axil_wvalid.next = true;
        self.top.s_axil_bready.next = true;
        self.clock();
        self.top.s_axil_awvalid.next = false;
        self.top.s_axil_wvalid.next = false;
        settle(&mut self.top);
        let mut waited = 0;
        while !self.top.s_axil_bvalid.val() {
            self.clock();
            settle(&mut self.top);
            waited += 1;
            assert!(waited <= 2, "a write is answered at once, a reset two clocks later");
        }
        self.clock();
    }
}

fn limits() -> Limits {
    CAPABILITIES.limits().unwrap()
}

/// A request for these items, all of one length.
fn request(opcode: Opcode, prefix: u8, tag: u64, items: &[Vec<u8>]) -> (Header, Vec<u8>) {
    let item_bytes = u32::try_from(items[0].len()).unwrap();
    let mut header = Header::request(opcode, prefix, tag, u32::try_from(items.len()).unwrap(), item_bytes);
    let mut payload = Vec::new();
    for item in items {
        let start = payload.len();
        payload.extend_from_slice(item);
        payload.resize(start + usize::try_from(stride(item_bytes)).unwrap(), 0);
    }
    payload.resize(payload.len().next_multiple_of(64), 0);
    header.payload_crc32c = checksum(&payload);
    (header, payload)
}

/// What the device must answer.
fn expected(checked: &CheckedRequest, items: &[Vec<u8>], payload: &[u8]) -> Vec<u8> {
    if checked.opcode == Opcode::Loopback {
        return payload.to_vec();
    }
    let prefix: &[u8] = if checked.opcode == Opcode::MerkleKeccak { &[checked.prefix] } else { &[] };
    let messages: Vec<Vec<u8>> = items.iter().map(|item| [prefix, item].concat()).collect();
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut digests = vec![Digest::default(); messages.len()];
    software().keccak256(&messages, &mut digests);
    let mut payload = digests.concat();
    payload.resize(payload.len().next_multiple_of(64), 0);
    payload
}

fn random_items(random: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let item_bytes = match random.random_range(0..4) {
        0 => 64,
        1 => random.random_range(0..20),
        2 => 136 * random.random_range(1..=5) - random.random_range(0..3),
        _ => random.random_range(0..1000),
    };
    let count = random.random_range(1..=12);
    (0..count).map(|_| (0..item_bytes).map(|_| random.random()).collect()).collect()
}

fn check_random_requests(seed: u64, flow: (f64, f64), requests: u64) {
    let mut bench = Bench::new(seed, flow);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut answers = Vec::new();
    for tag in 0..requests {
        let opcode = [Opcode::Loopback, Opcode::Keccak256, Opcode::MerkleKeccak][random.random_range(0..3)];
        let items = random_items(&mut random);
        let prefix = if opcode == Opcode::MerkleKeccak { random.random() } else { 0 };
        let (header, payload) = request(opcode, prefix, tag, &items);
        let checked = header.check_request(&limits()).unwrap();
        answers.push((checked, expected(&checked, &items, &payload)));
        bench.send(&header.encode(), &payload);
    }
    let mut items = 0;
    for (checked, payload) in answers {
        let reply = bench.receive();
        assert_eq!(reply.header, Header::reply_to(&checked, reply.header.cycles, checksum(&payload)));
        assert!(reply.payload == payload, "tag {} has another payload", checked.tag);
        items += checked.item_count;
    }
    assert_eq!(bench.read(registers::ITEMS_DONE), items);
    assert_eq!(bench.read(registers::ERRORS), 0);
    assert_eq!(bench.read(registers::OUTPUT_AVAILABLE), 0);
}

#[test]
fn answers_like_software_in_full_flow() {
    check_random_requests(1, (1.0, 1.0), 24);
}

#[test]
fn answers_like_software_under_random_stalls() {
    check_random_requests(2, (0.4, 0.6), 16);
    check_random_requests(3, (1.0, 0.1), 8);
}

#[test]
fn takes_the_largest_requests() {
    let mut bench = Bench::new(1, (1.0, 1.0));
    let cases = [
        (Opcode::Keccak256, vec![vec![]; 1024]),
        (Opcode::Keccak256, vec![vec![7; 32_768]]),
        (Opcode::MerkleKeccak, (0..512_u16).map(|i| vec![i.to_le_bytes()[0]; 64]).collect()),
        (Opcode::Loopback, (0..1024_u16).map(|i| vec![i.to_le_bytes()[0]; 32]).collect()),
        (Opcode::Loopback, vec![vec![]]),
    ];
    for (opcode, items) in cases {
        let (header, payload) = request(opcode, 0, 9, &items);
        let checked = header.check_request(&limits()).unwrap();
        bench.send(&header.encode(), &payload);
        let reply = bench.receive();
        assert_eq!(reply.header.status, 0);
        assert!(reply.payload == expected(&checked, &items, &payload), "{opcode:?}");
    }
}

/// Merkle nodes cost one block each: the core is never more than a pipeline away from its bound.
#[test]
fn a_level_of_nodes_takes_24_clocks_a_node() {
    let mut bench = Bench::new(1, (1.0, 1.0));
    let items = vec![vec![3; 64]; 500];
    let (header, payload) = request(Opcode::MerkleKeccak, 1, 1, &items);
    bench.send(&header.encode(), &payload);
    let reply = bench.receive();
    let reading = 8 + 13 + 4000;
    assert!(reply.header.cycles < reading + 500 * 24 + 250, "{} clocks", reply.header.cycles);
}

#[test]
fn every_wrong_header_is_answered_with_its_status() {
    let items = vec![vec![5; 40]; 3];
    let (good, payload) = request(Opcode::Keccak256, 0, 77, &items);
    let wrong: Vec<(Status, Header)> = vec![
        (Status::Version, Header { version: 2, ..good }),
        (Status::Version, Header { version: 0, opcode: 99, ..good }),
        (Status::Opcode, Header { opcode: 0, ..good }),
        (Status::Opcode, Header { opcode: 4, ..good }),
        (Status::Opcode, Header { opcode: 130, ..good }),
        (Status::Shape, Header { flags: 1, ..good }),
        (Status::Shape, Header { opcode: 3, flags: 256, ..good }),
        (Status::Shape, Header { item_count: 0, ..good }),
        (Status::Shape, Header { item_count: 2, ..good }),
        (Status::Shape, Header { item_count: 1025, item_bytes: 0, payload_bytes: 0, ..good }),
        (Status::Shape, Header { item_count: 3 + 2048, ..good }),
        (Status::Shape, Header { item_bytes: 41, ..good }),
        (Status::Shape, Header { item_bytes: 40 + (1 << 16), ..good }),
        (Status::Shape, Header { payload_bytes: 121, ..good }),
        (Status::Shape, Header { item_count: 1, item_bytes: 32_776, payload_bytes: 32_776, ..good }),
        (Status::Shape, Header { status: 1, ..good }),
        (Status::Shape, Header { cycles: 1 << 63, ..good }),
        (Status::Shape, Header { reserved: 1, ..good }),
        (Status::Shape, Header { reserved: 1 << 127, ..good }),
        (Status::PayloadChecksum, Header { payload_crc32c: good.payload_crc32c ^ 1, ..good }),
    ];
    let mut bench = Bench::new(1, (1.0, 1.0));
    for (status, header) in wrong {
        let wanted = header.check_request(&limits()).err().unwrap_or(Status::PayloadChecksum);
        assert_eq!(wanted, status, "{header:?}");
        let mut body = payload.clone();
        body.resize(usize::try_from(padded(header.payload_bytes)).unwrap(), 0);
        bench.send(&header.encode(), &body);
        let reply = bench.receive();
        assert_eq!(
            reply.header,
            Header::error_reply_to(&Header { version: 1, ..header }, status, reply.header.cycles)
        );
        assert_eq!(bench.read(registers::ERRORS), status.sticky_bit(), "{header:?}");
        bench.write(registers::ERRORS, u32::MAX);
        assert_eq!(bench.read(registers::ERRORS), 0);
    }
    // And nothing of that hurts the next request.
    bench.send(&good.encode(), &payload);
    assert_eq!(bench.receive().payload, expected(&good.check_request(&limits()).unwrap(), &items, &payload));
    assert_eq!(bench.read(registers::ITEMS_DONE), 3);
}

#[test]
fn lost_framing_swallows_everything_until_reset() {
    let (good, payload) = request(Opcode::Keccak256, 0, 5, &vec![vec![1; 8]; 2]);
    let mut magic = good.encode();
    magic[0] ^= 1;
    let mut crc = good.encode();
    crc[9] ^= 0x80;
    for (status, header) in [(Status::Magic, magic), (Status::HeaderChecksum, crc)] {
        let mut bench = Bench::new(1, (1.0, 1.0));
        bench.send(&header, &payload);
        for _ in 0..5 {
            bench.send(&good.encode(), &payload);
        }
        bench.clocks(1000);
        assert_eq!(bench.sent, bench.input.len(), "the input is stuck");
        assert!(bench.output.is_empty());
        assert_eq!(bench.read(registers::ERRORS), status.sticky_bit());
        bench.write(registers::CONTROL, registers::CONTROL_RESET);
        assert_eq!(bench.read(registers::ERRORS), 0);
        bench.send(&good.encode(), &payload);
        assert_eq!(bench.receive().header.tag, 5);
    }
}

#[test]
fn reset_at_any_time_leaves_nothing_behind() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut bench = Bench::new(11, (0.9, 0.5));
    for round in 0..30 {
        for _ in 0..3 {
            let (header, payload) = request(Opcode::Keccak256, 0, 1, &random_items(&mut random));
            bench.send(&header.encode(), &payload);
        }
        bench.clocks(random.random_range(0..900));
        bench.input.clear();
        bench.sent = 0;
        bench.offered = false;
        bench.write(registers::CONTROL, registers::CONTROL_RESET);
        bench.output.clear();
        assert_eq!(bench.read(registers::OUTPUT_AVAILABLE), 0);
        assert_eq!(bench.read(registers::INPUT_FREE), 64 + PAYLOAD_BYTES_MAX);
        let items = random_items(&mut random);
        let (header, payload) = request(Opcode::MerkleKeccak, 1, round, &items);
        bench.send(&header.encode(), &payload);
        let reply = bench.receive();
        assert_eq!(reply.header.tag, round);
        assert!(reply.payload == expected(&header.check_request(&limits()).unwrap(), &items, &payload));
    }
}

#[test]
fn takes_four_requests_while_no_reply_is_read() {
    let mut bench = Bench::new(1, (1.0, 0.0));
    for tag in 0..6 {
        let (header, payload) = request(Opcode::Loopback, 0, tag, &vec![vec![1; 64]; 4]);
        bench.send(&header.encode(), &payload);
    }
    bench.clocks(2000);
    let words = 8 + 32;
    assert!(bench.sent >= usize::from(CAPABILITIES.packets_max) * words, "{} words taken", bench.sent);
    assert!(bench.sent < 6 * words);
    assert_eq!(bench.read(registers::INPUT_FREE), 0);
    bench.flow.1 = 1.0;
    for tag in 0..6 {
        assert_eq!(bench.receive().header.tag, tag);
    }
}

/// The skid buffer behind the sender held two words that the register no longer counted: a host that waits for a whole
/// header before it reads, as the XDMA transport does, waited for ever.
#[test]
fn every_word_that_can_be_read_counts_as_available_until_it_is_taken() {
    let mut bench = Bench::new(1, (1.0, 0.0));
    for tag in 0..2 {
        let (header, payload) = request(Opcode::Loopback, 0, tag, &[vec![1; 64]]);
        bench.send(&header.encode(), &payload);
    }
    bench.clocks(500);
    for left in (1..=32).rev() {
        assert_eq!(bench.read(registers::OUTPUT_AVAILABLE), 8 * left);
        bench.flow.1 = 1.0;
        bench.clock();
        bench.flow.1 = 0.0;
    }
    assert_eq!((bench.read(registers::OUTPUT_AVAILABLE), bench.output.len()), (0, 32));
}

#[test]
fn registers_read_as_their_page_says() {
    let mut bench = Bench::new(1, (1.0, 1.0));
    assert_eq!(bench.read(registers::ID), registers::ID_VALUE);
    assert_eq!(bench.read(registers::BUILD), registers::build_value(1, 0x0012_3456));
    assert_eq!(registers::Capabilities::decode(bench.read(registers::CAPABILITIES)), CAPABILITIES);
    assert_eq!(bench.read(registers::CONTROL), 0);
    assert_eq!(bench.read(0x34), 0);
    assert_eq!(bench.read(registers::SELF_TEST), u32::MAX);
    bench.write(registers::SELF_TEST, 0x1234_5678);
    bench.write(0x34, 0x5555_5555);
    assert_eq!(bench.read(registers::SELF_TEST), !0x1234_5678);
    bench.clocks(100);
    let low = bench.read(registers::CYCLES_LOW);
    assert!(low > 0 && bench.read(registers::CYCLES_LOW) > low);
    assert_eq!(bench.read(registers::CYCLES_HIGH), 0);
    bench.write(registers::CONTROL, registers::CONTROL_RESET);
    assert!(bench.read(registers::CYCLES_LOW) < low);
    assert_eq!(bench.read(registers::SELF_TEST), u32::MAX);
}
