#![expect(clippy::cast_possible_truncation, reason = "test data wraps on purpose")]

mod hostile;

use std::sync::Mutex;

use fpga_hash::keccak256;
use proptest::prelude::*;

use super::session::Session;
use super::*;
use crate::device::{FaultPlan, FaultyConnect, InProcess, Injected};
use crate::packet::Opcode;
use crate::registers::{CAPABILITIES, Capabilities};
use crate::{Device, DeviceError, DeviceName, Model};

/// Opens models; how many were opened is counted.
#[derive(Debug)]
struct Models {
    capabilities: Capabilities,
    opened: Arc<AtomicU64>,
}

impl Models {
    fn keccak() -> Self {
        let opcodes = Opcode::Loopback.bit() | Opcode::Keccak256.bit() | Opcode::MerkleKeccak.bit();
        Self::with(opcodes, 5)
    }

    fn with(opcodes: u8, item_count_max_log2: u8) -> Self {
        let capabilities =
            Capabilities { opcodes, item_count_max_log2, payload_bytes_max_log2: 16, packets_max: 3 };
        Self { capabilities, opened: Arc::default() }
    }
}

impl Connect for Models {
    type Device = InProcess<Model>;

    fn connect(&mut self, _timeout: Duration) -> Result<Self::Device, DeviceError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(InProcess::new(Model::new(self.capabilities)))
    }
}

fn config() -> AcceleratorConfig {
    AcceleratorConfig {
        messages_min: 1,
        timeout: Duration::from_secs(10),
        reattach_after: Duration::from_millis(1),
        reattach_after_max: Duration::from_millis(4),
        ..AcceleratorConfig::default()
    }
}

fn level(accelerator: &Accelerator, nodes: usize, seed: u8) {
    let items: Vec<u8> = (0..nodes * 64).map(|byte| (byte % 251) as u8 ^ seed).collect();
    let mut digests = vec![[0; 32]; nodes];
    accelerator.keccak256_prefixed(1, 64, &items, &mut digests);
    for (item, digest) in items.chunks(64).zip(&digests) {
        assert_eq!(*digest, keccak256(&[&[1], item].concat()));
    }
}

/// Works in software until the device is back; the attachment is an event of another thread, so it is waited for.
fn wait_for(accelerator: &Accelerator, holds: impl Fn(&AcceleratorStatus) -> bool) -> AcceleratorStatus {
    let deadline = crate::deadline::Deadline::after(Duration::from_secs(60));
    loop {
        let status = accelerator.status();
        if holds(&status) {
            return status;
        }
        assert!(deadline.left().is_some(), "{status:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_sound_device_does_all_the_work() {
    let accelerator = Accelerator::start(Models::keccak(), config()).unwrap();
    for nodes in [1, 31, 32, 33, 1000] {
        level(&accelerator, nodes, nodes as u8);
    }
    let nodes = 1 + 31 + 32 + 33 + 1000;
    assert_eq!(accelerator.work().keccak_hashes, nodes);
    assert_eq!(accelerator.work().keccak_bytes, nodes * 65);
    let status = accelerator.status();
    assert!(status.is_attached && status.attachments == 1 && status.fault_count() == 0, "{status:?}");
}

#[test]
fn small_calls_and_last_shorter_items_stay_in_software() {
    let accelerator =
        Accelerator::start(Models::keccak(), AcceleratorConfig { messages_min: 8, ..config() }).unwrap();
    level(&accelerator, 7, 1);
    assert_eq!(accelerator.work().keccak_hashes, 0);
    let (items, mut digests) = (vec![3; 1024 * 8 + 1], vec![[0; 32]; 9]);
    accelerator.keccak256_prefixed(0, 1024, &items, &mut digests);
    assert_eq!(digests[8], keccak256(&[0, 3]));
    assert_eq!(accelerator.work().keccak_hashes, 8);
}

#[test]
fn what_the_device_does_not_know_stays_in_software() {
    let only_loopback = Accelerator::start(Models::with(Opcode::Loopback.bit(), 5), config()).unwrap();
    level(&only_loopback, 40, 1);
    assert_eq!(only_loopback.work(), Work::default());
    let no_merkle = Accelerator::start(Models::with(Opcode::Keccak256.bit(), 5), config()).unwrap();
    level(&no_merkle, 40, 1);
    assert_eq!(no_merkle.work().keccak_hashes, 40, "the prefix travels in the messages");
    let (inputs, mut digests) = ([FieldElement::from(7); 6], [FieldElement::ZERO; 3]);
    no_merkle.poseidon(&inputs, 2, &mut digests);
    assert_eq!(no_merkle.work().poseidon_hashes, 0);
    let mut expected = digests;
    fpga_hash::software().poseidon(&inputs, 2, &mut expected);
    assert_eq!(digests, expected);
    let (long, mut digest) = (vec![1; 1 << 17], [[0; 32]]);
    no_merkle.keccak256(&[&long], &mut digest);
    assert_eq!(digest[0], keccak256(&long), "a message that is longer than the device's longest payload");
}

#[test]
fn a_device_with_poseidon_is_used_for_it() {
    let opcodes = Opcode::Poseidon3.bit() | Opcode::Poseidon9.bit();
    let accelerator = Accelerator::start(Models::with(opcodes, 5), config()).unwrap();
    for (width, on_device) in [(2, 10), (8, 20), (3, 20)] {
        let inputs: Vec<FieldElement> =
            (0..width * 10).map(|value| FieldElement::from(value as u64)).collect();
        let (mut digests, mut expected) = ([FieldElement::ZERO; 10], [FieldElement::ZERO; 10]);
        accelerator.poseidon(&inputs, width, &mut digests);
        fpga_hash::software().poseidon(&inputs, width, &mut expected);
        assert_eq!(digests, expected);
        assert_eq!(accelerator.work().poseidon_hashes, on_device);
    }
}

/// Which counter each injected fault must move.
fn counted_as(injected: Injected) -> FaultKind {
    match injected {
        Injected::Timeout | Injected::Late => FaultKind::TimedOut,
        Injected::ShortRead | Injected::Dead => FaultKind::Closed,
        Injected::Twice => FaultKind::UnexpectedReply,
        Injected::WrongDigest | Injected::OneWrongDigest => FaultKind::WrongDigest,
        Injected::CorruptHeader => FaultKind::CorruptHeader,
        Injected::CorruptPayload => FaultKind::CorruptPayload,
    }
}

#[test]
fn every_fault_is_survived_named_and_followed_by_a_self_test() {
    for injected in Injected::ALL {
        let plan = FaultPlan::new(5, 1, &[injected]);
        let models = Models::keccak();
        let opened = models.opened.clone();
        // One digest among many is found for sure only when all are checked.
        let every = AcceleratorConfig { recheck_one_in: 1, ..config() };
        let accelerator = Accelerator::start(FaultyConnect::new(models, plan.clone()), every).unwrap();
        level(&accelerator, 100, 1);
        assert_eq!(accelerator.status().fault_count(), 0);

        plan.start();
        // A second answer is noticed when the next one is waited for.
        level(&accelerator, 100, 2);
        level(&accelerator, 100, 3);
        let during = wait_for(&accelerator, |status| status.faults_of(counted_as(injected)) > 0);
        let kind = counted_as(injected);
        assert!(!during.is_attached || during.attachments > 1, "{injected:?}: a faulty device lost its work");
        // Self-tests that meet the fault do not attach; a duplicate comes behind a good reply.
        wait_for(&accelerator, |status| status.faults_of(kind) > 2);
        if injected == Injected::Late {
            // What came too late meets the next attachment, which did not ask for it.
            wait_for(&accelerator, |status| status.faults_of(FaultKind::UnexpectedReply) > 0);
        }
        level(&accelerator, 100, 4);
        assert_eq!(
            accelerator.status().attachments,
            1,
            "{injected:?}: no attachment without a good self-test"
        );

        plan.stop();
        let after = wait_for(&accelerator, |status| status.is_attached);
        assert_eq!(after.attachments, 2, "{injected:?}");
        let before = accelerator.work().keccak_hashes;
        level(&accelerator, 100, 5);
        assert_eq!(accelerator.work().keccak_hashes - before, 100, "{injected:?}: the device works again");
        assert!(opened.load(Ordering::SeqCst) > 2, "{injected:?}: opened anew");
    }
}

#[test]
fn digests_are_right_whatever_faults_come_in_whatever_order() {
    for seed in 0..4 {
        let plan = FaultPlan::new(seed, 40, &Injected::ALL);
        let every = AcceleratorConfig { recheck_one_in: 1, ..config() };
        let accelerator =
            Accelerator::start(FaultyConnect::new(Models::keccak(), plan.clone()), every).unwrap();
        plan.start();
        std::thread::scope(|scope| {
            for caller in 0..4u8 {
                let accelerator = &accelerator;
                scope.spawn(move || (0..60).for_each(|round| level(accelerator, 10 + round, caller)));
            }
        });
        plan.stop();
        assert!(plan.injected() > 0);
        let status = wait_for(&accelerator, |status| status.is_attached);
        assert!(status.fault_count() > 0 && status.attachments > 1, "seed {seed}: {status:?}");
        assert!(accelerator.work().keccak_hashes > 0);
    }
}

/// A device whose requests are recorded.
#[derive(Debug)]
struct Recorded {
    model: InProcess<Model>,
    seen: Arc<Mutex<Vec<(u32, usize)>>>,
    in_flight: usize,
}

#[derive(Debug)]
struct Recorder(Arc<Mutex<Vec<(u32, usize)>>>);

impl Connect for Recorder {
    type Device = Recorded;

    fn connect(&mut self, timeout: Duration) -> Result<Recorded, DeviceError> {
        Ok(Recorded { model: Models::keccak().connect(timeout)?, seen: self.0.clone(), in_flight: 0 })
    }
}

impl Device for Recorded {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        let header = crate::packet::Header::decode(bytes.first_chunk().unwrap()).unwrap();
        self.in_flight += 1;
        self.seen.lock().unwrap().push((header.item_count, self.in_flight));
        self.model.write_stream(bytes, timeout)
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        self.model.read_stream(bytes, timeout)?;
        let is_header = bytes.starts_with(b"DACR");
        self.in_flight -= usize::from(is_header);
        Ok(())
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        self.model.reg_read(address, timeout)
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.model.reg_write(address, value, timeout)
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        self.model.reset(timeout)
    }
}

#[test]
fn packets_are_within_the_limits_and_as_many_in_flight_as_the_device_holds() {
    let seen = Arc::default();
    let accelerator = Accelerator::start(Recorder(Arc::clone(&seen)), config()).unwrap();
    seen.lock().unwrap().clear();
    level(&accelerator, 32 * 20, 1);
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(items, in_flight)| *items <= 32 && (1..=3).contains(in_flight)), "{seen:?}");
    assert!(seen.iter().any(|(_, in_flight)| *in_flight == 3), "three in flight: {seen:?}");
    assert_eq!(seen.iter().map(|(items, _)| *items).sum::<u32>(), 640);
}

#[test]
fn requests_of_one_shape_are_merged() {
    let mut session = Session::attach(
        Models::keccak().connect(Duration::ZERO).unwrap(),
        1,
        Duration::ZERO,
        Deadline::after(Duration::ZERO),
        &fpga_hash::software(),
    )
    .unwrap();
    let request = |items: u32, item_bytes: u32| {
        let shape = Shape { opcode: Opcode::Keccak256, prefix: 0, item_bytes };
        let (answer, receiver) = sync_channel(1);
        let payload = vec![7; (items * item_bytes) as usize];
        (Request { shape, item_count: items, payload, answer }, receiver)
    };
    let ((first, one), (second, two), (third, _)) = (request(30, 8), request(2, 8), request(1, 16));
    assert!(session.fits(&[], &first) && !session.fits(std::slice::from_ref(&first), &third));
    let packet = vec![first];
    assert!(session.fits(&packet, &second) && !session.fits(&packet, &request(3, 8).0), "32 at most");
    session.send(packet.into_iter().chain([second]).collect()).unwrap();
    session.receive().unwrap();
    let expected = keccak256(&[7; 8]);
    assert_eq!(one.recv().unwrap().digests, [expected; 30]);
    assert_eq!(two.recv().unwrap().digests, [expected; 2]);
}

/// Opens devices whose capabilities make no sense.
#[derive(Debug)]
struct Strange;

#[derive(Debug)]
struct StrangeDevice(InProcess<Model>);

impl Connect for Strange {
    type Device = StrangeDevice;

    fn connect(&mut self, _timeout: Duration) -> Result<StrangeDevice, DeviceError> {
        Ok(StrangeDevice(InProcess::new(Model::keccak())))
    }
}

impl Device for StrangeDevice {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        self.0.write_stream(bytes, timeout)
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        self.0.read_stream(bytes, timeout)
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        if address == CAPABILITIES { Ok(0xffff_ffff) } else { self.0.reg_read(address, timeout) }
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.0.reg_write(address, value, timeout)
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        self.0.reset(timeout)
    }
}

#[test]
fn a_device_that_is_none_of_ours_is_never_attached() {
    let accelerator = Accelerator::start(Strange, config()).unwrap();
    level(&accelerator, 50, 9);
    let status = accelerator.status();
    assert!(!status.is_attached && status.faults_of(FaultKind::WrongDevice) > 0, "{status:?}");
    let missing = DeviceName::Unix("/nonexistent/card".into());
    let accelerator = Accelerator::start(missing, config()).unwrap();
    level(&accelerator, 50, 9);
    assert!(accelerator.status().faults_of(FaultKind::Unavailable) > 0);
}

#[test]
fn the_sample_covers_each_request_and_every_place_in_time() {
    let accelerator = Accelerator::start(Models::keccak(), config()).unwrap();
    for items in [1, 5, 255, 256, 257, 1000] {
        let mut seen = vec![false; items];
        for _ in 0..20_000 {
            let places: Vec<usize> = accelerator.sample(items).collect();
            assert!(!places.is_empty() && places.len() <= items.div_ceil(256));
            places.into_iter().for_each(|place| seen[place] = true);
        }
        assert!(seen.into_iter().all(|seen| seen), "{items}");
    }
    let every =
        Accelerator::start(Models::keccak(), AcceleratorConfig { recheck_one_in: 1, ..config() }).unwrap();
    assert_eq!(every.sample(100).count(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn device_and_software_agree_on_any_lengths(lengths in proptest::collection::vec(0usize..600, 0..60), merkle: bool) {
        let opcodes = Opcode::Keccak256.bit() | if merkle { Opcode::MerkleKeccak.bit() } else { 0 };
        let accelerator = Accelerator::start(Models::with(opcodes, 3), config()).unwrap();
        let bytes: Vec<Vec<u8>> = lengths.iter().map(|length| vec![*length as u8; *length]).collect();
        let messages: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut digests = vec![[0; 32]; messages.len()];
        accelerator.keccak256(&messages, &mut digests);
        for (message, digest) in messages.iter().zip(&digests) {
            prop_assert_eq!(*digest, keccak256(message));
        }
        let items = bytes.concat();
        for item_bytes in [1usize, 8, 63, 64] {
            let mut digests = vec![[0; 32]; items.len().div_ceil(item_bytes)];
            accelerator.keccak256_prefixed(9, item_bytes, &items, &mut digests);
            for (item, digest) in items.chunks(item_bytes).zip(&digests) {
                prop_assert_eq!(*digest, keccak256(&[&[9], item].concat()));
            }
        }
        prop_assert_eq!(accelerator.status().fault_count(), 0);
    }
}
