//! The AVX-512 engine: Keccak and Poseidon on eight lanes.

mod keccak;
mod lanes;
mod poseidon;

use self::lanes::Cpu;
use self::poseidon::{GROUP, Limbs52, MONTGOMERY_BITS};
use super::program::Program;
use super::sponge::{hash_items, hash_runs};
use crate::hasher::{check_poseidon_shape, check_prefixed_shape};
use crate::permutation::STATE_WIDTH_MAX;
use crate::schedule::{PerWidth, Schedule};
use crate::{Digest, FieldElement, Hasher, Work, WorkCounter};

pub(super) const NAME: &str = "software-avx512ifma";
pub(super) const NEEDS: &str = Cpu::NEEDS;

/// Inputs of the widest hash.
const INPUTS_MAX: usize = STATE_WIDTH_MAX - 1;

static PROGRAMS: PerWidth<Program<Limbs52>> = PerWidth::new();

#[derive(Debug)]
pub(super) struct Avx512 {
    cpu: Cpu,
    work: WorkCounter,
}

impl Avx512 {
    /// The engine, when this CPU runs it.
    pub(super) fn detect() -> Option<Self> {
        Some(Self { cpu: Cpu::detect()?, work: WorkCounter::default() })
    }
}

impl Hasher for Avx512 {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        hash_runs(messages, digests, (keccak::LANES, keccak::WORTHWHILE), |data, digests| {
            // SAFETY: `self.cpu` proves the instruction sets that the function is compiled for.
            unsafe { keccak::hash_eight(self.cpu, None, data, digests) }
        });
        self.work.count_keccak(messages.len(), messages.iter().map(|message| message.len()).sum());
    }

    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
        check_prefixed_shape(item_bytes, items.len(), digests.len());
        let lanes = (keccak::LANES, keccak::WORTHWHILE);
        hash_items((prefix, item_bytes), items, digests, lanes, |data, digests| {
            // SAFETY: `self.cpu` proves the instruction sets that the function is compiled for.
            unsafe { keccak::hash_eight(self.cpu, Some(prefix), data, digests) }
        });
        self.work.count_keccak(digests.len(), items.len() + digests.len());
    }

    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        check_poseidon_shape(inputs.len(), width, digests.len());
        self.work.count_poseidon(digests.len(), width);
        let program = PROGRAMS.get(width + 1, || {
            Program::new(&Schedule::derive(width + 1, MONTGOMERY_BITS), |element| {
                poseidon::split(element.limbs())
            })
        });
        // SAFETY: `self.cpu` proves the instruction sets that the function is compiled for.
        let mut done = unsafe { poseidon::hash_groups::<2>(self.cpu, program, inputs, width, digests) };
        // SAFETY: as above.
        done += unsafe {
            poseidon::hash_groups::<1>(
                self.cpu,
                program,
                &inputs[done * width..],
                width,
                &mut digests[done..],
            )
        };
        let rest = digests.len() - done;
        if rest > 0 {
            let mut padded = [FieldElement::ZERO; GROUP * INPUTS_MAX];
            padded[..rest * width].copy_from_slice(&inputs[done * width..]);
            let mut padded_digests = [FieldElement::ZERO; GROUP];
            let padded = &padded[..GROUP * width];
            // SAFETY: as above.
            unsafe { poseidon::hash_groups::<1>(self.cpu, program, padded, width, &mut padded_digests) };
            digests[done..].copy_from_slice(&padded_digests[..rest]);
        }
    }

    fn work(&self) -> Work {
        self.work.snapshot()
    }
}

/// IFMA multiplications and logic instructions per second, as `rate` measures a probe; `None` without AVX-512.
#[cfg(feature = "bench")]
pub(super) fn instructions_per_second(rate: impl Fn(&mut dyn FnMut() -> usize) -> f64) -> Option<(f64, f64)> {
    let cpu = Cpu::detect()?;
    // SAFETY: `cpu` proves the instruction sets that the functions are compiled for.
    Some(unsafe { (rate(&mut || lanes::probe_multiply(cpu)), rate(&mut || lanes::probe_logic(cpu))) })
}
