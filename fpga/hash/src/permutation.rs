//! Poseidon as its paper defines it, and circomlib's parameters for it: the definition that every fast schedule in
//! this crate is derived from and tested against.
//!
//! Terms: `t` state elements (the capacity element, zero at the start, then `t - 1` inputs); a full round adds one
//! constant to each element, raises each to the fifth power and multiplies by the matrix; a partial round raises only
//! the first element. 8 full rounds, half before and half after the partial ones. The digest is the first element.
//!
//! Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon", USENIX Security 2021, section 4; constants
//! from crate `poseidon-rs`, which took them from circomlib.

use std::sync::OnceLock;

use crate::FieldElement;

/// The largest state: 16 inputs and the capacity element.
pub const STATE_WIDTH_MAX: usize = 17;

/// The parameters of one state width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// State elements `t`, 2 to 17.
    pub state_width: usize,
    /// Full rounds, 8 at every width.
    pub full_rounds: usize,
    /// Partial rounds, 57 at t = 3 and 63 at t = 9.
    pub partial_rounds: usize,
    /// `t` constants per round, round by round.
    pub round_constants: Vec<FieldElement>,
    /// The matrix, row by row: `new[i] = sum over j of matrix[i][j] * old[j]`.
    pub matrix: Vec<Vec<FieldElement>>,
}

impl Parameters {
    /// The parameters for `t = state_width`; all widths are read once per process (tens of milliseconds).
    ///
    /// # Panics
    /// When `state_width` is outside 2 to 17.
    pub fn of_width(state_width: usize) -> &'static Self {
        static ALL: OnceLock<Vec<Parameters>> = OnceLock::new();
        assert!((2..=STATE_WIDTH_MAX).contains(&state_width), "state width {state_width} is outside 2 to 17");
        &ALL.get_or_init(load)[state_width - 2]
    }

    /// The constants of one round.
    pub fn constants_of_round(&self, round: usize) -> &[FieldElement] {
        &self.round_constants[round * self.state_width..(round + 1) * self.state_width]
    }

    /// The matrix times a state.
    pub fn mix(&self, state: &[FieldElement]) -> Vec<FieldElement> {
        let dot = |row: &Vec<FieldElement>| {
            row.iter().zip(state).map(|(&m, &s)| m * s).fold(FieldElement::ZERO, |a, b| a + b)
        };
        self.matrix.iter().map(dot).collect()
    }

    /// Whether only the first element of this round is raised; the full rounds lie before and behind, half each.
    pub fn is_partial(&self, round: usize) -> bool {
        (self.full_rounds / 2..self.full_rounds / 2 + self.partial_rounds).contains(&round)
    }

    /// Poseidon of `t - 1` inputs, round by round. Slow: for deriving and testing.
    ///
    /// # Panics
    /// When there are not `t - 1` inputs.
    pub fn hash(&self, inputs: &[FieldElement]) -> FieldElement {
        assert_eq!(inputs.len() + 1, self.state_width, "inputs fill the state behind the capacity element");
        let mut state = vec![FieldElement::ZERO];
        state.extend_from_slice(inputs);
        for round in 0..self.full_rounds + self.partial_rounds {
            for (element, &constant) in state.iter_mut().zip(self.constants_of_round(round)) {
                *element = *element + constant;
            }
            let boxes = if self.is_partial(round) { 1 } else { self.state_width };
            state[..boxes].iter_mut().for_each(|element| *element = fifth_power(*element));
            state = self.mix(&state);
        }
        state[0]
    }
}

/// Poseidon's S-box over BN254: `x^5`.
fn fifth_power(x: FieldElement) -> FieldElement {
    let square = x * x;
    square * square * x
}

/// Every width of `poseidon-rs`, which holds t = 2 first.
fn load() -> Vec<Parameters> {
    let constants = poseidon_rs::load_constants();
    let widths = constants.c.iter().zip(&constants.m).zip(&constants.n_rounds_p);
    let parameters = widths.enumerate().map(|(at, ((c, m), &partial_rounds))| Parameters {
        state_width: at + 2,
        full_rounds: constants.n_rounds_f,
        partial_rounds,
        round_constants: c.iter().map(element).collect(),
        matrix: m.iter().map(|row| row.iter().map(element).collect()).collect(),
    });
    let parameters: Vec<_> = parameters.collect();
    assert_eq!(parameters.len(), STATE_WIDTH_MAX - 1, "poseidon-rs holds the widths 2 to 17");
    parameters
}

/// An element of `poseidon-rs` through its only public form, the text `Fr(0x...)`.
fn element(theirs: &poseidon_rs::Fr) -> FieldElement {
    let text = theirs.to_string();
    let digits = text.strip_prefix("Fr(0x").and_then(|rest| rest.strip_suffix(')'));
    let digits =
        digits.filter(|digits| digits.len() == 64).expect("poseidon-rs prints 64 digits as Fr(0x...)");
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).expect("poseidon-rs prints hexadecimal digits");
    }
    FieldElement::from_be_bytes(&bytes).expect("poseidon-rs prints canonical elements")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circomlib_known_answer() {
        let digest = Parameters::of_width(3).hash(&[FieldElement::from(1), FieldElement::from(2)]);
        assert_eq!(
            format!("{digest:?}"),
            "0x115cc0f5e7d690413df64c6b9662e9cf2a3617f2743245519e19607a4417189a"
        );
    }

    #[test]
    fn every_width_has_a_constant_per_element_and_round() {
        for width in 2..=STATE_WIDTH_MAX {
            let parameters = Parameters::of_width(width);
            let rounds = parameters.full_rounds + parameters.partial_rounds;
            assert!(parameters.round_constants.len() >= rounds * width, "t = {width}");
            assert!(
                parameters.matrix.len() == width && parameters.matrix.iter().all(|row| row.len() == width)
            );
        }
    }
}
