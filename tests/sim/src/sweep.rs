//! Many seeds on several threads; the first violations, and what was counted.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use serde::Serialize;

use super::report::{Outcome, Tally};
use super::run::{Options, run};

/// Violations after which a sweep stops.
const VIOLATIONS_MAX: usize = 5;

/// A seed that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which seed.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
}

/// What came of a sweep.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Seeds that ran, those with violations included.
    pub seeds: u64,
    /// What they counted.
    pub tally: Tally,
    /// In the order of their seeds; empty when all is well.
    pub violations: Vec<Violation>,
}

thread_local! {
    /// Whether this thread's panics are violations, whose words go into a report.
    static SWEEPS: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics of sweeping threads off standard error; all others are told as ever.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !SWEEPS.get() {
                told(panic);
            }
        }));
    });
}

/// Runs a seed twice and compares the traces; only the first of them is printed, if any is.
///
/// # Errors
/// What was violated, in words.
pub fn run_twice(seed: u64, options: &Options) -> Result<Outcome, String> {
    let once = |options: &Options| {
        catch_unwind(AssertUnwindSafe(|| run(seed, options))).map_err(|panic| words(&*panic))
    };
    let (first, second) = (once(options)?, once(&Options { trace: false, ..*options })?);
    if first != second {
        return Err(format!("two runs differ: {first:?} and {second:?}"));
    }
    Ok(first)
}

/// Runs `count` seeds from `first` on, on `threads` threads. `progress` is told after every seed how many have run.
pub fn sweep(
    first: u64,
    count: u64,
    threads: usize,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Report {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let report = Mutex::new(Report::default());
    quieten();
    let work = || {
        SWEEPS.set(true);
        // A pool of this thread alone: hashing spreads its work over the pool it is called in, and batches here are so
        // small that handing them to other threads costs more than hashing them.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        let _alone = alone.expect("this thread is in no pool yet");
        loop {
            let offset = next.fetch_add(1, Ordering::Relaxed);
            let enough =
                report.lock().unwrap_or_else(PoisonError::into_inner).violations.len() >= VIOLATIONS_MAX;
            if offset >= count || enough {
                break;
            }
            let seed = first.saturating_add(offset);
            let result = run_twice(seed, options);
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            report.seeds += 1;
            match result {
                Ok(outcome) => report.tally.add(&outcome.tally),
                Err(what) => report.violations.push(Violation { seed, what }),
            }
            drop(report);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.violations.sort_by_key(|violation| violation.seed);
    report
}

/// The words of a panic.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
