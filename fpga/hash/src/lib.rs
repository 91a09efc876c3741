//! Keccak-256 and Poseidon over BN254, many messages per call: the `Hasher` trait and its software engines.
//!
//! Promise: every engine returns the same bytes for the same messages; [`software`] picks the fastest this CPU runs.
//! [`tree`] builds the protocol's trees on any engine.
//!
//! No secret is hashed here. Batches are public, so nothing in this crate claims constant time.

#[cfg(feature = "bench")]
pub mod bench;
mod engine;
mod error;
mod field;
mod hasher;
mod keccak;
mod limbs;
pub mod permutation;
pub mod schedule;
pub mod tree;

pub use engine::{software, software_by_name, software_names};
pub use error::Error;
pub use field::FieldElement;
pub use hasher::{Hasher, Work, WorkCounter, check_poseidon_shape, check_prefixed_shape};
pub use keccak::{Keccak256, keccak256};

/// 32 bytes of Keccak-256, or a Poseidon digest as a big-endian integer.
pub type Digest = [u8; 32];
