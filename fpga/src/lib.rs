//! Host side of the hash accelerator: packets, registers, devices, and a Hasher that survives its device.
//!
//! [`packet`] and [`registers`] are the whole contract with the gateware: driver, cores, their test benches and the
//! simulator read the same two modules, so a byte cannot mean two things.

pub mod packet;
pub mod registers;
