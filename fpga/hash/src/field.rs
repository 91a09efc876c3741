//! One element of the BN254 scalar field, always below its order `r`.
//!
//! Held canonical (not in Montgomery form), four 64-bit limbs, least significant first: reading and writing bytes is
//! then free, and each engine folds its own Montgomery factor into the constants of its first and last round.

use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use crate::Error;
use crate::limbs::{self, Limbs, MODULUS, Multiplier, Portable};

/// An integer modulo `r`, the order of the BN254 groups (EIP-197); 254 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct FieldElement(Limbs);

impl FieldElement {
    /// Zero: what fills up a level of the `dataRoot` tree, and Poseidon's capacity element.
    pub const ZERO: Self = Self([0; 4]);
    /// One.
    pub const ONE: Self = Self([1, 0, 0, 0]);

    /// Reads 32 big-endian bytes.
    ///
    /// # Errors
    /// [`Error::NotInField`] when the integer is `r` or more: reducing it would give one element two encodings.
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let candidate = limbs_from_be_bytes(bytes);
        if limbs::less_than(&candidate, &MODULUS) {
            Ok(Self(candidate))
        } else {
            Err(Error::NotInField { value: *bytes })
        }
    }

    /// Reads one 31-byte big-endian group of a batch; 248 bits always fit.
    #[inline]
    pub fn from_bytes31(group: &[u8; 31]) -> Self {
        let limb = |at: usize| {
            u64::from_be_bytes(group[at..at + 8].try_into().expect("a range of eight bytes is eight bytes"))
        };
        // The top limb overlaps the one below it by a byte and shifts that byte out.
        Self([limb(23), limb(15), limb(7), limb(0) >> 8])
    }

    /// The 32 big-endian bytes.
    #[inline]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// The canonical integer as 64-bit limbs, least significant first.
    #[inline]
    pub const fn limbs(&self) -> &[u64; 4] {
        &self.0
    }

    /// The element of a number already below `r`.
    ///
    /// # Panics
    /// When it is not: engines call this with reduced results only.
    #[inline]
    pub(crate) fn from_reduced_limbs(reduced: Limbs) -> Self {
        assert!(limbs::less_than(&reduced, &MODULUS), "an engine returned a number above the field's order");
        Self(reduced)
    }

    /// `self^exponent`; the exponent is 256 bits, least significant limb first. `0^0` is one.
    pub fn power(self, exponent: &[u64; 4]) -> Self {
        let mut result = Self::ONE;
        for bit in (0..256).rev() {
            result = result * result;
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                result = result * self;
            }
        }
        result
    }

    /// The multiplicative inverse, `None` for zero (Fermat: `a^(r-2)`; some 500 products).
    pub fn inverse(self) -> Option<Self> {
        let exponent = limbs::subtract(&MODULUS, &[2, 0, 0, 0]).0;
        (self != Self::ZERO).then(|| self.power(&exponent))
    }
}

/// A big-endian integer of 256 bits.
fn limbs_from_be_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_be_bytes(chunk.try_into().expect("chunks of eight bytes are eight bytes"));
    }
    limbs
}

impl From<u64> for FieldElement {
    fn from(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }
}

impl Add for FieldElement {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(limbs::reduce_once(&limbs::add(&self.0, &other.0).0))
    }
}

impl Neg for FieldElement {
    type Output = Self;
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Sub for FieldElement {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = limbs::subtract(&self.0, &other.0);
        Self(if borrow { limbs::add(&difference, &MODULUS).0 } else { difference })
    }
}

/// Two Montgomery products: fine for deriving constants; engines never call it.
impl Mul for FieldElement {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let over_r = Portable.montgomery_product(&self.0, &other.0);
        Self(limbs::reduce_once(&Portable.montgomery_product(&over_r, &limbs::R_SQUARED)))
    }
}

impl fmt::Debug for FieldElement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("0x")?;
        self.to_be_bytes().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
