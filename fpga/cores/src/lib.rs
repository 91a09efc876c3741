//! The accelerator's gateware in Rust: Keccak core, packet top, and the Verilog they become.

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
