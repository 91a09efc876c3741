//! Between a bank of payload memory and the Keccak core: items become records in turns.
//!
//! Three items are on the way at a time, each with its own place in memory. A record takes one clock to choose and up to
//! seventeen to read, eighteen in all, while the core takes one every 24: the feeder is always ahead. With a prefix every
//! word is moved up by one byte; the byte that falls out waits in `carry` for the next word of its item.
//!
//! After the last item the feeder passes turns until it is stopped, so that the pipeline moves on and gives its digests.

use crate::prelude::*;

/// Reads items, gives beats.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Feeder {
    /// Rising edge of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous.
    pub reset: Signal<In, Bit>,
    /// One clock long: begin with the item at word 0.
    pub start: Signal<In, Bit>,
    /// Go on, until the last digest has come.
    pub running: Signal<In, Bit>,
    /// Items, at `start`.
    pub item_count: Signal<In, Word<11>>,
    /// Message bytes of an item, prefix included; steady while running.
    pub message_bytes: Signal<In, Word<16>>,
    /// Words from one item to the next; steady while running.
    pub stride_words: Signal<In, Word<13>>,
    /// Whether there is a prefix; steady while running.
    pub prefixed: Signal<In, Bit>,
    /// The prefix; steady while running.
    pub prefix: Signal<In, Word<8>>,
    /// Word of the bank to read.
    pub read_address: Signal<Out, Word<12>>,
    /// Read at the next edge.
    pub read_enable: Signal<Out, Bit>,
    /// The word read last.
    pub read_data: Signal<In, Lane>,
    /// A beat is offered to the core.
    pub valid: Signal<Out, Bit>,
    /// The core takes it.
    pub ready: Signal<In, Bit>,
    /// The core's `in_data`.
    pub data: Signal<Out, Lane>,
    /// The core's `in_bytes`.
    pub bytes: Signal<Out, Word<3>>,
    /// The core's `in_last`.
    pub last: Signal<Out, Bit>,
    /// The core's `in_pass`.
    pub pass: Signal<Out, Bit>,

    // What the next turns go on with: slots rotate.
    active: [Register<Bit>; 3],
    address: [Register<Word<12>>; 3],
    left: [Register<Word<16>>; 3],
    items_left: Register<Word<11>>,
    next_address: Register<Word<12>>,

    // The record that is read.
    reading: Register<Bit>,
    lane: Register<Word<5>>,
    first: Register<Bit>,
    here: Register<Word<12>>,
    bytes_left: Register<Word<16>>,

    // Behind the memory, then behind one more register.
    read_valid: Register<Bit>,
    read_bytes: Register<Word<3>>,
    read_last: Register<Bit>,
    read_pass: Register<Bit>,
    read_first: Register<Bit>,
    read_ends: Register<Bit>,
    beat_valid: Register<Bit>,
    beat_data: Register<Lane>,
    beat_bytes: Register<Word<3>>,
    beat_last: Register<Bit>,
    beat_pass: Register<Bit>,
    carry: [Register<Word<8>>; 3],

    beat_moves: Signal<Local, Bit>,
    read_moves: Signal<Local, Bit>,
    ends_message: Signal<Local, Bit>,
    ends_record: Signal<Local, Bit>,
    moved: Signal<Local, Lane>,
    carried: Signal<Local, Word<8>>,
    fallen: Signal<Local, Word<8>>,
}

impl Logic for Feeder {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, items_left, next_address, reading, lane, first, here, bytes_left);
        dff_setup!(self, clock, read_valid, read_bytes, read_last, read_pass, read_first, read_ends);
        dff_setup!(self, clock, beat_valid, beat_data, beat_bytes, beat_last, beat_pass);
        for i in 0..3 {
            self.active[i].clock.next = self.clock.val();
            self.active[i].d.next = self.active[i].q.val();
            self.address[i].clock.next = self.clock.val();
            self.address[i].d.next = self.address[i].q.val();
            self.left[i].clock.next = self.clock.val();
            self.left[i].d.next = self.left[i].q.val();
            self.carry[i].clock.next = self.clock.val();
            self.carry[i].d.next = self.carry[i].q.val();
        }

        // Choose a record, or read one.
        self.beat_moves.next = !self.beat_valid.q.val() | self.ready.val();
        self.read_moves.next = !self.read_valid.q.val() | self.beat_moves.val();
        self.ends_message.next = self.bytes_left.q.val().get_bits::<13>(3) == 0;
        self.ends_record.next = self.ends_message.val() | (self.lane.q.val() == 16);
        self.read_address.next = self.here.q.val();
        self.read_enable.next = self.read_moves.val() & self.reading.q.val();
        if self.read_moves.val() {
            self.read_valid.d.next = false;
            self.read_pass.d.next = false;
            if self.reading.q.val() {
                self.read_valid.d.next = true;
                self.read_first.d.next = self.first.q.val();
                self.read_last.d.next = self.ends_message.val();
                self.read_bytes.d.next = self.bytes_left.q.val().get_bits::<3>(0);
                self.read_ends.d.next = self.ends_record.val();
                self.first.d.next = false;
                self.lane.d.next = self.lane.q.val() + 1;
                self.here.d.next = self.here.q.val() + 1;
                self.bytes_left.d.next = self.bytes_left.q.val() - 8;
                if self.ends_record.val() {
                    self.reading.d.next = false;
                    self.active[2].d.next = !self.ends_message.val();
                    self.address[2].d.next = self.here.q.val() + 1;
                    self.left[2].d.next = self.bytes_left.q.val() - 8;
                }
            } else if self.running.val() {
                self.lane.d.next = 0.into();
                if self.active[0].q.val() {
                    self.reading.d.next = true;
                    self.first.d.next = false;
                    self.here.d.next = self.address[0].q.val();
                    self.bytes_left.d.next = self.left[0].q.val();
                } else if self.items_left.q.val() != 0 {
                    self.reading.d.next = true;
                    self.first.d.next = true;
                    self.here.d.next = self.next_address.q.val();
                    self.bytes_left.d.next = self.message_bytes.val();
                    self.items_left.d.next = self.items_left.q.val() - 1;
                    self.next_address.d.next =
                        self.next_address.q.val() + self.stride_words.val().get_bits::<12>(0);
                } else {
                    self.read_valid.d.next = true;
                    self.read_pass.d.next = true;
                    self.read_last.d.next = false;
                    self.read_ends.d.next = true;
                }
                self.active[0].d.next = self.active[1].q.val();
                self.active[1].d.next = self.active[2].q.val();
                self.active[2].d.next = false;
                self.address[0].d.next = self.address[1].q.val();
                self.address[1].d.next = self.address[2].q.val();
                self.left[0].d.next = self.left[1].q.val();
                self.left[1].d.next = self.left[2].q.val();
            }
        }
        if self.start.val() {
            self.items_left.d.next = self.item_count.val();
            self.next_address.d.next = 0.into();
        }

        // The word from memory, with its prefix.
        self.carried.next = self.carry[0].q.val();
        if self.read_first.q.val() {
            self.carried.next = self.prefix.val();
        }
        self.fallen.next = self.read_data.val().get_bits::<8>(56);
        self.moved.next = (self.read_data.val() << 8) | self.carried.val().to_bits::<64>();
        if !self.prefixed.val() {
            self.moved.next = self.read_data.val();
        }
        if self.beat_moves.val() {
            self.beat_valid.d.next = self.read_valid.q.val();
            self.beat_data.d.next = self.moved.val();
            self.beat_bytes.d.next = self.read_bytes.q.val();
            self.beat_last.d.next = self.read_last.q.val();
            self.beat_pass.d.next = self.read_pass.q.val();
            if self.read_valid.q.val() {
                self.carry[0].d.next = self.fallen.val();
                if self.read_ends.q.val() {
                    self.carry[0].d.next = self.carry[1].q.val();
                    self.carry[1].d.next = self.carry[2].q.val();
                    self.carry[2].d.next = self.fallen.val();
                }
            }
        }
        self.valid.next = self.beat_valid.q.val();
        self.data.next = self.beat_data.q.val();
        self.bytes.next = self.beat_bytes.q.val();
        self.last.next = self.beat_last.q.val();
        self.pass.next = self.beat_pass.q.val();

        if self.reset.val() {
            for i in 0..3 {
                self.active[i].d.next = false;
            }
            self.items_left.d.next = 0.into();
            self.reading.d.next = false;
            self.read_valid.d.next = false;
            self.beat_valid.d.next = false;
        }
    }
}
