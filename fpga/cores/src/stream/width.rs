//! Width changers: beats of 64 bits on one side, 8 bits (a serial port, a FIFO chip) on the other.
//!
//! The first byte is in wires 7 to 0 of a beat. Both hold one beat.

use super::{Sink, Source};
use crate::prelude::*;

/// Eight bytes become a beat.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Widen {
    /// Rising edge moves beats.
    pub clock: Signal<In, Clock>,
    /// Synchronous: drop what is held.
    pub reset: Signal<In, Bit>,
    /// A byte.
    pub byte_data: Signal<In, Word<8>>,
    /// The byte is offered.
    pub byte_valid: Signal<In, Bit>,
    /// It is taken at the next edge.
    pub byte_ready: Signal<Out, Bit>,
    /// Beats leave.
    pub source: Source,
    held: Register<Lane>,
    count: Register<Word<4>>,
    is_full: Signal<Local, Bit>,
    entering: Signal<Local, Lane>,
}

impl Logic for Widen {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, count);
        self.is_full.next = self.count.q.val() == 8;
        self.source.valid.next = self.is_full.val();
        self.source.data.next = self.held.q.val();
        self.byte_ready.next = !self.is_full.val() | self.source.ready.val();
        if self.is_full.val() & self.source.ready.val() {
            self.count.d.next = 0.into();
        }
        self.entering.next = self.byte_data.val().to_bits::<64>();
        if self.byte_ready.val() & self.byte_valid.val() {
            self.held.d.next = (self.held.q.val() >> 8) | (self.entering.val() << 56);
            self.count.d.next = self.count.q.val() + 1;
            if self.is_full.val() {
                self.count.d.next = 1.into();
            }
        }
        if self.reset.val() {
            self.count.d.next = 0.into();
        }
    }
}

/// A beat becomes eight bytes.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Narrow {
    /// Rising edge moves beats.
    pub clock: Signal<In, Clock>,
    /// Synchronous: drop what is held.
    pub reset: Signal<In, Bit>,
    /// Beats enter.
    pub sink: Sink,
    /// A byte.
    pub byte_data: Signal<Out, Word<8>>,
    /// The byte is offered.
    pub byte_valid: Signal<Out, Bit>,
    /// It is taken at the next edge.
    pub byte_ready: Signal<In, Bit>,
    held: Register<Lane>,
    count: Register<Word<4>>,
    is_empty: Signal<Local, Bit>,
}

impl Logic for Narrow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, count);
        self.is_empty.next = self.count.q.val() == 0;
        self.byte_data.next = self.held.q.val().get_bits::<8>(0);
        self.byte_valid.next = !self.is_empty.val();
        self.sink.ready.next = self.is_empty.val() | ((self.count.q.val() == 1) & self.byte_ready.val());
        if !self.is_empty.val() & self.byte_ready.val() {
            self.held.d.next = self.held.q.val() >> 8;
            self.count.d.next = self.count.q.val() - 1;
        }
        if self.sink.ready.val() & self.sink.valid.val() {
            self.held.d.next = self.sink.data.val();
            self.count.d.next = 8.into();
        }
        if self.reset.val() {
            self.count.d.next = 0.into();
        }
    }
}

/// Both, one behind the other: a link of eight wires as its two ends see it. What comes out is what went in.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct ThroughBytes {
    /// Rising edge moves beats.
    pub clock: Signal<In, Clock>,
    /// Synchronous: drop what is held.
    pub reset: Signal<In, Bit>,
    /// Beats enter.
    pub sink: Sink,
    /// Beats leave, in the same order.
    pub source: Source,
    narrow: Narrow,
    widen: Widen,
}

impl Logic for ThroughBytes {
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.clock.next = self.clock.val();
        self.widen.clock.next = self.clock.val();
        self.narrow.reset.next = self.reset.val();
        self.widen.reset.next = self.reset.val();
        self.narrow.sink.data.next = self.sink.data.val();
        self.narrow.sink.valid.next = self.sink.valid.val();
        self.sink.ready.next = self.narrow.sink.ready.val();
        self.widen.byte_data.next = self.narrow.byte_data.val();
        self.widen.byte_valid.next = self.narrow.byte_valid.val();
        self.narrow.byte_ready.next = self.widen.byte_ready.val();
        self.source.data.next = self.widen.source.data.val();
        self.source.valid.next = self.widen.source.valid.val();
        self.widen.source.ready.next = self.source.ready.val();
    }
}
