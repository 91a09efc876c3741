//! The implementations we compare with, behind the shapes of our own.

use std::cell::RefCell;
use std::collections::HashMap;

use fpga_hash::{Digest, FieldElement};
use light_poseidon::{Poseidon, PoseidonBytesHasher};
use tiny_keccak::{Hasher as _, Keccak};

/// Keccak-256 by `tiny-keccak`.
pub(crate) fn tiny_keccak256(message: &[u8]) -> Digest {
    let mut state = Keccak::v256();
    let mut digest = [0; 32];
    state.update(message);
    state.finalize(&mut digest);
    digest
}

type LightPoseidon = Poseidon<ark_bn254::Fr>;

thread_local! {
    static LIGHT: RefCell<HashMap<usize, LightPoseidon>> = RefCell::default();
}

/// Poseidon by `light-poseidon` (1 to 12 inputs).
pub(crate) fn light_poseidon(inputs: &[FieldElement]) -> FieldElement {
    let bytes: Vec<[u8; 32]> = inputs.iter().map(|input| input.to_be_bytes()).collect();
    let slices: Vec<&[u8]> = bytes.iter().map(|bytes| bytes.as_slice()).collect();
    LIGHT.with_borrow_mut(|by_width| {
        let hasher = by_width
            .entry(inputs.len())
            .or_insert_with(|| LightPoseidon::new_circom(inputs.len()).expect("a width light-poseidon has"));
        let digest = hasher.hash_bytes_be(&slices).expect("canonical inputs");
        FieldElement::from_be_bytes(&digest).expect("light-poseidon returns canonical digests")
    })
}
