//! Who competes: our engines and the crates that do the same work.

use std::hint::black_box;
use std::sync::Arc;

use fpga_hash_peers::{Fr, PoseidonHasher};
use keccak_asm::Digest as _;
use tiny_keccak::Hasher as _;

use crate::{FieldElement, Hasher};

/// Bytes without a short period.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

/// Does some units of work (hashes or bytes) per call.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) units: usize,
    pub(super) run: Box<dyn FnMut()>,
}

impl Contender {
    /// Poseidon hashes of one of our engines.
    pub(super) fn poseidon(engine: Arc<dyn Hasher>, width: usize) -> Self {
        let hashes = 64;
        let groups = bytes(31 * hashes * width);
        let inputs: Vec<FieldElement> = groups.as_chunks().0.iter().map(FieldElement::from_bytes31).collect();
        let mut digests = vec![FieldElement::ZERO; hashes];
        let name = engine.engine();
        Self {
            name,
            units: hashes,
            run: Box::new(move || engine.poseidon(black_box(&inputs), width, &mut digests)),
        }
    }

    pub(super) fn light_poseidon(width: usize) -> Self {
        let mut hasher = fpga_hash_peers::light_poseidon(width);
        let inputs: Vec<Fr> = (0..width as u64).map(|i| Fr::from(i + 1)).collect();
        let run = move || {
            black_box(hasher.hash(black_box(&inputs)).expect("as many inputs as promised"));
        };
        Self { name: "light-poseidon", units: 1, run: Box::new(run) }
    }

    pub(super) fn poseidon_rs(width: usize) -> Self {
        let hasher = poseidon_rs::Poseidon::new();
        // Any elements do; its constants are the ones at hand without another crate.
        let inputs = poseidon_rs::load_constants().c[width][..width].to_vec();
        let run = move || {
            black_box(hasher.hash(black_box(inputs.clone())).expect("up to 16 inputs"));
        };
        Self { name: "poseidon-rs", units: 1, run: Box::new(run) }
    }
}

/// Items per call.
const ITEMS: usize = 256;

impl Contender {
    /// Bytes of contiguous items on one of our engines.
    pub(super) fn keccak(engine: Arc<dyn Hasher>, prefix: u8, item_bytes: usize) -> Self {
        let items = bytes(item_bytes * ITEMS);
        let mut digests = vec![[0; 32]; ITEMS];
        let (name, bytes) = (engine.engine(), items.len());
        let run = move || engine.keccak256_prefixed(prefix, item_bytes, black_box(&items), &mut digests);
        Self { name, units: bytes, run: Box::new(run) }
    }

    pub(super) fn keccak_asm(prefix: u8, item_bytes: usize) -> Self {
        Self::single("keccak-asm", item_bytes, move |item| {
            let mut state = keccak_asm::Keccak256::new();
            state.update([prefix]);
            state.update(item);
            state.finalize().into()
        })
    }

    pub(super) fn tiny_keccak(prefix: u8, item_bytes: usize) -> Self {
        Self::single("tiny-keccak", item_bytes, move |item| {
            let mut state = tiny_keccak::Keccak::v256();
            let mut digest = [0; 32];
            state.update(&[prefix]);
            state.update(item);
            state.finalize(&mut digest);
            digest
        })
    }

    fn single(name: &'static str, item_bytes: usize, hash: impl Fn(&[u8]) -> [u8; 32] + 'static) -> Self {
        let items = bytes(item_bytes * ITEMS);
        let bytes = items.len();
        let run = move || {
            for item in black_box(&items).chunks(item_bytes) {
                black_box(hash(item));
            }
        };
        Self { name, units: bytes, run: Box::new(run) }
    }
}
