//! Makes a [`Schedule`] from circomlib's parameters.
//!
//! Two steps: [`PartialRounds`] finds the recurrence in true values; [`Builder`] gives each value its scale and turns
//! true coefficients into factors.

use super::linear::{self, Matrix, Vector};
use super::{Dot, Schedule};
use crate::FieldElement;
use crate::permutation::Parameters;

const ZERO: FieldElement = FieldElement::ZERO;

pub(super) fn derive(parameters: &Parameters, montgomery_bits: u32) -> Schedule {
    let builder = Builder::new(parameters, montgomery_bits);
    let system = PartialRounds::new(parameters);
    let t = parameters.state_width;
    let half = parameters.full_rounds / 2;
    let after_round = |round: usize, boxes: &[Scale]| builder.layer(round, boxes);

    let (first, mut boxes) = builder.first_layer();
    let mut before = Vec::new();
    for round in 1..half - 1 {
        let (dots, scales) = after_round(round, &boxes);
        before.push(dots);
        boxes = scales;
    }
    let partial_part = builder.partial_rounds(&system, &boxes);
    boxes = partial_part.boxes;
    let mut after = Vec::new();
    for round in half + parameters.partial_rounds..parameters.full_rounds + parameters.partial_rounds - 1 {
        let (dots, scales) = after_round(round, &boxes);
        after.push(dots);
        boxes = scales;
    }
    Schedule {
        state_width: t,
        partial_rounds: parameters.partial_rounds,
        input_constants: parameters.constants_of_round(0)[1..].to_vec(),
        first,
        before,
        entry: partial_part.entry,
        partial: partial_part.partial,
        exit: partial_part.exit,
        after,
        last: builder.last(&boxes),
    }
}

/// How a value is held: `held = scale * true`, and the inverse of that factor.
#[derive(Clone, Copy)]
struct Scale {
    factor: FieldElement,
    inverse: FieldElement,
}

/// A term of a dot: the true coefficient and the scale of the value it multiplies.
type Term = (FieldElement, Scale);

struct Builder<'a> {
    parameters: &'a Parameters,
    /// `R`.
    montgomery: FieldElement,
    /// `R^4`, which undoes what three Montgomery products leave in a box.
    box_inverse: FieldElement,
    /// `R^-4`.
    box_factor: FieldElement,
}

/// The tables of the partial rounds, and the scales of the boxes that follow them.
struct PartialPart {
    entry: Vec<Dot>,
    partial: Vec<Dot>,
    exit: Vec<Dot>,
    boxes: Vec<Scale>,
}

impl<'a> Builder<'a> {
    fn new(parameters: &'a Parameters, montgomery_bits: u32) -> Self {
        let montgomery = FieldElement::from(2).power(&[u64::from(montgomery_bits), 0, 0, 0]);
        let square = montgomery * montgomery;
        let box_inverse = square * square;
        let box_factor = box_inverse.inverse().expect("a power of two is not a multiple of an odd prime");
        Self { parameters, montgomery, box_inverse, box_factor }
    }

    /// The scale of a value that leaves a box.
    fn boxed(&self, scale: Scale) -> Scale {
        let fifth = |x: FieldElement| x * x * x * x * x;
        Scale {
            factor: fifth(scale.factor) * self.box_factor,
            inverse: fifth(scale.inverse) * self.box_inverse,
        }
    }

    /// A dot whose unit term's factor becomes one, and the scale of its result.
    fn dot(&self, unit: Term, constant: FieldElement, terms: &[Term]) -> (Dot, Scale) {
        let (coefficient, scale) = unit;
        let inverse_coefficient =
            coefficient.inverse().expect("a unit term has a coefficient that is not zero");
        let result =
            Scale { factor: scale.factor * inverse_coefficient, inverse: scale.inverse * coefficient };
        (self.dot_of_scale(result.factor, constant, terms), result)
    }

    fn dot_of_scale(&self, scale: FieldElement, constant: FieldElement, terms: &[Term]) -> Dot {
        let factor = |&(coefficient, value): &Term| scale * coefficient * value.inverse * self.montgomery;
        Dot { constant: scale * constant, factors: terms.iter().map(factor).collect() }
    }

    /// The matrix after full round 0, whose first box is a constant and whose inputs are plain integers.
    fn first_layer(&self) -> (Vec<Dot>, Vec<Scale>) {
        let plain = Scale { factor: FieldElement::ONE, inverse: FieldElement::ONE };
        let boxed = self.boxed(plain);
        let capacity = self.parameters.constants_of_round(0)[0];
        let capacity = capacity * capacity * capacity * capacity * capacity;
        let next = self.parameters.constants_of_round(1);
        let rows = self.parameters.matrix.iter().zip(next).map(|(row, &constant)| {
            let terms: Vec<Term> = row[2..].iter().map(|&m| (m, boxed)).collect();
            let (dot, scale) = self.dot((row[1], boxed), constant + row[0] * capacity, &terms);
            (dot, self.boxed(scale))
        });
        rows.unzip()
    }

    /// The matrix after full round `round`, with the constants of the round behind it.
    fn layer(&self, round: usize, boxes: &[Scale]) -> (Vec<Dot>, Vec<Scale>) {
        let next = self.parameters.constants_of_round(round + 1);
        let rows = self.parameters.matrix.iter().zip(next).map(|(row, &constant)| {
            let terms = zip_terms(row, boxes);
            let (dot, scale) = self.dot(terms[0], constant, &terms[1..]);
            (dot, self.boxed(scale))
        });
        rows.unzip()
    }

    fn last(&self, boxes: &[Scale]) -> Dot {
        self.dot_of_scale(FieldElement::ONE, ZERO, &zip_terms(&self.parameters.matrix[0], boxes))
    }

    fn partial_rounds(&self, system: &PartialRounds, boxes: &[Scale]) -> PartialPart {
        let (t, rounds) = (self.parameters.state_width, self.parameters.partial_rounds);
        let n = t - 1;
        let (mut x, mut y): (Vec<Scale>, Vec<Scale>) = (Vec::new(), Vec::new());
        let (mut entry, mut partial) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let newest_x =
                |range: std::ops::Range<usize>| range.map(|back| x[round - 1 - back]).collect::<Vec<_>>();
            let newest_y =
                |range: std::ops::Range<usize>| range.map(|back| y[round - 1 - back]).collect::<Vec<_>>();
            let (dot, scale) = if round == 0 {
                let terms = zip_terms(&self.parameters.matrix[0], boxes);
                self.dot(terms[0], system.offset_y[0], &terms[1..])
            } else if round < t {
                let mut terms = zip_terms(&system.entry_rows[round - 1], boxes);
                terms.extend(zip_terms(&system.impulse[1..round], &newest_x(1..round)));
                self.dot((system.impulse[0], x[round - 1]), system.offset_y[round], &terms)
            } else {
                let mut terms = zip_terms(&system.b[1..], &newest_x(1..t));
                terms.extend(zip_terms(&system.a, &newest_y(0..n)));
                self.dot((system.b[0], x[round - 1]), system.recurrence_constant(round), &terms)
            };
            if round < t { &mut entry } else { &mut partial }.push(dot);
            y.push(scale);
            if round < rounds {
                x.push(self.boxed(scale));
            }
        }
        x.reverse();
        y.reverse();
        let exit_rows = system.exit_x.iter().zip(&system.exit_y).zip(&system.exit_constants);
        let exits = exit_rows.map(|((by_x, by_y), &constant)| {
            let mut terms = zip_terms(&by_x[1..], &x[1..n]);
            terms.extend(zip_terms(by_y, &y[..n]));
            self.dot((by_x[0], x[0]), constant, &terms)
        });
        let (exit, scales): (Vec<Dot>, Vec<Scale>) = exits.unzip();
        let boxes = std::iter::once(y[0]).chain(scales).map(|scale| self.boxed(scale)).collect();
        PartialPart { entry, partial, exit, boxes }
    }
}

fn zip_terms(coefficients: &[FieldElement], scales: &[Scale]) -> Vec<Term> {
    assert_eq!(coefficients.len(), scales.len(), "one coefficient per value");
    coefficients.iter().copied().zip(scales.iter().copied()).collect()
}

/// The partial rounds as a linear system, in true values: `z` are elements 1 to `n` of the state,
/// `z' = lower * z + column * x`, `y' = corner * x + row * z`, each plus constants.
struct PartialRounds {
    /// `a_1..=a_n` and `b_1..=b_(n+1)` of the recurrence.
    a: Vector,
    b: Vector,
    /// `y_r` as it answers `x_(r-1), x_(r-2), ..` when the system starts at zero: `corner, row * lower^i * column`.
    impulse: Vector,
    /// `y_r` for `r = 1..=n` as a function of the boxes of the last full round.
    entry_rows: Matrix,
    /// Elements 1 to `n` after the last partial round: coefficients of `x_(P-1)..x_(P-n)` and of `y_P..y_(P-n+1)`.
    exit_x: Matrix,
    exit_y: Matrix,
    exit_constants: Vector,
    /// `y_0..=y_P` when every box and every `x` is zero: what the round constants alone contribute.
    offset_y: Vector,
}

impl PartialRounds {
    fn new(parameters: &Parameters) -> Self {
        let n = parameters.state_width - 1;
        let row = &parameters.matrix[0][1..];
        let column: Vector = parameters.matrix[1..].iter().map(|line| line[0]).collect();
        let lower: Matrix = parameters.matrix[1..].iter().map(|line| line[1..].to_vec()).collect();

        // Rows row * lower^i: what y sees of z after i rounds. Row n is a combination of the others.
        let mut observed: Matrix = vec![row.to_vec()];
        for power in 0..n {
            observed.push(linear::row_times(&observed[power], &lower));
        }
        let unobserved =
            linear::inverse(&observed[..n]).expect("y depends on every element at circomlib's widths");
        let mut a = linear::row_times(&observed[n], &unobserved);
        a.reverse();

        let mut impulse = vec![parameters.matrix[0][0]];
        impulse.extend(observed[..n].iter().map(|seen| linear::dot(seen, &column)));
        let b = (0..=n).map(|i| impulse[i] - (0..i).fold(ZERO, |sum, j| sum + a[j] * impulse[i - 1 - j]));

        let entry_rows =
            observed[..n].iter().map(|seen| linear::row_times(seen, &parameters.matrix[1..])).collect();
        let (offset_y, offset_z) = offsets(parameters, row, &lower);
        let mut system = Self {
            b: b.collect(),
            a,
            impulse,
            entry_rows,
            exit_x: Vec::new(),
            exit_y: Vec::new(),
            exit_constants: Vec::new(),
            offset_y,
        };
        system.derive_exit(&lower, &column, &unobserved, &offset_z);
        system
    }

    /// The exit: the last `n` values of `y`, less what `x` put there, give `z` as it was `n` rounds before the end;
    /// `n` steps of the system take it to the end.
    fn derive_exit(&mut self, lower: &Matrix, column: &Vector, unobserved: &Matrix, offset_z: &Vector) {
        let n = lower.len();
        let mut forward = unobserved.clone();
        for _ in 0..n {
            let columns: Matrix =
                (0..n).map(|at| linear::times_column(lower, &column_of(&forward, at))).collect();
            forward = (0..n).map(|i| column_of(&columns, i)).collect();
        }
        // pushed[i] = lower^i * column
        let mut pushed = vec![column.clone()];
        for i in 1..n {
            pushed.push(linear::times_column(lower, &pushed[i - 1]));
        }
        let rounds = self.offset_y.len() - 1;
        for element in 0..n {
            // Index `age`: x_(P-1-age), or y_(P-age). y_(P-age) sees x_(P-1-age) through impulse[0], older ones later.
            let by_y: Vector = (0..n).map(|age| forward[element][n - 1 - age]).collect();
            let by_x = (0..n).map(|age| {
                let seen = (0..=age).fold(ZERO, |sum, newer| sum + by_y[newer] * self.impulse[age - newer]);
                pushed[age][element] - seen
            });
            self.exit_x.push(by_x.collect());
            let offset = (0..n).fold(ZERO, |sum, age| sum + by_y[age] * self.offset_y[rounds - age]);
            self.exit_constants.push(offset_z[element] - offset);
            self.exit_y.push(by_y);
        }
    }

    /// `k_r`: what the recurrence does not explain of the constants' own contribution.
    fn recurrence_constant(&self, round: usize) -> FieldElement {
        let explained = self.a.iter().enumerate().map(|(back, &a)| a * self.offset_y[round - 1 - back]);
        explained.fold(self.offset_y[round], |rest, part| rest - part)
    }
}

fn column_of(matrix: &[Vector], at: usize) -> Vector {
    matrix.iter().map(|row| row[at]).collect()
}

/// Runs the system on the round constants alone: `y_0..=y_P`, and `z` at the end.
fn offsets(parameters: &Parameters, row: &[FieldElement], lower: &Matrix) -> (Vector, Vector) {
    let start = parameters.full_rounds / 2;
    let constants = parameters.constants_of_round(start);
    let (mut y, mut z) = (vec![constants[0]], constants[1..].to_vec());
    for round in start + 1..=start + parameters.partial_rounds {
        let constants = parameters.constants_of_round(round);
        y.push(linear::dot(row, &z) + constants[0]);
        z = linear::times_column(lower, &z).iter().zip(&constants[1..]).map(|(&z, &c)| z + c).collect();
    }
    (y, z)
}
