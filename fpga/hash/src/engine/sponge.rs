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
            let blocks =
                data.map(|data| data[start..].first_chunk().expect("only the last block is partial"));
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

#[inline(always)]
fn round<V: Vector>(v: V, a: State<V::Word>, constant: u64) -> State<V::Word> {
    let parity = |x: usize| v.xor3(v.xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
    let column = [parity(0), parity(1), parity(2), parity(3), parity(4)];
    let turned = column.map(|column| v.rotate::<1, 63>(column));
    let both = |x: usize| v.xor(column[(x + 4) % 5], turned[(x + 1) % 5]);
    let both = [both(0), both(1), both(2), both(3), both(4)];
    let theta = |at: usize| v.theta(a[at], column[(at + 4) % 5], turned[(at + 1) % 5], both[at % 5]);
    // Rho and pi: where each word of a row of the next state comes from, and how far it is turned.
    let rows = [
        [
            theta(0),
            v.rotate::<44, 20>(theta(6)),
            v.rotate::<43, 21>(theta(12)),
            v.rotate::<21, 43>(theta(18)),
            v.rotate::<14, 50>(theta(24)),
        ],
        [
            v.rotate::<28, 36>(theta(3)),
            v.rotate::<20, 44>(theta(9)),
            v.rotate::<3, 61>(theta(10)),
            v.rotate::<45, 19>(theta(16)),
            v.rotate::<61, 3>(theta(22)),
        ],
        [
            v.rotate::<1, 63>(theta(1)),
            v.rotate::<6, 58>(theta(7)),
            v.rotate::<25, 39>(theta(13)),
            v.rotate::<8, 56>(theta(19)),
            v.rotate::<18, 46>(theta(20)),
        ],
        [
            v.rotate::<27, 37>(theta(4)),
            v.rotate::<36, 28>(theta(5)),
            v.rotate::<10, 54>(theta(11)),
            v.rotate::<15, 49>(theta(17)),
            v.rotate::<56, 8>(theta(23)),
        ],
        [
            v.rotate::<62, 2>(theta(2)),
            v.rotate::<55, 9>(theta(8)),
            v.rotate::<39, 25>(theta(14)),
            v.rotate::<41, 23>(theta(15)),
            v.rotate::<2, 62>(theta(21)),
        ],
    ];
    let mut next: State<V::Word> = std::array::from_fn(|at| {
        let row = rows[at / 5];
        v.chi(row[at % 5], row[(at + 1) % 5], row[(at + 2) % 5])
    });
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
