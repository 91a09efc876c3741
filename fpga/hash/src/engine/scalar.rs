//! The engines without SIMD: one works everywhere, the other multiplies with BMI2 and ADX where the CPU has them.

#[cfg(target_arch = "x86_64")]
use super::adx::Adx;
use super::program::{Arithmetic, INPUTS, PLACES, Program, run};
use super::sponge::prefixed;
use crate::hasher::{check_poseidon_shape, check_prefixed_shape};
use crate::keccak::keccak256;
use crate::limbs::{self, Limbs, Multiplier, Portable, Wide};
use crate::schedule::{PerWidth, Schedule};
use crate::{Digest, FieldElement, Hasher, Work, WorkCounter};

pub(super) const NAME: &str = "software-scalar";
pub(super) const NAME_ADX: &str = "software-adx";
pub(super) const NEEDS_ADX: &str = "bmi2 adx";

/// Messages one by one.
#[derive(Debug)]
pub(super) struct Scalar {
    poseidon: Poseidon,
    work: WorkCounter,
}

/// Poseidon without SIMD, for every engine that has no better one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Poseidon {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Adx(Adx),
}

impl Scalar {
    /// The engine for every CPU.
    pub(super) fn portable() -> Self {
        Self { poseidon: Poseidon::Portable, work: WorkCounter::default() }
    }

    /// The engine for CPUs with BMI2 and ADX, when this is one.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn adx() -> Option<Self> {
        Some(Self { poseidon: Poseidon::Adx(Adx::detect()?), work: WorkCounter::default() })
    }
}

impl Hasher for Scalar {
    fn engine(&self) -> &'static str {
        match self.poseidon {
            Poseidon::Portable => NAME,
            #[cfg(target_arch = "x86_64")]
            Poseidon::Adx(_) => NAME_ADX,
        }
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
        self.poseidon.hash(inputs, width, digests);
        self.work.count_poseidon(digests.len(), width);
    }

    fn work(&self) -> Work {
        self.work.snapshot()
    }
}

impl Poseidon {
    /// The fastest of this CPU.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn best() -> Self {
        Adx::detect().map_or(Self::Portable, Self::Adx)
    }

    /// Shapes as in [`Hasher::poseidon`].
    pub(super) fn hash(self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        match self {
            Self::Portable => hash_each(Elements(Portable), inputs, width, digests),
            #[cfg(target_arch = "x86_64")]
            Self::Adx(adx) => hash_each(Elements(adx), inputs, width, digests),
        }
    }
}

fn hash_each<M: Multiplier>(
    elements: Elements<M>,
    inputs: &[FieldElement],
    width: usize,
    digests: &mut [FieldElement],
) {
    let program = program(width + 1);
    let mut values = [elements.zero(); PLACES];
    for (message, digest) in inputs.chunks_exact(width).zip(digests) {
        for (value, element) in values[INPUTS..].iter_mut().zip(message) {
            *value = *element.limbs();
        }
        run(elements, program, &mut values);
        *digest = FieldElement::from_reduced_limbs(limbs::reduce_once(&values[INPUTS]));
    }
}

/// The schedule's constants as limbs, `R = 2^256`.
fn program(state_width: usize) -> &'static Program<Limbs> {
    static PROGRAMS: PerWidth<Program<Limbs>> = PerWidth::new();
    PROGRAMS
        .get(state_width, || Program::new(&Schedule::derive(state_width, 256), |element| *element.limbs()))
}

/// Arithmetic on one element at a time.
///
/// Every value is below `2r`, so a dot of 32 products is below `2 * 32 * r^2`, less than `13 r R`, and its unit and
/// constant add at most `3 r R`.
#[derive(Clone, Copy)]
struct Elements<M>(M);

impl<M: Multiplier> Arithmetic for Elements<M> {
    type Number = Limbs;
    type Value = Limbs;
    type Sum = Wide;

    #[inline(always)]
    fn zero(self) -> Limbs {
        [0; 4]
    }

    #[inline(always)]
    fn plus(self, value: &Limbs, number: &Limbs) -> Limbs {
        limbs::add(value, number).0
    }

    #[inline(always)]
    fn start(self, unit: &Limbs, constant: &Limbs) -> Wide {
        let [a, b, c, d] = self.plus(unit, constant);
        [0, 0, 0, 0, a, b, c, d, 0]
    }

    #[inline(always)]
    fn accumulate(self, sum: &mut Wide, factor: &Limbs, value: &Limbs) {
        self.0.accumulate(sum, factor, value);
    }

    #[inline(always)]
    fn reduce(self, sum: Wide) -> Limbs {
        self.0.reduce_wide(&sum)
    }

    #[inline(always)]
    fn to_box(self, value: &Limbs) -> Limbs {
        let square = self.0.montgomery_square(value);
        let fourth = self.0.montgomery_square(&square);
        self.0.montgomery_product(&fourth, value)
    }
}
