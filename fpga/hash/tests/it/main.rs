//! Every engine against every independent implementation: one test binary.
//!
//! `NIGHTLY=1` raises the random inputs from thousands to 100,000 per engine.

mod engines;
mod keccak;
mod peers;
mod poseidon;
mod trees;
