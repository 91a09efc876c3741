//! The circuits in the Rust simulation, against software.

#![expect(clippy::unwrap_used, reason = "a helper of tests that fails is a failed test")]

mod crc;
mod keccak;
mod stream;
mod top;
