//! Poseidon with as few products as we know: the same function as [`crate::permutation`], in another order.
//!
//! Promise: [`Schedule::hash`] equals [`Parameters::hash`] at every width; software engines and an RTL generator read
//! the same tables. All constants are derived here from `poseidon-rs`, at first use.
//!
//! Terms. A *box* raises a value to the fifth power. A *dot* is `unit + constant + sum of factor * value`: one Montgomery
//! reduction for the whole sum, and one term free because its factor is one. `y_r` is what enters the box of partial
//! round `r`, `x_r` what leaves it. `n = t - 1`, `P` partial rounds.
//!
//! How it works:
//! - Partial rounds. Only `x_r` is not linear, so the other `n` elements are a linear system driven by `x`, and by
//!   Cayley-Hamilton `y_r = b_1 x_(r-1) + .. + b_(n+1) x_(r-n-1) + a_1 y_(r-1) + .. + a_n y_(r-n) + k_r`: one dot per
//!   round where sparse matrices need `n + 1`. The first `n` of them start from the last full round (entry), the other
//!   elements are read back from the last `n` pairs (exit).
//! - Scaling. Each value may be held times any factor of ours. A box turns the scale `s` into `s^5`, so choosing the
//!   scale of each dot makes one of its factors one. Scales are known when the tables are made; no product is spent.
//! - Montgomery. The factor `1 / R` of each product is such a scale too: inputs and digest are plain integers.
//! - Ends. The capacity element is zero at the start, so its first box is a constant; of the last matrix only the row
//!   of the digest is computed.
//!
//! Left out on purpose: Winograd's inner product (half the products of a dot for additions that carry); README says why.

use std::sync::OnceLock;

use crate::FieldElement;
use crate::permutation::{Parameters, STATE_WIDTH_MAX};

mod derive;
mod linear;

/// `unit + constant + sum of factor * value`, each product a Montgomery product; which values it takes, in which
/// order, stands at the [`Schedule`] field that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dot {
    /// Added as it is.
    pub constant: FieldElement,
    /// Multiply the values; already times `R`, so that a Montgomery product gives the plain one.
    pub factors: Vec<FieldElement>,
}

/// All tables of one state width and one Montgomery factor, in the order in which they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// State elements `t`.
    pub state_width: usize,
    /// Partial rounds `P`.
    pub partial_rounds: usize,
    /// Added to inputs 1 to `n` before their first box.
    pub input_constants: Vec<FieldElement>,
    /// After the first boxes (1 to `n`): `t` dots; unit box 1, factors of boxes 2 to `n`.
    pub first: Vec<Dot>,
    /// Full rounds 1 and 2: `t` dots each; unit box 0, factors of boxes 1 to `n`.
    pub before: Vec<Vec<Dot>>,
    /// After the boxes of full round 3: `y_0` (unit box 0, factors of boxes 1 to `n`), then `y_r` for `r = 1..=n`
    /// (unit `x_(r-1)`; factors of boxes 0 to `n`, then of `x_(r-2)` down to `x_0`).
    pub entry: Vec<Dot>,
    /// `y_r` for `r = t..=P`: unit `x_(r-1)`; factors of `x_(r-2)` down to `x_(r-t)`, then of `y_(r-1)` down to
    /// `y_(r-n)`. `y_P` is element 0 of the next full round.
    pub partial: Vec<Dot>,
    /// Elements 1 to `n` of the next full round: unit `x_(P-1)`; factors of `x_(P-2)` down to `x_(P-n)`, then of `y_P`
    /// down to `y_(P-n+1)`.
    pub exit: Vec<Dot>,
    /// The next three full rounds, as [`Self::before`].
    pub after: Vec<Vec<Dot>>,
    /// After the boxes of the last full round: no unit, factors of boxes 0 to `n`. The result is the digest.
    pub last: Dot,
}

/// What one hash costs on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Full-width products, squares included.
    pub products: usize,
    /// Those that are squares.
    pub squares: usize,
    /// Montgomery reductions.
    pub reductions: usize,
}

impl Schedule {
    /// The tables for `t = state_width` and `R = 2^montgomery_bits`; milliseconds, so keep the result.
    ///
    /// # Panics
    /// When `state_width` is outside 2 to 17.
    pub fn derive(state_width: usize, montgomery_bits: u32) -> Self {
        derive::derive(Parameters::of_width(state_width), montgomery_bits)
    }

    /// What one hash costs.
    pub fn cost(&self) -> Cost {
        let layers = self.before.iter().chain(&self.after).flatten();
        let dots = self.first.iter().chain(layers).chain(&self.entry).chain(&self.partial).chain(&self.exit);
        let (mut products, mut reductions) = (self.last.factors.len(), 1);
        for dot in dots {
            products += dot.factors.len();
            reductions += usize::from(!dot.factors.is_empty());
        }
        let boxes = self.input_constants.len() + 7 * self.state_width + self.partial_rounds;
        Cost { products: products + 3 * boxes, squares: 2 * boxes, reductions: reductions + 3 * boxes }
    }

    /// One hash over plain field arithmetic: how to read the tables, not how to be fast.
    ///
    /// `montgomery_inverse` is `1 / R`.
    ///
    /// # Panics
    /// When there are not `t - 1` inputs.
    pub fn hash(&self, inputs: &[FieldElement], montgomery_inverse: FieldElement) -> FieldElement {
        let (t, n, last) = (self.state_width, self.state_width - 1, self.partial_rounds);
        assert_eq!(inputs.len(), n, "a message fills the state behind the capacity element");
        let product = |a: FieldElement, b: FieldElement| a * b * montgomery_inverse;
        let to_box = |v: FieldElement| {
            let square = product(v, v);
            product(product(square, square), v)
        };
        let dot = |dot: &Dot, unit: FieldElement, values: &[FieldElement]| {
            assert_eq!(dot.factors.len(), values.len(), "one value per factor");
            let sum = dot.factors.iter().zip(values).fold(dot.constant, |sum, (&f, &v)| sum + product(f, v));
            unit + sum
        };
        let layer = |dots: &[Dot], boxes: &[FieldElement]| -> Vec<FieldElement> {
            dots.iter().map(|row| to_box(dot(row, boxes[0], &boxes[1..]))).collect()
        };
        let boxes: Vec<_> = inputs.iter().zip(&self.input_constants).map(|(&i, &c)| to_box(i + c)).collect();
        let mut boxes = layer(&self.first, &boxes);
        for dots in &self.before {
            boxes = layer(dots, &boxes);
        }
        // Newest first, as the tables count.
        let (mut x, mut y): (Vec<FieldElement>, Vec<FieldElement>) = (Vec::new(), Vec::new());
        for round in 0..=last {
            let next = match round {
                0 => dot(&self.entry[0], boxes[0], &boxes[1..]),
                1.. if round < t => dot(&self.entry[round], x[0], &[&boxes, &x[1..]].concat()),
                _ => dot(&self.partial[round - t], x[0], &[&x[1..t], &y[..n]].concat()),
            };
            y.insert(0, next);
            if round < last {
                x.insert(0, to_box(next));
            }
        }
        let others = self.exit.iter().map(|row| dot(row, x[0], &[&x[1..n], &y[..n]].concat()));
        let mut boxes: Vec<_> = std::iter::once(y[0]).chain(others).map(to_box).collect();
        for dots in &self.after {
            boxes = layer(dots, &boxes);
        }
        dot(&self.last, FieldElement::ZERO, &boxes)
    }
}

/// A table made from a schedule once per process and state width: an engine's own limbs.
#[derive(Debug)]
pub(crate) struct PerWidth<T>([OnceLock<T>; STATE_WIDTH_MAX - 1]);

impl<T> PerWidth<T> {
    pub(crate) const fn new() -> Self {
        Self([const { OnceLock::new() }; STATE_WIDTH_MAX - 1])
    }

    /// The table of `state_width`, made by `make` when it is not there yet.
    pub(crate) fn get(&self, state_width: usize, make: impl FnOnce() -> T) -> &T {
        self.0[state_width - 2].get_or_init(make)
    }
}

#[cfg(test)]
mod tests;
