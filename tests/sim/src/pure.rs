//! The effects that only compute, performed with the real code.
//!
//! What depends on nothing but its input and costs a pairing or a Poseidon tree is remembered, by a hash of the whole
//! input or by the batch itself: members ask for the same things, and so do seeds. Pieces are checked, stripes decoded and batches recomputed
//! every time: that is the protocol at work.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use attest::{
    Aggregation, Attestation, BatchId, Certificate, CheckedCertificate, Committee, DataRoot, SeatIndex,
    Statement,
};
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, Piece, PieceRoots, decode_stripe, encode_and_root};
use dac_node_engine::{Effect, Event, Plan};
use dac_node_store::ContentKey;
use fpga_hash::{Digest, Hasher};
use parity_scale_codec::Encode;

use super::parties::signing_key;

/// Entries of one memory before it is emptied.
const REMEMBERED_MAX: usize = 20_000;

/// All that is remembered, by all threads.
#[derive(Default)]
struct Memory {
    coders: HashMap<(u16, u16), Coder>,
    piece_roots: HashMap<(u16, u16, Bytes), PieceRoots>,
    data_roots: HashMap<Bytes, DataRoot>,
    attestations: HashMap<Digest, Attestation>,
    aggregations: HashMap<Digest, Aggregation>,
    certificates: HashMap<Digest, Result<CheckedCertificate, attest::Error>>,
    truths: HashMap<(u16, u16, Bytes), Arc<Truth>>,
}

static MEMORY: LazyLock<Mutex<Memory>> = LazyLock::new(Mutex::default);

/// A violation in another thread's seed leaves the memory as it was: whole entries only are put into it.
fn with_memory<R>(work: impl FnOnce(&mut Memory) -> R) -> R {
    work(&mut MEMORY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Looks up, or makes and remembers.
fn remembered<K: std::hash::Hash + Eq, V: Clone>(
    map: impl Fn(&mut Memory) -> &mut HashMap<K, V>,
    key: K,
    make: impl FnOnce() -> V,
) -> V {
    if let Some(value) = with_memory(|memory| map(memory).get(&key).cloned()) {
        return value;
    }
    let value = make();
    with_memory(|memory| {
        let map = map(memory);
        if map.len() >= REMEMBERED_MAX {
            map.clear();
        }
        map.insert(key, value.clone());
    });
    value
}

fn name_of(parts: &[&[u8]]) -> Digest {
    fpga_hash::keccak256(&parts.concat())
}

pub(super) fn hasher() -> &'static dyn Hasher {
    static HASHER: LazyLock<Arc<dyn Hasher>> = LazyLock::new(fpga_hash::software);
    &**HASHER
}

pub(super) fn coder(layout: &Layout) -> Coder {
    coder_of(layout.members(), layout.minimum_shards())
}

/// The coder of a committee with these thresholds.
pub(super) fn coder_of(members: u16, minimum_shards: u16) -> Coder {
    let make = || Coder::new(members, minimum_shards).expect("thresholds of a committee");
    remembered(|memory| &mut memory.coders, (members, minimum_shards), make)
}

/// Roots of all pieces of the right encoding.
pub(super) fn piece_roots(layout: &Layout, batch: &Bytes) -> PieceRoots {
    let make = || encode_and_root(hasher(), &coder(layout), layout, batch);
    let key = (layout.members(), layout.minimum_shards(), batch.clone());
    remembered(|memory| &mut memory.piece_roots, key, make)
}

/// Poseidon root of a batch.
pub(super) fn data_root(batch: &Bytes) -> DataRoot {
    let make = || DataRoot(fpga_hash::tree::data_root(hasher(), batch));
    remembered(|memory| &mut memory.data_roots, batch.clone(), make)
}

/// Every member's shard, piece by piece.
pub(super) fn shards(layout: &Layout, batch: &Bytes) -> Vec<Vec<Bytes>> {
    let coder = coder(layout);
    let mut shards = vec![Vec::new(); usize::from(layout.members())];
    for stripe in 0..layout.stripes() {
        let encoded = coder.encode_stripe(layout, stripe, &batch[layout.stripe_range(stripe)]);
        for (shard, index) in shards.iter_mut().zip(0..) {
            shard.push(encoded.bytes(index));
        }
    }
    shards
}

/// What a content is, recomputed from its bytes.
#[derive(Debug)]
pub(super) struct Truth {
    /// Its name.
    pub(super) key: ContentKey,
    pub(super) layout: Layout,
    pub(super) batch: Bytes,
    pub(super) data_root: DataRoot,
    /// By seat, then stripe.
    pub(super) shards: Vec<Vec<Bytes>>,
}

/// The truth about a batch in a committee of this shape.
pub(super) fn truth(committee: &Committee, batch: &Bytes) -> Arc<Truth> {
    let thresholds = committee.thresholds();
    let (n, k) = (thresholds.members(), thresholds.minimum_shards());
    let make = || {
        let layout = Layout::new(n, k, batch.len() as u64).expect("batches of the simulator have a layout");
        let piece_roots = piece_roots(&layout, batch);
        let data_hash = attest::DataHash(fpga_hash::keccak256(batch));
        let key = ContentKey { data_hash, shards_root: piece_roots.shards_root() };
        let (data_root, shards) = (data_root(batch), shards(&layout, batch));
        Arc::new(Truth { key, layout, batch: batch.clone(), data_root, shards })
    };
    remembered(|memory| &mut memory.truths, (n, k, batch.clone()), make)
}

/// A seat's signature on a statement.
pub(super) fn attestation(seat: u16, statement: &Statement, committee: &Committee) -> Attestation {
    let name = name_of(&[&seat.encode(), statement.digest(committee.domain()).as_ref()]);
    let make = || {
        let made = signing_key(seat).attest(statement, committee.domain(), SeatIndex(seat));
        made.expect("statements of checked submissions are sound")
    };
    remembered(|memory| &mut memory.attestations, name, make)
}

/// What comes of these attestations to a statement.
pub(super) fn aggregation(
    committee: &Committee,
    statement: &Statement,
    attestations: Vec<Attestation>,
) -> Aggregation {
    // The digest is the batch's name; the committee's hash is in the statement it is of.
    let batch_id: BatchId = statement.digest(committee.domain());
    let name = name_of(&[batch_id.as_ref(), &attestations.encode()]);
    let make = || attest::aggregate(committee, statement, attestations);
    remembered(|memory| &mut memory.aggregations, name, make)
}

/// What [`Event`] an effect leads to that only computes.
pub(super) fn compute(effect: Effect, seat: u16, committee: &Committee) -> Event {
    match effect {
        Effect::Encode { submission, layout, batch } => {
            Event::Encoded { submission, piece_roots: piece_roots(&layout, &batch) }
        }
        Effect::Root { open_id, layout, batch } => {
            let shard = shards(&layout, &batch).swap_remove(usize::from(seat)).concat();
            Event::Rooted { open_id, data_root: data_root(&batch), shard: shard.into() }
        }
        Effect::CheckPiece { open_id, from, layout, shards_root, piece, credit: _ } => {
            let (stripe, index) = (piece.stripe, piece.index);
            let result = piece.check(&layout, &shards_root, hasher());
            Event::PieceChecked { open_id, from, stripe, index, result }
        }
        Effect::Decode { open_id, layout, stripe, pieces } => {
            let result = decode_stripe(&coder(&layout), &layout, stripe, &pieces, hasher());
            Event::StripeDecoded { open_id, stripe, result }
        }
        Effect::Finish { open_id, assembler, data_hash, shards_root } => {
            Event::Finished { open_id, result: assembler.finish_announced(data_hash, shards_root, hasher()) }
        }
        Effect::Sign { open_id, statement } => {
            Event::Signed { open_id, attestation: attestation(seat, &statement, committee) }
        }
        Effect::Aggregate { open_id, statement, attestations } => {
            let aggregation = aggregation(committee, &statement, attestations);
            Event::Aggregated { open_id, aggregation: Box::new(aggregation) }
        }
        Effect::CheckCertificate { from, gossip, bytes } => {
            let result = checked_certificate(&bytes, committee);
            Event::CertificateChecked { from, gossip, result: result.map(Box::new) }
        }
        other => unreachable!("not a computation: {other:?}"),
    }
}

/// A certificate as a member checks it.
pub(super) fn checked_certificate(
    bytes: &[u8],
    committee: &Committee,
) -> Result<CheckedCertificate, attest::Error> {
    let make = || Certificate::decode_strict(bytes).and_then(|certificate| certificate.verify(committee));
    remembered(|memory| &mut memory.certificates, name_of(&[committee.hash().as_ref(), bytes]), make)
}

/// What a dispersal sends: receiver and piece, in stripe order.
pub(super) fn dispersal(plan: &Plan, batch: &Bytes, piece_roots: &PieceRoots) -> Vec<(u16, Piece)> {
    let layout = piece_roots.layout();
    let coder = coder(layout);
    let mut sends = Vec::new();
    for stripe in 0..layout.stripes() {
        let encoded = coder.encode_stripe(layout, stripe, &batch[layout.stripe_range(stripe)]);
        let paths = piece_roots.paths(stripe, hasher());
        sends.extend(plan.direct(stripe).into_iter().map(|(index, to)| (to, encoded.piece(index, &paths))));
    }
    sends
}
