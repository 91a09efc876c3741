//! Clocks, cores and pools of the bench.

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::contenders::Contender;

/// Seconds that one sample should take: shorter than a scheduler's time slice.
const SAMPLE_SECONDS: f64 = 0.000_4;

/// Rounds over all contenders.
const ROUNDS: usize = 400;

/// Seconds after which no further round begins.
const ROUNDS_SECONDS: f64 = 6.0;

/// CPU time of this process, in seconds.
fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// Wall time, in seconds since some start.
fn wall_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// The best rate of each contender in units per second, sampled in turns.
pub(super) fn best_rates(contenders: &mut [Contender]) -> Vec<f64> {
    let sample = |contender: &mut Contender, calls: usize| {
        let start = cpu_seconds();
        (0..calls).for_each(|_| (contender.run)());
        (cpu_seconds() - start) / calls as f64
    };
    let mut best: Vec<f64> = contenders.iter_mut().map(|one| sample(one, 1).min(sample(one, 1))).collect();
    let start = wall_seconds();
    for _ in 0..ROUNDS {
        for (one, best) in contenders.iter_mut().zip(&mut best) {
            #[expect(clippy::cast_possible_truncation, reason = "clamped to a million")]
            let calls = (SAMPLE_SECONDS / *best).clamp(1.0, 1e6) as usize;
            *best = best.min(sample(one, calls));
        }
        if wall_seconds() - start > ROUNDS_SECONDS {
            break;
        }
    }
    contenders.iter().zip(&best).map(|(one, seconds)| one.units as f64 / seconds).collect()
}

/// The best wall time of one call on each pool, in turns.
pub(super) fn best_wall_seconds(pools: &[ThreadPool; 2], run: &(dyn Fn() + Sync)) -> [f64; 2] {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..12 {
        for (pool, best) in pools.iter().zip(&mut best) {
            let start = wall_seconds();
            pool.install(run);
            *best = best.min(wall_seconds() - start);
        }
    }
    best
}

/// A pool of `threads` threads; one alone is pinned like the thread that asks.
pub(super) fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("a bench may start threads")
}

/// Pins this thread (and those it starts) to one core as long as it lives.
pub(super) struct Pinned(#[cfg(target_os = "linux")] Option<rustix::thread::CpuSet>);

#[cfg(target_os = "linux")]
impl Pinned {
    /// The last core this thread may run on: the first is busiest with interrupts.
    pub(super) fn to_one_core() -> Self {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let before = sched_getaffinity(None).ok();
        let last = before.and_then(|cores| (0..CpuSet::MAX_CPU).rev().find(|&core| cores.is_set(core)));
        if let Some(core) = last {
            let mut one = CpuSet::new();
            one.set(core);
            // A sandbox may forbid it; the figures are then a little noisier.
            let _refused = sched_setaffinity(None, &one);
        }
        Self(before)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _refused = rustix::thread::sched_setaffinity(None, before);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Pinned {
    /// Cores cannot be chosen here.
    pub(super) fn to_one_core() -> Self {
        Self()
    }
}
