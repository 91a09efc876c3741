//! What the driver gets out of the simulated device: permutations and clocks a second, and clocks for each permutation.
//!
//! `cargo bench -p rtl-sim --bench simulated`. "socket" is the way that `dac node` takes; "in process" has no socket.

use std::time::{Duration, Instant};

use anyhow::Context;
use fpga::link::{Listener, serve};
use fpga::{Accelerator, AcceleratorConfig, Connect, DeviceError, DeviceName, InProcess};
use fpga_hash::{Digest, Hasher};
use rtl_sim::{Design, Library, Simulation, SimulationConfig, Trace, default_directory};

/// Bytes that Keccak-256 takes per permutation.
const BLOCK_BYTES: usize = 136;

/// Permutations of one measurement.
const PERMUTATIONS: usize = 200_000;

/// Leaves and nodes of a batch's trees, and long messages.
const ITEM_BYTES: [usize; 3] = [64, 1024, 4 * BLOCK_BYTES - 2];

fn main() -> anyhow::Result<()> {
    let library = Library::build(&Design::accelerator()?, Trace::Without, &default_directory())?;
    let in_process = Accelerator::start(InThis(library.clone()), AcceleratorConfig::default())?;
    measure("in process", &in_process)?;
    let listener = Listener::bind(&"tcp:127.0.0.1:0".parse::<DeviceName>()?)?;
    let device = listener.name()?;
    let mut simulation = Simulation::start(&library, &SimulationConfig::default())?;
    std::thread::spawn(move || {
        while let Ok(pipe) = listener.accept() {
            // The host's end is the process's end.
            let _gone = serve(&pipe, &mut simulation);
        }
    });
    measure("socket", &Accelerator::start(device, AcceleratorConfig::default())?)
}

fn measure(way: &str, accelerator: &Accelerator) -> anyhow::Result<()> {
    for item_bytes in ITEM_BYTES {
        let per_item = (item_bytes + 1) / BLOCK_BYTES + 1;
        let items = PERMUTATIONS / per_item;
        let bytes = vec![0x5a; items * item_bytes];
        let mut digests = vec![Digest::default(); items];
        let before = accelerator.work().keccak_hashes;
        let started = now();
        for (bytes, digests) in bytes.chunks(256 * item_bytes).zip(digests.chunks_mut(256)) {
            accelerator.keccak256_prefixed(0, item_bytes, bytes, digests);
        }
        let elapsed = started.elapsed().as_secs_f64();
        let by_device = accelerator.work().keccak_hashes - before;
        anyhow::ensure!(by_device + 8 > items as u64, "{by_device} of {items} by the device");
        let rate = by_device as f64 * per_item as f64 / elapsed;
        println!("{way:>10}: items of {item_bytes:>4} bytes: {rate:>8.0} permutations/s");
    }
    Ok(())
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

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}
