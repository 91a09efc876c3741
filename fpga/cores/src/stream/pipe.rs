//! Blocks between two streams, as their tests and proofs see them.

use super::fifo::Fifo;
use super::skid::SkidBuffer;
use super::width::{Narrow, ThroughBytes, Widen};
use crate::bench::Clocked;
use crate::prelude::*;

/// A block that beats enter and leave, with one beat of data on either side.
pub trait Pipe: Clocked {
    /// Ports of the entering side in the Verilog: data, valid, ready.
    const ENTERS: [&'static str; 3];
    /// Ports of the leaving side in the Verilog: data, valid, ready.
    const LEAVES: [&'static str; 3];
    /// Bytes of a beat that enters, and of one that leaves.
    const BYTES: (usize, usize);

    /// Tells the checks of rust-hdl that the inputs are driven from outside.
    fn connect_inputs(&mut self);

    /// Resets at the next edge.
    fn reset(&mut self, resets: bool);

    /// Offers a beat, or does not.
    fn offer(&mut self, data: u64, valid: bool);

    /// Takes a beat, or does not.
    fn take(&mut self, ready: bool);

    /// Whether an offered beat enters at the next edge.
    fn takes(&self) -> bool;

    /// The beat that is offered to the other side.
    fn offers(&self) -> Option<u64>;
}

const SINK: [&str; 3] = ["sink$data", "sink$valid", "sink$ready"];
const SOURCE: [&str; 3] = ["source$data", "source$valid", "source$ready"];
const BYTE: [&str; 3] = ["byte_data", "byte_valid", "byte_ready"];

/// A block with `clock` and `reset`; each side by its fields, its ports and its bytes.
macro_rules! pipe {
    (
        [$($generics:tt)*] $type:ty,
        ($($in_data:ident).+, $($in_valid:ident).+, $($in_ready:ident).+) $enters:ident $enter_bytes:literal,
        ($($out_data:ident).+, $($out_valid:ident).+, $($out_ready:ident).+) $leaves:ident $leave_bytes:literal
    ) => {
        impl<$($generics)*> Clocked for $type {
            fn clock(&mut self) -> &mut Signal<In, Clock> {
                &mut self.clock
            }
        }

        impl<$($generics)*> Pipe for $type {
            const ENTERS: [&'static str; 3] = $enters;
            const LEAVES: [&'static str; 3] = $leaves;
            const BYTES: (usize, usize) = ($enter_bytes, $leave_bytes);

            fn connect_inputs(&mut self) {
                self.clock.connect();
                self.reset.connect();
                self.$($in_data).+.connect();
                self.$($in_valid).+.connect();
                self.$($out_ready).+.connect();
            }

            fn reset(&mut self, resets: bool) {
                self.reset.next = resets;
            }

            fn offer(&mut self, data: u64, valid: bool) {
                self.$($in_data).+.next = data.into();
                self.$($in_valid).+.next = valid;
            }

            fn take(&mut self, ready: bool) {
                self.$($out_ready).+.next = ready;
            }

            fn takes(&self) -> bool {
                self.$($in_ready).+.val()
            }

            fn offers(&self) -> Option<u64> {
                self.$($out_valid).+.val().then(|| self.$($out_data).+.val().value())
            }
        }
    };
}

pipe!([] SkidBuffer, (sink.data, sink.valid, sink.ready) SINK 8, (source.data, source.valid, source.ready) SOURCE 8);
pipe!(
    [const A: usize, const B: usize] Fifo<A, B>,
    (sink.data, sink.valid, sink.ready) SINK 8,
    (source.data, source.valid, source.ready) SOURCE 8
);
pipe!([] ThroughBytes, (sink.data, sink.valid, sink.ready) SINK 8, (source.data, source.valid, source.ready) SOURCE 8);
pipe!([] Narrow, (sink.data, sink.valid, sink.ready) SINK 8, (byte_data, byte_valid, byte_ready) BYTE 1);
pipe!([] Widen, (byte_data, byte_valid, byte_ready) BYTE 1, (source.data, source.valid, source.ready) SOURCE 8);
