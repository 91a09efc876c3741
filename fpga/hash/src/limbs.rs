//! Arithmetic modulo `r` on four 64-bit limbs, least significant first: the portable base of everything else.
//!
//! Terms: `R = 2^256`; the Montgomery product of `a` and `b` is `a * b / R mod r`; a wide number is a sum of full
//! products that has not been reduced yet (nine limbs, so that a sum of many products cannot overflow).
//!
//! Choices: values between operations stay below `2r`, one conditional subtraction happens at the very end
//! ([`reduce_once`]). Branches depend on data here and there: nothing secret is hashed, constant time is not claimed.

/// 256 bits, least significant limb first.
pub(crate) type Limbs = [u64; 4];

/// Order of the BN254 scalar field: 21888242871839275222246405745257275088548364400416034343698204186575808495617
/// (EIP-197, "the order of the group").
pub(crate) const MODULUS: Limbs =
    [0x43e1_f593_f000_0001, 0x2833_e848_79b9_7091, 0xb850_45b6_8181_585d, 0x3064_4e72_e131_a029];

/// `-1 / r mod 2^64`; checked against [`MODULUS`] when this file compiles.
pub(crate) const NEGATIVE_INVERSE: u64 = 0xc2e1_f593_efff_ffff;
const _: () = assert!(NEGATIVE_INVERSE.wrapping_mul(MODULUS[0]) == u64::MAX);

/// `2^512 mod r`; the test `montgomery_constants_follow_from_the_modulus` rederives it.
pub(crate) const R_SQUARED: Limbs =
    [0x1bb8_e645_ae21_6da7, 0x53fe_3ab1_e35c_59e3, 0x8c49_833d_53bb_8085, 0x0216_d0b1_7f4e_44a5];

/// Whether `a < b`.
pub(crate) fn less_than(a: &Limbs, b: &Limbs) -> bool {
    subtract(a, b).1
}

/// `a - b mod 2^256` and whether it borrowed.
#[inline(always)]
pub(crate) fn subtract(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for i in 0..4 {
        (difference[i], borrow) = a[i].borrowing_sub(b[i], borrow);
    }
    (difference, borrow)
}

/// `a + b mod 2^256` and whether it overflowed.
#[inline(always)]
pub(crate) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let mut sum = [0; 4];
    let mut carry = false;
    for i in 0..4 {
        (sum[i], carry) = a[i].carrying_add(b[i], carry);
    }
    (sum, carry)
}

/// Brings a value below `2r` below `r`.
#[inline(always)]
pub(crate) fn reduce_once(a: &Limbs) -> Limbs {
    let (difference, borrow) = subtract(a, &MODULUS);
    if borrow { *a } else { difference }
}

/// How an engine multiplies: [`Portable`], or instructions that it has proof of.
pub(crate) trait Multiplier: Copy {
    /// `a * b` in full.
    fn wide_product(self, a: &Limbs, b: &Limbs) -> [u64; 8];

    /// `a * a` in full.
    #[inline(always)]
    fn wide_square(self, a: &Limbs) -> [u64; 8] {
        self.wide_product(a, a)
    }

    /// `(low + q r) / R` for the `q` that makes the division exact: at most `r`.
    fn reduce_low(self, low: Limbs) -> Limbs;

    /// `a * b / R`, below `2r` for both below `2r`.
    #[inline(always)]
    fn montgomery_product(self, a: &Limbs, b: &Limbs) -> Limbs {
        self.reduce(&self.wide_product(a, b))
    }

    /// `a * a / R`, below `2r` for `a` below `2r`.
    #[inline(always)]
    fn montgomery_square(self, a: &Limbs) -> Limbs {
        self.reduce(&self.wide_square(a))
    }

    /// `product / R`, for a product below `4 r^2`.
    #[inline(always)]
    fn reduce(self, product: &[u64; 8]) -> Limbs {
        let [a, b, c, d, e, f, g, h] = *product;
        add(&self.reduce_low([a, b, c, d]), &[e, f, g, h]).0
    }

    /// `sum + a * b`. A sum of fewer than `2^64` products cannot overflow.
    #[inline(always)]
    fn accumulate(self, sum: &mut Wide, a: &Limbs, b: &Limbs) {
        let product = self.wide_product(a, b);
        let mut carry = false;
        for i in 0..8 {
            (sum[i], carry) = sum[i].carrying_add(product[i], carry);
        }
        sum[8] = sum[8].wrapping_add(u64::from(carry));
    }

    /// `sum / R`, below `2r` for a sum below `70 r R`.
    #[inline(always)]
    fn reduce_wide(self, sum: &Wide) -> Limbs {
        let [a, b, c, d, e, f, g, h, top] = *sum;
        let (high, carry) = add(&self.reduce_low([a, b, c, d]), &[e, f, g, h]);
        let top = top + u64::from(carry);
        // The quotient by r from the bits above 2^248: r is 48.4 of them, so dividing by 49 never takes too much and
        // leaves less than (0.61 * 72 + 49) / 48.4 < 2 times r.
        let estimate = (top << 8 | high[3] >> 56) / 49;
        let (mut rest, mut borrow, mut carry) = ([0; 4], false, 0);
        for i in 0..4 {
            let taken;
            (taken, carry) = estimate.carrying_mul(MODULUS[i], carry);
            (rest[i], borrow) = high[i].borrowing_sub(taken, borrow);
        }
        rest
    }
}

/// A sum of products before its reduction, least significant limb first.
pub(crate) type Wide = [u64; 9];

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Multiplier for Portable {
    #[inline(always)]
    fn wide_product(self, a: &Limbs, b: &Limbs) -> [u64; 8] {
        let mut product = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                (product[i + j], carry) = a[j].carrying_mul_add(b[i], product[i + j], carry);
            }
            product[i + 4] = carry;
        }
        product
    }

    /// Six products of different limbs, doubled, and four squares.
    #[inline(always)]
    fn wide_square(self, a: &Limbs) -> [u64; 8] {
        let mut product = [0; 8];
        for i in 0..3 {
            let mut carry = 0;
            for j in i + 1..4 {
                (product[i + j], carry) = a[j].carrying_mul_add(a[i], product[i + j], carry);
            }
            product[i + 4] = carry;
        }
        for i in (1..8).rev() {
            product[i] = product[i] << 1 | product[i - 1] >> 63;
        }
        let mut carry = false;
        for i in 0..4 {
            let (low, high) = a[i].carrying_mul(a[i], 0);
            (product[2 * i], carry) = product[2 * i].carrying_add(low, carry);
            (product[2 * i + 1], carry) = product[2 * i + 1].carrying_add(high, carry);
        }
        product
    }

    #[inline(always)]
    fn reduce_low(self, mut low: Limbs) -> Limbs {
        for _ in 0..4 {
            let quotient = low[0].wrapping_mul(NEGATIVE_INVERSE);
            let (_, mut carry) = quotient.carrying_mul(MODULUS[0], low[0]);
            for j in 1..4 {
                (low[j - 1], carry) = quotient.carrying_mul_add(MODULUS[j], low[j], carry);
            }
            low[3] = carry;
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn montgomery_constants_follow_from_the_modulus() {
        let mut power = [1, 0, 0, 0];
        for _ in 0..512 {
            power = reduce_once(&add(&power, &power).0);
        }
        assert_eq!(power, R_SQUARED);
    }
}
