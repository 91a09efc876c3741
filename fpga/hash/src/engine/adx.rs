//! Four-limb products with the instructions that were made for them: `mulx` (BMI2) leaves the flags alone, `adcx` and
//! `adox` (ADX) keep two carry chains. Compilers do not emit the pair, so this is assembly; not SIMD.
//!
//! Half the instructions of [`Portable`](crate::limbs::Portable), which stays the reference.

use std::arch::asm;

use crate::limbs::{Limbs, MODULUS, Multiplier, NEGATIVE_INVERSE};

/// Proof that this CPU runs BMI2 and ADX.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adx(());

impl Adx {
    /// The proof, when it is true.
    pub(super) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx");
        has_both.then_some(Self(()))
    }
}

/// One row of a product: `rdx` times the limbs at `$from` added to `$r0..$r4`, where `$r4` is new.
macro_rules! row {
    ($from:literal, $r0:literal, $r1:literal, $r2:literal, $r3:literal, $r4:literal) => {
        concat!(
            "xor {low:e}, {low:e}\n",
            "mulx {high}, {low}, [{",
            $from,
            "}]\n",
            "adcx {",
            $r0,
            "}, {low}\n",
            "adox {",
            $r1,
            "}, {high}\n",
            "mulx {high}, {low}, [{",
            $from,
            "} + 8]\n",
            "adcx {",
            $r1,
            "}, {low}\n",
            "adox {",
            $r2,
            "}, {high}\n",
            "mulx {high}, {low}, [{",
            $from,
            "} + 16]\n",
            "adcx {",
            $r2,
            "}, {low}\n",
            "adox {",
            $r3,
            "}, {high}\n",
            "mulx {",
            $r4,
            "}, {low}, [{",
            $from,
            "} + 24]\n",
            "adcx {",
            $r3,
            "}, {low}\n",
            "mov {low:e}, 0\n",
            "adox {",
            $r4,
            "}, {low}\n",
            "adcx {",
            $r4,
            "}, {low}\n",
        )
    };
}

impl Multiplier for Adx {
    #[inline(always)]
    fn wide_product(self, a: &Limbs, b: &Limbs) -> [u64; 8] {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        // SAFETY: `self` proves bmi2 and adx; the block reads the four limbs behind each reference and nothing else,
        // and writes only its outputs.
        unsafe {
            asm!(
                "mov rdx, [{b}]",
                "mulx {r1}, {r0}, [{a}]",
                "mulx {r2}, {low}, [{a} + 8]",
                "add {r1}, {low}",
                "mulx {r3}, {low}, [{a} + 16]",
                "adc {r2}, {low}",
                "mulx {r4}, {low}, [{a} + 24]",
                "adc {r3}, {low}",
                "adc {r4}, 0",
                "mov rdx, [{b} + 8]",
                row!("a", "r1", "r2", "r3", "r4", "r5"),
                "mov rdx, [{b} + 16]",
                row!("a", "r2", "r3", "r4", "r5", "r6"),
                "mov rdx, [{b} + 24]",
                row!("a", "r3", "r4", "r5", "r6", "high"),
                a = in(reg) a.as_ptr(),
                b = in(reg) b.as_ptr(),
                r0 = out(reg) r0,
                r1 = out(reg) r1,
                r2 = out(reg) r2,
                r3 = out(reg) r3,
                r4 = out(reg) r4,
                r5 = out(reg) r5,
                r6 = out(reg) r6,
                high = out(reg) r7,
                low = out(reg) _,
                out("rdx") _,
                options(pure, readonly, nostack),
            );
        }
        [r0, r1, r2, r3, r4, r5, r6, r7]
    }

    #[inline(always)]
    fn reduce_low(self, low: Limbs) -> Limbs {
        static MODULUS_LIMBS: Limbs = MODULUS;
        let [mut r0, mut r1, mut r2, r3] = low;
        let r4: u64;
        // SAFETY: `self` proves bmi2 and adx; the block reads the four limbs of the static and nothing else, and writes
        // only its outputs.
        unsafe {
            asm!(
                "mov rdx, {inverse}",
                "imul rdx, {r0}",
                row!("modulus", "r0", "r1", "r2", "r3", "r4"),
                "mov rdx, {inverse}",
                "imul rdx, {r1}",
                row!("modulus", "r1", "r2", "r3", "r4", "r0"),
                "mov rdx, {inverse}",
                "imul rdx, {r2}",
                row!("modulus", "r2", "r3", "r4", "r0", "r1"),
                "mov rdx, {inverse}",
                "imul rdx, {r3}",
                row!("modulus", "r3", "r4", "r0", "r1", "r2"),
                modulus = in(reg) MODULUS_LIMBS.as_ptr(),
                inverse = in(reg) NEGATIVE_INVERSE,
                r0 = inout(reg) r0,
                r1 = inout(reg) r1,
                r2 = inout(reg) r2,
                r3 = inout(reg) r3 => _,
                r4 = out(reg) r4,
                high = out(reg) _,
                low = out(reg) _,
                out("rdx") _,
                options(pure, readonly, nostack),
            );
        }
        [r4, r0, r1, r2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limbs::Portable;

    /// Limbs of all ones and all zeros in every combination, and the modulus with its neighbours.
    fn patterns() -> Vec<Limbs> {
        let combination =
            |bits: usize| std::array::from_fn(|i| if bits >> i & 1 == 1 { u64::MAX } else { 0 });
        let near = |change: u64| [MODULUS[0].wrapping_add(change), MODULUS[1], MODULUS[2], MODULUS[3]];
        (0..16).map(combination).chain([near(0), near(1), near(u64::MAX)]).collect()
    }

    #[test]
    fn products_and_reductions_equal_plain_rust_at_every_carry_pattern() {
        let Some(adx) = Adx::detect() else { return };
        for a in patterns() {
            assert_eq!(adx.reduce_low(a), Portable.reduce_low(a), "{a:x?}");
            assert_eq!(adx.wide_square(&a), Portable.wide_square(&a), "{a:x?}");
            for b in patterns() {
                assert_eq!(adx.wide_product(&a, &b), Portable.wide_product(&a, &b), "{a:x?} {b:x?}");
            }
        }
    }
}
