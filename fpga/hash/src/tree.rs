//! The trees of the protocol (PROTOCOL section 3) over any [`crate::Hasher`]: the arity-8 Poseidon tree of `dataRoot` and
//! RFC 6962 Merkle trees with Keccak-256.
//!
//! Nothing here copies the batch: a level is hashed from where it lies, and the levels above it live in a scratch
//! buffer that each thread keeps between calls. Work is spread over the rayon pool that the function is called in
//! (one thread when there is none but the caller's own pool of one); results do not depend on the pool.

mod merkle;
mod poseidon;

pub use merkle::{
    LEAF_BYTES, merkle_path, merkle_root, merkle_root_of_digests, merkle_roots_of_digests, piece_roots,
    root_from_path,
};
pub use poseidon::{ARITY, SUBTREE_BYTES, data_root, data_root_of_subtrees, data_subtrees};
