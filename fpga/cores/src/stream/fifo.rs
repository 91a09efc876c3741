//! A queue of beats in memory.

use super::{Sink, Source};
use crate::prelude::*;

/// Holds `2^A` beats in block memory and one in front of it; a beat leaves three clocks after it entered an empty queue.
///
/// Pointers are `B = A + 1` wires wide: equal pointers are an empty queue, pointers `2^A` apart a full one.
#[derive(Clone, Debug, LogicBlock)]
pub struct Fifo<const A: usize, const B: usize> {
    /// Rising edge moves beats.
    pub clock: Signal<In, Clock>,
    /// Synchronous: drop what is held.
    pub reset: Signal<In, Bit>,
    /// Beats enter.
    pub sink: Sink,
    /// Beats leave, in the same order.
    pub source: Source,
    memory: Memory<64, A>,
    written: Register<Word<B>>,
    read: Register<Word<B>>,
    front_held: Register<Bit>,
    depth: Constant<Word<B>>,
    held: Signal<Local, Word<B>>,
    taken: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    fetches: Signal<Local, Bit>,
}

impl<const A: usize, const B: usize> Default for Fifo<A, B> {
    fn default() -> Self {
        assert!(B == A + 1, "pointers of {B} wires do not fit a queue of 2^{A} beats");
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            sink: Sink::default(),
            source: Source::default(),
            memory: Memory::default(),
            written: Register::default(),
            read: Register::default(),
            front_held: Register::default(),
            depth: Constant::new((1 << A).into()),
            held: Signal::default(),
            taken: Signal::default(),
            moves: Signal::default(),
            fetches: Signal::default(),
        }
    }
}

impl<const A: usize, const B: usize> Logic for Fifo<A, B> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, written, read, front_held);
        self.memory.clock.next = self.clock.val();
        self.held.next = self.written.q.val() - self.read.q.val();
        self.sink.ready.next = self.held.val() != self.depth.val();
        self.taken.next = self.sink.valid.val() & self.sink.ready.val();
        self.memory.write_address.next = self.written.q.val().to_bits::<A>();
        self.memory.write_data.next = self.sink.data.val();
        self.memory.write_enable.next = self.taken.val();
        if self.taken.val() {
            self.written.d.next = self.written.q.val() + 1;
        }
        self.moves.next = self.source.ready.val() | !self.front_held.q.val();
        self.fetches.next = self.moves.val() & self.held.val().any();
        self.memory.read_address.next = self.read.q.val().to_bits::<A>();
        self.memory.read_enable.next = self.fetches.val();
        if self.moves.val() {
            self.front_held.d.next = self.fetches.val();
        }
        if self.fetches.val() {
            self.read.d.next = self.read.q.val() + 1;
        }
        self.source.valid.next = self.front_held.q.val();
        self.source.data.next = self.memory.read_data.val();
        if self.reset.val() {
            self.written.d.next = 0.into();
            self.read.d.next = 0.into();
            self.front_held.d.next = false;
        }
    }
}
