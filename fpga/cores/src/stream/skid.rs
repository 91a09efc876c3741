//! A skid buffer: two registers that cut the path of `ready` without costing a clock of throughput.

use super::{Sink, Source};
use crate::prelude::*;

/// Takes a beat in every clock that `sink.ready` says so, and gives it one clock later; holds two.
///
/// `ready` and everything on `source` come from registers; in reset it takes nothing, so that no beat is lost.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct SkidBuffer {
    /// Rising edge moves beats.
    pub clock: Signal<In, Clock>,
    /// Synchronous: drop what is held.
    pub reset: Signal<In, Bit>,
    /// Beats enter.
    pub sink: Sink,
    /// Beats leave, in the same order.
    pub source: Source,
    front: Register<Lane>,
    front_held: Register<Bit>,
    back: Register<Lane>,
    back_held: Register<Bit>,
    taken: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
}

impl Logic for SkidBuffer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, front, front_held, back, back_held);
        self.sink.ready.next = !self.back_held.q.val() & !self.reset.val();
        self.source.valid.next = self.front_held.q.val();
        self.source.data.next = self.front.q.val();
        self.taken.next = self.sink.valid.val() & !self.back_held.q.val();
        self.moves.next = self.source.ready.val() | !self.front_held.q.val();
        if self.moves.val() {
            if self.back_held.q.val() {
                self.front.d.next = self.back.q.val();
                self.back_held.d.next = false;
            } else {
                self.front.d.next = self.sink.data.val();
                self.front_held.d.next = self.taken.val();
            }
        } else if self.taken.val() {
            self.back.d.next = self.sink.data.val();
            self.back_held.d.next = true;
        }
        if self.reset.val() {
            self.front_held.d.next = false;
            self.back_held.d.next = false;
        }
    }
}
