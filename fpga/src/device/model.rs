//! A device in software: the packet module's rules carried out one after the other, byte for byte as the gateware.
//!
//! It is what the driver is tested against without a simulator, and what the simulated gateware is compared with.

use std::sync::Arc;

use fpga_hash::{Digest, FieldElement, Hasher};

use super::Endpoint;
use crate::DeviceError;
use crate::packet::{
    CheckedRequest, HEADER_BYTES, Header, Kind, Limits, Opcode, Status, VERSION, checksum, padded, stride,
};
use crate::registers::{
    self, BUILD, CAPABILITIES, CONTROL, CONTROL_RESET, CYCLES_HIGH, CYCLES_LOW, Capabilities, ERRORS, ID,
    INPUT_FREE, ITEMS_DONE, OUTPUT_AVAILABLE, SELF_TEST,
};

/// Bytes that the model takes before it works.
const INPUT_BYTES_MAX: usize = 1 << 16;

/// Where the model stands in its input.
#[derive(Debug)]
enum Input {
    /// At a header.
    Header,
    /// In the payload of a request that is carried out.
    Payload { header: Header, request: CheckedRequest },
    /// In the payload of a request that is refused.
    Refused { header: Header, status: Status, left: u64 },
    /// Without framing.
    Lost,
}

/// The model. One "clock" passes for every 8 bytes of input.
#[derive(Debug)]
pub struct Model {
    capabilities: Capabilities,
    limits: Limits,
    software: Arc<dyn Hasher>,
    input: Input,
    bytes: Vec<u8>,
    errors: u32,
    cycles: u64,
    cycles_high: u32,
    items_done: u32,
    self_test: u32,
}

impl Model {
    /// A device with these capabilities.
    ///
    /// # Panics
    /// When they make no sense ([`Capabilities::limits`]) or name [`Opcode::MerklePoseidon`], which no device has yet.
    pub fn new(capabilities: Capabilities) -> Self {
        let limits = capabilities.limits().expect("capabilities of a model make sense");
        assert!(!limits.knows(Opcode::MerklePoseidon), "the model has no Poseidon trees");
        Self {
            capabilities,
            limits,
            software: fpga_hash::software(),
            input: Input::Header,
            bytes: Vec::new(),
            errors: 0,
            cycles: 0,
            cycles_high: 0,
            items_done: 0,
            self_test: 0,
        }
    }

    /// What the Keccak gateware is: loopback, Keccak-256, Merkle levels; 128 items, 256 KiB, 4 packets.
    pub fn keccak() -> Self {
        let opcodes = Opcode::Loopback.bit() | Opcode::Keccak256.bit() | Opcode::MerkleKeccak.bit();
        Self::new(Capabilities {
            opcodes,
            item_count_max_log2: 7,
            payload_bytes_max_log2: 18,
            packets_max: 4,
        })
    }

    /// One step through the input; `false` when there are too few bytes for it.
    fn step(&mut self, output: &mut Vec<u8>) -> bool {
        match self.input {
            Input::Lost => {
                self.consume(self.bytes.len());
                false
            }
            Input::Header => {
                let Some(bytes) = self.bytes.first_chunk::<HEADER_BYTES>().copied() else { return false };
                self.consume(HEADER_BYTES);
                self.input = self.begin(&bytes);
                true
            }
            Input::Refused { header, status, left } => {
                let taken = self.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.consume(taken);
                let left = left - taken as u64;
                self.input = Input::Refused { header, status, left };
                if left > 0 {
                    return false;
                }
                self.refuse(&header, status, output);
                true
            }
            Input::Payload { header, request } => {
                let wanted = usize::try_from(padded(header.payload_bytes)).unwrap_or(usize::MAX);
                if self.bytes.len() < wanted {
                    return false;
                }
                let payload = self.bytes[..wanted].to_vec();
                self.consume(wanted);
                if checksum(&payload) != request.payload_crc32c {
                    self.errors |= Status::PayloadChecksum.sticky_bit();
                    self.refuse(&header, Status::PayloadChecksum, output);
                } else {
                    self.answer(&request, &payload, output);
                }
                true
            }
        }
    }

    /// What a header leads to.
    fn begin(&mut self, bytes: &[u8; HEADER_BYTES]) -> Input {
        let lost = |model: &mut Self, status: Status| {
            model.errors |= status.sticky_bit();
            Input::Lost
        };
        let header = match Header::decode(bytes) {
            Ok(header) if header.kind == Kind::Request => header,
            Ok(_) | Err(crate::packet::Error::Magic { .. }) => return lost(self, Status::Magic),
            Err(_) => return lost(self, Status::HeaderChecksum),
        };
        match header.check_request(&self.limits) {
            Ok(request) => Input::Payload { header, request },
            Err(status) => {
                self.errors |= status.sticky_bit();
                Input::Refused { header, status, left: header.padded_payload_bytes() }
            }
        }
    }

    fn refuse(&mut self, header: &Header, status: Status, output: &mut Vec<u8>) {
        self.input = Input::Header;
        output.extend(Header::error_reply_to(header, status, 1).encode());
    }

    fn answer(&mut self, request: &CheckedRequest, payload: &[u8], output: &mut Vec<u8>) {
        self.items_done = self.items_done.wrapping_add(request.item_count);
        self.input = Input::Header;
        let reply = match request.opcode {
            Opcode::Loopback => payload.to_vec(),
            _ => {
                let mut digests = self.digests(request, payload).concat();
                digests.resize(digests.len().next_multiple_of(HEADER_BYTES), 0);
                digests
            }
        };
        let cycles = payload.len() as u64 / 8 + 8;
        output.extend(Header::reply_to(request, cycles, checksum(&reply)).encode());
        output.extend(reply);
    }

    fn digests(&self, request: &CheckedRequest, payload: &[u8]) -> Vec<Digest> {
        let item_bytes = request.item_bytes as usize;
        let stride = usize::try_from(stride(request.item_bytes)).unwrap_or(usize::MAX);
        let items = (0..request.item_count as usize).map(|item| &payload[item * stride..][..item_bytes]);
        let keccak = |messages: Vec<&[u8]>| {
            let mut digests = vec![Digest::default(); messages.len()];
            self.software.keccak256(&messages, &mut digests);
            digests
        };
        match request.opcode {
            Opcode::Loopback | Opcode::MerklePoseidon => unreachable!("not a digest of items"),
            Opcode::Keccak256 => keccak(items.collect()),
            Opcode::MerkleKeccak => {
                let prefixed: Vec<Vec<u8>> = items.map(|item| [&[request.prefix], item].concat()).collect();
                keccak(prefixed.iter().map(Vec::as_slice).collect())
            }
            Opcode::Poseidon3 | Opcode::Poseidon9 => items.map(|item| self.poseidon(item)).collect(),
        }
    }

    /// Elements that are none count as zero, as in hardware that does not check them.
    fn poseidon(&self, item: &[u8]) -> Digest {
        let (elements, _) = item.as_chunks::<32>();
        let inputs: Vec<FieldElement> = elements
            .iter()
            .map(|bytes| FieldElement::from_be_bytes(bytes).unwrap_or(FieldElement::ZERO))
            .collect();
        let mut digest = [FieldElement::ZERO];
        self.software.poseidon(&inputs, inputs.len(), &mut digest);
        digest[0].to_be_bytes()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
        self.cycles += bytes.div_ceil(8) as u64;
    }
}

impl Endpoint for Model {
    fn accept(&mut self, bytes: &[u8]) -> usize {
        let wanted = match &self.input {
            Input::Payload { header, .. } => header.padded_payload_bytes(),
            _ => 0,
        };
        let bytes_max = INPUT_BYTES_MAX.max(usize::try_from(wanted).unwrap_or(usize::MAX));
        let taken = bytes.len().min(bytes_max.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn work(&mut self, output: &mut Vec<u8>) -> bool {
        let before = self.bytes.len();
        while self.step(output) {}
        self.bytes.len() < before
    }

    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError> {
        let [low, high] = [self.cycles, self.cycles >> 32].map(|half| (half & 0xffff_ffff) as u32);
        Ok(match address {
            ID => registers::ID_VALUE,
            BUILD => registers::build_value(VERSION, 0),
            CAPABILITIES => self.capabilities.encode(),
            ERRORS => self.errors,
            INPUT_FREE => u32::try_from(INPUT_BYTES_MAX.saturating_sub(self.bytes.len())).unwrap_or(u32::MAX),
            // The model hands out its output at once.
            OUTPUT_AVAILABLE => 0,
            CYCLES_LOW => {
                self.cycles_high = high;
                low
            }
            CYCLES_HIGH => self.cycles_high,
            ITEMS_DONE => self.items_done,
            SELF_TEST => !self.self_test,
            _ => 0,
        })
    }

    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError> {
        match address {
            CONTROL if value & CONTROL_RESET != 0 => self.reset(),
            ERRORS => self.errors &= !value,
            SELF_TEST => self.self_test = value,
            _ => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.input = Input::Header;
        self.bytes.clear();
        (self.errors, self.cycles, self.cycles_high, self.items_done, self.self_test) = (0, 0, 0, 0, 0);
    }
}
