//! Waveforms on request.

use fpga::{Device, InProcess};
use rtl_sim::{Design, Error, Library, Simulation, SimulationConfig, Stalls, Trace, default_directory};

use crate::bench_device::{WAIT, library};

#[test]
fn a_waveform_is_written_on_request_only() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("top.fst");
    let config = SimulationConfig { stalls: Stalls::default(), trace: Some(trace.clone()) };
    assert!(matches!(Simulation::start(library(), &config), Err(Error::NoTrace)));
    let traced = Library::build(&Design::accelerator().unwrap(), Trace::Fst, &default_directory()).unwrap();
    let mut device = InProcess::new(Simulation::start(&traced, &config).unwrap());
    device.reg_read(0, WAIT).unwrap();
    drop(device);
    let bytes = std::fs::read(&trace).unwrap();
    // An FST file begins with a header block, type 0, 329 bytes long (GTKWave's fstapi).
    assert_eq!(bytes[..9], [0, 0, 0, 0, 0, 0, 0, 1, 0x49]);
    assert!(bytes.len() > 1000, "{} bytes", bytes.len());
}
