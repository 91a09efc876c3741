//! What a circuit of this crate is written with: rust-hdl's traits and macros, and signal types of our own.
//!
//! Modules take everything from here, so that a change of the language underneath is a change of this page.

pub use rust_hdl::prelude::{
    Bit, Bits, Block, Clock, Constant, In, Local, Logic, LogicBlock, LogicInterface, LogicJoin, LogicLink,
    LogicState, ModuleDefines, Out, Probe, Signal, Synth, TimingInfo, ToBits, TypeDescriptor, TypeKind,
    VCDValue, Verilog, VerilogLiteral, ast, block, clog2, dff_setup, hdl_gen, logic, probe, simulate, synth,
    type_descriptor,
};

pub use crate::cells::{Memory, Register, Table};
pub use crate::word::{Lane, Word};
