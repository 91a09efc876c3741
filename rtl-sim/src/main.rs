//! `rtl-sim`: the simulated device on a socket, for `dac node` and `dac devnet --hash-device`.

mod card;
mod signals;

use std::convert::Infallible;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use anyhow::Context;
use clap::Parser;
use fpga::DeviceName;
use fpga::link::{Listener, serve};
use rtl_sim::{Design, Library, Simulation, SimulationConfig, Stalls, Trace, default_directory};

use crate::card::Card;
use crate::signals::Signals;

/// The emitted Verilog of the top, simulated clock by clock behind a socket. One host at a time, the next when it has
/// gone. Ends on SIGINT or SIGTERM, with the waveform whole.
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
    // Behind the build, which a signal may end at any time, and in front of every other thread.
    let signals = Signals::keep().context("signals")?;
    let stalls = Stalls { seed: arguments.seed, input: arguments.stalls, output: arguments.stalls };
    let simulation = Simulation::start(&library, &SimulationConfig { stalls, trace: arguments.trace })?;
    let card = Arc::new(Card::new(simulation));
    let listener = Listener::bind(&arguments.listen).with_context(|| arguments.listen.to_string())?;
    let name = listener.name()?;
    println!("listening on {name}");
    std::io::stdout().flush()?;
    let ended = Arc::downgrade(&card);
    std::thread::spawn(move || end_on_signal(&signals, &ended, &name));
    // The card goes with this function, however it ends, and closes its waveform.
    match serve_hosts(&listener, &card)? {}
}

fn serve_hosts(listener: &Listener, mut card: &Card) -> anyhow::Result<Infallible> {
    loop {
        let pipe = listener.accept()?;
        if let Err(error) = serve(&pipe, &mut card) {
            eprintln!("host: {error}");
        }
        eprintln!("host gone after {} clocks", card.clocks());
    }
}

/// Ends the process. The other thread may wait for a host that never comes: it is not asked.
fn end_on_signal(signals: &Signals, card: &Weak<Card>, name: &DeviceName) {
    let status = match signals.wait() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("signals: {error}");
            1
        }
    };
    // Without a card the program is ending already.
    let Some(card) = card.upgrade() else { return };
    let clocks = card.end();
    if let DeviceName::Unix(path) = name {
        // It may be gone already.
        let _gone = std::fs::remove_file(path);
    }
    eprintln!("ended after {clocks} clocks");
    std::process::exit(status)
}
