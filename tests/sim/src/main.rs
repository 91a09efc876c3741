//! `sim`: runs seeds of the simulator. `cargo xtask sim` builds it optimised and passes its options on.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use e2e_sim::{Medium, Options, Report, run_twice, sweep};

/// Seeds allocate in small pieces, without end.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs whole committees under seeds, and says which seed broke a promise.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
struct Cli {
    /// How many seeds
    #[arg(long, default_value_t = 10_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// One seed only
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event and effect of that seed
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Disks of all seeds; by default the real store on every twelfth
    #[arg(long, value_enum)]
    disk: Option<Disk>,
    /// Threads; by default one for each processor
    #[arg(long)]
    threads: Option<usize>,
    /// Plant a fault: sign-before-sync, skip-reencode-check, accept-bad-path, drop-signed-table, skip-segment-sync
    #[cfg(feature = "planted-faults")]
    #[arg(long)]
    plant: Option<String>,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Disk {
    Memory,
    Real,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "planted-faults")]
    if let Some(name) = &cli.plant {
        let Some(fault) = dac_node_coding::PlantedFault::named(name) else {
            eprintln!("no fault is named {name}");
            return ExitCode::FAILURE;
        };
        fault.plant();
    }
    let medium = cli.disk.map(|disk| match disk {
        Disk::Memory => Medium::Memory,
        Disk::Real => Medium::Real,
    });
    let options = Options { trace: cli.trace, medium };
    if let (Some(seed), true) = (cli.seed, cli.trace) {
        return match run_twice(seed, &options) {
            Ok(outcome) => {
                println!("seed {seed}, twice: {} lines, trace {:016x}", outcome.lines, outcome.trace);
                ExitCode::SUCCESS
            }
            Err(what) => {
                println!("seed {seed}: {what}");
                ExitCode::FAILURE
            }
        };
    }
    let (from, count) = cli.seed.map_or((cli.from, cli.seeds), |seed| (seed, 1));
    let threads =
        cli.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let progress = progress(count);
    let report = sweep(from, count, threads, &options, &*progress);
    print(&report, cli.json, cli.disk);
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A line that counts, on a terminal.
fn progress(count: u64) -> Box<dyn Fn(u64) + Sync> {
    if !std::io::stderr().is_terminal() {
        return Box::new(|_| {});
    }
    Box::new(move |done| {
        if done % 16 == 0 || done == count {
            let end = if done == count { "\n" } else { "" };
            eprint!("\r{done} of {count} seeds{end}");
            // A terminal that is gone does not matter.
            let _gone = std::io::stderr().flush();
        }
    })
}

fn print(report: &Report, json: bool, disk: Option<Disk>) {
    if json {
        println!("{}", serde_json::to_string(report).expect("a report is JSON"));
        return;
    }
    let tally = &report.tally;
    println!(
        "{} seeds, each twice: {} steps in one of them, {} violations",
        report.seeds,
        tally.steps,
        report.violations.len()
    );
    println!(
        "{} signatures, {} certificates stored, {} reads, {} submissions that had to be certified, within {} ms at most",
        tally.signatures, tally.certificates, tally.reads, tally.certified, tally.certified_after_ms_most
    );
    println!(
        "{} crashes, {} lies, {} penalties, {} refusals, {} proofs of wrong encodings, {} frames dropped",
        tally.crashes, tally.lies, tally.penalties, tally.refusals, tally.evidence, tally.dropped
    );
    for violation in &report.violations {
        println!("\nseed {}: {}", violation.seed, violation.what);
        let disk = match disk {
            Some(Disk::Memory) => " --disk memory",
            Some(Disk::Real) => " --disk real",
            None => "",
        };
        println!("  cargo xtask sim --seed {} --trace{disk}", violation.seed);
    }
}
