//! The engine without SIMD: works everywhere, and is what the others are compared with.

use crate::hasher::{check_poseidon_shape, check_prefixed_shape};
use crate::keccak::{Keccak256, keccak256};
use crate::permutation::Parameters;
use crate::{Digest, FieldElement, Hasher, Work, WorkCounter};

pub(super) const NAME: &str = "software-scalar";

#[derive(Debug, Default)]
pub(super) struct Scalar {
    work: WorkCounter,
}

impl Hasher for Scalar {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        assert_eq!(messages.len(), digests.len(), "one digest per message");
        for (message, digest) in messages.iter().zip(digests) {
            *digest = keccak256(message);
        }
        self.work.count_keccak(messages.len(), messages.iter().map(|message| message.len()).sum());
    }

    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
        check_prefixed_shape(item_bytes, items.len(), digests.len());
        for (item, digest) in items.chunks(item_bytes).zip(digests.iter_mut()) {
            let mut message = Keccak256::new();
            message.update(&[prefix]);
            message.update(item);
            *digest = message.finalize();
        }
        self.work.count_keccak(digests.len(), items.len() + digests.len());
    }

    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        check_poseidon_shape(inputs.len(), width, digests.len());
        let parameters = Parameters::of_width(width + 1);
        for (message, digest) in inputs.chunks_exact(width).zip(digests.iter_mut()) {
            *digest = parameters.hash(message);
        }
        self.work.count_poseidon(digests.len(), width);
    }

    fn work(&self) -> Work {
        self.work.snapshot()
    }
}
