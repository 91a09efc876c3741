//! What a hardware team runs: cargo xtask rtl | bitstream | formal.
//!
//! A package of its own, so that the tasks of everybody else need not wait until the hardware language is compiled.

mod bitstream;
mod formal;
mod rtl;
mod tools;

use clap::Parser;

/// Verilog of the hash accelerator, what it costs in a device, and proofs about it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Verilog of the hash accelerator and vectors for it, into target/rtl
    Rtl {
        /// Also a Vivado project for an XDMA design on a VU9P card, not tested on hardware, and its area by yosys
        #[arg(long)]
        vivado: bool,
    },
    /// Area, clock and a loadable file with open tools, into target/bitstream
    Bitstream {
        /// The board
        #[arg(long)]
        board: bitstream::Board,
        /// Placements of each core; the report holds every clock and their median
        #[arg(long, default_value_t = 5)]
        seeds: u32,
        #[command(flatten)]
        beside: bitstream::Beside,
    },
    /// Proofs about the emitted Verilog: Keccak round, streams, traps of the language; part of a nightly run
    Formal,
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Rtl { vivado } => rtl::rtl(vivado),
        Task::Bitstream { board, seeds, beside } => bitstream::bitstream(board, seeds, &beside),
        Task::Formal => formal::formal(),
    }
}
