//! Seeded mutations of a corpus: what runs where there is no libFuzzer, in every test run and in the gate.
//!
//! Blind where libFuzzer is guided by coverage, but it needs no build of its own, and a seed repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Target;

/// Longest input.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Changes to one input.
const CHANGES_MAX: usize = 6;

/// An input that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of which target.
    pub target: &'static str,
    /// The input.
    pub input: Vec<u8>,
}

/// Runs a target on its corpus and on `count` mutations of it, drawn from `seed`.
///
/// # Errors
/// The first input that made it panic.
pub fn mutate(target: &Target, corpus: &[Vec<u8>], seed: u64, count: u32) -> Result<(), Finding> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for input in corpus {
        run(target, input)?;
    }
    for _ in 0..count {
        let mut input = corpus.choose(&mut rng).cloned().unwrap_or_default();
        for _ in 0..rng.random_range(1..=CHANGES_MAX) {
            change(&mut input, corpus, &mut rng);
        }
        input.truncate(INPUT_BYTES_MAX);
        run(target, &input)?;
    }
    Ok(())
}

fn run(target: &Target, input: &[u8]) -> Result<(), Finding> {
    let finding = |_| Finding { target: target.name, input: input.to_vec() };
    catch_unwind(AssertUnwindSafe(|| (target.body)(input))).map_err(finding)
}

/// One change, as fuzzers make them.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=input.len());
    let span = rng.random_range(0..=(input.len() - at).min(64));
    match rng.random_range(0..8) {
        0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        1 if at < input.len() => input[at] = *[0, 1, 0x7f, 0x80, 0xfe, 0xff].choose(rng).expect("not empty"),
        2 if at < input.len() => input[at] = input[at].wrapping_add(rng.random_range(0..17)).wrapping_sub(8),
        3 => drop(input.drain(at..at + span)),
        4 => {
            let mut new = vec![0; rng.random_range(1..16)];
            rng.fill_bytes(&mut new);
            drop(input.splice(at..at, new));
        }
        5 => {
            let repeated = input[at..at + span].to_vec();
            drop(input.splice(at..at, repeated));
        }
        6 => input.truncate(at),
        _ => {
            let other = corpus.choose(rng).cloned().unwrap_or_default();
            let from = rng.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
