//! `rtl-sim`: the simulated device on a socket, for `dac node` and `dac devnet --hash-device`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use fpga::DeviceName;
use fpga::link::{Listener, serve};
use rtl_sim::{Design, Library, Simulation, SimulationConfig, Stalls, Trace, default_directory};

/// The emitted Verilog of the top, simulated clock by clock behind a socket. One host at a time, the next when it has
/// gone.
#[derive(Debug, Parser)]
#[command(name = "rtl-sim")]
struct Arguments {
    /// Where to listen: tcp:HOST:PORT or unix:PATH; port 0 takes a free one
    #[arg(long, value_name = "DEVICE", default_value = "tcp:127.0.0.1:0")]
    listen: DeviceName,
    /// Write the waveform of everything (slow, and large)
    #[arg(long, value_name = "FILE.fst")]
    trace: Option<PathBuf>,
    /// Stalls of the host's side, in 256ths of the clocks
    #[arg(long, value_name = "0..255", default_value_t = 0)]
    stalls: u8,
    /// Seed of the stalls
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let traced = if arguments.trace.is_some() { Trace::Fst } else { Trace::Without };
    let library = Library::build(&Design::accelerator()?, traced, &default_directory())?;
    let stalls = Stalls { seed: arguments.seed, input: arguments.stalls, output: arguments.stalls };
    let mut simulation = Simulation::start(&library, &SimulationConfig { stalls, trace: arguments.trace })?;
    let listener = Listener::bind(&arguments.listen).with_context(|| arguments.listen.to_string())?;
    println!("listening on {}", listener.name()?);
    std::io::stdout().flush()?;
    loop {
        let pipe = listener.accept()?;
        if let Err(error) = serve(&pipe, &mut simulation) {
            eprintln!("host: {error}");
        }
        eprintln!("host gone after {} clocks", simulation.clocks());
    }
}
