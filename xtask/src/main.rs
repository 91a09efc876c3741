//! What the gate runs: cargo xtask test | contracts | rtl | bitstream | formal | sim | fuzz | bench | sanitize | vectors.
//!
//! Everything a task needs beyond Rust and a C compiler it installs, or it says what is missing and how to get it. A task
//! that fails stops with the command that failed, so that it can be repeated by hand.

mod contracts;
mod fuzz;
mod verilator;

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, bail, ensure};
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
        /// Also the long versions of tests (100,000 random inputs per hash engine, large batches), proofs
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
    /// libFuzzer over every decoder of bytes from the network or a disk
    Fuzz {
        /// For all targets together
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// One target only
        #[arg(long)]
        target: Option<String>,
    },
    /// Benches: hashing, then committees of 7, 16 and 32 members beside full replication; `bench wan` over distance
    Bench {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        what: Option<Bench>,
    },
    /// The hash engines under AddressSanitizer, 100,000 random inputs each; part of a nightly run
    Sanitize,
    /// Writes tests/vectors, dac-node/openapi.json and dac-node/dac.example.toml again
    Vectors,
    /// Verilog of the hash accelerator and vectors for it, into target/rtl
    Rtl(Gateware),
    /// Area, clock and a loadable file with open tools, into target/bitstream
    Bitstream(Gateware),
    /// Proofs about the emitted Verilog: Keccak round, streams, traps of the language; part of a nightly run
    Formal(Gateware),
}

/// A task of the package `xtask-gateware`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Gateware {
    /// Passed on to the task: see --help of it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Seven members, 50 ms round trip, 400 Mbit/s, in network namespaces (needs root): see --help of it
    Wan {
        /// Passed on to the bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// Seeds of the simulator in the gate: 5 to 8 minutes of one core.
const SIM_SEEDS: &str = "10000";
/// Seeds of the simulator in a nightly run: 5 to 7 hours on two cores.
const SIM_SEEDS_NIGHTLY: &str = "1000000";

/// Mutations of the corpus in the gate, for the cheapest decoder; with coverage: `cargo xtask fuzz`.
const FUZZ_INPUTS: &str = "20000";

/// Seconds of fuzzing with coverage in a nightly run, all decoders together.
const FUZZ_SECONDS_NIGHTLY: u64 = 3_600;

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Test { nightly } => test(nightly),
        Task::Contracts { nightly, update } => contracts::run(contracts::Options { nightly, update }),
        Task::Sim { options } => sim(&options),
        Task::Fuzz { seconds, target } => fuzz::fuzz(seconds, target.as_deref()),
        Task::Bench { what: Some(Bench::Wan { options }), .. } => wan(&options),
        Task::Bench { json, what: None } => bench(json),
        Task::Sanitize => sanitize(),
        Task::Vectors => vectors(),
        Task::Rtl(Gateware { options }) => gateware("rtl", &options),
        Task::Bitstream(Gateware { options }) => gateware("bitstream", &options),
        Task::Formal(Gateware { options }) => gateware("formal", &options),
    }
}

fn test(nightly: bool) -> anyhow::Result<()> {
    verilator::install()?;
    step("formatting", cargo(&["fmt", "--all", "--check"]))?;
    // One build for all tests: the hooks for planted faults are in it, and idle but where a test plants one. The long run
    // has time for the members as they are shipped, and for the hooks apart.
    let planted = ["--workspace", "--locked", "--features", "e2e-sim/planted-faults"];
    let build = linted(&[&["build", "--all-targets"], &planted[..]].concat());
    // Its compiler and the longest of its tests have one thread.
    let mut contracts = Command::new(std::env::current_exe()?);
    contracts.arg("contracts").args(nightly.then_some("--nightly"));
    beside("contracts", contracts, || step("build with lints and documentation", build))?;
    let which = if nightly { &planted[..2] } else { &planted[..] };
    let mut tests = linted(&[&["test"], which].concat());
    tests.env("SIM_SEEDS", if nightly { SIM_SEEDS_NIGHTLY } else { SIM_SEEDS });
    tests.env("FUZZ_INPUTS", FUZZ_INPUTS).envs(nightly.then_some(("NIGHTLY", "1")));
    step("tests", tests)?;
    if nightly {
        step("planted faults", linted(&[&["test"], &planted[..], &["--test", "planted"]].concat()))?;
        sanitize()?;
        gateware("formal", &[""; 0])?;
        // Both fail below their bounds: clock and throughput of the core, permutations a second of the simulated device.
        gateware("bitstream", &["--board", "ecp5-85f"])?;
        step(
            "bench of the simulated device",
            cargo(&["bench", "--locked", "-p", "rtl-sim", "--bench", "simulated"]),
        )?;
        fuzz::fuzz(FUZZ_SECONDS_NIGHTLY, None)?;
    }
    println!("\nall checks passed");
    Ok(())
}

fn sim(options: &[String]) -> anyhow::Result<()> {
    let mut run = cargo(&["run", "--quiet", "--locked", "-p", "e2e-sim", "--bin", "sim", "--"]);
    run.args(options);
    step("simulator", run)
}

fn gateware(task: &str, options: &[impl AsRef<OsStr>]) -> anyhow::Result<()> {
    let mut run = cargo(&["run", "--quiet", "--locked", "-p", "xtask-gateware", "--", task]);
    run.args(options);
    step(task, run)
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

/// Members are processes: both programs are built, and the bench finds the other beside itself.
fn wan(options: &[String]) -> anyhow::Result<()> {
    let members = ["build", "--release", "--locked", "-p", "e2e", "--bin", "member", "--bin", "wan"];
    step("members", cargo(&members))?;
    let mut run = cargo(&["run", "--release", "--locked", "-p", "e2e", "--bin", "wan", "--"]);
    run.args(options);
    step("bench wan", run)
}

/// The hash engines are where `unsafe` meets data from outside. valgrind knows no AVX-512, so it is the sanitizer.
fn sanitize() -> anyhow::Result<()> {
    let target = host_target()?;
    let mut tests = cargo(&["test", "-p", "fpga-hash", "--locked", "--target", &target]);
    tests.args(["--target-dir", "target/sanitizer"]);
    // Sanitizers are unstable flags of the pinned, stable compiler.
    tests.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address").env("NIGHTLY", "1");
    step("address sanitizer", tests)
}

/// The triple this machine compiles for.
fn host_target() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc -vV is not text")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn vectors() -> anyhow::Result<()> {
    let mut rewrite = cargo(&["test", "--workspace", "--locked", "--quiet"]);
    rewrite.env("UPDATE_VECTORS", "1").env("UPDATE_OPENAPI", "1").env("UPDATE_CONFIG", "1");
    step("vectors", rewrite)
}

/// Runs a command while something else is done, and shows what it said when both are done.
fn beside(name: &str, mut command: Command, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    eprintln!("\n== {name}: {command:?}, beside what follows; its words come when it is done");
    let (worked, output) = std::thread::scope(|scope| {
        let output = scope.spawn(|| command.output());
        let worked = work();
        if let Err(error) = &worked {
            eprintln!("\n{error:#}; waiting for {name}");
        }
        (worked, output.join().expect("waiting does not panic"))
    });
    let output = output.with_context(|| format!("{name}: cannot start {command:?}"))?;
    eprintln!("\n== {name}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    worked?;
    ensure!(output.status.success(), "{name} failed: {command:?} ({})", output.status);
    Ok(())
}

/// Cargo with `rustc.sh` for our packages: what makes the tests finds the lints of code and documentation, too, and any is
/// an error. Without it our packages are compiled once to be linted and once to be tested, and every dependency's metadata
/// once more to be documented.
fn linted(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.env("RUSTC_WORKSPACE_WRAPPER", concat!(env!("CARGO_MANIFEST_DIR"), "/rustc.sh"));
    // As `cargo clippy -- -D warnings` passes it on.
    command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    command
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_beside_fails_the_task_and_so_does_the_work() {
        let run = |program: &str, work: anyhow::Result<()>| beside(program, Command::new(program), || work);
        assert!(run("true", Ok(())).is_ok());
        let failed = run("false", Ok(())).expect_err("the command failed").to_string();
        assert!(failed.contains("false failed"), "{failed}");
        let failed = run("true", Err(anyhow::anyhow!("no work"))).expect_err("the work failed").to_string();
        assert_eq!(failed, "no work");
        let missing = run("no-such-program", Ok(())).expect_err("there is no such program").to_string();
        assert!(missing.contains("cannot start"), "{missing}");
    }
}
