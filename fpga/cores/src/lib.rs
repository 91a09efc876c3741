//! The accelerator's gateware in Rust: Keccak core, packet top, and the Verilog they become.
//!
//! Promise: what is simulated here is what is emitted; `rtl-sim` and `cargo xtask formal` hold both against each other and
//! against software. Packets and registers are those of crate `fpga`: there is no second definition of a byte.
//!
//! [`top`] is the design, [`keccak`] its core, [`stream`] and [`cells`] what they are built from, [`emit`] the way to
//! Verilog, [`mod@bench`] the way to drive a circuit. `docs/theory_of_operation.md` tells how it works, `docs/hardware_teams.md`
//! how to use it.
//!
//! Choices. Everything is written in rust-hdl 0.46, pinned, behind [`prelude`] with signal types of our own. Its silent
//! differences between simulation and Verilog are collected in [`traps`]. One clock, synchronous reset, no vendor
//! primitives: memories and registers are inferred.

pub mod bench;
pub mod cells;
pub mod crc;
pub mod emit;
pub mod keccak;
pub mod prelude;
pub mod stream;
pub mod top;
pub mod traps;
pub mod word;
