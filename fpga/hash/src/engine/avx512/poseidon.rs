//! Poseidon, eight hashes side by side per group, five limbs of 52 bits, `R = 2^260`.
//!
//! Terms: a *group* is eight hashes, one per lane; `G` groups are computed in turns, so that one group's products fill
//! the latency of another's.
//!
//! Bounds (`r < 2^253.6`, `2^260 / r > 84`): a reduction returns less than `T / 2^260 + 2.33 r`. Boxes of values below
//! `9r` stay below `2.7r`; a dot of at most 32 terms with such values, a unit and a constant is below
//! `(16 * 9 + 16 * 2.7) r / 84 + 2.33r + 2.7r + r < 9r < 2^257`. So five limbs always hold a value and nothing is
//! subtracted before the end. A column of a sum collects at most `32 * 10 + 20` numbers below `2^52`: below `2^61`.

#![expect(clippy::needless_range_loop, reason = "limb formulas read by index; iterators would hide i + j")]

use super::lanes::{Cpu, Lanes};
use crate::FieldElement;
use crate::engine::program::{Arithmetic, INPUTS, PLACES, Program, run};
use crate::limbs::MODULUS;

/// Hashes in a group.
pub(super) const GROUP: usize = 8;

/// `R = 2^260`.
pub(super) const MONTGOMERY_BITS: u32 = 260;

/// 260 bits, least significant limb first, each below `2^52`.
pub(super) type Limbs52 = [u64; 5];

const MASK: u64 = (1 << 52) - 1;

/// The modulus in limbs of 52 bits.
const MODULUS_52: Limbs52 = split(&MODULUS);

/// `-1 / r mod 2^52`.
const NEGATIVE_INVERSE_52: u64 = crate::limbs::NEGATIVE_INVERSE & MASK;

/// `(r * NEGATIVE_INVERSE_52 + 1) / 2^52`. The bracket without the one is a multiple of `r` and `-1 mod 2^52`, so the
/// Montgomery quotient of a limb is the limb itself: one multiplication and its latency less per limb.
const STEP: Limbs52 = step();

/// A plain integer below `2^256` in limbs of 52 bits.
pub(super) const fn split(a: &[u64; 4]) -> Limbs52 {
    [
        a[0] & MASK,
        (a[0] >> 52 | a[1] << 12) & MASK,
        (a[1] >> 40 | a[2] << 24) & MASK,
        (a[2] >> 28 | a[3] << 36) & MASK,
        a[3] >> 16,
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limbs keep their low 52 bits, the last carry is below 2^52"
)]
const fn step() -> Limbs52 {
    let mut limbs = [0; 6];
    let mut carry = 1_u128;
    let mut i = 0;
    while i < 5 {
        carry += MODULUS_52[i] as u128 * NEGATIVE_INVERSE_52 as u128;
        limbs[i] = (carry & MASK as u128) as u64;
        carry >>= 52;
        i += 1;
    }
    limbs[5] = carry as u64;
    assert!(limbs[0] == 0, "the bracket is a multiple of 2^52");
    [limbs[1], limbs[2], limbs[3], limbs[4], limbs[5]]
}

/// Arithmetic on `G` groups.
#[derive(Clone, Copy)]
struct Groups<const G: usize>(Cpu);

type Value<const G: usize> = [[Lanes; 5]; G];
type Sum<const G: usize> = [[Lanes; 10]; G];

impl<const G: usize> Groups<G> {
    #[inline(always)]
    fn product(self, a: &Value<G>, b: &Value<G>) -> Sum<G> {
        let cpu = self.0;
        let mut sum = [[cpu.zero(); 10]; G];
        for j in 0..5 {
            for i in 0..5 {
                for g in 0..G {
                    sum[g][i + j] = cpu.multiply_low(sum[g][i + j], a[g][i], b[g][j]);
                }
            }
            for i in 0..5 {
                for g in 0..G {
                    sum[g][i + j + 1] = cpu.multiply_high(sum[g][i + j + 1], a[g][i], b[g][j]);
                }
            }
        }
        sum
    }

    /// Ten products of different limbs, doubled, and five squares: 30 multiplications instead of 50.
    #[inline(always)]
    fn square(self, a: &Value<G>) -> Sum<G> {
        let cpu = self.0;
        let mut sum = [[cpu.zero(); 10]; G];
        for j in 0..5 {
            for i in j + 1..5 {
                for g in 0..G {
                    sum[g][i + j] = cpu.multiply_low(sum[g][i + j], a[g][i], a[g][j]);
                }
            }
            for i in j + 1..5 {
                for g in 0..G {
                    sum[g][i + j + 1] = cpu.multiply_high(sum[g][i + j + 1], a[g][i], a[g][j]);
                }
            }
        }
        for column in 1..9 {
            for g in 0..G {
                sum[g][column] = cpu.add(sum[g][column], sum[g][column]);
            }
        }
        for i in 0..5 {
            for g in 0..G {
                sum[g][2 * i] = cpu.multiply_low(sum[g][2 * i], a[g][i], a[g][i]);
                sum[g][2 * i + 1] = cpu.multiply_high(sum[g][2 * i + 1], a[g][i], a[g][i]);
            }
        }
        sum
    }

    /// Clears what carries have left above 52 bits in the lower limbs, so that the limbs may be added.
    #[inline(always)]
    fn masked(self, mut value: Value<G>) -> Value<G> {
        let mask = self.0.broadcast(MASK);
        for lanes in &mut value {
            for limb in &mut lanes[..4] {
                *limb = self.0.and(*limb, mask);
            }
        }
        value
    }
}

impl<const G: usize> Arithmetic for Groups<G> {
    type Number = Limbs52;
    type Value = Value<G>;
    type Sum = Sum<G>;

    #[inline(always)]
    fn zero(self) -> Value<G> {
        [[self.0.zero(); 5]; G]
    }

    #[inline(always)]
    fn plus(self, value: &Value<G>, number: &Limbs52) -> Value<G> {
        let mut sum = *value;
        for lanes in &mut sum {
            for i in 0..5 {
                lanes[i] = self.0.add(lanes[i], self.0.broadcast(number[i]));
                if i > 0 {
                    lanes[i] = self.0.add(lanes[i], self.0.shift_right::<52>(lanes[i - 1]));
                }
            }
        }
        sum
    }

    #[inline(always)]
    fn start(self, unit: &Value<G>, constant: &Limbs52) -> Sum<G> {
        let mut sum = [[self.0.zero(); 10]; G];
        for g in 0..G {
            for i in 0..5 {
                sum[g][5 + i] = self.0.add(unit[g][i], self.0.broadcast(constant[i]));
            }
        }
        sum
    }

    #[inline(always)]
    fn accumulate(self, sum: &mut Sum<G>, factor: &Limbs52, value: &Value<G>) {
        let cpu = self.0;
        for j in 0..5 {
            let digit = cpu.broadcast(factor[j]);
            for i in 0..5 {
                for g in 0..G {
                    sum[g][i + j] = cpu.multiply_low(sum[g][i + j], digit, value[g][i]);
                }
            }
            for i in 0..5 {
                for g in 0..G {
                    sum[g][i + j + 1] = cpu.multiply_high(sum[g][i + j + 1], digit, value[g][i]);
                }
            }
        }
    }

    #[inline(always)]
    fn reduce(self, mut sum: Sum<G>) -> Value<G> {
        let cpu = self.0;
        for low in 0..4 {
            for k in 0..5 {
                for g in 0..G {
                    sum[g][low + 1 + k] =
                        cpu.multiply_low(sum[g][low + 1 + k], sum[g][low], cpu.broadcast(STEP[k]));
                }
            }
            for g in 0..G {
                sum[g][low + 1] = cpu.add(sum[g][low + 1], cpu.shift_right::<52>(sum[g][low]));
            }
            for k in 0..5 {
                for g in 0..G {
                    sum[g][low + 2 + k] =
                        cpu.multiply_high(sum[g][low + 2 + k], sum[g][low], cpu.broadcast(STEP[k]));
                }
            }
        }
        // The last limb takes the modulus itself: its multiple would leave 52 bits too many.
        for group in &mut sum {
            let quotient = cpu.multiply_low(cpu.zero(), group[4], cpu.broadcast(NEGATIVE_INVERSE_52));
            for k in 0..5 {
                let digit = cpu.broadcast(MODULUS_52[k]);
                group[4 + k] = cpu.multiply_low(group[4 + k], quotient, digit);
            }
            for k in 0..5 {
                let digit = cpu.broadcast(MODULUS_52[k]);
                group[5 + k] = cpu.multiply_high(group[5 + k], quotient, digit);
            }
        }
        for column in 4..9 {
            for g in 0..G {
                sum[g][column + 1] = cpu.add(sum[g][column + 1], cpu.shift_right::<52>(sum[g][column]));
            }
        }
        let mut value = self.zero();
        for g in 0..G {
            value[g].copy_from_slice(&sum[g][5..]);
        }
        value
    }

    #[inline(always)]
    fn to_box(self, value: &Value<G>) -> Value<G> {
        let square = self.reduce(self.square(value));
        let fourth = self.reduce(self.square(&square));
        self.masked(self.reduce(self.product(&fourth, value)))
    }
}

/// Hashes `8 * G` messages at a time as long as there are as many; returns how many it hashed.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn hash_groups<const G: usize>(
    cpu: Cpu,
    program: &Program<Limbs52>,
    inputs: &[FieldElement],
    width: usize,
    digests: &mut [FieldElement],
) -> usize {
    let arithmetic = Groups::<G>(cpu);
    let mut values = [arithmetic.zero(); PLACES];
    let messages = inputs.chunks_exact(GROUP * G * width);
    let mut done = 0;
    for (messages, digests) in messages.zip(digests.chunks_exact_mut(GROUP * G)) {
        for (i, value) in values[INPUTS..][..width].iter_mut().enumerate() {
            for g in 0..G {
                let mut words = [[0; 8]; 4];
                for lane in 0..GROUP {
                    let limbs = messages[(g * GROUP + lane) * width + i].limbs();
                    for (word, limb) in words.iter_mut().zip(limbs) {
                        word[lane] = *limb;
                    }
                }
                value[g] = load(cpu, &words);
            }
        }
        run(arithmetic, program, &mut values);
        for (lanes, digests) in values[INPUTS].into_iter().zip(digests.chunks_exact_mut(GROUP)) {
            store(cpu, lanes, digests);
        }
        done += GROUP * G;
    }
    done
}

/// Eight elements, given as their four words lane by lane, in limbs of 52 bits.
#[inline(always)]
fn load(cpu: Cpu, words: &[[u64; 8]; 4]) -> [Lanes; 5] {
    let words = [
        cpu.load_array(words[0]),
        cpu.load_array(words[1]),
        cpu.load_array(words[2]),
        cpu.load_array(words[3]),
    ];
    let mask = cpu.broadcast(MASK);
    [
        cpu.and(words[0], mask),
        cpu.and(cpu.or(cpu.shift_right::<52>(words[0]), cpu.shift_left::<12>(words[1])), mask),
        cpu.and(cpu.or(cpu.shift_right::<40>(words[1]), cpu.shift_left::<24>(words[2])), mask),
        cpu.and(cpu.or(cpu.shift_right::<28>(words[2]), cpu.shift_left::<36>(words[3])), mask),
        cpu.shift_right::<16>(words[3]),
    ]
}

/// Brings the last dot, below `4r` (no unit, no constant), below `r` and writes it.
#[inline(always)]
fn store(cpu: Cpu, lanes: [Lanes; 5], digests: &mut [FieldElement]) {
    let [mut lanes] = Groups::<1>(cpu).masked([lanes]);
    lanes = subtract_if_not_below(cpu, lanes, &MODULUS_TWICE);
    lanes = subtract_if_not_below(cpu, lanes, &MODULUS_52);
    let words = [
        cpu.or(lanes[0], cpu.shift_left::<52>(lanes[1])),
        cpu.or(cpu.shift_right::<12>(lanes[1]), cpu.shift_left::<40>(lanes[2])),
        cpu.or(cpu.shift_right::<24>(lanes[2]), cpu.shift_left::<28>(lanes[3])),
        cpu.or(cpu.shift_right::<36>(lanes[3]), cpu.shift_left::<16>(lanes[4])),
    ];
    let words =
        [cpu.to_array(words[0]), cpu.to_array(words[1]), cpu.to_array(words[2]), cpu.to_array(words[3])];
    for (lane, digest) in digests.iter_mut().enumerate() {
        *digest = FieldElement::from_reduced_limbs(words.map(|word| word[lane]));
    }
}

/// `2r`.
const MODULUS_TWICE: Limbs52 = {
    let m = MODULUS;
    split(&[m[0] << 1, m[0] >> 63 | m[1] << 1, m[1] >> 63 | m[2] << 1, m[2] >> 63 | m[3] << 1])
};

/// `value - number` in the lanes where that is not negative; limbs below `2^52` in and out.
#[inline(always)]
fn subtract_if_not_below(cpu: Cpu, value: [Lanes; 5], number: &Limbs52) -> [Lanes; 5] {
    let mask = cpu.broadcast(MASK);
    let mut difference = [cpu.zero(); 5];
    let mut borrow = cpu.zero();
    for i in 0..5 {
        // Below zero the top bit is set and stays set under the shift by the sign's own worth.
        let limb = cpu.subtract(cpu.subtract(value[i], cpu.broadcast(number[i])), borrow);
        borrow = cpu.shift_right::<63>(limb);
        difference[i] = if i < 4 { cpu.and(limb, mask) } else { limb };
    }
    let top = difference[4];
    for i in 0..5 {
        difference[i] = cpu.choose_if_negative(top, value[i], difference[i]);
    }
    difference
}
