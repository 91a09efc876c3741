//! The simulator, as the gate runs it: no seed breaks a promise, and the seeds reach what they are there to reach.
//!
//! `SIM_SEEDS` seeds run (600 without it; `cargo xtask test` asks for 10,000), `SIM_FROM` says from which on.

use e2e_sim::{Medium, Options, Report, run_twice, sweep};

/// Seeds allocate in small pieces, without end.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn sweep_on_all_processors(from: u64, count: u64, options: &Options) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    sweep(from, count, threads, options, &|_| {})
}

fn assert_clean(report: &Report, options: &Options) {
    let disk = match options.medium {
        Some(Medium::Real) => " --disk real",
        Some(Medium::Memory) => " --disk memory",
        None => "",
    };
    for violation in &report.violations {
        eprintln!("seed {}: {}", violation.seed, violation.what);
        eprintln!("  cargo xtask sim --seed {} --trace{disk}", violation.seed);
    }
    assert!(report.violations.is_empty(), "{} seeds broke a promise", report.violations.len());
}

#[test]
fn no_seed_breaks_a_promise() {
    let (from, count) = (number("SIM_FROM").unwrap_or(0), number("SIM_SEEDS").unwrap_or(600));
    let report = sweep_on_all_processors(from, count, &Options::default());
    assert_clean(&report, &Options::default());
    assert_eq!(report.seeds, count);
    let tally = report.tally;
    println!("{tally:#?}");
    // Nothing of all this is a promise about runs in which nothing happens.
    let reached = [
        ("signatures", tally.signatures),
        ("certificates", tally.certificates),
        ("reads", tally.reads),
        ("crashes", tally.crashes),
        ("lies", tally.lies),
        ("unauthorised opens", tally.unauthorised),
        ("penalties", tally.penalties),
        ("proofs of wrong encodings", tally.evidence),
        ("refusals", tally.refusals),
        ("certified submissions", tally.certified),
        ("full tables of exchanges", tally.limits_reached),
        ("full budgets of bytes", tally.bytes_limits_reached),
    ];
    for (what, times) in reached {
        assert!(times * 20 >= count, "{what} only {times} times in {count} seeds");
    }
    assert!(tally.dropped > 0, "no flood filled a queue");
}

#[test]
fn another_seed_is_another_run() {
    let trace = |seed| run_twice(seed, &Options::default()).map(|outcome| outcome.trace);
    assert_ne!(trace(1), trace(2));
}

#[test]
fn no_seed_breaks_a_promise_on_the_real_store() {
    // The real store runs on every twelfth seed; here on every one, few of them.
    let options = Options { medium: Some(Medium::Real), ..Options::default() };
    assert_clean(&sweep_on_all_processors(500_000, 40, &options), &options);
}
