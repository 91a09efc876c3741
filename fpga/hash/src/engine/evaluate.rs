//! Walks a [`Schedule`] with any arithmetic: written once, so that engines differ in how they multiply and nowhere else.
//!
//! Terms: a *number* is a constant of the schedule in an engine's limbs; a *value* is what the engine computes with
//! (one element, or one per lane); a *sum* is a dot before its reduction.

use crate::FieldElement;
use crate::permutation::STATE_WIDTH_MAX;
use crate::schedule::{Dot, Schedule};

/// Values remembered of each kind in the partial rounds: a power of two, at least `t`.
const RING: usize = STATE_WIDTH_MAX.next_power_of_two();

/// What an engine does with numbers, values and sums. Each engine states its own bounds on how far values may be
/// above the modulus.
pub(super) trait Arithmetic: Copy {
    /// A constant of the schedule.
    type Number;
    /// What flows through boxes and dots.
    type Value: Copy;
    /// A dot before its reduction.
    type Sum;

    /// The value zero.
    fn zero(self) -> Self::Value;
    /// An input plus its round constant.
    fn plus(self, value: &Self::Value, number: &Self::Number) -> Self::Value;
    /// A dot that so far is `unit + constant`.
    fn start(self, unit: &Self::Value, constant: &Self::Number) -> Self::Sum;
    /// Adds `factor * value` to a dot.
    fn accumulate(self, sum: &mut Self::Sum, factor: &Self::Number, value: &Self::Value);
    /// The dot as a value: its products divided by `R`.
    fn reduce(self, sum: Self::Sum) -> Self::Value;
    /// The fifth power, divided by `R^4`.
    fn to_box(self, value: &Self::Value) -> Self::Value;
}

/// A schedule's constants in the order in which [`evaluate`] uses them.
#[derive(Debug)]
pub(super) struct Table<N> {
    state_width: usize,
    partial_rounds: usize,
    numbers: Vec<N>,
}

impl<N> Table<N> {
    /// Converts every constant once.
    pub(super) fn new(schedule: &Schedule, convert: impl Fn(FieldElement) -> N) -> Self {
        let layers = |layers: &'_ [Vec<Dot>]| layers.iter().flatten().cloned().collect::<Vec<_>>();
        let dots = [
            &schedule.first,
            &layers(&schedule.before),
            &schedule.entry,
            &schedule.partial,
            &schedule.exit,
            &layers(&schedule.after),
            std::slice::from_ref(&schedule.last),
        ];
        let mut numbers = schedule.input_constants.clone();
        for dot in dots.into_iter().flatten() {
            numbers.push(dot.constant);
            numbers.extend_from_slice(&dot.factors);
        }
        let numbers = numbers.into_iter().map(convert).collect();
        Self { state_width: schedule.state_width, partial_rounds: schedule.partial_rounds, numbers }
    }
}

/// Memory of [`evaluate`], kept from one message (or group of messages) to the next.
pub(super) struct Workspace<V> {
    boxes: [V; STATE_WIDTH_MAX],
    next: [V; STATE_WIDTH_MAX],
    x: [V; RING],
    y: [V; RING],
}

impl<V: Copy> Workspace<V> {
    pub(super) fn new(zero: V) -> Self {
        Self {
            boxes: [zero; STATE_WIDTH_MAX],
            next: [zero; STATE_WIDTH_MAX],
            x: [zero; RING],
            y: [zero; RING],
        }
    }
}

/// One hash, or one per lane, of the first `t - 1` of `inputs`.
#[inline(always)]
pub(super) fn evaluate<A: Arithmetic>(
    arithmetic: A,
    table: &Table<A::Number>,
    workspace: &mut Workspace<A::Value>,
    inputs: &[A::Value],
) -> A::Value {
    let (t, rounds) = (table.state_width, table.partial_rounds);
    let n = t - 1;
    let Workspace { boxes, next, x, y } = workspace;
    let (boxes, next) = (&mut boxes[..t], &mut next[..t]);
    let mut walk = Walk { arithmetic, numbers: table.numbers.iter() };

    for i in 0..n {
        boxes[i] = arithmetic.to_box(&arithmetic.plus(&inputs[i], walk.number()));
    }
    for out in next.iter_mut() {
        *out = arithmetic.to_box(&walk.dot(&boxes[0], boxes[1..n].iter()));
    }
    boxes.copy_from_slice(next);
    walk.full_rounds(boxes, next, 2);

    // Rings: the value of round r lies at r & mask, and t of them are still needed.
    let mask = t.next_power_of_two() - 1;
    let at = |round: usize| round & mask & (RING - 1);
    y[0] = walk.dot(&boxes[0], boxes[1..].iter());
    x[0] = arithmetic.to_box(&y[0]);
    for round in 1..t {
        let older = (0..round - 1).rev().map(|r| &x[at(r)]);
        y[at(round)] = walk.dot(&x[at(round - 1)], boxes.iter().chain(older));
        x[at(round)] = arithmetic.to_box(&y[at(round)]);
    }
    for round in t..=rounds {
        let mut sum = arithmetic.start(&x[at(round - 1)], walk.number());
        for back in 2..=t {
            arithmetic.accumulate(&mut sum, walk.number(), &x[at(round - back)]);
        }
        for back in 1..=n {
            arithmetic.accumulate(&mut sum, walk.number(), &y[at(round - back)]);
        }
        y[at(round)] = arithmetic.reduce(sum);
        if round < rounds {
            x[at(round)] = arithmetic.to_box(&y[at(round)]);
        }
    }
    boxes[0] = arithmetic.to_box(&y[at(rounds)]);
    for out in &mut boxes[1..] {
        let mut sum = arithmetic.start(&x[at(rounds - 1)], walk.number());
        for back in 2..=n {
            arithmetic.accumulate(&mut sum, walk.number(), &x[at(rounds - back)]);
        }
        for back in 0..n {
            arithmetic.accumulate(&mut sum, walk.number(), &y[at(rounds - back)]);
        }
        *out = arithmetic.to_box(&arithmetic.reduce(sum));
    }
    walk.full_rounds(boxes, next, 3);
    walk.dot(&arithmetic.zero(), boxes.iter())
}

/// The arithmetic and the place in the table.
struct Walk<'a, A: Arithmetic> {
    arithmetic: A,
    numbers: std::slice::Iter<'a, A::Number>,
}

impl<'a, A: Arithmetic> Walk<'a, A> {
    #[inline(always)]
    fn number(&mut self) -> &'a A::Number {
        self.numbers.next().expect("a table holds a number for every step of its schedule")
    }

    #[inline(always)]
    fn dot<'v>(&mut self, unit: &A::Value, values: impl Iterator<Item = &'v A::Value>) -> A::Value
    where
        A::Value: 'v,
    {
        let mut sum = self.arithmetic.start(unit, self.number());
        for value in values {
            self.arithmetic.accumulate(&mut sum, self.number(), value);
        }
        self.arithmetic.reduce(sum)
    }

    /// From the boxes of one full round to those of the `count`-th after it.
    #[inline(always)]
    fn full_rounds(&mut self, boxes: &mut [A::Value], next: &mut [A::Value], count: usize) {
        for _ in 0..count {
            for out in next.iter_mut() {
                *out = self.arithmetic.to_box(&self.dot(&boxes[0], boxes[1..].iter()));
            }
            boxes.copy_from_slice(next);
        }
    }
}
