//! Keccak-256 (the padding of Ethereum, 0x01) over three messages at a time.

pub mod beats;
pub mod core;
pub mod fill;
pub mod round;
