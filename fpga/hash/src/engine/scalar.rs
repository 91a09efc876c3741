//! The engine without SIMD: works everywhere, and is what the others are compared with.

use crate::hasher::{check_poseidon_shape, check_prefixed_shape};
use crate::keccak::keccak256;
use crate::limbs::{self, Limbs, Wide};
use crate::schedule::{PerWidth, Schedule};
use crate::{Digest, FieldElement, Hasher, Work, WorkCounter};

use super::evaluate::{Arithmetic, Table, Workspace, evaluate};
use super::sponge::prefixed;

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
            *digest = prefixed(prefix, item);
        }
        self.work.count_keccak(digests.len(), items.len() + digests.len());
    }

    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        check_poseidon_shape(inputs.len(), width, digests.len());
        hash_poseidon(inputs, width, digests);
        self.work.count_poseidon(digests.len(), width);
    }

    fn work(&self) -> Work {
        self.work.snapshot()
    }
}

/// Poseidon without SIMD, for every engine that has no better one.
pub(super) fn hash_poseidon(inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
    let table = table(width + 1);
    let done = hash_groups::<2>(table, inputs, width, digests);
    hash_groups::<1>(table, &inputs[done * width..], width, &mut digests[done..]);
}

/// The schedule's constants as limbs, `R = 2^256`.
fn table(state_width: usize) -> &'static Table<Limbs> {
    static TABLES: PerWidth<Table<Limbs>> = PerWidth::new();
    TABLES.get(state_width, || Table::new(&Schedule::derive(state_width, 256), |element| *element.limbs()))
}

/// Arithmetic on `G` elements in turns, so that one's products fill the latency of another's.
///
/// Every value is below `2r`, so a dot of 32 products is below `2 * 32 * r^2`, less than `13 r R`, and its unit and
/// constant add at most `3 r R`.
#[derive(Clone, Copy)]
struct Elements<const G: usize>;

impl<const G: usize> Arithmetic for Elements<G> {
    type Number = Limbs;
    type Value = [Limbs; G];
    type Sum = [Wide; G];

    #[inline(always)]
    fn zero(self) -> [Limbs; G] {
        [[0; 4]; G]
    }

    #[inline(always)]
    fn plus(self, value: &[Limbs; G], number: &Limbs) -> [Limbs; G] {
        value.map(|value| limbs::add(&value, number).0)
    }

    #[inline(always)]
    fn start(self, unit: &[Limbs; G], constant: &Limbs) -> [Wide; G] {
        self.plus(unit, constant).map(|[a, b, c, d]| [0, 0, 0, 0, a, b, c, d, 0])
    }

    #[inline(always)]
    fn accumulate(self, sum: &mut [Wide; G], factor: &Limbs, value: &[Limbs; G]) {
        for (sum, value) in sum.iter_mut().zip(value) {
            limbs::accumulate(sum, factor, value);
        }
    }

    #[inline(always)]
    fn reduce(self, sum: [Wide; G]) -> [Limbs; G] {
        sum.map(|sum| limbs::montgomery_reduce(&sum))
    }

    #[inline(always)]
    fn to_box(self, value: &[Limbs; G]) -> [Limbs; G] {
        let square = value.map(|value| limbs::montgomery_square(&value));
        let fourth = square.map(|square| limbs::montgomery_square(&square));
        std::array::from_fn(|g| limbs::montgomery_product(&fourth[g], &value[g]))
    }
}

/// Hashes `G` messages at a time as long as there are as many; returns how many it hashed.
fn hash_groups<const G: usize>(
    table: &Table<Limbs>,
    inputs: &[FieldElement],
    width: usize,
    digests: &mut [FieldElement],
) -> usize {
    let mut workspace = Workspace::new(Elements::<G>.zero());
    let messages = inputs.chunks_exact(G * width);
    let mut done = 0;
    for (messages, digests) in messages.zip(digests.chunks_exact_mut(G)) {
        let input = |i: usize| std::array::from_fn(|g| *messages[g * width + i].limbs());
        let results = evaluate(Elements::<G>, table, &mut workspace, input);
        for (digest, result) in digests.iter_mut().zip(&results) {
            *digest = FieldElement::from_reduced_limbs(limbs::reduce_once(result));
        }
        done += G;
    }
    done
}
