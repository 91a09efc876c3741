//! The Keccak core's own Verilog, as `cargo xtask rtl` writes it, without the packets around it.

use std::collections::VecDeque;
use std::sync::OnceLock;

use fpga_cores::emit::{self, KECCAK_CORE};
use fpga_cores::keccak::beats::{Beat, Turns, vectors};
use fpga_hash::{Digest, keccak256};
use rtl_sim::{Parts, PartsLibrary, Port, default_directory};

use crate::bench_device::Random;

/// Bytes of a block.
const BLOCK_BYTES: u32 = 136;

fn library() -> &'static PartsLibrary {
    static LIBRARY: OnceLock<PartsLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let built = PartsLibrary::build(&[emit::keccak_core().unwrap()], &default_directory());
        built.unwrap_or_else(|error| panic!("{error}"))
    })
}

/// The core between a source and a sink of beats.
struct Core {
    parts: Parts<'static>,
    clock: Port,
    reset: Port,
    /// `in_valid`, `in_data`, `in_bytes`, `in_last`, `in_pass`.
    input: [Port; 5],
    in_ready: Port,
    out_ready: Port,
    /// `out_valid`, `out_data`, `out_last`.
    output: [Port; 3],
    waiting: Port,
    /// How often a beat is offered and one taken, in 256ths of the clocks.
    flow: (u32, u32),
    random: Random,
    offered: Option<Beat>,
    words: Vec<u64>,
    digests: VecDeque<Digest>,
    clocks: u64,
    /// Clocks in which the permutation waited.
    waited: u64,
}

impl Core {
    fn new(seed: u64, flow: (u32, u32)) -> Self {
        let parts = Parts::start(library()).unwrap();
        let port = |name: &str| parts.port(KECCAK_CORE, name);
        let mut core = Self {
            clock: port("clock"),
            reset: port("reset"),
            input: ["in_valid", "in_data", "in_bytes", "in_last", "in_pass"].map(port),
            in_ready: port("in_ready"),
            out_ready: port("out_ready"),
            output: ["out_valid", "out_data", "out_last"].map(port),
            waiting: port("waiting"),
            parts,
            flow,
            random: Random(seed),
            offered: None,
            words: vec![],
            digests: VecDeque::new(),
            clocks: 0,
            waited: 0,
        };
        core.reset();
        core
    }

    /// One clock of reset, with whatever stands at the ports.
    fn reset(&mut self) {
        self.parts.set(self.reset, 1);
        self.settle();
        self.edge();
        self.parts.set(self.reset, 0);
        self.offered = None;
        self.words.clear();
        self.digests.clear();
    }

    fn settle(&mut self) {
        self.parts.set(self.clock, 0);
        self.parts.settle();
    }

    fn edge(&mut self) {
        self.parts.set(self.clock, 1);
        self.parts.settle();
        self.clocks += 1;
    }

    /// One clock. What stands at the ports while nothing is offered must not count: it is never the same.
    fn clock(&mut self, mut next: impl FnMut() -> Beat) {
        if self.offered.is_none() && self.random.below(256) < self.flow.0 {
            self.offered = Some(next());
        }
        let noise = self.random.next();
        let noise =
            Beat { data: noise, bytes: (noise & 7) as u8, last: noise & 8 != 0, pass: noise & 16 != 0 };
        let beat = self.offered.unwrap_or(noise);
        let values =
            [self.offered.is_some().into(), beat.data, beat.bytes.into(), beat.last.into(), beat.pass.into()];
        for (port, value) in self.input.into_iter().zip(values) {
            self.parts.set(port, value);
        }
        let takes = self.random.below(256) < self.flow.1;
        self.parts.set(self.out_ready, takes.into());
        self.settle();
        if self.parts.get(self.in_ready) == 1 {
            self.offered = None;
        }
        let [valid, data, last] = self.output.map(|port| self.parts.get(port));
        if takes && valid == 1 {
            self.words.push(data);
            assert_eq!(last == 1, self.words.len() == 4, "a digest is four beats");
            if last == 1 {
                let bytes: Vec<u8> = self.words.drain(..).flat_map(u64::to_le_bytes).collect();
                self.digests.push_back(bytes.try_into().unwrap());
            }
        }
        self.waited += self.parts.get(self.waiting);
        self.edge();
    }

    /// Runs until so many digests have come; the most messages that were in flight.
    fn run(&mut self, turns: &mut Turns, digests: usize) -> usize {
        let (clocks_max, mut most) = (self.clocks + 4_000_000, 0);
        while self.digests.len() < digests {
            assert!(self.clocks < clocks_max, "the core hangs");
            self.clock(|| turns.beat());
            most = most.max(turns.in_flight());
        }
        most
    }
}

/// Up to 20 blocks, half of the messages at a block's edge or beside it, where padding is special.
fn messages(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let mut message = |_| {
        let blocks = random.below(21);
        let bytes = match random.below(4) {
            0 => blocks * BLOCK_BYTES,
            1 => (blocks * BLOCK_BYTES).saturating_sub(1 + random.below(9)),
            _ => random.below(20 * BLOCK_BYTES + 1),
        };
        random.bytes(bytes as usize)
    };
    (0..count).map(&mut message).collect()
}

/// Digests in the order in which their messages end.
fn expected(messages: &[Vec<u8>], turns: &Turns) -> Vec<Digest> {
    turns.finished().iter().map(|number| keccak256(&messages[*number])).collect()
}

#[test]
fn the_emitted_vectors_hold_for_the_emitted_core() {
    let text = vectors(keccak256);
    let (beats, digests) = text.split_once("\n\n").unwrap();
    let hexadecimal = |word: &str| u64::from_str_radix(word, 16).unwrap();
    let beats: Vec<Beat> = beats
        .lines()
        .map(|line| match line.split(' ').map(hexadecimal).collect::<Vec<_>>()[..] {
            [pass, last, bytes, data] => {
                Beat { data, bytes: u8::try_from(bytes).unwrap(), last: last == 1, pass: pass == 1 }
            }
            _ => panic!("{line}"),
        })
        .collect();
    for flow in [(256, 256), (100, 100)] {
        let (mut core, mut left) = (Core::new(1, flow), beats.iter().copied().peekable());
        while left.peek().is_some() || core.offered.is_some() {
            // A host that has no more to say offers nothing.
            core.flow.0 = if left.peek().is_some() { flow.0 } else { 0 };
            core.clock(|| left.next().unwrap());
        }
        core.flow.0 = 0;
        for _ in 0..200 {
            core.clock(|| Beat::PASS);
        }
        let found: Vec<String> = core
            .digests
            .iter()
            .map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        assert_eq!(found, digests.lines().collect::<Vec<_>>(), "{flow:?}");
    }
}

/// Hashes, then begins with other messages and resets at any clock of them, again and again.
#[test]
fn the_core_alone_hashes_like_software_under_stalls_and_resets() {
    for (seed, flow) in (1..).zip([(256, 256), (150, 130), (230, 13), (205, 230), (60, 256)]) {
        let (mut random, mut core) = (Random(seed), Core::new(seed, flow));
        for _ in 0..6 {
            let hashed = messages(&mut random, 20);
            let mut turns = Turns::new(hashed.clone());
            assert_eq!(core.run(&mut turns, hashed.len()), 3, "in flight at most");
            assert_eq!(Vec::from(core.digests.clone()), expected(&hashed, &turns), "{flow:?}");
            let mut dropped = Turns::new(messages(&mut random, 5));
            for _ in 0..random.below(2_000) {
                core.clock(|| dropped.beat());
            }
            core.reset();
        }
    }
}

/// Messages of four blocks and more: once the pipeline is full it never stands still, 24 clocks for each block.
#[test]
fn the_core_alone_is_never_starved_by_its_input_or_output() {
    for blocks in [4_usize, 5, 9] {
        let hashed: Vec<Vec<u8>> = (0..30).map(|i| vec![i; 136 * blocks - 1]).collect();
        let (mut core, mut turns) = (Core::new(1, (256, 256)), Turns::new(hashed.clone()));
        core.run(&mut turns, 3);
        let (clocks, waited) = (core.clocks, core.waited);
        core.run(&mut turns, 27);
        assert_eq!(core.waited, waited, "the permutation waited in full flow, {blocks} blocks");
        assert_eq!(core.clocks - clocks, 24 * 24 * blocks as u64, "24 clocks a block");
        assert_eq!(Vec::from(core.digests.clone()), expected(&hashed, &turns)[..27]);
    }
}
