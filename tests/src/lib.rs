//! The committee under test: whole clusters, vectors, real batches.
//!
//! Promise: what is here drives members through their HTTP API only, with requests built by hand, so that a fault of
//! the client library cannot hide a fault of a member. Judgement of bytes and certificates is left to `attest` and
//! `dac-node-coding`, with nothing but the committee file.
//!
//! Terms: a [`Rollup`] builds, signs and posts submissions; an [`Answer`] is a response read to its end; a
//! [`CommitteeProcess`] is a devnet in a process of its own, for metrics that no other committee adds to; [`Members`] are
//! members in a process each, for what happens to processes, disks, clocks and networks.

mod answer;
mod batch;
pub mod fuzz;
pub mod onchain;
mod process;
mod rollup;
mod wait;

pub use answer::{Answer, Certified, metric};
pub use batch::{noise, real_batch};
pub use process::{CommitteeProcess, Ended, Faults, Hello, Link, Links, Members, Network, Setup, SmallDisk};
pub use rollup::{Rollup, Times};
pub use wait::until;
