//! The program `rtl-sim`: the same bytes over a socket.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fpga::{Accelerator, AcceleratorConfig, DeviceName, FaultKind};
use fpga_hash::{Hasher, keccak256};

use crate::bench_device::library;

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtl-sim"));
    command.args(["--listen", listen]).stdout(Stdio::piped()).stderr(Stdio::null());
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

    std::fs::remove_file(directory.path().join("card")).unwrap();
    let _program = start(&listen);
    while accelerator.status().attachments < 2 {
        std::thread::yield_now();
    }
    let before = accelerator.work().keccak_hashes;
    hash(&accelerator);
    assert_eq!(accelerator.work().keccak_hashes, before + 300);
}

#[test]
fn tcp_works_too_and_names_its_port() {
    let (_program, device) = start("tcp:127.0.0.1:0");
    assert!(matches!(&device, DeviceName::Tcp(place) if !place.ends_with(":0")), "{device}");
    let accelerator = Accelerator::start(device, AcceleratorConfig::default()).unwrap();
    hash(&accelerator);
    assert_eq!(accelerator.work().keccak_hashes, 300);
}
