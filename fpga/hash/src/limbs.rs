//! Arithmetic modulo `r` on four 64-bit limbs, least significant first: the portable base of everything else.
//!
//! Terms: `R = 2^256`; the Montgomery product of `a` and `b` is `a * b / R mod r`; a wide number is a sum of full
//! products that has not been reduced yet (nine limbs, so that a sum of many products cannot overflow).
//!
//! Choices: values between operations stay below `2r`, one conditional subtraction happens at the very end
//! ([`reduce_once`]). Branches depend on data here and there: nothing secret is hashed, constant time is not claimed.

#![expect(clippy::cast_possible_truncation, reason = "limb arithmetic keeps the low half on purpose")]

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

/// `a + b * c + carry` as (low, high). Cannot overflow 128 bits.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let sum = u128::from(a) + u128::from(b) * u128::from(c) + u128::from(carry);
    (sum as u64, (sum >> 64) as u64)
}

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
        let (first, one) = a[i].overflowing_sub(b[i]);
        let (second, two) = first.overflowing_sub(u64::from(borrow));
        difference[i] = second;
        borrow = one | two;
    }
    (difference, borrow)
}

/// `a + b mod 2^256` and whether it overflowed.
#[inline(always)]
pub(crate) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let mut sum = [0; 4];
    let mut carry = false;
    for i in 0..4 {
        let (first, one) = a[i].overflowing_add(b[i]);
        let (second, two) = first.overflowing_add(u64::from(carry));
        sum[i] = second;
        carry = one | two;
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
        let (low, mut carry) = multiply_add(t[0], a[0], digit, 0);
        let quotient = low.wrapping_mul(NEGATIVE_INVERSE);
        let (_, mut reduction) = multiply_add(low, quotient, MODULUS[0], 0);
        for j in 1..4 {
            let (sum, high) = multiply_add(t[j], a[j], digit, carry);
            carry = high;
            (t[j - 1], reduction) = multiply_add(sum, quotient, MODULUS[j], reduction);
        }
        t[3] = carry + reduction;
    }
    t
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
