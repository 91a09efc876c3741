//! The emitted Verilog under Verilator, clock by clock, behind the same device seam as a card.
//!
//! Promise: what the driver sees here is what the Verilog does, bit by bit and clock by clock: no model of the design in
//! between. A seed reproduces every stall.
//!
//! How: [`Library::build`] has Verilator translate the Verilog and compiles it with `shim/shim.cpp` into a shared library
//! below the target directory, once for each text. [`Simulation`] loads it: an [`fpga::Endpoint`], to be used in this
//! process ([`fpga::InProcess`]) or served on a socket (the program `rtl-sim`). [`Parts`] are modules smaller than the device,
//! port by port.
//!
//! Verilator, `make` and a C++20 compiler are needed when a simulation is built, not to compile this workspace.

mod build;
mod error;
mod parts;
mod simulation;

pub use build::{Design, Library, Trace, default_directory};
pub use error::Error;
pub use parts::{Parts, PartsLibrary, Port};
pub use simulation::{Simulation, SimulationConfig, Stalls};
