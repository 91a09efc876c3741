//! Devices that pass for good ones unless somebody looks.

use super::*;
use crate::deadline::returning;
use crate::packet::{HEADER_BYTES, Header};

/// What a [`Bent`] device does otherwise than the model inside.
#[derive(Debug, Clone)]
enum Bend {
    /// Nothing; the tags of its requests are recorded.
    Record(Arc<Mutex<Vec<u64>>>),
    /// Takes an unknown opcode for a loopback.
    Obliging,
    /// After so many reads, reads wait for the test's end, whatever their timeout.
    Stuck(Arc<Mutex<u32>>, Arc<Mutex<()>>),
}

#[derive(Debug)]
struct Bent(InProcess<Model>, Bend);

#[derive(Debug)]
struct Bending(Models, Bend);

impl Connect for Bending {
    type Device = Bent;

    fn connect(&mut self, timeout: Duration) -> Result<Bent, DeviceError> {
        Ok(Bent(self.0.connect(timeout)?, self.1.clone()))
    }
}

impl Device for Bent {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        let mut bytes = bytes.to_vec();
        let head: &mut [u8; HEADER_BYTES] = bytes.first_chunk_mut().unwrap();
        let header = Header::decode(head).unwrap();
        match &self.1 {
            Bend::Record(tags) => tags.lock().unwrap().push(header.tag),
            Bend::Obliging if Opcode::from_number(header.opcode).is_none() => {
                *head = Header { opcode: Opcode::Loopback.number(), ..header }.encode();
            }
            _ => {}
        }
        self.0.write_stream(&bytes, timeout)
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        if let Bend::Stuck(reads, end) = &self.1 {
            let left = reads.lock().unwrap().checked_sub(1);
            match left {
                Some(left) => *reads.lock().unwrap() = left,
                None => drop(end.lock()),
            }
        }
        self.0.read_stream(bytes, timeout)
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        self.0.reg_read(address, timeout)
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.0.reg_write(address, value, timeout)
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        self.0.reset(timeout)
    }
}

#[test]
fn a_call_ends_at_its_deadline_even_when_the_devices_thread_does_not() {
    let end = Arc::new(Mutex::new(()));
    let held = end.lock().unwrap();
    let reads = Arc::new(Mutex::new(u32::MAX));
    let bend = Bend::Stuck(Arc::clone(&reads), Arc::clone(&end));
    let brief = AcceleratorConfig { timeout: Duration::from_millis(50), ..config() };
    let accelerator = Arc::new(Accelerator::start(Bending(Models::keccak(), bend), brief).unwrap());
    wait_for(&accelerator, |status| status.is_attached);
    *reads.lock().unwrap() = 0;
    let caller = Arc::clone(&accelerator);
    let by_device = returning(move || {
        // Many packets: the deadline is the call's, not each packet's.
        level(&caller, 32 * 40, 1);
        caller.work().keccak_hashes
    });
    assert_eq!(by_device, 0, "all in software");
    assert_eq!(accelerator.status().faults_of(FaultKind::Late), 0, "nothing has come");
    drop(held);
    // The answers come now, good and too late: dropped, counted each, and no reason to detach.
    let status = wait_for(&accelerator, |status| status.faults_of(FaultKind::Late) == 40);
    assert!(status.is_attached && status.attachments == 1 && status.fault_count() == 40, "{status:?}");
    assert_eq!(accelerator.work().keccak_hashes, 0);
}

#[test]
fn tags_of_a_restarted_process_are_not_those_of_the_one_before() {
    let tags: [Vec<u64>; 2] = [(), ()].map(|()| {
        let seen = Arc::default();
        let accelerator =
            Accelerator::start(Bending(Models::keccak(), Bend::Record(Arc::clone(&seen))), config()).unwrap();
        level(&accelerator, 40, 1);
        seen.lock().unwrap().clone()
    });
    assert!(tags[0].len() > 10 && tags[0].iter().all(|tag| !tags[1].contains(tag)), "{tags:?}");
}

#[test]
fn a_request_for_an_attachment_that_has_gone_is_not_sent_to_the_next_one() {
    let accelerator = Accelerator::start(Models::keccak(), config()).unwrap();
    let batch = Messages(&[&[1; 8]]);
    let attached = accelerator.attached().unwrap();
    let shape = batch.shape(&attached.limits).unwrap();
    assert!(accelerator.send(&batch, &shape, 0..1, attached.number - 1).is_none());
    let answer = accelerator.send(&batch, &shape, 0..1, attached.number).unwrap();
    assert_eq!(answer.recv().unwrap().digests, [keccak256(&[1; 8])]);
}

#[test]
fn the_self_test_asks_for_everything_that_the_device_claims() {
    let claims = [
        Opcode::Keccak256.bit(),
        Opcode::MerkleKeccak.bit(),
        Opcode::Poseidon3.bit(),
        Opcode::Poseidon9.bit(),
    ];
    for opcodes in claims {
        let plan = FaultPlan::new(1, 1, &[Injected::OneWrongDigest]);
        plan.start();
        let models = Models::with(opcodes, 5);
        let accelerator = Accelerator::start(FaultyConnect::new(models, plan.clone()), config()).unwrap();
        let status = wait_for(&accelerator, |status| status.faults_of(FaultKind::WrongDigest) > 1);
        assert_eq!(status.attachments, 0, "{opcodes:#b}: one wrong digest in seven is found");
        plan.stop();
        wait_for(&accelerator, |status| status.is_attached);
    }
}

#[test]
fn a_device_that_answers_what_it_cannot_know_is_not_attached() {
    let accelerator = Accelerator::start(Bending(Models::keccak(), Bend::Obliging), config()).unwrap();
    let status = wait_for(&accelerator, |status| status.faults_of(FaultKind::WrongDevice) > 1);
    assert_eq!(status.attachments, 0);
}

#[test]
fn one_fault_in_the_middle_of_work_is_counted_once_and_costs_one_attachment() {
    for injected in Injected::ALL {
        let plan = Arc::new(FaultPlan::limited(5, 1, &[injected], 1));
        let every = AcceleratorConfig { recheck_one_in: 1, ..config() };
        let connect = FaultyConnect::new(Models::keccak(), plan.clone());
        let accelerator = Accelerator::start(connect, every).unwrap();
        level(&accelerator, 100, 1);
        plan.start();
        level(&accelerator, 100, 2);
        // A second answer to the last request would be noticed when the next one is waited for.
        level(&accelerator, 100, 3);
        let status = wait_for(&accelerator, |status| status.is_attached && status.attachments == 2);
        assert_eq!(plan.injected(), 1);
        assert_eq!(status.faults_of(counted_as(injected)), 1, "{injected:?}: {status:?}");
        // What came too late meets the next self-test, which did not ask for it.
        let unasked = u64::from(injected == Injected::Late);
        assert_eq!(status.fault_count(), 1 + unasked, "{injected:?}: {status:?}");
        if injected == Injected::Late {
            assert_eq!(status.faults_of(FaultKind::UnexpectedReply), 1, "{status:?}");
        }
        let before = accelerator.work().keccak_hashes;
        level(&accelerator, 100, 4);
        assert_eq!(accelerator.work().keccak_hashes - before, 100, "{injected:?}: it works again");
    }
}
