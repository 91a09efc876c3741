//! What the gate runs: cargo xtask test | contracts | sim | bench | vectors.
//!
//! Everything a task needs beyond Rust and a C compiler it installs, or it says what is missing and how to get it. A task
//! that fails stops with the command that failed, so that it can be repeated by hand.

mod contracts;

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
    /// Solidity: formatting, build, artifacts, forge tests (part of `test`)
    Contracts {
        /// Also long fuzzing, slither and halmos
        #[arg(long)]
        nightly: bool,
        /// Write artifacts and gas figures again
        #[arg(long)]
        update: bool,
    },
    /// Seeds of the simulator: --seeds 10000 [--from S], or --seed S --trace (see --help of it)
    Sim {
        /// Passed on to the simulator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Benches: hashing, then committees of 7, 16 and 32 members beside full replication
    Bench {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Writes tests/vectors, dac-node/openapi.json and dac-node/dac.example.toml again
    Vectors,
}

/// Seeds of the simulator in the gate: about 5 minutes on two cores.
const SIM_SEEDS: &str = "10000";
/// In a nightly run.
const SIM_SEEDS_NIGHTLY: &str = "1000000";

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Test { nightly } => test(nightly),
        Task::Contracts { nightly, update } => contracts::run(contracts::Options { nightly, update }),
        Task::Sim { options } => sim(&options),
        Task::Bench { json } => bench(json),
        Task::Vectors => vectors(),
    }
}

fn test(nightly: bool) -> anyhow::Result<()> {
    step("formatting", cargo(&["fmt", "--all", "--check"]))?;
    step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    contracts::run(contracts::Options { nightly, update: false })?;
    let mut tests = cargo(&["test", "--workspace", "--locked"]);
    tests.env("SIM_SEEDS", if nightly { SIM_SEEDS_NIGHTLY } else { SIM_SEEDS });
    if nightly {
        tests.env("NIGHTLY", "1");
    }
    step("tests", tests)?;
    // With the features of the whole workspace, so that nothing but our own crates is built again.
    let planted =
        ["test", "--workspace", "--locked", "--features", "e2e/planted-faults", "--test", "planted"];
    step("planted faults", cargo(&planted))?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step("documentation", doc)?;
    println!("\nall checks passed");
    Ok(())
}

fn sim(options: &[String]) -> anyhow::Result<()> {
    let mut run = cargo(&["run", "--quiet", "--locked", "-p", "e2e", "--bin", "sim", "--"]);
    run.args(options);
    step("simulator", run)
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
