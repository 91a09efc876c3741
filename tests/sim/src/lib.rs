//! The simulator: whole committees under a seed, with every fault that a network, a disk, a clock and a liar can have.
//!
//! Promise: a seed decides everything, so a seed that fails fails again; every promise of the protocol is looked at after
//! every step; each seed runs twice and the traces must be equal. Engines, coding, hashing, signatures and (for some
//! seeds) the store are the real ones. Time, links and disks are simulated.
//!
//! Terms: a *step* is one thing that happens to one member; a *liar* is a member that breaks the protocol, in one of the
//! ways of `liar.rs`; a *violation* is a panic with what did not hold.
//!
//! Files: `run.rs` (what a seed chooses and demands), `world.rs` and `perform.rs` (the driver), `checker.rs` (promises),
//! `member.rs`, `disk.rs`, `network.rs`, `queue.rs`, `reader.rs` (parts), `liar.rs`, `lies.rs`, `forge.rs` (liars),
//! `parties.rs` and `pure.rs` (keys, batches and computations, shared by seeds), `trace.rs`, `report.rs`, `sweep.rs`.
//!
//! Left out on purpose: the edge (libp2p, HTTP), which has real clocks inside and is tested with real processes; and
//! threads: engines are single-threaded, and the store's writer is waited for.

mod checker;
mod disk;
mod forge;
mod liar;
mod lies;
mod member;
mod network;
mod parties;
mod perform;
mod pure;
mod queue;
mod reader;
mod report;
mod run;
mod sweep;
mod trace;
mod world;

pub use disk::Medium;
pub use report::{Outcome, Tally};
pub use run::{Options, run};
pub use sweep::{Report, Violation, run_twice, sweep};
