//! Waveforms on request.

use std::path::Path;

use fpga::{Device, InProcess};
use rtl_sim::{Error, Simulation, SimulationConfig, Stalls};

use crate::bench_device::{WAIT, library, traced_library};

/// What a file of waveforms holds (FST, as GTKWave's fstapi.h numbers its blocks).
#[derive(Debug)]
pub(crate) struct Waveform {
    /// Bytes of the blocks of value changes.
    pub(crate) changes_bytes: u64,
    /// The signals' widths and names are in the file: it was closed.
    pub(crate) is_whole: bool,
    /// Up to when, two for each clock.
    pub(crate) last_time: u64,
}

impl Waveform {
    /// Reads a file block by block: a type, the length of what follows it, its bytes.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        // The header: type 0, 329 bytes.
        assert_eq!(bytes[..9], [0, 0, 0, 0, 0, 0, 0, 1, 0x49]);
        let mut waveform = Self { changes_bytes: 0, is_whole: false, last_time: 0 };
        let (mut at, mut has_widths, mut has_names) = (0, false, false);
        while at + 9 <= bytes.len() {
            let (kind, length) = (bytes[at], u64_at(at + 1));
            match kind {
                0 => {}
                // First and last time stand in front.
                1 | 5 | 8 => {
                    waveform.changes_bytes += length;
                    waveform.last_time = u64_at(at + 17);
                }
                3 => has_widths = true,
                4 | 6 | 7 => has_names = true,
                // Begun and not finished: the file ends here.
                255 => break,
                _ => panic!("a block of type {kind} at {at}"),
            }
            at += 1 + usize::try_from(length).unwrap();
        }
        waveform.is_whole = has_widths && has_names && at == bytes.len();
        waveform
    }
}

#[test]
fn a_waveform_is_written_on_request_only() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("top.fst");
    let config = SimulationConfig { stalls: Stalls::default(), trace: Some(trace.clone()) };
    assert!(matches!(Simulation::start(library(), &config), Err(Error::NoTrace)));
    let mut device = InProcess::new(Simulation::start(traced_library(), &config).unwrap());
    device.reg_read(0, WAIT).unwrap();
    let clocks = device.endpoint().clocks();
    drop(device);
    let waveform = Waveform::read(&trace);
    assert!(waveform.is_whole && waveform.changes_bytes > 1000, "{waveform:?}");
    assert_eq!(waveform.last_time, 2 * (clocks - 1) + 1, "every clock is in it");
}

#[test]
fn a_waveform_can_end_before_its_design() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("top.fst");
    let config = SimulationConfig { stalls: Stalls::default(), trace: Some(trace.clone()) };
    let mut device = InProcess::new(Simulation::start(traced_library(), &config).unwrap());
    device.reg_read(0, WAIT).unwrap();
    device.endpoint().end_trace();
    let ended = std::fs::read(&trace).unwrap();
    assert!(Waveform::read(&trace).is_whole);
    device.reg_read(0, WAIT).unwrap();
    device.endpoint().end_trace();
    drop(device);
    assert_eq!(std::fs::read(&trace).unwrap(), ended);
}

#[test]
fn a_waveform_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("missing").join("top.fst");
    let config = SimulationConfig { stalls: Stalls::default(), trace: Some(trace.clone()) };
    let refused = Simulation::start(traced_library(), &config).unwrap_err();
    assert!(matches!(&refused, Error::Io { path, .. } if *path == trace), "{refused}");
}
