//! What the gate runs: cargo xtask test | bench | vectors | rtl | bitstream | formal.
//!
//! Everything a task needs beyond Rust and a C compiler it installs, or it says what is missing and how to get it. A task
//! that fails stops with the command that failed, so that it can be repeated by hand.

mod bitstream;
mod formal;
mod rtl;
mod tools;

use std::process::Command;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

/// Development tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Formatting, lints, all tests, documentation: what the gate runs
    Test {
        /// Also the long versions of tests (100,000 random inputs per hash engine, large batches)
        #[arg(long)]
        nightly: bool,
    },
    /// Benches: hashing, then committees of 7, 16 and 32 members beside full replication
    Bench {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Writes tests/vectors, dac-node/openapi.json and dac-node/dac.example.toml again
    Vectors,
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
    },
    /// Proofs about the emitted Verilog: Keccak round, streams, traps of the language
    Formal,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Test { nightly } => test(nightly),
        Task::Bench { json } => bench(json),
        Task::Vectors => vectors(),
        Task::Rtl { vivado } => rtl::rtl(vivado),
        Task::Bitstream { board, seeds } => bitstream::bitstream(board, seeds),
        Task::Formal => formal::formal(),
    }
}

fn test(nightly: bool) -> anyhow::Result<()> {
    step("formatting", cargo(&["fmt", "--all", "--check"]))?;
    step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    let mut tests = cargo(&["test", "--workspace", "--locked"]);
    if nightly {
        tests.env("NIGHTLY", "1");
    }
    step("tests", tests)?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step("documentation", doc)?;
    println!("\nall checks passed");
    Ok(())
}

fn bench(json: bool) -> anyhow::Result<()> {
    let mut hash = vec!["run", "--release", "--locked", "-p", "dac-node", "--", "bench", "hash"];
    let mut committee = vec!["run", "--release", "--locked", "-p", "dac-node", "--", "bench", "committee"];
    if json {
        hash.push("--json");
        committee.push("--json");
    }
    step("bench hash", cargo(&hash))?;
    step("bench committee", cargo(&committee))
}

fn vectors() -> anyhow::Result<()> {
    let mut rewrite = cargo(&["test", "--workspace", "--locked", "--quiet"]);
    rewrite.env("UPDATE_VECTORS", "1").env("UPDATE_OPENAPI", "1").env("UPDATE_CONFIG", "1");
    step("vectors", rewrite)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs one step and says which it is.
fn step(name: &str, mut command: Command) -> anyhow::Result<()> {
    eprintln!("\n== {name}: {command:?}");
    let status = command.status().with_context(|| format!("{name}: cannot start {command:?}"))?;
    if !status.success() {
        bail!("{name} failed: {command:?} ({status})");
    }
    Ok(())
}
