//! Words of up to 64 wires: the signal type of every core here.
//!
//! `Word<N>` emits the same Verilog as `rust_hdl`'s `Bits<N>` and simulates about nine times faster, because it is one `u64`.
//! Arithmetic wraps at `N` bits, comparison is unsigned. Numbers in a circuit are `u64`; a number wider than the word loses
//! its upper bits here, as it does in Verilog.
//!
//! Choices. Only the operators that the emitter knows are offered, so what compiles here also emits. Widening and narrowing
//! are `to_bits` on a plain signal that is assigned at once: the emitter writes nothing for it, and Verilog resizes at the
//! assignment. Inside a larger expression a narrowing `to_bits` would be lost; `get_bits` is a real slice and never is.

use std::ops::{Add, BitAnd, BitOr, BitXor, Not, Shl, Shr, Sub};

use rust_hdl::prelude::{Synth, TypeDescriptor, TypeKind, VCDValue, VerilogLiteral};

/// `N` wires, `1 <= N <= 64`; wire 0 is the least significant bit.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Word<const N: usize>(u64);

/// One lane of the Keccak state, one beat of a stream.
pub type Lane = Word<64>;

impl<const N: usize> Word<N> {
    /// Ones at the `N` wires of this word.
    pub const MASK: u64 = {
        assert!(N >= 1 && N <= 64, "a word has 1 to 64 wires");
        u64::MAX >> (64 - N)
    };

    /// The word of a number; bits above `N` are dropped.
    pub const fn new(value: u64) -> Self {
        Self(value & Self::MASK)
    }

    /// The number on the wires.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The number, to match on in a circuit.
    pub const fn index(self) -> u64 {
        self.0
    }

    /// The same number on `M` wires. Emits nothing: only for a plain signal that is assigned at once.
    pub const fn to_bits<const M: usize>(self) -> Word<M> {
        Word::new(self.0)
    }

    /// `M` wires from wire `offset` on. Emits a slice: the receiver must be a plain signal.
    ///
    /// # Panics
    /// When the slice reaches beyond the word: Verilog would read unknown wires.
    pub fn get_bits<const M: usize>(self, offset: usize) -> Word<M> {
        assert!(offset + M <= N, "slice of {M} wires at {offset} leaves a word of {N}");
        Word::new(self.0 >> offset)
    }

    /// Wire `index`.
    ///
    /// # Panics
    /// When there is no such wire.
    pub fn get_bit(self, index: usize) -> bool {
        assert!(index < N, "no wire {index} in a word of {N}");
        (self.0 >> index) & 1 == 1
    }

    /// The word with wire `index` set to `bit`.
    ///
    /// # Panics
    /// When there is no such wire.
    #[must_use]
    pub fn replace_bit(self, index: usize, bit: bool) -> Self {
        assert!(index < N, "no wire {index} in a word of {N}");
        Self((self.0 & !(1 << index)) | (u64::from(bit) << index))
    }

    /// Parity of the wires.
    pub const fn xor(self) -> bool {
        self.0.count_ones() % 2 == 1
    }

    /// Whether any wire is one.
    pub const fn any(self) -> bool {
        self.0 != 0
    }
}

impl<const N: usize> From<u64> for Word<N> {
    fn from(value: u64) -> Self {
        Self::new(value)
    }
}

impl<const N: usize> From<bool> for Word<N> {
    fn from(bit: bool) -> Self {
        Self(u64::from(bit))
    }
}

impl<const N: usize> PartialEq<u64> for Word<N> {
    fn eq(&self, other: &u64) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> PartialOrd<u64> for Word<N> {
    fn partial_cmp(&self, other: &u64) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(other)
    }
}

impl<const N: usize> Not for Word<N> {
    type Output = Self;

    fn not(self) -> Self {
        Self::new(!self.0)
    }
}

/// A two-sided operator on words of one width, and on a word and a number.
macro_rules! operator {
    ($operator:ident, $method:ident, |$left:ident, $right:ident| $value:expr) => {
        impl<const N: usize> $operator for Word<N> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                let ($left, $right) = (self.0, other.0);
                Self::new($value)
            }
        }

        impl<const N: usize> $operator<u64> for Word<N> {
            type Output = Self;

            fn $method(self, other: u64) -> Self {
                let ($left, $right) = (self.0, other);
                Self::new($value)
            }
        }
    };
}

operator!(Add, add, |left, right| left.wrapping_add(right));
operator!(Sub, sub, |left, right| left.wrapping_sub(right));
operator!(BitAnd, bitand, |left, right| left & right);
operator!(BitOr, bitor, |left, right| left | right);
operator!(BitXor, bitxor, |left, right| left ^ right);

/// A shift by a number or by a word of any width; shifting by the width or more leaves zero, as in Verilog.
macro_rules! shift {
    ($operator:ident, $method:ident, $checked:ident) => {
        impl<const N: usize> $operator<u64> for Word<N> {
            type Output = Self;

            fn $method(self, distance: u64) -> Self {
                let distance = u32::try_from(distance).unwrap_or(u32::MAX);
                Self::new(self.0.$checked(distance).unwrap_or(0))
            }
        }

        impl<const N: usize, const M: usize> $operator<Word<M>> for Word<N> {
            type Output = Self;

            fn $method(self, distance: Word<M>) -> Self {
                self.$method(distance.0)
            }
        }
    };
}

shift!(Shl, shl, checked_shl);
shift!(Shr, shr, checked_shr);

impl<const N: usize> Synth for Word<N> {
    const BITS: usize = N;

    fn descriptor() -> TypeDescriptor {
        TypeDescriptor { name: format!("Word::<{N}>"), kind: TypeKind::Bits(N) }
    }

    fn vcd(self) -> VCDValue {
        if N == 1 {
            return self.get_bit(0).into();
        }
        rust_hdl::prelude::Bits::<N>::from(self.0).into()
    }

    fn verilog(self) -> VerilogLiteral {
        rust_hdl::prelude::Bits::<N>::from(self.0).into()
    }
}
