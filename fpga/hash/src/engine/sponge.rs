//! Keccak-256 of several messages side by side, one per lane of a vector: written once over the vector's operations.
//!
//! Terms: a *word* is a vector that holds one 64-bit word of the state per lane; a *block* is what one permutation
//! absorbs, 136 bytes. Messages of one group have the same length, so they end in the same block.
//!
//! Source: FIPS 202 for the permutation (rounds and offsets), with Ethereum's padding byte 0x01 instead of 0x06.

use crate::keccak::{RATE_BYTES, keccak256};
use crate::{Digest, Keccak256};

/// Most lanes any engine has.
pub(super) const LANES_MAX: usize = 8;

/// 25 words; word `x + 5 y` of FIPS 202.
pub(super) type State<W> = [W; 25];

/// One block per lane.
pub(super) type Blocks<'a> = [&'a [u8; RATE_BYTES]; LANES_MAX];

/// A vector's operations on words.
pub(super) trait Vector: Copy {
    /// One 64-bit word per lane.
    type Word: Copy;
    /// Messages side by side, at most [`LANES_MAX`].
    const LANES: usize;

    fn broadcast(self, value: u64) -> Self::Word;
    fn xor(self, a: Self::Word, b: Self::Word) -> Self::Word;
    fn xor3(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// `a ^ left ^ right`, where `both` is `left ^ right`: whichever is cheaper.
    fn theta(self, a: Self::Word, left: Self::Word, right: Self::Word, both: Self::Word) -> Self::Word;
    /// `a ^ (!b & c)`.
    fn chi(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// Rotates left; `RIGHT` is `64 - LEFT`.
    fn rotate<const LEFT: i32, const RIGHT: i32>(self, a: Self::Word) -> Self::Word;
    /// Adds a block per lane to the first 17 words.
    fn absorb(self, state: &mut State<Self::Word>, blocks: &Blocks<'_>);
    /// The first four words of each lane as bytes.
    fn squeeze(self, state: &State<Self::Word>, digests: &mut [Digest]);
}

/// A place for a block.
const EMPTY: &[u8; RATE_BYTES] = &[0; RATE_BYTES];

/// The round constants (FIPS 202 section 3.2.5).
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Keccak-256 of `prefix || data` for messages of one length; lanes beyond `digests` are computed and dropped.
#[inline(always)]
pub(super) fn hash_group<V: Vector>(
    vector: V,
    prefix: Option<u8>,
    data: &[&[u8]; LANES_MAX],
    digests: &mut [Digest],
) {
    let shift = usize::from(prefix.is_some());
    let last = (data[0].len() + shift) / RATE_BYTES;
    let mut state = [vector.broadcast(0); 25];
    for block in 0..=last {
        if block < last && block >= shift {
            let start = block * RATE_BYTES - shift;
            let mut blocks = [EMPTY; LANES_MAX];
            for (block, data) in blocks.iter_mut().zip(data) {
                *block = data[start..].first_chunk().expect("only the last block is partial");
            }
            vector.absorb(&mut state, &blocks);
        } else {
            let mut buffers = [[0; RATE_BYTES]; LANES_MAX];
            for (buffer, data) in buffers.iter_mut().zip(data).take(V::LANES) {
                fill_edge_block(buffer, prefix, data, block, last);
            }
            vector.absorb(&mut state, &buffers.each_ref());
        }
        permute(vector, &mut state);
    }
    vector.squeeze(&state, digests);
}

/// Fills a zeroed block with the prefix in front, the padding behind, or both.
#[inline(always)]
fn fill_edge_block(bytes: &mut [u8; RATE_BYTES], prefix: Option<u8>, data: &[u8], block: usize, last: usize) {
    let (mut used, mut start) = (0, block * RATE_BYTES);
    if let Some(prefix) = prefix {
        if block == 0 {
            bytes[0] = prefix;
            used = 1;
        } else {
            start -= 1;
        }
    }
    let rest = &data[start..];
    let taken = rest.len().min(RATE_BYTES - used);
    bytes[used..used + taken].copy_from_slice(&rest[..taken]);
    if block == last {
        bytes[used + taken] ^= 0x01;
        bytes[RATE_BYTES - 1] ^= 0x80;
    }
}

/// Keccak-f[1600], 24 rounds.
#[inline(always)]
fn permute<V: Vector>(v: V, state: &mut State<V::Word>) {
    let mut a = *state;
    for constant in ROUND_CONSTANTS {
        a = round(v, a, constant);
    }
    *state = a;
}

/// One round, written out by macros: a closure would be a function of its own, compiled without the vector's
/// instructions wherever it is not inlined, and a loop that is not unrolled would keep the state in memory.
#[inline(always)]
fn round<V: Vector>(v: V, a: State<V::Word>, constant: u64) -> State<V::Word> {
    macro_rules! five {
        ($each:ident) => {
            [$each!(0), $each!(1), $each!(2), $each!(3), $each!(4)]
        };
    }
    macro_rules! parity {
        ($x:literal) => {
            v.xor3(v.xor3(a[$x], a[$x + 5], a[$x + 10]), a[$x + 15], a[$x + 20])
        };
    }
    let column = five!(parity);
    macro_rules! turned {
        ($x:literal) => {
            v.rotate::<1, 63>(column[$x])
        };
    }
    let turned = five!(turned);
    macro_rules! both {
        ($x:literal) => {
            v.xor(column[($x + 4) % 5], turned[($x + 1) % 5])
        };
    }
    let both = five!(both);
    macro_rules! theta {
        ($at:literal) => {
            v.theta(a[$at], column[($at + 4) % 5], turned[($at + 1) % 5], both[$at % 5])
        };
    }
    // Rho and pi: where each word of the next state comes from, and how far it is turned.
    macro_rules! turn {
        ($($from:literal by $left:literal $right:literal,)*) => {
            [theta!(0), $(v.rotate::<$left, $right>(theta!($from)),)*]
        };
    }
    let rows: State<V::Word> = turn![
        6 by 44 20, 12 by 43 21, 18 by 21 43, 24 by 14 50,
        3 by 28 36, 9 by 20 44, 10 by 3 61, 16 by 45 19, 22 by 61 3,
        1 by 1 63, 7 by 6 58, 13 by 25 39, 19 by 8 56, 20 by 18 46,
        4 by 27 37, 5 by 36 28, 11 by 10 54, 17 by 15 49, 23 by 56 8,
        2 by 62 2, 8 by 55 9, 14 by 39 25, 15 by 41 23, 21 by 2 62,
    ];
    macro_rules! chi {
        ($($at:literal)*) => {
            [$(v.chi(rows[$at], rows[$at / 5 * 5 + ($at + 1) % 5], rows[$at / 5 * 5 + ($at + 2) % 5]),)*]
        };
    }
    let mut next = chi![0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24];
    next[0] = v.xor(next[0], v.broadcast(constant));
    next
}

/// Hashes runs of equal length `lanes` at a time with `group`, what is left alone one by one.
///
/// `group` takes the data of all lanes and the digests of those that count; a run of at least `worthwhile` messages
/// goes there even when lanes stay empty.
pub(super) fn hash_runs<'a>(
    messages: &[&'a [u8]],
    digests: &mut [Digest],
    (lanes, worthwhile): (usize, usize),
    group: impl Fn(&[&'a [u8]; LANES_MAX], &mut [Digest]),
) {
    assert_eq!(messages.len(), digests.len(), "one digest per message");
    let mut rest = digests;
    for run in messages.chunk_by(|a, b| a.len() == b.len()) {
        for messages in run.chunks(lanes) {
            let (digests, others) = rest.split_at_mut(messages.len());
            rest = others;
            if messages.len() >= worthwhile {
                group(&padded_lanes(messages), digests);
            } else {
                digests.iter_mut().zip(messages).for_each(|(digest, message)| *digest = keccak256(message));
            }
        }
    }
}

/// As [`hash_runs`], for contiguous items under one prefix byte.
pub(super) fn hash_items<'a>(
    (prefix, item_bytes): (u8, usize),
    items: &'a [u8],
    digests: &mut [Digest],
    (lanes, worthwhile): (usize, usize),
    group: impl Fn(&[&'a [u8]; LANES_MAX], &mut [Digest]),
) {
    let (whole, last) = items.split_at(items.len() - items.len() % item_bytes);
    let (digests, last_digest) = digests.split_at_mut(whole.len() / item_bytes);
    let mut slices: [&[u8]; LANES_MAX] = [&[]; LANES_MAX];
    for (items, digests) in whole.chunks(item_bytes * lanes).zip(digests.chunks_mut(lanes)) {
        if digests.len() >= worthwhile {
            slices.iter_mut().zip(items.chunks_exact(item_bytes)).for_each(|(slice, item)| *slice = item);
            group(&padded_lanes(&slices[..digests.len()]), digests);
        } else {
            let singles = items.chunks_exact(item_bytes).zip(digests);
            singles.for_each(|(item, digest)| *digest = prefixed(prefix, item));
        }
    }
    last_digest.iter_mut().for_each(|digest| *digest = prefixed(prefix, last));
}

/// Lanes without a message repeat the first.
fn padded_lanes<'a>(messages: &[&'a [u8]]) -> [&'a [u8]; LANES_MAX] {
    std::array::from_fn(|lane| *messages.get(lane).unwrap_or(&messages[0]))
}

/// Keccak-256 of `prefix || item`, one lane.
pub(super) fn prefixed(prefix: u8, item: &[u8]) -> Digest {
    let mut message = Keccak256::new();
    message.update(&[prefix]);
    message.update(item);
    message.finalize()
}
