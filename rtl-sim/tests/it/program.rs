//! The program `rtl-sim`: the same bytes over a socket.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fpga::registers::CYCLES_LOW;
use fpga::{Accelerator, AcceleratorConfig, Connect, Device, DeviceName, FaultKind};
use fpga_hash::{Hasher, keccak256};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench_device::{library, traced_library};
use crate::waveform::Waveform;

/// A running simulator; killed when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Starts the simulator and reads where it listens.
fn start(listen: &str) -> (Program, DeviceName) {
    // Built here, so that the program only loads it.
    library();
    start_with(&["--listen", listen])
}

fn start_with(arguments: &[&str]) -> (Program, DeviceName) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtl-sim"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut program = Program(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(program.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let device = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).parse();
    (program, device.unwrap())
}

fn hash(accelerator: &Accelerator) {
    let items: Vec<u8> = (0..64 * 300u32).flat_map(|word| word.to_le_bytes()).take(64 * 300).collect();
    let mut digests = vec![[0; 32]; 300];
    accelerator.keccak256_prefixed(1, 64, &items, &mut digests);
    for (item, digest) in items.chunks(64).zip(&digests) {
        assert_eq!(*digest, keccak256(&[&[1], item].concat()));
    }
}

#[test]
fn a_killed_simulator_costs_no_digest_and_a_new_one_is_attached() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("card").display());
    let (program, device) = start(&listen);
    let config = AcceleratorConfig {
        reattach_after: Duration::from_millis(20),
        reattach_after_max: Duration::from_millis(20),
        ..AcceleratorConfig::default()
    };
    let accelerator = Accelerator::start(device, config).unwrap();
    hash(&accelerator);
    assert_eq!(accelerator.work().keccak_hashes, 300);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| (0..200).for_each(|_| hash(&accelerator)));
        drop(program);
        caller.join().unwrap();
    });
    let status = accelerator.status();
    assert_eq!(status.faults_of(FaultKind::Closed), 1, "{status:?}");
    assert!(!status.is_attached && status.attachments == 1, "{status:?}");

    let _program = start(&listen);
    while accelerator.status().attachments < 2 {
        std::thread::yield_now();
    }
    let before = accelerator.work().keccak_hashes;
    hash(&accelerator);
    assert_eq!(accelerator.work().keccak_hashes, before + 300);
}

#[test]
fn a_missing_verilator_is_named_with_the_way_to_get_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtl-sim"));
    let output = command.env("PATH", "/nonexistent").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("verilator is not installed") && said.contains("apt-get install"), "{said}");
}

#[test]
fn tcp_works_too_and_names_its_port() {
    let (_program, device) = start("tcp:127.0.0.1:0");
    assert!(matches!(&device, DeviceName::Tcp(place) if !place.ends_with(":0")), "{device}");
    let accelerator = Accelerator::start(device, AcceleratorConfig::default()).unwrap();
    hash(&accelerator);
    assert_eq!(accelerator.work().keccak_hashes, 300);
}

/// A waveform slows the design down, as does a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program with a waveform, on a socket in `directory`; the waveform's file.
fn start_traced(directory: &Path) -> (Program, DeviceName, PathBuf) {
    traced_library();
    let (card, trace) = (directory.join("card"), directory.join("card.fst"));
    let listen = format!("unix:{}", card.display());
    let (program, device) = start_with(&["--listen", &listen, "--trace", trace.to_str().unwrap()]);
    (program, device, trace)
}

/// Only a clean end closed the waveform, and none came: a signal left a file without a single value.
#[test]
fn a_signal_ends_the_program_and_its_waveform_is_whole() {
    for (signal, is_working) in [(Signal::TERM, false), (Signal::INT, false), (Signal::TERM, true)] {
        let directory = tempfile::tempdir().unwrap();
        let (mut program, device, trace) = start_traced(directory.path());
        let patient = AcceleratorConfig { timeout: PATIENCE, ..AcceleratorConfig::default() };
        let accelerator = Accelerator::start(device, patient).unwrap();
        hash(&accelerator);
        assert_eq!(accelerator.work().keccak_hashes, 300);
        let process = Pid::from_child(&program.0);
        let status = std::thread::scope(|scope| {
            if is_working {
                scope.spawn(|| (0..20).for_each(|_| hash(&accelerator)));
                while accelerator.work().keccak_hashes < 600 {
                    std::thread::yield_now();
                }
            }
            kill_process(process, signal).unwrap();
            program.0.wait().unwrap()
        });
        assert_eq!(status.code(), Some(0), "{signal:?}");
        let waveform = Waveform::read(&trace);
        // The self-test and the hashes take far more than 10,000 clocks.
        assert!(waveform.is_whole && waveform.last_time > 20_000, "{waveform:?}");
        assert!(waveform.changes_bytes > 100_000, "{waveform:?}");
        assert!(!directory.path().join("card").exists(), "the socket is removed");
    }
}

#[test]
fn a_killed_program_leaves_a_waveform_up_to_a_short_while_before() {
    let directory = tempfile::tempdir().unwrap();
    let (mut program, mut device, trace) = start_traced(directory.path());
    let mut link = device.connect(PATIENCE).unwrap();
    link.reset(PATIENCE).unwrap();
    let mut clocks = 0;
    while clocks < 50_000 {
        clocks = u64::from(link.reg_read(CYCLES_LOW, PATIENCE).unwrap());
    }
    program.0.kill().unwrap();
    program.0.wait().unwrap();
    let waveform = Waveform::read(&trace);
    // 16,384 clocks, and a few until it is done.
    assert!(!waveform.is_whole && waveform.last_time / 2 + 16_500 > clocks, "{waveform:?}");
    // A reader takes widths and names from here while the file is not closed.
    assert!(std::fs::metadata(directory.path().join("card.fst.hier")).unwrap().len() > 1000);
}
