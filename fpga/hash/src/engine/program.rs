//! A [`Schedule`] as a straight list of steps over numbered places, and the loop that runs it with any arithmetic.
//!
//! Written once, so that engines differ in how they multiply and nowhere else; and with a dot and a box in one place
//! each, so that an engine's unrolled arithmetic is compiled once.
//!
//! Terms: a *number* is a constant of the schedule in an engine's limbs; a *value* is what the engine computes with
//! (one element, or one per lane); a *sum* is a dot before its reduction; a *place* holds a value.

use crate::FieldElement;
use crate::permutation::STATE_WIDTH_MAX;
use crate::schedule::{Dot, Schedule};

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
    /// A value plus a constant.
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

/// Places of the widest program: zero, two full states, and `t` values before and after boxes.
pub(super) const PLACES: usize = 1 + 4 * STATE_WIDTH_MAX;

/// Where input 0 goes; the others follow. The digest comes back at the same place.
pub(super) const INPUTS: usize = 1;

/// The place that stays zero.
const ZERO: usize = 0;

/// Steps, the places of their terms and their constants, each in the order of use.
#[derive(Debug)]
pub(super) struct Program<N> {
    steps: Vec<Step>,
    operands: Vec<u8>,
    numbers: Vec<N>,
}

/// One dot: the next number is its constant, the next `terms` numbers and operands its products.
#[derive(Debug)]
struct Step {
    unit: u8,
    terms: u8,
    /// Where the dot itself goes, when it is still needed.
    kept: Option<u8>,
    /// Where the dot's fifth power goes, when it has a box.
    boxed: Option<u8>,
}

impl<N> Program<N> {
    /// Places every value of a schedule and converts every constant.
    pub(super) fn new(schedule: &Schedule, convert: impl Fn(FieldElement) -> N) -> Self {
        let mut builder = Builder {
            places: Places { t: schedule.state_width },
            steps: Vec::new(),
            operands: Vec::new(),
            numbers: Vec::new(),
        };
        builder.whole(schedule);
        let numbers = builder.numbers.into_iter().map(convert).collect();
        Self { steps: builder.steps, operands: builder.operands, numbers }
    }
}

/// Runs a program: inputs at [`INPUTS`] and behind, digest at [`INPUTS`], the other places are scratch.
#[inline(always)]
pub(super) fn run<A: Arithmetic>(
    arithmetic: A,
    program: &Program<A::Number>,
    values: &mut [A::Value; PLACES],
) {
    let (mut numbers, mut operands) = (program.numbers.as_slice(), program.operands.as_slice());
    values[ZERO] = arithmetic.zero();
    for step in &program.steps {
        let (factors, places);
        (factors, numbers) = numbers.split_at(1 + usize::from(step.terms));
        (places, operands) = operands.split_at(usize::from(step.terms));
        let unit = &values[usize::from(step.unit)];
        let value = if places.is_empty() {
            arithmetic.plus(unit, &factors[0])
        } else {
            let mut sum = arithmetic.start(unit, &factors[0]);
            for (factor, &place) in factors[1..].iter().zip(places) {
                arithmetic.accumulate(&mut sum, factor, &values[usize::from(place)]);
            }
            arithmetic.reduce(sum)
        };
        if let Some(place) = step.kept {
            values[usize::from(place)] = value;
        }
        if let Some(place) = step.boxed {
            values[usize::from(place)] = arithmetic.to_box(&value);
        }
    }
}

/// Numbers the places of one state width.
#[derive(Clone, Copy)]
struct Places {
    t: usize,
}

impl Places {
    /// Element `i` of one of two full states (`half` 0 or 1), inputs first.
    fn state(self, half: usize, i: usize) -> usize {
        INPUTS + half * self.t + i
    }

    /// `x_round`, forgotten after `t` rounds.
    fn x(self, round: usize) -> usize {
        self.state(2, round % self.t)
    }

    /// `y_round`, forgotten after `t` rounds.
    fn y(self, round: usize) -> usize {
        self.state(3, round % self.t)
    }
}

struct Builder {
    places: Places,
    steps: Vec<Step>,
    operands: Vec<u8>,
    numbers: Vec<FieldElement>,
}

impl Builder {
    fn step(
        &mut self,
        dot: &Dot,
        unit: usize,
        terms: impl Iterator<Item = usize>,
        to: (Option<usize>, Option<usize>),
    ) {
        let byte = |place: usize| u8::try_from(place).expect("fewer than 256 places");
        let first = self.operands.len();
        self.operands.extend(terms.map(byte));
        let terms = self.operands.len() - first;
        assert_eq!(dot.factors.len(), terms, "one value per factor");
        self.numbers.push(dot.constant);
        self.numbers.extend_from_slice(&dot.factors);
        self.steps.push(Step {
            unit: byte(unit),
            terms: byte(terms),
            kept: to.0.map(byte),
            boxed: to.1.map(byte),
        });
    }

    /// One matrix: boxes `from..t` of state `half` to the boxes of the other.
    fn layer(&mut self, dots: &[Dot], half: usize, from: usize) {
        let places = self.places;
        for (i, dot) in dots.iter().enumerate() {
            let terms = (from + 1..places.t).map(|j| places.state(half, j));
            self.step(dot, places.state(half, from), terms, (None, Some(places.state(1 - half, i))));
        }
    }

    fn whole(&mut self, schedule: &Schedule) {
        let (p, t, n) = (self.places, schedule.state_width, schedule.state_width - 1);
        // Inputs lie at the start of state 0; their boxes are 1 to n of state 1.
        for (i, &constant) in schedule.input_constants.iter().enumerate() {
            let dot = Dot { constant, factors: Vec::new() };
            self.step(&dot, p.state(0, i), std::iter::empty(), (None, Some(p.state(1, i + 1))));
        }
        self.layer(&schedule.first, 1, 1);
        self.layer(&schedule.before[0], 0, 0);
        self.layer(&schedule.before[1], 1, 0);
        self.partial_rounds(schedule);
        for (dots, half) in schedule.after.iter().zip([1, 0, 1]) {
            self.layer(dots, half, 0);
        }
        let terms = (0..=n).map(|j| p.state(0, j));
        self.step(&schedule.last, ZERO, terms, (Some(INPUTS), None));
        assert_eq!(
            (schedule.before.len(), schedule.after.len(), schedule.entry.len()),
            (2, 3, t),
            "eight full rounds"
        );
    }

    /// From the boxes in state 0 to the boxes in state 1.
    fn partial_rounds(&mut self, schedule: &Schedule) {
        let (p, t, n, last) =
            (self.places, schedule.state_width, schedule.state_width - 1, schedule.partial_rounds);
        for round in 0..=last {
            let boxed = if round < last { p.x(round) } else { p.state(1, 0) };
            let to = (Some(p.y(round)), Some(boxed));
            if round == 0 {
                self.step(&schedule.entry[0], p.state(0, 0), (1..t).map(|j| p.state(0, j)), to);
            } else if round < t {
                let terms = (0..t).map(|j| p.state(0, j)).chain((0..round - 1).rev().map(|r| p.x(r)));
                self.step(&schedule.entry[round], p.x(round - 1), terms, to);
            } else {
                let older_x = (2..=t).map(|back| p.x(round - back));
                let terms = older_x.chain((1..=n).map(|back| p.y(round - back)));
                self.step(&schedule.partial[round - t], p.x(round - 1), terms, to);
            }
        }
        for (i, dot) in schedule.exit.iter().enumerate() {
            let terms = (2..=n).map(|back| p.x(last - back)).chain((0..n).map(|back| p.y(last - back)));
            self.step(dot, p.x(last - 1), terms, (None, Some(p.state(1, i + 1))));
        }
    }
}
