//! What hashing and coding cost a member, measured beside the times that they bound.

use std::sync::Barrier;
use std::time::Duration;

use attest::{DataHash, ShardsRoot, Thresholds};
use dac_node::clock::{Clock, SystemClock};
use dac_node_coding::{BatchAssembler, Coder, Layout, Piece, decode_stripe, encode_and_root};
use e2e::noise;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// What a member computes for one batch, ready to be done again and again.
pub(crate) struct Work {
    layout: Layout,
    coder: Coder,
    /// Of each stripe, as many as decode it; those with the most parity among them.
    pieces: Vec<Vec<Piece>>,
    shards_root: ShardsRoot,
    data_hash: DataHash,
    /// A thread for each processor. Hashing spreads over the pool it is called in: each is a pool alone.
    pools: Vec<ThreadPool>,
}

impl Work {
    pub(crate) fn new(thresholds: &Thresholds, bytes: usize, processors: usize) -> anyhow::Result<Work> {
        let (n, k) = (thresholds.members(), thresholds.minimum_shards());
        let batch = noise(1, bytes);
        let (layout, coder) = (Layout::new(n, k, bytes as u64)?, Coder::new(n, k)?);
        let hasher = &*fpga_hash::software();
        let roots = encode_and_root(hasher, &coder, &layout, &batch);
        let pieces = (0..layout.stripes()).map(|stripe| {
            let encoded = coder.encode_stripe(&layout, stripe, &batch[layout.stripe_range(stripe)]);
            let paths = roots.paths(stripe, hasher);
            (n - k..n).map(|index| encoded.piece(index, &paths)).collect()
        });
        let pieces = pieces.collect();
        let data_hash = DataHash(fpga_hash::keccak256(&batch));
        let pools = (0..processors).map(|_| ThreadPoolBuilder::new().num_threads(1).build());
        let pools = pools.collect::<Result<_, _>>()?;
        Ok(Work { layout, coder, pieces, shards_root: roots.shards_root(), data_hash, pools })
    }

    /// Decode, encode again, hash, and the roots, in the pool it is called in; how long it took.
    fn once(&self) -> anyhow::Result<Duration> {
        let (layout, hasher, clock) = (&self.layout, &*fpga_hash::software(), SystemClock::new());
        let pieces = self.pieces.clone();
        let begun = clock.now().monotonic;
        let mut assembler = BatchAssembler::new(layout, None);
        for (stripe, pieces) in (0..).zip(pieces) {
            let pieces = pieces.into_iter().map(|piece| piece.check(layout, &self.shards_root, hasher));
            let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
            assembler.insert(&decode_stripe(&self.coder, layout, stripe, &pieces, hasher)?);
        }
        Box::new(assembler).finish_announced(self.data_hash, self.shards_root, hasher)?;
        Ok(clock.now().monotonic - begun)
    }

    /// What it takes a member while all processors do the same: the mean of one turn on each, ms.
    pub(crate) fn on_all_processors(&self) -> anyhow::Result<f64> {
        let together = Barrier::new(self.pools.len());
        let turn = || {
            together.wait();
            self.once()
        };
        let took: anyhow::Result<Vec<Duration>> = std::thread::scope(|scope| {
            let turns: Vec<_> = self.pools.iter().map(|pool| scope.spawn(|| pool.install(turn))).collect();
            turns.into_iter().map(|turn| turn.join().expect("hashing reports, it does not panic")).collect()
        });
        Ok(took?.into_iter().sum::<Duration>().as_secs_f64() * 1e3 / self.pools.len() as f64)
    }
}
