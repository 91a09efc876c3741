//! Keccak on eight lanes of AVX-512: rotations and three-operand logic are single instructions.

use super::lanes::{Cpu, Lanes};
use crate::Digest;
use crate::engine::sponge::{Blocks, LANES_MAX, State, Vector, hash_group};
use crate::keccak::RATE_BYTES;

/// Messages side by side.
pub(super) const LANES: usize = 8;

/// From this many messages on, a group with empty lanes is faster than single messages.
pub(super) const WORTHWHILE: usize = 2;

/// Hashes up to eight messages of one length.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn hash_eight(cpu: Cpu, prefix: Option<u8>, data: &[&[u8]; LANES_MAX], digests: &mut [Digest]) {
    hash_group(cpu, prefix, data, digests);
}

impl Vector for Cpu {
    type Word = Lanes;
    const LANES: usize = LANES;

    #[inline(always)]
    fn broadcast(self, value: u64) -> Lanes {
        Cpu::broadcast(self, value)
    }

    #[inline(always)]
    fn xor(self, a: Lanes, b: Lanes) -> Lanes {
        Cpu::xor(self, a, b)
    }

    #[inline(always)]
    fn xor3(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.logic::<0x96>(a, b, c)
    }

    #[inline(always)]
    fn theta(self, a: Lanes, left: Lanes, right: Lanes, _both: Lanes) -> Lanes {
        self.xor3(a, left, right)
    }

    #[inline(always)]
    fn chi(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.logic::<0xd2>(a, b, c)
    }

    #[inline(always)]
    fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: Lanes) -> Lanes {
        self.rotate_left::<LEFT>(a)
    }

    #[inline(always)]
    fn absorb(self, state: &mut State<Lanes>, blocks: &Blocks<'_>) {
        for first in [0, 8] {
            let mut rows = [Cpu::broadcast(self, 0); 8];
            for (row, block) in rows.iter_mut().zip(blocks) {
                let words =
                    block[8 * first..].first_chunk().expect("two times eight words lie inside a block");
                *row = self.load(words);
            }
            for (word, added) in state[first..].iter_mut().zip(transpose(self, rows)) {
                *word = Cpu::xor(self, *word, added);
            }
        }
        let mut last = [0; 8];
        for (word, block) in last.iter_mut().zip(blocks) {
            *word = u64::from_le_bytes(*block[RATE_BYTES - 8..].first_chunk().expect("eight bytes are left"));
        }
        state[16] = Cpu::xor(self, state[16], self.load_array(last));
    }

    #[inline(always)]
    fn squeeze(self, state: &State<Lanes>, digests: &mut [Digest]) {
        let words = [state[0], state[1], state[2], state[3]];
        let mut lanes = [[0; 8]; 4];
        for (lanes, word) in lanes.iter_mut().zip(words) {
            *lanes = self.to_array(word);
        }
        for (lane, digest) in digests.iter_mut().enumerate() {
            for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(&lanes) {
                *bytes = word[lane].to_le_bytes();
            }
        }
    }
}

/// Row `i`, eight words of message `i`, becomes lane `i` of eight words.
#[inline(always)]
fn transpose(cpu: Cpu, rows: [Lanes; 8]) -> [Lanes; 8] {
    // Pairs of messages, even and odd words; then quarters of 128 bits sorted twice.
    let (mut pairs, mut columns) = ([rows, rows], rows);
    for i in 0..4 {
        pairs[0][i] = cpu.even_words(rows[2 * i], rows[2 * i + 1]);
        pairs[1][i] = cpu.odd_words(rows[2 * i], rows[2 * i + 1]);
    }
    for (parity, pairs) in pairs.iter().enumerate() {
        let (low, high) = (cpu.even_quarters(pairs[0], pairs[1]), cpu.even_quarters(pairs[2], pairs[3]));
        columns[parity] = cpu.even_quarters(low, high);
        columns[parity + 4] = cpu.odd_quarters(low, high);
        let (low, high) = (cpu.odd_quarters(pairs[0], pairs[1]), cpu.odd_quarters(pairs[2], pairs[3]));
        columns[parity + 2] = cpu.even_quarters(low, high);
        columns[parity + 6] = cpu.odd_quarters(low, high);
    }
    columns
}
