//! The emitted Verilog against software, byte for byte. `README.md` is the plan of these tests.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod agreement;
mod bench_device;
mod driver;
mod flow;
mod hostile;
mod keccak_core;
mod mixed;
mod parts;
mod program;
mod registers;
mod streams;
mod traps;
mod waveform;
