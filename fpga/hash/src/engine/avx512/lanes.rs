//! Eight 64-bit lanes of an AVX-512 register, as safe operations.
//!
//! Promise: a [`Cpu`] exists only where the CPU reported every instruction set it stands for, so holding one makes the
//! operations safe. They are inlined into functions compiled for these instruction sets; called elsewhere they would
//! be correct but slow.

use std::arch::x86_64::*;

/// Eight lanes of 64 bits.
pub(super) type Lanes = __m512i;

/// Proof that this CPU runs what [`Cpu::NEEDS`] lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu(());

impl Cpu {
    /// The instruction sets, as `/proc/cpuinfo` spells them.
    pub(super) const NEEDS: &'static str = "avx512f avx512ifma";

    /// The proof, when it is true.
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        has_all.then_some(Self(()))
    }

    #[inline(always)]
    pub(super) fn load_array(self, lanes: [u64; 8]) -> Lanes {
        // SAFETY: both are 64 bytes without invalid bit patterns.
        unsafe { std::mem::transmute(lanes) }
    }

    #[inline(always)]
    pub(super) fn to_array(self, lanes: Lanes) -> [u64; 8] {
        // SAFETY: both are 64 bytes without invalid bit patterns.
        unsafe { std::mem::transmute(lanes) }
    }

    #[inline(always)]
    pub(super) fn zero(self) -> Lanes {
        self.load_array([0; 8])
    }

    #[inline(always)]
    pub(super) fn broadcast(self, value: u64) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_set1_epi64(value.cast_signed()) }
    }

    #[inline(always)]
    pub(super) fn add(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    pub(super) fn subtract(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_sub_epi64(a, b) }
    }

    #[inline(always)]
    pub(super) fn and(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    pub(super) fn or(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    pub(super) fn shift_right<const BITS: u32>(self, a: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_srli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    pub(super) fn shift_left<const BITS: u32>(self, a: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_slli_epi64::<BITS>(a) }
    }

    /// Lane by lane `chosen` where the top bit of `selector` is set, else `other`.
    #[inline(always)]
    pub(super) fn choose_if_negative(self, selector: Lanes, chosen: Lanes, other: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe {
            let mask = _mm512_cmplt_epi64_mask(selector, _mm512_setzero_si512());
            _mm512_mask_blend_epi64(mask, other, chosen)
        }
    }

    /// `sum + (a * b mod 2^52)` of the low 52 bits of `a` and `b`; higher bits of both are ignored.
    #[inline(always)]
    pub(super) fn multiply_low(self, sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512ifma.
        unsafe { _mm512_madd52lo_epu64(sum, a, b) }
    }

    /// `sum + (a * b >> 52)` of the low 52 bits of `a` and `b`; higher bits of both are ignored.
    #[inline(always)]
    pub(super) fn multiply_high(self, sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512ifma.
        unsafe { _mm512_madd52hi_epu64(sum, a, b) }
    }

    #[inline(always)]
    pub(super) fn xor(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_xor_si512(a, b) }
    }

    /// Any function of three bits; bit `4 a + 2 b + c` of `TABLE` is its value.
    #[inline(always)]
    pub(super) fn logic<const TABLE: i32>(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_ternarylogic_epi64::<TABLE>(a, b, c) }
    }

    #[inline(always)]
    pub(super) fn rotate_left<const BITS: i32>(self, a: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_rol_epi64::<BITS>(a) }
    }

    /// 64 bytes as eight little-endian words.
    #[inline(always)]
    pub(super) fn load(self, bytes: &[u8; 64]) -> Lanes {
        // SAFETY: `self` proves avx512f; the reference covers the 64 bytes read, at any alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    /// `a0 b0 a2 b2 a4 b4 a6 b6`.
    #[inline(always)]
    pub(super) fn even_words(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_unpacklo_epi64(a, b) }
    }

    /// `a1 b1 a3 b3 a5 b5 a7 b7`.
    #[inline(always)]
    pub(super) fn odd_words(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_unpackhi_epi64(a, b) }
    }

    /// Quarters (pairs of words) 0 and 2 of `a`, then of `b`.
    #[inline(always)]
    pub(super) fn even_quarters(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_shuffle_i64x2::<0x88>(a, b) }
    }

    /// Quarters (pairs of words) 1 and 3 of `a`, then of `b`.
    #[inline(always)]
    pub(super) fn odd_quarters(self, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: `self` proves avx512f.
        unsafe { _mm512_shuffle_i64x2::<0xdd>(a, b) }
    }
}

/// Ten independent chains of multiplications; returns how many it executed.
#[cfg(feature = "bench")]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn probe_multiply(cpu: Cpu) -> usize {
    let factor = std::hint::black_box(cpu.broadcast(3));
    let mut chains = [cpu.zero(); 10];
    for _ in 0..2_000 {
        for chain in &mut chains {
            *chain = cpu.multiply_low(*chain, factor, factor);
        }
    }
    std::hint::black_box(chains);
    10 * 2_000
}

/// Ten chains of logic; returns how many instructions it executed.
#[cfg(feature = "bench")]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn probe_logic(cpu: Cpu) -> usize {
    let mut chains: [Lanes; 10] = std::hint::black_box([cpu.broadcast(3); 10]);
    for _ in 0..2_000 {
        for at in 0..10 {
            chains[at] = cpu.logic::<0xd2>(chains[at], chains[(at + 1) % 10], chains[(at + 2) % 10]);
        }
    }
    std::hint::black_box(chains);
    10 * 2_000
}
