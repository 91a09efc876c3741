//! Skid buffer, queues and width changers: their Verilog beside their Rust simulation, clock by clock.

use std::collections::VecDeque;
use std::fmt::Debug;

use fpga_cores::bench::{settle, tick};
use fpga_cores::stream::Pipe;
use fpga_cores::stream::fifo::Fifo;
use fpga_cores::stream::skid::SkidBuffer;
use fpga_cores::stream::width::{Narrow, ThroughBytes, Widen};
use rtl_sim::{Parts, Port};

use crate::bench_device::Random;
use crate::parts::library;

/// The Verilog of a block between two streams.
struct Emitted {
    parts: Parts<'static>,
    clock: Port,
    reset: Port,
    /// Data, valid, ready.
    enters: [Port; 3],
    leaves: [Port; 3],
}

impl Emitted {
    fn new<P: Pipe>(module: &str) -> Self {
        let parts = Parts::start(library()).unwrap();
        let port = |name: &str| parts.port(module, name);
        Self {
            clock: port("clock"),
            reset: port("reset"),
            enters: P::ENTERS.map(port),
            leaves: P::LEAVES.map(port),
            parts,
        }
    }

    /// Drives the inputs; whether a beat is taken, and the beat that is offered.
    fn settle(&mut self, drawn: &Drawn) -> (bool, Option<u64>) {
        self.parts.set(self.clock, 0);
        self.parts.set(self.reset, drawn.resets.into());
        self.parts.set(self.enters[0], drawn.data);
        self.parts.set(self.enters[1], drawn.offers.into());
        self.parts.set(self.leaves[2], drawn.takes.into());
        self.parts.settle();
        let [takes, valid, data] =
            [self.enters[2], self.leaves[1], self.leaves[0]].map(|port| self.parts.get(port));
        (takes == 1, (valid == 1).then_some(data))
    }

    fn tick(&mut self) {
        self.parts.set(self.clock, 1);
        self.parts.settle();
    }
}

/// What the outside does in one clock.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    resets: bool,
    offers: bool,
    data: u64,
    takes: bool,
}

/// How often each side moves, in 256ths: in full flow, one side slow, both, hardly ever.
const FLOWS: [(u32, u32); 5] = [(256, 256), (256, 60), (60, 256), (150, 150), (20, 30)];

const CLOCKS: usize = 10_000;

/// Both sides of the equality, and bytes in order: what enters leaves once, in order, and an offer stands.
fn agrees<P: Pipe + Default + Debug>(module: &str) {
    let (enter_bytes, leave_bytes) = P::BYTES;
    let mask = u64::MAX >> (64 - 8 * enter_bytes);
    for (seed, flow) in (1..).zip(FLOWS) {
        let (mut random, mut emitted, mut rust) = (Random(seed), Emitted::new::<P>(module), P::default());
        rust.connect_all();
        let (mut standing, mut left, mut resets) = (None, 0, 0);
        let mut inside: VecDeque<u8> = VecDeque::new();
        let mut promised: Option<u64> = None;
        for clock in 0..CLOCKS {
            let next = random.next() & mask;
            if standing.is_none() && random.below(256) < flow.0 {
                standing = Some(next);
            }
            let resets_now = clock == 0 || random.below(300) == 0;
            let takes = random.below(256) < flow.1;
            let drawn = Drawn {
                resets: resets_now,
                offers: standing.is_some(),
                data: standing.unwrap_or(next),
                takes,
            };
            rust.reset(drawn.resets);
            rust.offer(drawn.data, drawn.offers);
            rust.take(drawn.takes);
            settle(&mut rust);
            let (enters, offered) = emitted.settle(&drawn);
            let context = || format!("{module}, flow {flow:?}, clock {clock}: {drawn:?}");
            assert_eq!((enters, offered), (rust.takes(), rust.offers()), "Verilog, Rust: {}", context());
            if promised.is_some() {
                assert_eq!(offered, promised, "an offer changed before it was taken: {}", context());
            }
            promised = offered.filter(|_| !takes && !resets_now);
            if let Some(data) = offered.filter(|_| takes && !resets_now) {
                let bytes: Vec<u8> = inside.drain(..leave_bytes).collect();
                assert_eq!(data.to_le_bytes()[..leave_bytes], bytes, "{}", context());
                left += 1;
            }
            if drawn.offers && enters {
                standing = None;
                inside.extend(&drawn.data.to_le_bytes()[..enter_bytes]);
            }
            if resets_now {
                inside.clear();
                resets += 1;
            }
            emitted.tick();
            tick(&mut rust);
        }
        assert!(left > 5 && resets > 5, "{module}, flow {flow:?}: {left} beats left, {resets} resets");
    }
}

#[test]
fn the_skid_buffer_is_the_same_in_verilog() {
    agrees::<SkidBuffer>("skid_buffer");
}

#[test]
fn queues_of_any_depth_are_the_same_in_verilog() {
    agrees::<Fifo<1, 2>>("fifo_2");
    agrees::<Fifo<3, 4>>("fifo_8");
}

#[test]
fn width_changers_are_the_same_in_verilog() {
    agrees::<Narrow>("narrow");
    agrees::<Widen>("widen");
    agrees::<ThroughBytes>("through_bytes");
}
