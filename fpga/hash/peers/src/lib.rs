//! `light-poseidon`, the other implementation of Poseidon that tests and benches compare ours with.
//!
//! It is a package of its own for the time a build takes. The tables of `light-poseidon` are one generic function of 43,000
//! lines, which every package that makes a hasher compiles again: more than a minute each where it is optimised. Here it is
//! compiled once, and not optimised (profiles in the root `Cargo.toml`). The hashing is generic as well, so it is compiled
//! where it is called, as well optimised as the caller.

pub use ark_bn254::Fr;
pub use light_poseidon::{PoseidonBytesHasher, PoseidonHasher};

/// Poseidon of `light-poseidon` with circom's parameters over BN254.
pub type LightPoseidon = light_poseidon::Poseidon<Fr>;

/// A hasher of `inputs` field elements, 1 to 12.
///
/// # Panics
/// For any other number.
pub fn light_poseidon(inputs: usize) -> LightPoseidon {
    LightPoseidon::new_circom(inputs).expect("light-poseidon has 1 to 12 inputs")
}
