//! The driver on the simulated top, in this process.

use std::time::Duration;

use fpga::device::{FaultPlan, FaultyConnect, Injected};
use fpga::{Accelerator, AcceleratorConfig, Connect, DeviceError};
use fpga_hash::{Hasher, keccak256};
use rtl_sim::Stalls;

use crate::bench_device::{Random, Simulated, device};

#[derive(Debug)]
struct Design(Stalls);

impl Connect for Design {
    type Device = Simulated;

    fn connect(&mut self, _timeout: Duration) -> Result<Simulated, DeviceError> {
        Ok(device(self.0))
    }
}

fn config() -> AcceleratorConfig {
    AcceleratorConfig {
        messages_min: 1,
        reattach_after: Duration::from_millis(1),
        reattach_after_max: Duration::from_millis(1),
        ..AcceleratorConfig::default()
    }
}

fn hash(accelerator: &Accelerator, random: &mut Random) -> u64 {
    let (items, item_bytes) = (1 + random.below(200) as usize, [64, 1024, 33][random.below(3) as usize]);
    let bytes = random.bytes(items * item_bytes);
    let mut digests = vec![[0; 32]; items];
    accelerator.keccak256_prefixed(0, item_bytes, &bytes, &mut digests);
    for (item, digest) in bytes.chunks(item_bytes).zip(&digests) {
        assert_eq!(*digest, keccak256(&[&[0], item].concat()));
    }
    items as u64
}

#[test]
fn many_callers_share_the_simulated_device() {
    let design = Design(Stalls { seed: 4, input: 30, output: 30 });
    let accelerator = Accelerator::start(design, config()).unwrap();
    let hashed: u64 = std::thread::scope(|scope| {
        let callers = [1, 2, 3].map(|seed| {
            let (accelerator, mut random) = (&accelerator, Random(seed));
            scope.spawn(move || (0..12).map(|_| hash(accelerator, &mut random)).sum::<u64>())
        });
        callers.map(|caller| caller.join().unwrap()).iter().sum()
    });
    assert_eq!(accelerator.work().keccak_hashes, hashed, "all by the device");
    assert_eq!(accelerator.status().fault_count(), 0, "{:?}", accelerator.status());
}

#[test]
fn faults_on_the_way_cost_no_digest() {
    let plan = FaultPlan::new(3, 9, &Injected::ALL);
    let connect = FaultyConnect::new(Design(Stalls::default()), plan.clone());
    let every = AcceleratorConfig { recheck_one_in: 1, ..config() };
    let accelerator = Accelerator::start(connect, every).unwrap();
    plan.start_after(2);
    let mut random = Random(8);
    // Until faults have come; each round is right whatever happens in it.
    while plan.injected() < 5 {
        hash(&accelerator, &mut random);
    }
    assert!(accelerator.status().fault_count() > 0);
    assert!(accelerator.work().keccak_hashes > 0);
}
