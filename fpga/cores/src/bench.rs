//! Driving a circuit clock by clock.

use crate::prelude::*;

/// A circuit with one clock.
pub trait Clocked: Block {
    /// The clock's input.
    fn clock(&mut self) -> &mut Signal<In, Clock>;
}

/// Passes of the simulator that any circuit here settles in.
const SETTLE_PASSES_MAX: usize = 100;

/// Lets signals settle after the inputs were set.
///
/// # Panics
/// When they do not: the circuit oscillates.
pub fn settle<B: Clocked>(circuit: &mut B) {
    circuit.clock().next = Clock { clk: false };
    assert!(simulate(circuit, SETTLE_PASSES_MAX), "the circuit does not settle");
}

/// One rising edge.
///
/// # Panics
/// When the circuit does not settle.
pub fn tick<B: Clocked>(circuit: &mut B) {
    circuit.clock().next = Clock { clk: true };
    assert!(simulate(circuit, SETTLE_PASSES_MAX), "the circuit does not settle");
}
