//! Measures every engine against every peer in one run, and against the bound that the machine's own instructions set.
//!
//! Terms: a *peer* is another implementation of the same work; the *bound* is what an engine would reach if it issued
//! nothing but the multiplications of its schedule (Poseidon) or the logic of its permutation (Keccak), each at the
//! rate measured for that instruction in the same run.
//!
//! One core, pinned, counted in CPU time of this process, the best of many short samples taken in turns: other load on
//! the machine then disturbs little. The rows on two cores are in wall time.

mod contenders;
mod measure;

use serde::Serialize;

use self::contenders::Contender;
use self::measure::{Pinned, best_rates, best_wall_seconds};
use crate::engine::{Bounds, bounds};
use crate::schedule::Schedule;
use crate::{Hasher, software, software_by_name, software_names, tree};

/// One measurement beside its peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was computed: `poseidon_t3`, `keccak256_leaf_1024`, `data_root_1_mib`, ...
    pub work: &'static str,
    /// Who computed it: an engine's name or a crate's.
    pub engine: &'static str,
    /// How fast.
    #[serde(flatten)]
    pub rate: Rate,
    /// Who it is compared with.
    pub peer: &'static str,
    /// The peer's rate, in the unit of `rate`.
    pub peer_value: f64,
    /// `rate / peer_value`.
    pub ratio: f64,
    /// The rate at the machine's bound, where one was measured, in the unit of `rate`.
    pub bound: Option<f64>,
}

/// A rate and its unit; serialised as one field of that name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// Digests per second.
    HashesPerSecond(f64),
    /// Message bytes per second.
    BytesPerSecond(f64),
}

impl Rate {
    /// The number without its unit.
    pub fn value(self) -> f64 {
        match self {
            Self::HashesPerSecond(value) | Self::BytesPerSecond(value) => value,
        }
    }
}

impl Row {
    fn new(
        work: &'static str,
        engine: &'static str,
        rate: Rate,
        (peer, peer_value): (&'static str, f64),
    ) -> Self {
        Self { work, engine, rate, peer, peer_value, ratio: rate.value() / peer_value, bound: None }
    }
}

/// Everything, half a minute to a minute. The calling thread is pinned meanwhile.
pub fn run() -> Vec<Row> {
    let bounds = bounds();
    let mut rows = Vec::new();
    {
        let _pinned = Pinned::to_one_core();
        rows.extend(poseidon_rows("poseidon_t3", 2, &bounds));
        let wide = poseidon_rows("poseidon_t9", 8, &bounds);
        let light_poseidon = wide[0].peer_value;
        rows.extend(wide);
        rows.push(data_root_row(light_poseidon));
        rows.extend(keccak_rows("keccak256_leaf_1024", 0, 1024, &bounds));
        rows.extend(keccak_rows("keccak256_node_64", 1, 64, &bounds));
    }
    rows.extend(two_core_rows());
    rows
}

/// The engines that this CPU runs, fastest first.
fn engines() -> impl Iterator<Item = std::sync::Arc<dyn Hasher>> {
    software_names().into_iter().filter_map(|name| software_by_name(name).ok())
}

fn poseidon_rows(work: &'static str, width: usize, bounds: &Bounds) -> Vec<Row> {
    let mut contenders = vec![Contender::light_poseidon(width), Contender::poseidon_rs(width)];
    contenders.extend(engines().map(|engine| Contender::poseidon(engine, width)));
    let rates = best_rates(&mut contenders);
    let cost = Schedule::derive(width + 1, 256).cost();
    let rows = contenders.iter().zip(&rates).skip(1).map(|(one, &rate)| {
        let mut row = Row::new(work, one.name, Rate::HashesPerSecond(rate), (contenders[0].name, rates[0]));
        row.bound = bounds.poseidon(one.name, &cost);
        row
    });
    rows.collect()
}

fn keccak_rows(work: &'static str, prefix: u8, item_bytes: usize, bounds: &Bounds) -> Vec<Row> {
    let mut contenders =
        vec![Contender::keccak_asm(prefix, item_bytes), Contender::tiny_keccak(prefix, item_bytes)];
    contenders.extend(engines().map(|engine| Contender::keccak(engine, prefix, item_bytes)));
    let rates = best_rates(&mut contenders);
    let permutations = (item_bytes + 1) / 136 + 1;
    let rows = contenders.iter().zip(&rates).skip(1).map(|(one, &rate)| {
        let mut row = Row::new(work, one.name, Rate::BytesPerSecond(rate), (contenders[0].name, rates[0]));
        row.bound = bounds
            .permutations_per_second(one.name)
            .map(|best| best * item_bytes as f64 / permutations as f64);
        row
    });
    rows.collect()
}

/// `dataRoot` of 1 MiB with the best engine; the peer's rate is its t = 9 hashes over the hashes of such a tree.
fn data_root_row(light_poseidon_t9: f64) -> Row {
    let (engine, batch, pool) = (software(), contenders::bytes(1 << 20), measure::pool(1));
    let (name, bytes) = (engine.engine(), batch.len());
    let run = move || {
        std::hint::black_box(pool.install(|| tree::data_root(&*engine, &batch)));
    };
    let rate = best_rates(&mut [Contender { name, units: bytes, run: Box::new(run) }])[0];
    let (mut hashes, mut level) = (0, bytes.div_ceil(31));
    while level > 1 {
        level = level.div_ceil(tree::ARITY);
        hashes += level;
    }
    let peer = ("light-poseidon", light_poseidon_t9 * bytes as f64 / hashes as f64);
    Row::new("data_root_1_mib", name, Rate::BytesPerSecond(rate), peer)
}

/// Both trees over 32 MiB on two threads; the peer is the same engine on one.
fn two_core_rows() -> Vec<Row> {
    let (engine, batch) = (software(), contenders::bytes(32 << 20));
    let pieces: Vec<&[u8]> = batch.chunks(32 << 10).collect();
    let pools = [measure::pool(1), measure::pool(2)];
    type Work<'a> = (&'static str, Box<dyn Fn() + Sync + 'a>);
    let works: [Work<'_>; 2] = [
        (
            "data_root_32_mib_two_cores",
            Box::new(|| {
                std::hint::black_box(tree::data_root(&*engine, &batch));
            }),
        ),
        (
            "piece_roots_32_mib_two_cores",
            Box::new(|| drop(std::hint::black_box(tree::piece_roots(&*engine, &pieces)))),
        ),
    ];
    let rows = works.iter().map(|(work, run)| {
        let seconds = best_wall_seconds(&pools, run);
        let rates = seconds.map(|seconds| batch.len() as f64 / seconds);
        Row::new(work, engine.engine(), Rate::BytesPerSecond(rates[1]), ("the same on one core", rates[0]))
    });
    rows.collect()
}
