//! Requests that no driver would send: the design answers as the model does, never hangs, and a reset recovers.

use fpga::device::Endpoint;
use fpga::packet::{Header, Kind, Limits, Opcode, Status};
use fpga::registers::{CAPABILITIES, CONTROL, CONTROL_RESET, Capabilities, ERRORS, OUTPUT_AVAILABLE};
use fpga::{Device, DeviceError, InProcess, Model};
use rtl_sim::Stalls;

use crate::bench_device::{Random, Simulated, WAIT, device, limits, packet, reply};

/// The design and a model of the same capabilities, fed the same bytes.
pub(crate) struct Pair {
    pub(crate) design: Simulated,
    pub(crate) model: InProcess<Model>,
    pub(crate) limits: Limits,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let mut design = device(Stalls { seed: 11, input: 40, output: 40 });
        let limits = limits(&mut design);
        let capabilities = Capabilities::decode(design.reg_read(CAPABILITIES, WAIT).unwrap());
        Self { design, model: InProcess::new(Model::new(capabilities)), limits }
    }

    /// Sends bytes to both and compares every reply and the sticky errors; the statuses of the replies.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (Vec<u32>, u32) {
        self.design.write_stream(bytes, WAIT).unwrap();
        self.model.write_stream(bytes, WAIT).unwrap();
        let mut statuses = Vec::new();
        loop {
            let both = (reply(&mut self.design), reply(&mut self.model));
            let ((mut header, payload), (expected, expected_payload)) = match both {
                (Ok(design), Ok(model)) => (design, model),
                (Err(DeviceError::TimedOut { .. }), Err(_)) => break,
                (design, model) => {
                    let headers = (design.map(|answer| answer.0), model.map(|answer| answer.0));
                    panic!("one answers, the other does not: {headers:?}")
                }
            };
            header.cycles = expected.cycles;
            assert_eq!(header, expected);
            assert!(payload == expected_payload, "{header:?}");
            statuses.push(header.status);
        }
        let errors = self.design.reg_read(ERRORS, WAIT).unwrap();
        assert_eq!(errors, self.model.endpoint().reg_read(ERRORS).unwrap());
        (statuses, errors)
    }

    /// The design has judged a header, takes its payload, and answers nothing but registers.
    fn is_waiting(&mut self, status: Status) {
        let answer = reply(&mut self.design);
        assert!(matches!(answer, Err(DeviceError::TimedOut { done: 0, .. })), "{answer:?}");
        assert_eq!(self.design.reg_read(ERRORS, WAIT).unwrap(), status.sticky_bit());
        assert_eq!(self.design.reg_read(OUTPUT_AVAILABLE, WAIT).unwrap(), 0);
    }

    /// Resets both, by the register or by the pin, and shows that the design works.
    pub(crate) fn recover(&mut self, by_register: bool) {
        if by_register {
            self.design.reg_write(CONTROL, CONTROL_RESET, WAIT).unwrap();
        } else {
            self.design.reset(WAIT).unwrap();
        }
        self.model.reset(WAIT).unwrap();
        let good = packet(Header::request(Opcode::Keccak256, 0, 1, 1, 5), &[1; 8]);
        assert_eq!(self.feed(&good), (vec![0], 0), "a reset always recovers");
    }
}

fn good() -> Header {
    Header::request(Opcode::Keccak256, 0, 42, 3, 70)
}

/// A header, a payload of the length it announces, and what must become of it.
fn refused() -> Vec<(&'static str, Header, Status)> {
    let shape = Status::Shape;
    vec![
        ("wrong version", Header { version: 2, ..good() }, Status::Version),
        ("version 0", Header { version: 0, ..good() }, Status::Version),
        ("unknown opcode", Header { opcode: 99, ..good() }, Status::Opcode),
        ("opcode 0", Header { opcode: 0, ..good() }, Status::Opcode),
        ("an opcode of other devices", Header { opcode: 6, ..good() }, Status::Opcode),
        ("opcode 8, whose bit would wrap", Header { opcode: 8, ..good() }, Status::Opcode),
        ("no items", Header { item_count: 0, payload_bytes: 0, ..good() }, shape),
        ("more items than payload", Header { item_count: 4, ..good() }, shape),
        ("fewer items than payload", Header { item_count: 2, ..good() }, shape),
        ("items of another length", Header { item_bytes: 73, ..good() }, shape),
        ("a payload that ends inside an item", Header { payload_bytes: 215, ..good() }, shape),
        (
            "counts whose product wraps",
            Header { item_count: 1 << 31, item_bytes: 1 << 31, payload_bytes: 0, ..good() },
            shape,
        ),
        (
            "counts whose stride wraps",
            Header { item_count: 1, item_bytes: u32::MAX, payload_bytes: 0, ..good() },
            shape,
        ),
        ("flags of Keccak", Header { flags: 1, ..good() }, shape),
        ("flags above the prefix", Header { opcode: 3, flags: 0x100, ..good() }, shape),
        ("a status", Header { status: 1, ..good() }, shape),
        ("cycles", Header { cycles: 1 << 63, ..good() }, shape),
        ("reserved bytes", Header { reserved: 1, ..good() }, shape),
        ("reserved bytes at the end", Header { reserved: 1 << 127, ..good() }, shape),
    ]
}

#[test]
fn every_wrong_field_is_refused_with_its_status_and_the_next_request_works() {
    let mut pair = Pair::new();
    let mut sticky = 0;
    for (what, header, status) in refused() {
        let payload = vec![0xa5; header.payload_bytes as usize];
        sticky |= status.sticky_bit();
        assert_eq!(pair.feed(&packet(header, &payload)), (vec![status.number()], sticky), "{what}");
        assert_eq!(pair.feed(&packet(good(), &[7; 216])), (vec![0], sticky), "after {what}");
    }
    pair.design.reg_write(ERRORS, u32::MAX, WAIT).unwrap();
    assert_eq!(pair.design.reg_read(ERRORS, WAIT).unwrap(), 0, "written ones clear");
    pair.recover(true);
}

#[test]
fn counts_at_the_limits_work_and_beyond_them_are_refused() {
    let mut pair = Pair::new();
    let Limits { item_count_max, payload_bytes_max, .. } = pair.limits;
    let request = |opcode, items, item_bytes| {
        let header = Header::request(opcode, 0, 5, items, item_bytes);
        packet(header, &vec![3; header.payload_bytes as usize])
    };
    let ok = (vec![Status::Ok.number()], 0);
    assert_eq!(pair.feed(&request(Opcode::Keccak256, item_count_max, 1)), ok);
    assert_eq!(pair.feed(&request(Opcode::Keccak256, item_count_max, 0)), ok);
    assert_eq!(pair.feed(&request(Opcode::Keccak256, 1, payload_bytes_max)), ok);
    assert_eq!(pair.feed(&request(Opcode::MerkleKeccak, 1, payload_bytes_max)), ok);
    let refused = (vec![Status::Shape.number()], Status::Shape.sticky_bit());
    let loopback_bytes_max = pair.limits.loopback_bytes_max();
    for (opcode, items, item_bytes) in [
        (Opcode::Keccak256, item_count_max + 1, 0),
        (Opcode::Keccak256, item_count_max + 1, 1),
        (Opcode::Keccak256, 1, payload_bytes_max + 1),
        (Opcode::Keccak256, 1, 4 * payload_bytes_max),
        (Opcode::Loopback, 1, loopback_bytes_max + 1),
    ] {
        assert_eq!(
            pair.feed(&request(opcode, items, item_bytes)),
            refused,
            "{opcode:?} {items} {item_bytes}"
        );
    }
    pair.recover(false);
}

#[test]
fn a_wrong_payload_checksum_is_refused_and_no_digest_leaves() {
    let mut pair = Pair::new();
    for byte in [64, 64 + 215, 64 + 216, 64 + 255] {
        let mut bytes = packet(good(), &[9; 216]);
        bytes[byte] ^= 4;
        let refused = (vec![Status::PayloadChecksum.number()], Status::PayloadChecksum.sticky_bit());
        assert_eq!(pair.feed(&bytes), refused, "byte {byte}, the fill included");
        assert_eq!(pair.feed(&packet(good(), &[7; 216])).0, [0]);
    }
    pair.recover(true);
}

#[test]
fn without_framing_everything_is_swallowed_until_a_reset() {
    for by_register in [true, false] {
        let mut pair = Pair::new();
        let reply_as_request = Header { kind: Kind::Reply, ..good() };
        for (broken, status) in [
            (packet(reply_as_request, &[0; 216]), Status::Magic),
            ([b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 300]].concat(), Status::Magic),
            (vec![0; 64], Status::Magic),
            (vec![0xff; 4096], Status::Magic),
        ] {
            assert_eq!(pair.feed(&broken[..broken.len() / 8 * 8]), (vec![], status.sticky_bit()));
            assert_eq!(pair.feed(&packet(good(), &[7; 216])), (vec![], status.sticky_bit()), "swallowed");
            pair.recover(by_register);
        }
        for bit in (32..512).step_by(29) {
            let mut bytes = packet(good(), &[7; 216]);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(pair.feed(&bytes), (vec![], Status::HeaderChecksum.sticky_bit()), "bit {bit}");
            pair.recover(by_register);
        }
    }
}

/// A payload that is announced and never comes whole: nothing is answered while it is waited for, and either reset ends it.
/// The length that it takes on the stream, 2^32 bytes, is 0 in 32 bits.
#[test]
fn a_header_that_announces_all_that_fits_is_waited_for_until_a_reset() {
    let endless = Header { payload_bytes: u32::MAX, ..good() };
    let as_one_item = Header { item_count: 1, item_bytes: u32::MAX, ..endless };
    let whole_words =
        Header { item_count: 1, item_bytes: u32::MAX - 7, payload_bytes: u32::MAX - 7, ..good() };
    let mut pair = Pair::new();
    for by_register in [true, false] {
        for (header, status) in [
            (endless, Status::Shape),
            (as_one_item, Status::Shape),
            (whole_words, Status::Shape),
            (Header { version: 2, ..endless }, Status::Version),
        ] {
            // Of the payload: nothing, a word, more than a bank of 32 KiB.
            for bytes in [0, 8, 40_000] {
                let mut sent = packet(header, &[]);
                sent.resize(sent.len() + bytes, 0xa5);
                pair.design.write_stream(&sent, WAIT).unwrap();
                pair.is_waiting(status);
                pair.design.write_stream(&packet(good(), &[7; 216]), WAIT).unwrap();
                pair.is_waiting(status);
                pair.recover(by_register);
            }
        }
    }
}

#[test]
fn random_headers_are_answered_as_by_the_model() {
    let (mut pair, mut random) = (Pair::new(), Random(77));
    for _ in 0..200 {
        let mut header = Header::request(
            Opcode::ALL[random.below(6) as usize],
            0,
            random.next(),
            random.below(6),
            random.below(200),
        );
        for _ in 0..random.below(3) {
            match random.below(7) {
                0 => header.version = random.next().to_le_bytes()[0] % 3,
                1 => header.opcode = random.next().to_le_bytes()[0] % 8,
                2 => header.flags = [1, 0xff, 0x100][random.below(3) as usize],
                3 => header.item_count = random.below(2000),
                4 => header.item_bytes = random.below(2000),
                5 => header.payload_bytes = random.below(3000),
                _ => header.status = random.below(3),
            }
        }
        let payload = random.bytes(header.payload_bytes as usize);
        pair.feed(&packet(header, &payload));
    }
    pair.recover(true);
}
