//! The AVX2 engine: Keccak on four lanes; Poseidon without SIMD, AVX2 has no wide enough multiplier.

use std::arch::x86_64::*;

use super::scalar::Poseidon;
use super::sponge::{Blocks, LANES_MAX, State, Vector, hash_group, hash_items, hash_runs};
use crate::hasher::{check_poseidon_shape, check_prefixed_shape};
use crate::keccak::RATE_BYTES;
use crate::{Digest, FieldElement, Hasher, Work, WorkCounter};

pub(super) const NAME: &str = "software-avx2";
pub(super) const NEEDS: &str = "avx2";

/// Messages side by side, and from how many on a group with empty lanes is faster than single messages.
const LANES: (usize, usize) = (4, 3);

#[derive(Debug)]
pub(super) struct Avx2 {
    cpu: Cpu,
    poseidon: Poseidon,
    work: WorkCounter,
}

impl Avx2 {
    /// The engine, when this CPU runs it.
    pub(super) fn detect() -> Option<Self> {
        Some(Self { cpu: Cpu::detect()?, poseidon: Poseidon::best(), work: WorkCounter::default() })
    }
}

impl Hasher for Avx2 {
    fn engine(&self) -> &'static str {
        NAME
    }

    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        hash_runs(messages, digests, LANES, |data, digests| {
            // SAFETY: `self.cpu` proves the instruction set that the function is compiled for.
            unsafe { hash_four(self.cpu, None, data, digests) }
        });
        self.work.count_keccak(messages.len(), messages.iter().map(|message| message.len()).sum());
    }

    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
        check_prefixed_shape(item_bytes, items.len(), digests.len());
        hash_items((prefix, item_bytes), items, digests, LANES, |data, digests| {
            // SAFETY: `self.cpu` proves the instruction set that the function is compiled for.
            unsafe { hash_four(self.cpu, Some(prefix), data, digests) }
        });
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

/// Proof that this CPU runs AVX2: holding one makes the operations below safe.
#[derive(Debug, Clone, Copy)]
struct Cpu(());

impl Cpu {
    /// The proof, when it is true.
    fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// 32 bytes as four little-endian words.
    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> __m256i {
        // SAFETY: `self` proves avx2; the reference covers the 32 bytes read, at any alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_array(self, lanes: [u64; 4]) -> __m256i {
        // SAFETY: both are 32 bytes without invalid bit patterns.
        unsafe { std::mem::transmute(lanes) }
    }

    #[inline(always)]
    fn to_array(self, lanes: __m256i) -> [u64; 4] {
        // SAFETY: both are 32 bytes without invalid bit patterns.
        unsafe { std::mem::transmute(lanes) }
    }

    /// Rotates each word left by one or seven bytes: one shuffle instead of two shifts.
    #[inline(always)]
    fn rotate_bytes(self, a: __m256i, bytes: i32) -> __m256i {
        const BY_ONE: [u8; 16] = [7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14];
        const BY_SEVEN: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8];
        let sources = if bytes == 1 { [BY_ONE; 2] } else { [BY_SEVEN; 2] };
        let sources = self.load(sources.as_flattened().first_chunk().expect("two halves are 32 bytes"));
        // SAFETY: `self` proves avx2.
        unsafe { _mm256_shuffle_epi8(a, sources) }
    }

    /// Row `i`, four words of message `i`, becomes lane `i` of four words.
    #[inline(always)]
    fn transpose(self, rows: [__m256i; 4]) -> [__m256i; 4] {
        // SAFETY: `self` proves avx2.
        unsafe {
            let even = [_mm256_unpacklo_epi64(rows[0], rows[1]), _mm256_unpacklo_epi64(rows[2], rows[3])];
            let odd = [_mm256_unpackhi_epi64(rows[0], rows[1]), _mm256_unpackhi_epi64(rows[2], rows[3])];
            [
                _mm256_permute2x128_si256::<0x20>(even[0], even[1]),
                _mm256_permute2x128_si256::<0x20>(odd[0], odd[1]),
                _mm256_permute2x128_si256::<0x31>(even[0], even[1]),
                _mm256_permute2x128_si256::<0x31>(odd[0], odd[1]),
            ]
        }
    }
}

/// Hashes up to four messages of one length.
#[target_feature(enable = "avx2")]
fn hash_four(cpu: Cpu, prefix: Option<u8>, data: &[&[u8]; LANES_MAX], digests: &mut [Digest]) {
    hash_group(cpu, prefix, data, digests);
}

impl Vector for Cpu {
    type Word = __m256i;
    const LANES: usize = LANES.0;

    #[inline(always)]
    fn broadcast(self, value: u64) -> __m256i {
        // SAFETY: `self` proves avx2.
        unsafe { _mm256_set1_epi64x(value.cast_signed()) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` proves avx2.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        self.xor(self.xor(a, b), c)
    }

    #[inline(always)]
    fn theta(self, a: __m256i, _left: __m256i, _right: __m256i, both: __m256i) -> __m256i {
        self.xor(a, both)
    }

    #[inline(always)]
    fn chi(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        // SAFETY: `self` proves avx2.
        unsafe { _mm256_xor_si256(a, _mm256_andnot_si256(b, c)) }
    }

    #[inline(always)]
    fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: __m256i) -> __m256i {
        if LEFT == 8 || LEFT == 56 {
            return self.rotate_bytes(a, LEFT / 8);
        }
        // SAFETY: `self` proves avx2.
        unsafe { _mm256_or_si256(_mm256_slli_epi64::<LEFT>(a), _mm256_srli_epi64::<RIGHT>(a)) }
    }

    #[inline(always)]
    fn absorb(self, state: &mut State<__m256i>, blocks: &Blocks<'_>) {
        for first in [0, 4, 8, 12] {
            let mut rows = [Vector::broadcast(self, 0); 4];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let words =
                    block[8 * first..].first_chunk().expect("four times four words lie inside a block");
                *row = self.load(words);
            }
            for (word, added) in state[first..].iter_mut().zip(self.transpose(rows)) {
                *word = self.xor(*word, added);
            }
        }
        let mut last = [0; 4];
        for (word, block) in last.iter_mut().zip(blocks) {
            *word = u64::from_le_bytes(*block[RATE_BYTES - 8..].first_chunk().expect("eight bytes are left"));
        }
        state[16] = self.xor(state[16], self.load_array(last));
    }

    #[inline(always)]
    fn squeeze(self, state: &State<__m256i>, digests: &mut [Digest]) {
        let words = [state[0], state[1], state[2], state[3]];
        let mut lanes = [[0; 4]; 4];
        for (lanes, word) in lanes.iter_mut().zip(words) {
            *lanes = self.to_array(word);
        }
        for (lane, digest) in digests.iter_mut().enumerate() {
            for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(&lanes) {
                *bytes = word[lane].to_le_bytes();
            }
        }
    }
}

/// Logic instructions per second, as `rate` measures a probe; `None` without AVX2.
#[cfg(feature = "bench")]
pub(super) fn instructions_per_second(rate: impl Fn(&mut dyn FnMut() -> usize) -> f64) -> Option<f64> {
    let cpu = Cpu::detect()?;
    // SAFETY: `cpu` proves the instruction set that the function is compiled for.
    Some(unsafe { rate(&mut || probe_logic(cpu)) })
}

/// Ten chains of `chi`, two instructions each; returns how many instructions it executed.
#[cfg(feature = "bench")]
#[target_feature(enable = "avx2")]
fn probe_logic(cpu: Cpu) -> usize {
    let mut chains: [__m256i; 10] = std::hint::black_box([cpu.broadcast(3); 10]);
    for _ in 0..2_000 {
        for at in 0..10 {
            chains[at] = cpu.chi(chains[at], chains[(at + 1) % 10], chains[(at + 2) % 10]);
        }
    }
    std::hint::black_box(chains);
    2 * 10 * 2_000
}
