//! The protocol under a driver: real hashing, coding and signatures; simulated time, network and disks.
//!
//! `cluster.rs` runs the engines of a committee under one seed and performs their effects, `network.rs` and `disk.rs`
//! lose what the test lets them lose, `checker.rs` looks after every step at what must always hold. The other files
//! are tests by topic. Random faults and liars are the simulator's: `cargo xtask sim`.

mod certification;
mod checker;
mod cluster;
mod disk;
mod exchange;
mod forge;
mod liars;
mod limits;
mod member;
mod network;
mod parties;
mod perform;
mod queue;
mod quorum;
mod refusals;
mod restart;
mod submissions;
mod term;
mod trace;
mod votes;
