//! The input side of the top: headers are read and checked, payloads go into one of two banks of memory.
//!
//! Promise: any bytes end in one of two ways. A header whose magic and checksum hold is read with its whole payload and
//! offered to the worker, good or with the status of its error; after any other header everything is swallowed until reset.
//! The checks and their order are those of `fpga::packet::Header::check_request`.
//!
//! While the worker has one request, the next one is read into the other bank. A bank is never written while it is read:
//! the worker takes a request only when it is done with the one before.

use fpga::packet::{Opcode, REQUEST_MAGIC, Status, VERSION};

use super::{ITEM_COUNT_MAX, OPCODES, PAYLOAD_BYTES_MAX};
use crate::crc::Crc32c;
use crate::prelude::*;
use crate::stream::Sink;

/// Where the receiver is in a packet.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Reading {
    /// In the eight words of a header.
    Header,
    /// Checks the header, multiplies item count and stride.
    Check,
    /// In the payload.
    Payload,
    /// The payload's checksum is there.
    Settle,
    /// The request waits for the worker.
    Offer,
    /// The framing is lost.
    Lost,
}

/// Reads requests.
#[derive(Clone, Debug, LogicBlock)]
pub struct Receiver {
    /// Rising edge of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous.
    pub reset: Signal<In, Bit>,
    /// Packets.
    pub sink: Sink,
    /// Clocks since reset.
    pub now: Signal<In, Lane>,
    /// Where payload words go, the bank in the top wire.
    pub write_address: Signal<Out, Word<13>>,
    /// A payload word.
    pub write_data: Signal<Out, Lane>,
    /// Write it.
    pub write_enable: Signal<Out, Bit>,
    /// A request is offered.
    pub valid: Signal<Out, Bit>,
    /// The worker takes it.
    pub taken: Signal<In, Bit>,
    /// The bank of its payload.
    pub bank: Signal<Out, Bit>,
    /// Opcode, as received.
    pub opcode: Signal<Out, Word<8>>,
    /// Flags, as received.
    pub flags: Signal<Out, Word<16>>,
    /// Tag, as received.
    pub tag: Signal<Out, Lane>,
    /// Item count, as received.
    pub item_count: Signal<Out, Word<32>>,
    /// Item bytes, as received.
    pub item_bytes: Signal<Out, Word<32>>,
    /// Words of an item.
    pub stride_words: Signal<Out, Word<13>>,
    /// Payload bytes, as received.
    pub payload_bytes: Signal<Out, Word<32>>,
    /// Number of the status.
    pub status: Signal<Out, Word<3>>,
    /// When the first word came.
    pub started: Signal<Out, Lane>,
    /// One clock long: the sticky errors to set, bit `status - 1`.
    pub errors: Signal<Out, Word<6>>,
    /// Words that are taken without waiting.
    pub free_words: Signal<Out, Word<13>>,

    crc: Crc32c,
    reading: Register<Reading>,
    position: Register<Word<3>>,
    bank_held: Register<Bit>,
    opcode_held: Register<Word<8>>,
    flags_held: Register<Word<16>>,
    tag_held: Register<Lane>,
    count_held: Register<Word<32>>,
    bytes_held: Register<Word<32>>,
    payload_held: Register<Word<32>>,
    payload_crc: Register<Word<32>>,
    header_crc: Register<Word<32>>,
    started_held: Register<Lane>,
    status_held: Register<Word<3>>,
    magic_holds: Register<Bit>,
    version_holds: Register<Bit>,
    stained: Register<Bit>,
    address: Register<Word<12>>,
    free: Register<Word<13>>,
    blocks_left: Register<Word<27>>,
    errors_held: Register<Word<6>>,

    // Product of count and stride, a bit of the count in each clock.
    step: Register<Word<4>>,
    multiplier: Register<Word<11>>,
    multiplicand: Register<Word<24>>,
    product: Register<Word<24>>,

    magic: Constant<Word<32>>,
    version: Constant<Word<8>>,
    opcodes: Constant<Word<8>>,
    prefixed: Constant<Word<8>>,
    count_max: Constant<Word<32>>,
    payload_max: Constant<Word<32>>,
    free_max: Constant<Word<13>>,
    status_magic: Constant<Word<3>>,
    status_header: Constant<Word<3>>,
    status_version: Constant<Word<3>>,
    status_opcode: Constant<Word<3>>,
    status_shape: Constant<Word<3>>,
    status_payload: Constant<Word<3>>,

    taken_word: Signal<Local, Bit>,
    low: Signal<Local, Word<32>>,
    high: Signal<Local, Word<32>>,
    covered: Signal<Local, Lane>,
    rounded: Signal<Local, Word<16>>,
    has_tail: Signal<Local, Bit>,
    tail_blocks: Signal<Local, Word<27>>,
    payload_words: Signal<Local, Word<29>>,
    product_wide: Signal<Local, Word<29>>,
    opcode_known: Signal<Local, Bit>,
    flags_hold: Signal<Local, Bit>,
    counts_hold: Signal<Local, Bit>,
    error: Signal<Local, Word<3>>,
    error_position: Signal<Local, Word<3>>,
    error_bit: Signal<Local, Word<6>>,
    opcodes_from: Signal<Local, Word<8>>,
}

impl Default for Receiver {
    fn default() -> Self {
        let status = |status: Status| Constant::new(u64::from(status.number()).into());
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            sink: Sink::default(),
            now: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            write_enable: Signal::default(),
            valid: Signal::default(),
            taken: Signal::default(),
            bank: Signal::default(),
            opcode: Signal::default(),
            flags: Signal::default(),
            tag: Signal::default(),
            item_count: Signal::default(),
            item_bytes: Signal::default(),
            stride_words: Signal::default(),
            payload_bytes: Signal::default(),
            status: Signal::default(),
            started: Signal::default(),
            errors: Signal::default(),
            free_words: Signal::default(),
            crc: Crc32c::default(),
            reading: Register::default(),
            position: Register::default(),
            bank_held: Register::default(),
            opcode_held: Register::default(),
            flags_held: Register::default(),
            tag_held: Register::default(),
            count_held: Register::default(),
            bytes_held: Register::default(),
            payload_held: Register::default(),
            payload_crc: Register::default(),
            header_crc: Register::default(),
            started_held: Register::default(),
            status_held: Register::default(),
            magic_holds: Register::default(),
            version_holds: Register::default(),
            stained: Register::default(),
            address: Register::default(),
            free: Register::default(),
            blocks_left: Register::default(),
            errors_held: Register::default(),
            step: Register::default(),
            multiplier: Register::default(),
            multiplicand: Register::default(),
            product: Register::default(),
            magic: Constant::new(u64::from(REQUEST_MAGIC).into()),
            version: Constant::new(u64::from(VERSION).into()),
            opcodes: Constant::new(u64::from(OPCODES).into()),
            prefixed: Constant::new(u64::from(Opcode::MerkleKeccak.number()).into()),
            count_max: Constant::new(u64::from(ITEM_COUNT_MAX).into()),
            payload_max: Constant::new(u64::from(PAYLOAD_BYTES_MAX).into()),
            free_max: Constant::new(u64::from(PAYLOAD_BYTES_MAX / 8 + 8).into()),
            status_magic: status(Status::Magic),
            status_header: status(Status::HeaderChecksum),
            status_version: status(Status::Version),
            status_opcode: status(Status::Opcode),
            status_shape: status(Status::Shape),
            status_payload: status(Status::PayloadChecksum),
            taken_word: Signal::default(),
            low: Signal::default(),
            high: Signal::default(),
            covered: Signal::default(),
            rounded: Signal::default(),
            has_tail: Signal::default(),
            tail_blocks: Signal::default(),
            payload_words: Signal::default(),
            product_wide: Signal::default(),
            opcode_known: Signal::default(),
            flags_hold: Signal::default(),
            counts_hold: Signal::default(),
            error: Signal::default(),
            error_position: Signal::default(),
            error_bit: Signal::default(),
            opcodes_from: Signal::default(),
        }
    }
}

impl Logic for Receiver {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, reading, position, bank_held, opcode_held, flags_held, tag_held, count_held);
        dff_setup!(self, clock, bytes_held, payload_held, payload_crc, header_crc, started_held, status_held);
        dff_setup!(self, clock, magic_holds, version_holds, stained, address, free, blocks_left, errors_held);
        dff_setup!(self, clock, step, multiplier, multiplicand, product);

        self.sink.ready.next = (self.reading.q.val() == Reading::Header)
            | (self.reading.q.val() == Reading::Payload)
            | (self.reading.q.val() == Reading::Lost);
        self.taken_word.next = self.sink.valid.val() & self.sink.ready.val();
        self.low.next = self.sink.data.val().get_bits::<32>(0);
        self.high.next = self.sink.data.val().get_bits::<32>(32);

        // The header's own checksum is taken as zero.
        self.covered.next = self.sink.data.val();
        if (self.reading.q.val() == Reading::Header) & (self.position.q.val() == 5) {
            self.covered.next = self.low.val().to_bits::<64>();
        }
        self.crc.clock.next = self.clock.val();
        self.crc.data.next = self.covered.val();
        self.crc.enable.next = self.taken_word.val();
        self.crc.clear.next = self.reset.val()
            | (self.reading.q.val() == Reading::Check)
            | (self.reading.q.val() == Reading::Offer);

        self.write_data.next = self.sink.data.val();
        self.write_enable.next = self.taken_word.val() & (self.reading.q.val() == Reading::Payload);
        self.write_address.next = self.address.q.val().to_bits::<13>();
        if self.bank_held.q.val() {
            self.write_address.next = self.write_address.val() | 4096;
        }

        // Checks of the header, valid in the last clock of `Check`.
        self.rounded.next = self.bytes_held.q.val().get_bits::<16>(0);
        self.rounded.next = self.rounded.val() + 7;
        self.stride_words.next = self.rounded.val().get_bits::<13>(3);
        self.has_tail.next = self.payload_held.q.val().get_bits::<6>(0).any();
        self.tail_blocks.next = self.has_tail.val().into();
        self.payload_words.next = self.payload_held.q.val().get_bits::<29>(3);
        self.product_wide.next = self.product.q.val().to_bits::<29>();
        self.opcodes_from.next = self.opcodes.val() >> self.opcode_held.q.val();
        self.opcode_known.next = self.opcodes_from.val().get_bit(0);
        self.flags_hold.next = (self.flags_held.q.val() == 0)
            | ((self.flags_held.q.val() < 256) & (self.opcode_held.q.val() == self.prefixed.val()));
        self.counts_hold.next = (self.count_held.q.val() != 0)
            & (self.count_held.q.val() <= self.count_max.val())
            & (self.bytes_held.q.val() <= self.payload_max.val())
            & (self.payload_held.q.val() <= self.payload_max.val())
            & (self.payload_held.q.val().get_bits::<3>(0) == 0)
            & (self.product_wide.val() == self.payload_words.val());

        self.error.next = 0.into();
        self.errors_held.d.next = 0.into();
        match self.reading.q.val() {
            Reading::Header => {
                if self.taken_word.val() {
                    self.position.d.next = self.position.q.val() + 1;
                    self.free.d.next = self.free.q.val() - 1;
                    if self.position.q.val() == 0 {
                        self.started_held.d.next = self.now.val();
                        self.magic_holds.d.next = self.low.val() == self.magic.val();
                        self.version_holds.d.next = self.high.val().get_bits::<8>(0) == self.version.val();
                        self.opcode_held.d.next = self.high.val().get_bits::<8>(8);
                        self.flags_held.d.next = self.high.val().get_bits::<16>(16);
                        self.stained.d.next = false;
                    }
                    if self.position.q.val() == 1 {
                        self.tag_held.d.next = self.sink.data.val();
                    }
                    if self.position.q.val() == 2 {
                        self.count_held.d.next = self.low.val();
                        self.bytes_held.d.next = self.high.val();
                    }
                    if self.position.q.val() == 3 {
                        self.payload_held.d.next = self.low.val();
                        self.stained.d.next = self.stained.q.val() | self.high.val().any();
                    }
                    if (self.position.q.val() == 4) | (self.position.q.val() == 6) {
                        self.stained.d.next = self.stained.q.val() | self.sink.data.val().any();
                    }
                    if self.position.q.val() == 5 {
                        self.payload_crc.d.next = self.low.val();
                        self.header_crc.d.next = self.high.val();
                    }
                    if self.position.q.val() == 7 {
                        self.stained.d.next = self.stained.q.val() | self.sink.data.val().any();
                        self.reading.d.next = Reading::Check;
                    }
                }
                self.step.d.next = 0.into();
            }
            Reading::Check => {
                self.step.d.next = self.step.q.val() + 1;
                self.multiplier.d.next = self.multiplier.q.val() >> 1;
                self.multiplicand.d.next = self.multiplicand.q.val() << 1;
                if self.multiplier.q.val().get_bit(0) {
                    self.product.d.next = self.product.q.val() + self.multiplicand.q.val();
                }
                if self.step.q.val() == 0 {
                    self.multiplier.d.next = self.count_held.q.val().get_bits::<11>(0);
                    self.multiplicand.d.next = self.stride_words.val().to_bits::<24>();
                    self.product.d.next = 0.into();
                    self.blocks_left.d.next =
                        self.payload_held.q.val().get_bits::<26>(6).to_bits::<27>() + self.tail_blocks.val();
                    self.address.d.next = 0.into();
                    if !self.magic_holds.q.val() {
                        self.error.next = self.status_magic.val();
                    } else if self.header_crc.q.val() != self.crc.checksum.val() {
                        self.error.next = self.status_header.val();
                    }
                    if self.error.val().any() {
                        self.reading.d.next = Reading::Lost;
                    }
                }
                if self.step.q.val() == 12 {
                    if !self.version_holds.q.val() {
                        self.error.next = self.status_version.val();
                    } else if !self.opcode_known.val() {
                        self.error.next = self.status_opcode.val();
                    } else if self.stained.q.val() | !self.flags_hold.val() | !self.counts_hold.val() {
                        self.error.next = self.status_shape.val();
                    }
                    self.status_held.d.next = self.error.val();
                    self.reading.d.next = Reading::Payload;
                    if self.blocks_left.q.val() == 0 {
                        self.reading.d.next = Reading::Settle;
                    }
                }
            }
            Reading::Payload => {
                if self.taken_word.val() {
                    self.position.d.next = self.position.q.val() + 1;
                    self.address.d.next = self.address.q.val() + 1;
                    if self.status_held.q.val() == 0 {
                        self.free.d.next = self.free.q.val() - 1;
                    }
                    if self.position.q.val() == 7 {
                        self.blocks_left.d.next = self.blocks_left.q.val() - 1;
                        if self.blocks_left.q.val() == 1 {
                            self.reading.d.next = Reading::Settle;
                        }
                    }
                }
            }
            Reading::Settle => {
                if (self.status_held.q.val() == 0) & (self.payload_crc.q.val() != self.crc.checksum.val()) {
                    self.error.next = self.status_payload.val();
                    self.status_held.d.next = self.error.val();
                }
                self.reading.d.next = Reading::Offer;
            }
            Reading::Offer => {
                self.free.d.next = 0.into();
                if self.taken.val() {
                    self.bank_held.d.next = !self.bank_held.q.val();
                    self.free.d.next = self.free_max.val();
                    self.reading.d.next = Reading::Header;
                }
            }
            _ => {
                self.free.d.next = self.free_max.val();
            }
        }
        self.error_position.next = self.error.val() - 1;
        self.error_bit.next = 1.into();
        if self.error.val().any() {
            self.errors_held.d.next = self.error_bit.val() << self.error_position.val();
        }

        self.valid.next = self.reading.q.val() == Reading::Offer;
        self.bank.next = self.bank_held.q.val();
        self.opcode.next = self.opcode_held.q.val();
        self.flags.next = self.flags_held.q.val();
        self.tag.next = self.tag_held.q.val();
        self.item_count.next = self.count_held.q.val();
        self.item_bytes.next = self.bytes_held.q.val();
        self.payload_bytes.next = self.payload_held.q.val();
        self.status.next = self.status_held.q.val();
        self.started.next = self.started_held.q.val();
        self.errors.next = self.errors_held.q.val();
        self.free_words.next = self.free.q.val();

        if self.reset.val() {
            self.reading.d.next = Reading::Header;
            self.position.d.next = 0.into();
            self.bank_held.d.next = false;
            self.free.d.next = self.free_max.val();
            self.errors_held.d.next = 0.into();
        }
    }
}
