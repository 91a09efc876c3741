//! Members as processes of their own: what one process cannot show.
//!
//! Promise: [`Members`] starts the same program an operator runs, each member with its own keys, configuration, store and
//! log, and does to it what happens to processes: `kill -9`, stop and continue, a full disk, a failing sync, another
//! clock, a network with distance, loss and partitions. Nothing in a member knows that it is being tested: faults come
//! from the kernel, from a preloaded library ([`Faults`]) or from the link between two members ([`Links`]).
//!
//! Terms: a *namespace* is a Linux network namespace, one for each member, whose only way out is a TUN device; the
//! *emulator* is the part of this process that carries packets from device to device. Where namespaces are not allowed
//! (they need root) members listen on loopback addresses instead, which is said on standard error.
//!
//! Left out on purpose: container runtimes and `tc netem`, which many kernels and most developers' machines do not have.

mod devnet;
mod faults;
mod link;
mod member;
mod members;
mod namespace;
mod proxy;
mod system;

use std::process::Child;

pub use devnet::{CommitteeProcess, Hello};
pub use faults::Faults;
pub use link::{Link, Links};
pub use member::Ended;
pub use members::{Members, Network, Setup};
pub use system::SmallDisk;

/// A process that does not outlive its test.
#[derive(Debug)]
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
