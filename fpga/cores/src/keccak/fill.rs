//! Input side of the Keccak core: beats become a padded block.
//!
//! A record is one block of one message, as beats of 64 bits: seventeen full beats, or fewer and a last beat with 0 to 7
//! bytes, or a single beat that passes the turn. The padding of Keccak-256 (0x01 after the message, 0x80 in the block's last
//! byte) is added here; it always fits the record of the last beat, because a message never ends in a full beat.
//!
//! Cycles: a block is full seventeen clocks after its first beat at the earliest and is held until `consume`; a new beat is
//! taken in the clock after. The block is a shift register, so that no beat is wired to more than one lane; the parities of
//! its columns collect in a second one, five lanes long, which needs a single lane of XOR.

use crate::prelude::*;

/// Takes beats, holds one padded block.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Fill {
    /// Rising edge takes.
    pub clock: Signal<In, Clock>,
    /// Forget everything.
    pub reset: Signal<In, Bit>,
    /// A beat is offered.
    pub valid: Signal<In, Bit>,
    /// The beat is taken at the next edge.
    pub ready: Signal<Out, Bit>,
    /// Eight message bytes, the first in wires 7 to 0.
    pub data: Signal<In, Lane>,
    /// With `last`: how many bytes of `data` are message.
    pub bytes: Signal<In, Word<3>>,
    /// The message ends in this beat.
    pub last: Signal<In, Bit>,
    /// The record is this beat alone and holds no block.
    pub pass: Signal<In, Bit>,
    /// Drop the record held; also to be given at reset.
    pub consume: Signal<In, Bit>,
    /// A record is held; its last lane arrives in the clock after.
    pub full: Signal<Out, Bit>,
    /// The record held is the last of its message.
    pub ends: Signal<Out, Bit>,
    /// The record held passes.
    pub passes: Signal<Out, Bit>,
    /// Lanes of the block held.
    pub lanes: [Signal<Out, Lane>; 17],
    /// Parity of column `x` over the block held; gone in the clock after `consume`.
    pub columns: [Signal<Out, Lane>; 5],
    shift: [Register<Lane>; 17],
    parity: [Register<Lane>; 5],
    lane: Register<Word<5>>,
    full_held: Register<Bit>,
    closing: Register<Bit>,
    ends_held: Register<Bit>,
    passes_held: Register<Bit>,
    entering: Register<Lane>,
    entering_held: Register<Bit>,
    taken: Signal<Local, Bit>,
    stepping: Signal<Local, Bit>,
    final_lane: Signal<Local, Bit>,
    keep: Signal<Local, Lane>,
    mark: Signal<Local, Lane>,
    padded: Signal<Local, Lane>,
}

impl Logic for Fill {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, lane, full_held, closing, ends_held, passes_held, entering, entering_held);
        for i in 0..17 {
            self.shift[i].clock.next = self.clock.val();
            self.shift[i].d.next = self.shift[i].q.val();
            self.lanes[i].next = self.shift[i].q.val();
        }
        for x in 0..5 {
            self.parity[x].clock.next = self.clock.val();
            self.parity[x].d.next = self.parity[x].q.val();
        }
        // Lanes 12 to 16 entered last: they lie in columns 2, 3, 4, 0 and 1.
        for x in 0..5 {
            self.columns[x].next = self.parity[(x + 3) % 5].q.val();
        }
        self.full.next = self.full_held.q.val();
        self.ends.next = self.ends_held.q.val();
        self.passes.next = self.passes_held.q.val();

        self.ready.next = !self.full_held.q.val() & !self.closing.q.val();
        self.taken.next = self.ready.val() & self.valid.val();
        self.stepping.next = (self.taken.val() & !self.pass.val()) | self.closing.q.val();
        self.final_lane.next = self.lane.q.val() == 16;

        match self.bytes.val().index() {
            0 => {
                self.keep.next = 0.into();
                self.mark.next = 0x01_u64.into();
            }
            1 => {
                self.keep.next = 0xff_u64.into();
                self.mark.next = 0x0100_u64.into();
            }
            2 => {
                self.keep.next = 0xffff_u64.into();
                self.mark.next = 0x01_0000_u64.into();
            }
            3 => {
                self.keep.next = 0xff_ffff_u64.into();
                self.mark.next = 0x0100_0000_u64.into();
            }
            4 => {
                self.keep.next = 0xffff_ffff_u64.into();
                self.mark.next = 0x01_0000_0000_u64.into();
            }
            5 => {
                self.keep.next = 0xff_ffff_ffff_u64.into();
                self.mark.next = 0x0100_0000_0000_u64.into();
            }
            6 => {
                self.keep.next = 0xffff_ffff_ffff_u64.into();
                self.mark.next = 0x01_0000_0000_0000_u64.into();
            }
            _ => {
                self.keep.next = 0xff_ffff_ffff_ffff_u64.into();
                self.mark.next = 0x0100_0000_0000_0000_u64.into();
            }
        }
        self.padded.next = self.data.val();
        if self.last.val() {
            self.padded.next = (self.data.val() & self.keep.val()) | self.mark.val();
        }
        if self.closing.q.val() {
            self.padded.next = 0.into();
        }
        if self.final_lane.val() & (self.closing.q.val() | self.last.val()) {
            self.padded.next = self.padded.val() | 0x8000_0000_0000_0000_u64;
        }

        // The shift registers move a clock later, told by a register: nobody reads the block so soon.
        self.entering.d.next = self.padded.val();
        self.entering_held.d.next = self.stepping.val();
        if self.entering_held.q.val() {
            for i in 0..16 {
                self.shift[i].d.next = self.shift[i + 1].q.val();
            }
            self.shift[16].d.next = self.entering.q.val();
            for x in 0..4 {
                self.parity[x].d.next = self.parity[x + 1].q.val();
            }
            self.parity[4].d.next = self.entering.q.val() ^ self.parity[0].q.val();
        }
        if self.stepping.val() {
            self.lane.d.next = self.lane.q.val() + 1;
            if self.final_lane.val() {
                self.lane.d.next = 0.into();
                self.full_held.d.next = true;
                self.closing.d.next = false;
            }
        }
        if self.taken.val() {
            self.ends_held.d.next = self.last.val();
            self.passes_held.d.next = self.pass.val();
            if self.pass.val() {
                self.full_held.d.next = true;
            } else {
                self.closing.d.next = self.last.val() & !self.final_lane.val();
            }
        }
        if self.consume.val() {
            self.full_held.d.next = false;
        }
        if self.consume.val() {
            for x in 0..5 {
                self.parity[x].d.next = 0.into();
            }
        }
        if self.reset.val() {
            self.lane.d.next = 0.into();
            self.full_held.d.next = false;
            self.closing.d.next = false;
            self.entering_held.d.next = false;
        }
    }
}
