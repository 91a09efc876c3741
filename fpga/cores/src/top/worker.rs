//! The middle of the top: takes a request, writes its reply.
//!
//! The payload of the reply is written into one of two banks and its checksum taken on the way; then the header goes
//! through the same checksum unit, once to sum it and once to write it. A bank is offered to the sender when its header is
//! whole, so that a reply once begun never waits for work.
//!
//! Hashing ends when as many digests have come as the request has items. The feeder's last turns are then passes, in the
//! feeder, in the core's input and in its slots: the next request begins wherever the turns are.

use fpga::packet::{DIGEST_BYTES, Opcode, REPLY_MAGIC, VERSION};

use super::feeder::Feeder;
use crate::crc::Crc32c;
use crate::keccak::core::KeccakCore;
use crate::prelude::*;

/// What the worker does.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Working {
    /// Waits for a request.
    Idle,
    /// Waits for a free bank.
    Begin,
    /// Copies the payload.
    Copy,
    /// Collects digests.
    Hash,
    /// Fills an odd digest up to 64 bytes.
    Fill,
    /// Keeps the payload's checksum.
    Keep,
    /// Sums the header.
    Sum,
    /// Writes the header.
    Write,
}

/// Works on requests, one at a time.
#[derive(Clone, Debug, LogicBlock)]
pub struct Worker {
    /// Rising edge of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous.
    pub reset: Signal<In, Bit>,
    /// Clocks since reset.
    pub now: Signal<In, Lane>,

    /// A request is offered.
    pub request_valid: Signal<In, Bit>,
    /// It is taken at the next edge.
    pub request_taken: Signal<Out, Bit>,
    /// Bank of its payload.
    pub request_bank: Signal<In, Bit>,
    /// Opcode.
    pub opcode: Signal<In, Word<8>>,
    /// Flags.
    pub flags: Signal<In, Word<16>>,
    /// Tag.
    pub tag: Signal<In, Lane>,
    /// Item count.
    pub item_count: Signal<In, Word<32>>,
    /// Item bytes.
    pub item_bytes: Signal<In, Word<32>>,
    /// Words of an item.
    pub stride_words: Signal<In, Word<13>>,
    /// Payload bytes.
    pub payload_bytes: Signal<In, Word<32>>,
    /// Number of the status.
    pub status: Signal<In, Word<3>>,
    /// When its first word came.
    pub started: Signal<In, Lane>,

    /// Payload word to read, the bank in the top wire.
    pub read_address: Signal<Out, Word<13>>,
    /// Read at the next edge.
    pub read_enable: Signal<Out, Bit>,
    /// The word read last.
    pub read_data: Signal<In, Lane>,

    /// Where reply payload goes, the bank in the top wire.
    pub write_address: Signal<Out, Word<13>>,
    /// A word of a reply, payload or header.
    pub write_data: Signal<Out, Lane>,
    /// Write it to the payload.
    pub write_enable: Signal<Out, Bit>,
    /// Where a header word goes, the bank in the top wire.
    pub header_address: Signal<Out, Word<4>>,
    /// Write it to the header.
    pub header_enable: Signal<Out, Bit>,

    /// Both banks are unread.
    pub reply_blocked: Signal<In, Bit>,
    /// One clock long: the bank is whole.
    pub reply_done: Signal<Out, Bit>,
    /// Payload words of the reply, a multiple of 8; with `reply_done`.
    pub reply_words: Signal<Out, Word<13>>,
    /// Items answered well; with `reply_done`.
    pub items_done: Signal<Out, Word<11>>,

    feeder: Feeder,
    core: KeccakCore,
    crc: Crc32c,
    working: Register<Working>,
    bank: Register<Bit>,
    reply_bank: Register<Bit>,
    opcode_held: Register<Word<8>>,
    flags_held: Register<Word<16>>,
    tag_held: Register<Lane>,
    count_held: Register<Word<11>>,
    bytes_held: Register<Word<16>>,
    stride_held: Register<Word<13>>,
    message_bytes: Register<Word<16>>,
    reply_item_bytes: Register<Word<16>>,
    reply_bytes: Register<Word<16>>,
    status_held: Register<Word<3>>,
    started_held: Register<Lane>,
    cycles: Register<Lane>,
    payload_crc: Register<Word<32>>,
    starting: Register<Bit>,
    copied: Register<Bit>,
    source: Register<Word<13>>,
    address: Register<Word<12>>,
    words: Register<Word<13>>,
    digests_left: Register<Word<11>>,
    position: Register<Word<3>>,

    loopback: Constant<Word<8>>,
    prefixed: Constant<Word<8>>,
    magic: Constant<Word<32>>,
    version: Constant<Word<8>>,
    digest_bytes: Constant<Word<16>>,

    takes: Signal<Local, Bit>,
    is_copy: Signal<Local, Bit>,
    is_prefixed: Signal<Local, Bit>,
    short: Signal<Local, Word<16>>,
    blocks: Signal<Local, Word<13>>,
    header: Signal<Local, Lane>,
    payload_moves: Signal<Local, Bit>,
    sums: Signal<Local, Bit>,
}

impl Default for Worker {
    fn default() -> Self {
        let number = |opcode: Opcode| Constant::new(u64::from(opcode.number()).into());
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            now: Signal::default(),
            request_valid: Signal::default(),
            request_taken: Signal::default(),
            request_bank: Signal::default(),
            opcode: Signal::default(),
            flags: Signal::default(),
            tag: Signal::default(),
            item_count: Signal::default(),
            item_bytes: Signal::default(),
            stride_words: Signal::default(),
            payload_bytes: Signal::default(),
            status: Signal::default(),
            started: Signal::default(),
            read_address: Signal::default(),
            read_enable: Signal::default(),
            read_data: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            write_enable: Signal::default(),
            header_address: Signal::default(),
            header_enable: Signal::default(),
            reply_blocked: Signal::default(),
            reply_done: Signal::default(),
            reply_words: Signal::default(),
            items_done: Signal::default(),
            feeder: Feeder::default(),
            core: KeccakCore::default(),
            crc: Crc32c::default(),
            working: Register::default(),
            bank: Register::default(),
            reply_bank: Register::default(),
            opcode_held: Register::default(),
            flags_held: Register::default(),
            tag_held: Register::default(),
            count_held: Register::default(),
            bytes_held: Register::default(),
            stride_held: Register::default(),
            message_bytes: Register::default(),
            reply_item_bytes: Register::default(),
            reply_bytes: Register::default(),
            status_held: Register::default(),
            started_held: Register::default(),
            cycles: Register::default(),
            payload_crc: Register::default(),
            starting: Register::default(),
            copied: Register::default(),
            source: Register::default(),
            address: Register::default(),
            words: Register::default(),
            digests_left: Register::default(),
            position: Register::default(),
            loopback: number(Opcode::Loopback),
            prefixed: number(Opcode::MerkleKeccak),
            magic: Constant::new(u64::from(REPLY_MAGIC).into()),
            version: Constant::new(u64::from(VERSION).into()),
            digest_bytes: Constant::new(u64::from(DIGEST_BYTES).into()),
            takes: Signal::default(),
            is_copy: Signal::default(),
            is_prefixed: Signal::default(),
            short: Signal::default(),
            blocks: Signal::default(),
            header: Signal::default(),
            payload_moves: Signal::default(),
            sums: Signal::default(),
        }
    }
}

impl Logic for Worker {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, working, bank, reply_bank, opcode_held, flags_held, tag_held, count_held);
        dff_setup!(self, clock, bytes_held, stride_held, message_bytes, reply_item_bytes, reply_bytes);
        dff_setup!(self, clock, status_held, started_held, cycles, payload_crc, starting, copied, source);
        dff_setup!(self, clock, address, words, digests_left, position);

        self.takes.next = (self.working.q.val() == Working::Idle) & self.request_valid.val();
        self.request_taken.next = self.takes.val();
        self.is_copy.next = self.opcode_held.q.val() == self.loopback.val();
        self.is_prefixed.next = self.opcode_held.q.val() == self.prefixed.val();

        // Feeder and core.
        self.feeder.clock.next = self.clock.val();
        self.feeder.reset.next = self.reset.val();
        self.feeder.start.next = self.starting.q.val();
        self.feeder.running.next = self.working.q.val() == Working::Hash;
        self.feeder.item_count.next = self.count_held.q.val();
        self.feeder.message_bytes.next = self.message_bytes.q.val();
        self.feeder.stride_words.next = self.stride_held.q.val();
        self.feeder.prefixed.next = self.is_prefixed.val();
        self.feeder.prefix.next = self.flags_held.q.val().get_bits::<8>(0);
        self.feeder.read_data.next = self.read_data.val();
        self.feeder.ready.next = self.core.in_ready.val();
        self.core.clock.next = self.clock.val();
        self.core.reset.next = self.reset.val();
        self.core.in_valid.next = self.feeder.valid.val();
        self.core.in_data.next = self.feeder.data.val();
        self.core.in_bytes.next = self.feeder.bytes.val();
        self.core.in_last.next = self.feeder.last.val();
        self.core.in_pass.next = self.feeder.pass.val();
        self.core.out_ready.next = self.working.q.val() == Working::Hash;

        // Payload memory: the feeder's, or a copy that runs one clock ahead of its writing.
        self.read_address.next = self.feeder.read_address.val().to_bits::<13>();
        self.read_enable.next = self.feeder.read_enable.val();
        if self.is_copy.val() {
            self.read_address.next = self.source.q.val().get_bits::<12>(0).to_bits::<13>();
            self.read_enable.next = true;
        }
        if self.bank.q.val() {
            self.read_address.next = self.read_address.val() | 4096;
        }

        // Header words.
        self.header.next = 0.into();
        if self.position.q.val() == 0 {
            self.header.next = self.flags_held.q.val().to_bits::<64>() << 48;
            self.header.next = self.header.val() | (self.opcode_held.q.val().to_bits::<64>() << 40);
            self.header.next = self.header.val() | (self.version.val().to_bits::<64>() << 32);
            self.header.next = self.header.val() | self.magic.val().to_bits::<64>();
        }
        if self.position.q.val() == 1 {
            self.header.next = self.tag_held.q.val();
        }
        if self.position.q.val() == 2 {
            self.header.next = self.reply_item_bytes.q.val().to_bits::<64>() << 32;
            self.header.next = self.header.val() | self.count_held.q.val().to_bits::<64>();
        }
        if self.position.q.val() == 3 {
            self.header.next = self.status_held.q.val().to_bits::<64>() << 32;
            self.header.next = self.header.val() | self.reply_bytes.q.val().to_bits::<64>();
        }
        if self.position.q.val() == 4 {
            self.header.next = self.cycles.q.val();
        }
        if self.position.q.val() == 5 {
            self.header.next = self.payload_crc.q.val().to_bits::<64>();
            if self.working.q.val() == Working::Write {
                self.header.next = self.header.val() | (self.crc.checksum.val().to_bits::<64>() << 32);
            }
        }

        // What is written and summed.
        self.payload_moves.next = ((self.working.q.val() == Working::Copy) & self.copied.q.val())
            | ((self.working.q.val() == Working::Hash) & self.core.out_valid.val())
            | (self.working.q.val() == Working::Fill);
        self.write_data.next = self.header.val();
        if self.working.q.val() == Working::Copy {
            self.write_data.next = self.read_data.val();
        }
        if self.working.q.val() == Working::Hash {
            self.write_data.next = self.core.out_data.val();
        }
        if self.working.q.val() == Working::Fill {
            self.write_data.next = 0.into();
        }
        self.write_enable.next = self.payload_moves.val();
        self.write_address.next = self.address.q.val().to_bits::<13>();
        self.header_enable.next = self.working.q.val() == Working::Write;
        self.header_address.next = self.position.q.val().to_bits::<4>();
        if self.reply_bank.q.val() {
            self.write_address.next = self.write_address.val() | 4096;
            self.header_address.next = self.header_address.val() | 8;
        }
        self.sums.next = self.payload_moves.val() | (self.working.q.val() == Working::Sum);
        self.crc.clock.next = self.clock.val();
        self.crc.data.next = self.write_data.val();
        self.crc.enable.next = self.sums.val();
        self.crc.clear.next = self.reset.val()
            | (self.working.q.val() == Working::Begin)
            | (self.working.q.val() == Working::Keep);
        if self.payload_moves.val() {
            self.address.d.next = self.address.q.val() + 1;
            self.words.d.next = self.words.q.val() + 1;
        }

        self.starting.d.next = false;
        self.reply_done.next = false;
        self.short.next = self.payload_bytes.val().get_bits::<16>(0);
        self.blocks.next = self.reply_bytes.q.val().get_bits::<10>(6).to_bits::<13>();
        if self.reply_bytes.q.val().get_bits::<6>(0).any() {
            self.blocks.next = self.blocks.val() + 1;
        }
        self.blocks.next = self.blocks.val() << 3;
        match self.working.q.val() {
            Working::Idle => {
                self.bank.d.next = self.request_bank.val();
                self.opcode_held.d.next = self.opcode.val();
                self.flags_held.d.next = self.flags.val();
                self.tag_held.d.next = self.tag.val();
                self.count_held.d.next = self.item_count.val().get_bits::<11>(0);
                self.bytes_held.d.next = self.item_bytes.val().get_bits::<16>(0);
                self.stride_held.d.next = self.stride_words.val();
                self.status_held.d.next = self.status.val();
                self.started_held.d.next = self.started.val();
                self.digests_left.d.next = self.item_count.val().get_bits::<11>(0);
                self.message_bytes.d.next = self.item_bytes.val().get_bits::<16>(0);
                if self.opcode.val() == self.prefixed.val() {
                    self.message_bytes.d.next = self.item_bytes.val().get_bits::<16>(0) + 1;
                }
                self.reply_item_bytes.d.next = self.digest_bytes.val();
                self.reply_bytes.d.next = self.item_count.val().get_bits::<11>(0).to_bits::<16>() << 5;
                if self.opcode.val() == self.loopback.val() {
                    self.reply_item_bytes.d.next = self.item_bytes.val().get_bits::<16>(0);
                    self.reply_bytes.d.next = self.short.val();
                }
                if self.status.val().any() {
                    self.count_held.d.next = 0.into();
                    self.reply_item_bytes.d.next = 0.into();
                    self.reply_bytes.d.next = 0.into();
                }
                self.source.d.next = 0.into();
                self.copied.d.next = false;
                self.address.d.next = 0.into();
                self.words.d.next = 0.into();
                self.position.d.next = 0.into();
                if self.takes.val() {
                    self.working.d.next = Working::Begin;
                }
            }
            Working::Begin => {
                if !self.reply_blocked.val() {
                    if self.status_held.q.val().any() {
                        self.working.d.next = Working::Keep;
                    } else if self.is_copy.val() {
                        self.working.d.next = Working::Copy;
                    } else {
                        self.working.d.next = Working::Hash;
                        self.starting.d.next = true;
                    }
                }
            }
            Working::Copy => {
                self.source.d.next = self.source.q.val() + 1;
                self.copied.d.next = self.source.q.val() != self.blocks.val();
                if self.source.q.val() == self.blocks.val() {
                    self.working.d.next = Working::Keep;
                }
            }
            Working::Hash => {
                if self.core.out_valid.val() & self.core.out_last.val() {
                    self.digests_left.d.next = self.digests_left.q.val() - 1;
                    if self.digests_left.q.val() == 1 {
                        self.working.d.next = Working::Keep;
                        if self.count_held.q.val().get_bit(0) {
                            self.working.d.next = Working::Fill;
                        }
                    }
                }
            }
            Working::Fill => {
                self.position.d.next = self.position.q.val() + 1;
                if self.position.q.val() == 3 {
                    self.working.d.next = Working::Keep;
                }
            }
            Working::Keep => {
                self.position.d.next = 0.into();
                self.payload_crc.d.next = self.crc.checksum.val();
                self.cycles.d.next = self.now.val() - self.started_held.q.val();
                self.working.d.next = Working::Sum;
            }
            Working::Sum => {
                self.position.d.next = self.position.q.val() + 1;
                if self.position.q.val() == 7 {
                    self.working.d.next = Working::Write;
                }
            }
            _ => {
                self.position.d.next = self.position.q.val() + 1;
                if self.position.q.val() == 7 {
                    self.reply_done.next = true;
                    self.reply_bank.d.next = !self.reply_bank.q.val();
                    self.working.d.next = Working::Idle;
                }
            }
        }
        self.reply_words.next = self.words.q.val();
        self.items_done.next = self.count_held.q.val();

        if self.reset.val() {
            self.working.d.next = Working::Idle;
            self.reply_bank.d.next = false;
            self.starting.d.next = false;
        }
    }
}
