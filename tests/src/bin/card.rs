//! A simulated hash device in a process of its own, so that it can be killed: `card unix:PATH LIBRARY [FAULT SPARED]`.
//!
//! The emitted Verilog, clock by clock, as its harness has built it into a shared library. With a fault (as in `fpga::device::Injected`: timeout, late, twice, wrong-digest,
//! one-wrong-digest, corrupt-header, corrupt-payload), one reply gets it after the first SPARED, and then the device is sound. Says one line
//! when it listens; runs until it is killed.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, bail};
use fpga::device::{FaultPlan, FaultyDevice, Injected};
use fpga::link::{Listener, serve};
use fpga::{DeviceName, InProcess};
use rtl_sim::{Library, Simulation, SimulationConfig};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, library, fault @ ..] = arguments.as_slice() else {
        bail!("a socket and a library are needed")
    };
    let plan = match fault {
        [] => FaultPlan::new(0, 1, &[Injected::Dead]),
        [kind, spared] => {
            let plan = FaultPlan::limited(0, 1, &[injected(kind)?], 1);
            plan.start_after(spared.parse()?);
            Arc::new(plan)
        }
        _ => bail!("a fault and a number of replies are needed"),
    };
    let simulation = Simulation::start(&Library::built(library.as_ref()), &SimulationConfig::default())?;
    let mut device = FaultyDevice::new(InProcess::new(simulation), plan);
    let listener = Listener::bind(&listen.parse::<DeviceName>()?).context("listen")?;
    println!("listening");
    std::io::stdout().flush()?;
    loop {
        if let Err(error) = serve(&listener.accept()?, &mut device) {
            eprintln!("host: {error}");
        }
    }
}

fn injected(kind: &str) -> anyhow::Result<Injected> {
    Ok(match kind {
        "timeout" => Injected::Timeout,
        "late" => Injected::Late,
        "twice" => Injected::Twice,
        "wrong-digest" => Injected::WrongDigest,
        "one-wrong-digest" => Injected::OneWrongDigest,
        "corrupt-header" => Injected::CorruptHeader,
        "corrupt-payload" => Injected::CorruptPayload,
        other => bail!("{other} is no fault"),
    })
}
