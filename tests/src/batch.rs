//! Batches to submit: real ones from `tests/data`, and noise.

use bytes::Bytes;

/// A real rollup block from `tests/data`, as the bytes of its file.
///
/// # Panics
/// When there is no such file: the caller names it wrongly.
pub fn real_batch(name: &str) -> Bytes {
    let path = format!("{}/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}

/// `bytes` bytes that repeat in no test: SplitMix64 (Steele, Lea, Flood 2014) from a seed.
pub fn noise(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed;
    let mut words = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    });
    let mut batch = Vec::with_capacity(bytes + 8);
    while batch.len() < bytes {
        batch.extend_from_slice(&words.next().unwrap_or_default().to_le_bytes());
    }
    batch.truncate(bytes);
    batch.into()
}
