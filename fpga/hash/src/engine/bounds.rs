//! What this CPU could do at best: the rate of the one instruction that each engine cannot do without.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::schedule::Cost;

/// Instructions of one kind per second, measured; `None` where the CPU lacks them.
#[derive(Debug)]
pub(crate) struct Bounds {
    multiply_64: f64,
    multiply_52: Option<f64>,
    logic_512: Option<f64>,
    logic_256: Option<f64>,
}

/// Samples per instruction.
const SAMPLES: usize = 300;

/// Measures; takes some ten milliseconds.
pub(crate) fn bounds() -> Bounds {
    #[cfg(target_arch = "x86_64")]
    let vectors =
        (super::avx512::instructions_per_second(best_rate), super::avx2::instructions_per_second(best_rate));
    #[cfg(not(target_arch = "x86_64"))]
    let vectors: (Option<(f64, f64)>, Option<f64>) = (None, None);
    Bounds {
        multiply_64: best_rate(&mut multiply_64),
        multiply_52: vectors.0.map(|(multiply, _)| multiply),
        logic_512: vectors.0.map(|(_, logic)| logic),
        logic_256: vectors.1,
    }
}

impl Bounds {
    /// Poseidon hashes per second if an engine issued nothing but its schedule's multiplications.
    pub(crate) fn poseidon(&self, engine: &str, cost: &Cost) -> Option<f64> {
        let count = |product: usize, square: usize, reduction: usize| {
            ((cost.products - cost.squares) * product + cost.squares * square + cost.reductions * reduction)
                as f64
        };
        match engine {
            // 25 low and 25 high halves; ten of each double in a square; four reduction steps of 10 and one of 11.
            "software-avx512ifma" => self.multiply_52.map(|rate| 8.0 * rate / count(50, 30, 51)),
            "software-adx" | "software-avx2" => Some(self.multiply_64 / count(16, 16, 20)),
            "software-scalar" => Some(self.multiply_64 / count(16, 10, 20)),
            _ => None,
        }
    }

    /// Keccak permutations per second if an engine issued nothing but its rounds' logic.
    pub(crate) fn permutations_per_second(&self, engine: &str) -> Option<f64> {
        // Per round. 512: 10 + 5 + 25 for theta, 24 rotations, 25 for chi, 1. 256: 20 + 15 + 5 + 25 for theta, 22 * 3 + 2
        // for the rotations, 50 for chi, 1.
        match engine {
            "software-avx512ifma" => self.logic_512.map(|rate| 8.0 * rate / (24.0 * 90.0)),
            "software-avx2" => self.logic_256.map(|rate| 4.0 * rate / (24.0 * 184.0)),
            _ => None,
        }
    }
}

/// The best rate of a probe, which returns how many instructions it executed.
fn best_rate(probe: &mut dyn FnMut() -> usize) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..SAMPLES {
        #[expect(clippy::disallowed_methods, reason = "measuring is what this does")]
        let start = Instant::now();
        let instructions = probe();
        let elapsed = start.elapsed().max(Duration::from_nanos(1));
        best = best.max(instructions as f64 / elapsed.as_secs_f64());
    }
    best
}

/// Eight independent chains of 64-bit products.
fn multiply_64() -> usize {
    let mut chains: [u64; 8] = black_box([3, 5, 7, 11, 13, 17, 19, 23]);
    for _ in 0..2_000 {
        for chain in &mut chains {
            *chain = chain.carrying_mul(0x9e37_79b9_7f4a_7c15, *chain).1;
        }
    }
    black_box(chains);
    8 * 2_000
}
