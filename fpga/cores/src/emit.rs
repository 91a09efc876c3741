//! From circuits to Verilog text.

use crate::prelude::*;

/// Verilog of one circuit.
pub fn verilog<B: Block>(name: &str, circuit: &B) -> String {
    let mut defines = ModuleDefines::default();
    circuit.accept(name, &mut defines);
    defines.defines()
}
