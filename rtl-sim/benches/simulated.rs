//! What the driver gets out of the simulated device: permutations a second, by the clock and by the processor.
//!
//! `cargo bench -p rtl-sim --bench simulated`. "socket" is the way that `dac node` takes; "in process" has no socket. The
//! calls are the node's: as many messages as a task of its trees has, from as many threads as its pool has. On the socket
//! every size of items must come to [`PERMUTATIONS_PER_S_MIN`] by the clock in the best of [`TURNS`]; all are measured
//! before that is judged.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use fpga::link::{Listener, serve};
use fpga::{Accelerator, AcceleratorConfig, Connect, DeviceError, DeviceName, InProcess};
use fpga_hash::{Digest, Hasher};
use rtl_sim::{Design, Library, Simulation, SimulationConfig, Trace, default_directory};
use rustix::time::{ClockId, clock_gettime};

/// Bytes that Keccak-256 takes per permutation.
const BLOCK_BYTES: usize = 136;

/// Permutations of one turn.
const PERMUTATIONS: usize = 100_000;

/// Turns with each size of items: other work on the machine is not in all of them.
const TURNS: u32 = 3;

/// Messages of one call: the leaves of a task of the node's trees.
const CALL_MESSAGES: usize = 256;

/// The least that the driver must get out of the simulated device, on two cores without other work.
const PERMUTATIONS_PER_S_MIN: f64 = 50_000.0;

/// Leaves and nodes of a batch's trees, and long messages.
const ITEM_BYTES: [usize; 3] = [64, 1024, 4 * BLOCK_BYTES - 2];

fn main() -> anyhow::Result<()> {
    let library = Library::build(&Design::accelerator()?, Trace::Without, &default_directory())?;
    let in_process = Accelerator::start(InThis(library.clone()), AcceleratorConfig::default())?;
    measure("in process", &in_process)?;
    let listener = Listener::bind(&"tcp:127.0.0.1:0".parse::<DeviceName>()?)?;
    let device = listener.name()?;
    let mut simulation = Simulation::start(&library, &SimulationConfig::default())?;
    thread::spawn(move || {
        while let Ok(pipe) = listener.accept() {
            // The host's end is the process's end.
            let _gone = serve(&pipe, &mut simulation);
        }
    });
    let slowest = measure("socket", &Accelerator::start(device, AcceleratorConfig::default())?)?;
    anyhow::ensure!(
        slowest >= PERMUTATIONS_PER_S_MIN,
        "{slowest:.0} permutations a second on the socket, and it must be at least {PERMUTATIONS_PER_S_MIN}"
    );
    Ok(())
}

/// Prints, and gives the least permutations a second of all sizes of items.
fn measure(way: &str, accelerator: &Accelerator) -> anyhow::Result<f64> {
    let mut slowest = f64::INFINITY;
    for item_bytes in ITEM_BYTES {
        let mut best = 0.0_f64;
        for _ in 0..TURNS {
            let (per_s, per_cpu_s) = turn(accelerator, item_bytes)?;
            println!(
                "{way:>10}: items of {item_bytes:>4} bytes: {per_s:>8.0} permutations/s, \
                 {per_cpu_s:>8.0} per second of processor time"
            );
            best = best.max(per_s);
        }
        slowest = slowest.min(best);
    }
    Ok(slowest)
}

/// Permutations a second of time and of processor time.
fn turn(accelerator: &Accelerator, item_bytes: usize) -> anyhow::Result<(f64, f64)> {
    let per_item = (item_bytes + 1) / BLOCK_BYTES + 1;
    let items = PERMUTATIONS / per_item;
    let bytes = vec![0x5a; items * item_bytes];
    let mut digests = vec![Digest::default(); items];
    let before = accelerator.work().keccak_hashes;
    let (started, cpu) = (now(), cpu_seconds());
    let calls = Mutex::new(bytes.chunks(CALL_MESSAGES * item_bytes).zip(digests.chunks_mut(CALL_MESSAGES)));
    let next = || calls.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((bytes, digests)) = next() {
                    accelerator.keccak256_prefixed(0, item_bytes, bytes, digests);
                }
            });
        }
    });
    let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let by_device = accelerator.work().keccak_hashes - before;
    anyhow::ensure!(by_device + 8 > items as u64, "{by_device} of {items} by the device");
    let permutations = by_device as f64 * per_item as f64;
    Ok((permutations / elapsed, permutations / cpu))
}

#[derive(Debug)]
struct InThis(Library);

impl Connect for InThis {
    type Device = InProcess<Simulation>;

    fn connect(&mut self, _timeout: Duration) -> Result<Self::Device, DeviceError> {
        let started = Simulation::start(&self.0, &SimulationConfig::default()).context("simulation");
        let failed = |error: anyhow::Error| DeviceError::Link { detail: format!("{error:#}") };
        started.map(InProcess::new).map_err(failed)
    }
}

/// Processor time of all threads: what counts on a machine with other work.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}
