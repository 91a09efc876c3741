//! Host side of the hash accelerator: packets, registers, devices, and a Hasher that survives its device.
//!
//! [`packet`] and [`registers`] are the whole contract with the gateware: driver, cores, their test benches and the
//! simulator read the same two modules, so a byte cannot mean two things. [`device`] is the seam to whatever carries
//! those bytes, [`link`] carries them over a socket or a serial line, [`accelerator`] makes a
//! [`Hasher`](fpga_hash::Hasher) of it.

pub mod accelerator;
mod deadline;
pub mod device;
mod error;
pub mod link;
pub mod packet;
pub mod registers;
mod xdma;

pub use accelerator::{Accelerator, AcceleratorConfig, AcceleratorStatus};
pub use device::{Connect, Device, DeviceName, Endpoint, InProcess, Model};
pub use error::{DeviceError, Fault, FaultKind};
pub use xdma::Xdma;
