//! The implementations we compare with, behind the shapes of our own, and the random inputs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ff::{PrimeField, PrimeFieldRepr};
use fpga_hash::{Digest, FieldElement, Hasher, software_by_name, software_names};
use fpga_hash_peers::{LightPoseidon, PoseidonBytesHasher};
use tiny_keccak::{Hasher as _, Keccak};

/// Every engine that this CPU runs.
pub(crate) fn engines() -> Vec<Arc<dyn Hasher>> {
    software_names().into_iter().filter_map(|name| software_by_name(name).ok()).collect()
}

/// Random inputs per engine and kind: 100,000 with `NIGHTLY` set, else thousands.
pub(crate) fn random_inputs() -> usize {
    if std::env::var_os("NIGHTLY").is_some() { 100_000 } else { 2_000 }
}

/// Keccak-256 by `tiny-keccak`.
pub(crate) fn tiny_keccak256(message: &[u8]) -> Digest {
    let mut state = Keccak::v256();
    let mut digest = [0; 32];
    state.update(message);
    state.finalize(&mut digest);
    digest
}

/// Reproducible bytes: `tiny-keccak` in counter mode.
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..length.div_ceil(32) as u64).flat_map(|at| tiny_keccak256(&at.to_le_bytes())).collect();
    bytes.truncate(length);
    bytes
}

/// Reproducible elements over the whole field.
pub(crate) fn random_elements(count: usize) -> Vec<FieldElement> {
    // Two random bits fewer than the modulus would lose its top; a multiplier spreads the values over the field.
    let spread = FieldElement::from(7).power(&[u64::MAX, u64::MAX, 0, 0]);
    let groups = random_bytes(31 * count);
    groups.as_chunks::<31>().0.iter().map(|group| FieldElement::from_bytes31(group) * spread).collect()
}

thread_local! {
    static LIGHT: RefCell<HashMap<usize, LightPoseidon>> = RefCell::default();
}

/// Poseidon by `light-poseidon` (1 to 12 inputs).
pub(crate) fn light_poseidon(inputs: &[FieldElement]) -> FieldElement {
    let bytes: Vec<[u8; 32]> = inputs.iter().map(|input| input.to_be_bytes()).collect();
    let slices: Vec<&[u8]> = bytes.iter().map(|bytes| bytes.as_slice()).collect();
    LIGHT.with_borrow_mut(|by_width| {
        let hasher =
            by_width.entry(inputs.len()).or_insert_with(|| fpga_hash_peers::light_poseidon(inputs.len()));
        let digest = hasher.hash_bytes_be(&slices).expect("canonical inputs");
        FieldElement::from_be_bytes(&digest).expect("light-poseidon returns canonical digests")
    })
}

/// Poseidon by `poseidon-rs` (1 to 16 inputs).
pub(crate) struct PoseidonRs(poseidon_rs::Poseidon);

impl PoseidonRs {
    pub(crate) fn new() -> Self {
        Self(poseidon_rs::Poseidon::new())
    }

    pub(crate) fn hash(&self, inputs: &[FieldElement]) -> FieldElement {
        let theirs = inputs.iter().map(|input| {
            let mut representation = <poseidon_rs::Fr as PrimeField>::Repr::default();
            representation.read_be(input.to_be_bytes().as_slice()).expect("32 bytes");
            poseidon_rs::Fr::from_repr(representation).expect("canonical inputs")
        });
        let digest = self.0.hash(theirs.collect()).expect("a width poseidon-rs has");
        let mut bytes = [0; 32];
        digest.into_repr().write_be(bytes.as_mut_slice()).expect("32 bytes");
        FieldElement::from_be_bytes(&bytes).expect("poseidon-rs returns canonical digests")
    }
}
