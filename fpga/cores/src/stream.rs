//! AXI4-Stream between the blocks of a design: 64 bits of data, `valid`, `ready`, nothing else.
//!
//! A beat moves at a rising edge with `valid` and `ready` both high. Who offers a beat keeps offering it unchanged until it
//! moves, and does not wait for `ready` before offering. TKEEP and TLAST are left out: packets carry their own lengths, and
//! every packet is whole beats.

pub mod fifo;
mod pipe;
pub mod skid;
pub mod width;

use crate::prelude::*;
pub use pipe::Pipe;

/// The receiving end of a stream.
#[derive(Clone, Debug, Default, LogicInterface)]
pub struct Sink {
    /// Eight bytes, the first in wires 7 to 0.
    pub data: Signal<In, Lane>,
    /// A beat is offered.
    pub valid: Signal<In, Bit>,
    /// The beat is taken at the next edge.
    pub ready: Signal<Out, Bit>,
}

/// The sending end of a stream.
#[derive(Clone, Debug, Default, LogicInterface)]
pub struct Source {
    /// Eight bytes, the first in wires 7 to 0.
    pub data: Signal<Out, Lane>,
    /// A beat is offered.
    pub valid: Signal<Out, Bit>,
    /// The beat is taken at the next edge.
    pub ready: Signal<In, Bit>,
}
