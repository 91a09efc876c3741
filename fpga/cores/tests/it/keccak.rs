//! The core against software, clock by clock, and its cycle counts.

use std::collections::VecDeque;

use fpga_cores::bench::{settle, tick};
use fpga_cores::keccak::beats::{Beat, Turns};
use fpga_cores::keccak::core::KeccakCore;
use fpga_cores::prelude::*;
use fpga_hash::{Digest, software};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The core between a source and a sink of beats.
struct Bench {
    core: KeccakCore,
    turns: Turns,
    offered: Option<Beat>,
    words: Vec<u64>,
    digests: VecDeque<Digest>,
    /// Clocks so far.
    clocks: u64,
    /// Clocks in which the permutation waited.
    waited: u64,
}

impl Bench {
    fn new(messages: Vec<Vec<u8>>) -> Self {
        let mut core = KeccakCore::default();
        core.connect_all();
        let turns = Turns::new(messages);
        let mut bench = Self {
            core,
            turns,
            offered: None,
            words: vec![],
            digests: VecDeque::new(),
            clocks: 0,
            waited: 0,
        };
        bench.reset();
        bench
    }

    fn reset(&mut self) {
        self.core.reset.next = true;
        self.core.in_valid.next = false;
        settle(&mut self.core);
        tick(&mut self.core);
        self.core.reset.next = false;
        self.offered = None;
        self.words.clear();
        self.digests.clear();
        settle(&mut self.core);
    }

    /// One clock; the source offers a beat and the sink takes one where they are told to.
    fn clock(&mut self, offers: bool, takes: bool) {
        if self.offered.is_none() && offers {
            self.offered = Some(self.turns.beat());
        }
        let beat = self.offered.unwrap_or_default();
        self.core.in_valid.next = self.offered.is_some();
        self.core.in_data.next = beat.data.into();
        self.core.in_bytes.next = u64::from(beat.bytes).into();
        self.core.in_last.next = beat.last;
        self.core.in_pass.next = beat.pass;
        self.core.out_ready.next = takes;
        settle(&mut self.core);
        if self.core.in_ready.val() {
            self.offered = None;
        }
        if takes && self.core.out_valid.val() {
            self.words.push(self.core.out_data.val().value());
            assert_eq!(self.core.out_last.val(), self.words.len() == 4, "a digest is four beats");
            if self.words.len() == 4 {
                let bytes: Vec<u8> = self.words.drain(..).flat_map(u64::to_le_bytes).collect();
                self.digests.push_back(bytes.try_into().unwrap());
            }
        }
        self.waited += u64::from(self.core.waiting.val());
        tick(&mut self.core);
        self.clocks += 1;
    }

    /// Runs until so many digests have come.
    fn run(&mut self, digests: usize, mut offers: impl FnMut() -> bool, mut takes: impl FnMut() -> bool) {
        let clocks_max = self.clocks + 4_000_000;
        while self.digests.len() < digests {
            assert!(self.clocks < clocks_max, "the core hangs");
            let (offers, takes) = (offers(), takes());
            self.clock(offers, takes);
        }
    }

    /// The digests in the order of the messages.
    fn in_order(&self) -> Vec<Digest> {
        let mut ordered = vec![Digest::default(); self.digests.len()];
        for (number, digest) in self.turns.finished().iter().zip(&self.digests) {
            ordered[*number] = *digest;
        }
        ordered
    }
}

fn expected(messages: &[Vec<u8>]) -> Vec<Digest> {
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut digests = vec![Digest::default(); messages.len()];
    software().keccak256(&messages, &mut digests);
    digests
}

fn random_messages(random: &mut ChaCha8Rng, count: usize, blocks_max: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::with_capacity(count);
    for _ in 0..count {
        // Half of the messages end at or beside the end of a block, where padding is hard.
        let bytes = match random.random_range(0..4) {
            0 => 136 * random.random_range(0..=blocks_max),
            1 => (136 * random.random_range(1..=blocks_max)).saturating_sub(random.random_range(0..10)),
            _ => random.random_range(0..=136 * blocks_max),
        };
        messages.push((0..bytes).map(|_| random.random()).collect());
    }
    messages
}

/// As many messages in this simulation as `rtl-sim` gives to the Verilated design, both against software.
#[test]
fn hashes_like_software_under_random_stalls() {
    let parts = [(1, (1.0, 1.0)), (2, (0.6, 0.5)), (3, (0.9, 0.05)), (4, (0.8, 0.9))].map(|(seed, flow)| {
        std::thread::spawn(move || {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut bench = Bench::new(vec![]);
            (0..25).for_each(|_| hash_and_reset_in_the_middle(&mut bench, &mut random, flow));
        })
    });
    for part in parts {
        part.join().unwrap();
    }
}

/// Hashes a hundred messages, then begins with others and resets; `flow` is how often a beat is offered, and one taken.
fn hash_and_reset_in_the_middle(bench: &mut Bench, random: &mut ChaCha8Rng, flow: (f64, f64)) {
    let messages = random_messages(random, 100, 20);
    bench.turns = Turns::new(messages.clone());
    let (mut source, mut sink) = (random.clone(), ChaCha8Rng::seed_from_u64(random.random()));
    bench.run(messages.len(), || source.random_bool(flow.0), || sink.random_bool(flow.1));
    assert_eq!(bench.in_order(), expected(&messages), "{flow:?}");
    bench.turns = Turns::new(random_messages(random, 5, 20));
    for _ in 0..random.random_range(1..2_000) {
        bench.clock(source.random_bool(flow.0), sink.random_bool(flow.1));
    }
    bench.reset();
}

#[test]
fn hashes_every_length_of_the_first_two_blocks() {
    let messages: Vec<Vec<u8>> =
        (0..=273_u16).map(|n| (0..n).map(|i| i.to_le_bytes()[0] ^ 0x5a).collect()).collect();
    let mut bench = Bench::new(messages.clone());
    bench.run(messages.len(), || true, || true);
    assert_eq!(bench.in_order(), expected(&messages));
}

#[test]
fn a_reset_in_the_middle_leaves_nothing_behind() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut bench = Bench::new(vec![]);
    for _ in 0..40 {
        bench.turns = Turns::new(random_messages(&mut random, 5, 3));
        for _ in 0..random.random_range(1..400) {
            let (offers, takes) = (random.random_bool(0.9), random.random_bool(0.5));
            bench.clock(offers, takes);
        }
        bench.reset();
    }
    let messages = random_messages(&mut random, 9, 4);
    bench.turns = Turns::new(messages.clone());
    bench.run(messages.len(), || true, || true);
    assert_eq!(bench.in_order(), expected(&messages));
}

#[test]
fn passing_in_the_middle_of_a_message_drops_it() {
    let mut bench = Bench::new(vec![]);
    bench.turns = Turns::new(vec![vec![1; 500]]);
    for _ in 0..17 {
        bench.clock(true, true);
    }
    // Slot 0 has taken one block of four; its next turn is passed.
    bench.turns = Turns::new(vec![]);
    for _ in 0..400 {
        bench.clock(true, true);
    }
    assert!(bench.digests.is_empty());
}

/// Messages of four blocks: after the first turns no clock is lost on input or output.
#[test]
fn input_and_output_never_starve_the_permutation() {
    for blocks in [4, 5, 9] {
        let messages: Vec<Vec<u8>> = (0..30).map(|i| vec![i; 136 * blocks - 1]).collect();
        let mut bench = Bench::new(messages.clone());
        bench.run(3, || true, || true);
        let (clocks, waited) = (bench.clocks, bench.waited);
        bench.run(27, || true, || true);
        assert_eq!(bench.waited, waited, "the permutation waited in full flow, {blocks} blocks");
        assert_eq!(bench.clocks - clocks, 24 * 24 * u64::try_from(blocks).unwrap(), "24 clocks a block");
        assert_eq!(Vec::from(bench.digests.clone()), expected(&messages)[..27].to_vec());
    }
}

#[test]
fn a_message_takes_72_clocks_a_block_and_a_few() {
    for blocks in [1_u8, 2, 4] {
        let mut bench = Bench::new(vec![vec![blocks; 136 * usize::from(blocks) - 1]]);
        bench.run(1, || true, || true);
        // 17 to fill the first block, 72 for each, 8 to decide, to absorb and to bring the last beat out.
        assert_eq!(bench.clocks, 72 * u64::from(blocks) + 25, "{blocks} blocks");
    }
}
