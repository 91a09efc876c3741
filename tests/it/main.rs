//! End-to-end tests: real members, real bytes, HTTP. Each file is one promise of the committee.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]
#![allow(clippy::cast_possible_truncation, reason = "lengths of test batches fit any machine that runs this")]

mod clients;
mod clocks;
mod epochs;
mod expiry;
mod full_disk;
mod hash_device;
mod healing;
mod killed;
mod l1;
mod l1_sizes;
mod large;
mod quic;
mod quorum;
mod reading;
mod refusals;
mod restart;
mod retrieval;
mod shared;
mod surfaces;
mod traffic;
