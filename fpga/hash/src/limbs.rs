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

/// `a * b / R`, below `2r` when `a * b < 4 r^2` (both below `2r`, or one below `r` and the other below `4r`).
#[inline(always)]
pub(crate) fn montgomery_product(a: &Limbs, b: &Limbs) -> Limbs {
    // Operand scanning; the modulus leaves two bits free in the top limb, so no fifth limb is ever needed.
    let mut t = [0_u64; 4];
    for &digit in b {
        let (low, mut carry) = a[0].carrying_mul(digit, t[0]);
        let quotient = low.wrapping_mul(NEGATIVE_INVERSE);
        let (_, mut reduction) = quotient.carrying_mul(MODULUS[0], low);
        for j in 1..4 {
            let (sum, high) = a[j].carrying_mul_add(digit, t[j], carry);
            carry = high;
            (t[j - 1], reduction) = quotient.carrying_mul_add(MODULUS[j], sum, reduction);
        }
        t[3] = carry + reduction;
    }
    t
}

/// A sum of products before its reduction, least significant limb first.
pub(crate) type Wide = [u64; 9];

/// `sum + a * b`. A sum of fewer than `2^64` products cannot overflow.
#[inline(always)]
pub(crate) fn accumulate(sum: &mut Wide, a: &Limbs, b: &Limbs) {
    let product = wide_product(a, b);
    let mut carry = false;
    for i in 0..8 {
        (sum[i], carry) = sum[i].carrying_add(product[i], carry);
    }
    sum[8] = sum[8].wrapping_add(u64::from(carry));
}

/// `a * b` in full.
#[inline(always)]
fn wide_product(a: &Limbs, b: &Limbs) -> [u64; 8] {
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

/// `a * a` in full: six products of different limbs, doubled, and four squares.
#[inline(always)]
fn wide_square(a: &Limbs) -> [u64; 8] {
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

/// Makes the low four limbs zero by adding multiples of `r`; what is left above them is below `sum / R + r`.
#[inline(always)]
fn clear_low_limbs(sum: &mut [u64; 8]) -> bool {
    let mut above = false;
    for i in 0..4 {
        let quotient = sum[i].wrapping_mul(NEGATIVE_INVERSE);
        let mut carry = 0;
        for j in 0..4 {
            (sum[i + j], carry) = quotient.carrying_mul_add(MODULUS[j], sum[i + j], carry);
        }
        (sum[i + 4], above) = sum[i + 4].carrying_add(carry, above);
    }
    above
}

/// `a * a / R`, below `2r` for `a` below `2r`.
#[inline(always)]
pub(crate) fn montgomery_square(a: &Limbs) -> Limbs {
    let mut sum = wide_square(a);
    clear_low_limbs(&mut sum);
    [sum[4], sum[5], sum[6], sum[7]]
}

/// `sum / R`, below `2r` for a sum below `70 r R`.
#[inline(always)]
pub(crate) fn montgomery_reduce(sum: &Wide) -> Limbs {
    let mut low: [u64; 8] = std::array::from_fn(|i| sum[i]);
    let top = sum[8] + u64::from(clear_low_limbs(&mut low));
    // The quotient by r from the bits above 2^248: r is 48.4 of them, so dividing by 49 never takes too much and leaves
    // less than (0.61 * 72 + 49) / 48.4 < 2 times r.
    let estimate = (top << 8 | low[7] >> 56) / 49;
    let (mut rest, mut borrow, mut carry) = ([0; 4], false, 0);
    for i in 0..4 {
        let taken;
        (taken, carry) = estimate.carrying_mul(MODULUS[i], carry);
        (rest[i], borrow) = low[4 + i].borrowing_sub(taken, borrow);
    }
    rest
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
