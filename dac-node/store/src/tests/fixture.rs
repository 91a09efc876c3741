//! Contents, statements and certificates for the tests.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use attest::{
    Address, BatchId, Certificate, CommitteeHash, DataHash, DataRoot, Encode as _, Epoch, RollupId,
    SeatIndex, SignatureBytes, Signers, Statement, SubmissionSignature,
};
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, encode_and_root};
use parking_lot::Mutex;
use rand::{RngCore as _, SeedableRng as _};

use crate::*;

pub(super) const DAY: u64 = 86_400;
/// Some time, on the first second of a day.
pub(super) const NOW: u64 = 20_000 * DAY;
pub(super) const GRACE: u64 = 100;

/// A config for small disks: segments that fill up, a short grace period, a small ballast.
pub(super) fn config() -> DiskStoreConfig {
    DiskStoreConfig {
        reserve_bytes: 0,
        segment_bytes: 96 << 10,
        grace_seconds: GRACE,
        metadata_cache_bytes: 1 << 20,
        ballast_bytes: 256 << 10,
        ..DiskStoreConfig::default()
    }
}

pub(super) fn open(disk: &SimulatedDirectory) -> DiskStore {
    DiskStore::open_on(Arc::new(disk.clone()), &config()).unwrap()
}

/// The content number `number` with a batch of `bytes` random bytes, in a committee of 4 with `k` = 2. Equal calls
/// give equal contents.
pub(super) fn content(number: u64, bytes: usize) -> NewContent {
    static MADE: LazyLock<Mutex<HashMap<(u64, usize), NewContent>>> = LazyLock::new(Mutex::default);
    MADE.lock().entry((number, bytes)).or_insert_with(|| make_content(number, bytes)).clone()
}

fn make_content(number: u64, bytes: usize) -> NewContent {
    let mut batch = vec![0; bytes];
    rand_chacha::ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut batch);
    let layout = Layout::new(4, 2, bytes as u64).unwrap();
    let coder = Coder::new(4, 2).unwrap();
    let piece_roots = encode_and_root(&*fpga_hash::software(), &coder, &layout, &batch);
    let data_hash = DataHash(fpga_hash::keccak256(&batch));
    let shard = (0..layout.stripes())
        .map(|stripe| coder.encode_stripe(&layout, stripe, &batch[layout.stripe_range(stripe)]).bytes(3))
        .collect();
    NewContent {
        key: ContentKey { data_hash, shards_root: piece_roots.shards_root() },
        layout,
        data_root: DataRoot([7; 32]),
        piece_roots,
        batch: Bytes::from(batch),
        shard,
    }
}

/// The content as a repair brings it.
pub(super) fn restored(content: NewContent, retain_until: u64, with_batch: bool) -> RestoredContent {
    let NewContent { key, layout, data_root, piece_roots, batch, shard } = content;
    let batch = with_batch.then_some(batch);
    RestoredContent { key, layout, data_root, piece_roots, shard, batch, retain_until }
}

pub(super) fn id(number: u64) -> BatchId {
    let mut bytes = [0xee; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    BatchId(bytes)
}

pub(super) fn rollup(number: u64) -> RollupId {
    RollupId([u8::try_from(number % 3).unwrap(); 32])
}

/// Statement `number` over a content, accepted at [`NOW`].
pub(super) fn record(
    number: u64,
    content: &NewContent,
    hot_until: u64,
    retain_until: u64,
) -> StatementRecord {
    StatementRecord {
        batch_id: id(number),
        statement: Statement {
            rollup_id: rollup(number),
            epoch: Epoch(1),
            committee_hash: CommitteeHash([1; 32]),
            data_bytes: content.layout.batch_bytes(),
            data_hash: content.key.data_hash,
            data_root: content.data_root,
            shards_root: content.key.shards_root,
            hot_until,
            retain_until,
        },
        deadline: NOW + 60,
        submission_signature: SubmissionSignature([9; 65]),
        coordinator: 2,
        accepted_at: NOW,
    }
}

/// A certificate over statement `record` by the first `signers` seats; not signed by anybody.
pub(super) fn certificate(record: &StatementRecord, signers: u16) -> Vec<u8> {
    Certificate {
        chain_id: 1,
        registry: Address([0; 20]),
        statement: record.statement,
        signers: Signers::from_seats(7, (0..signers).map(SeatIndex)).unwrap(),
        signature: SignatureBytes([3; 48]),
    }
    .encode()
}

/// Stores a statement with its content.
pub(super) fn put(
    store: &dyn ShardStore,
    number: u64,
    content: &NewContent,
    hot_until: u64,
    retain_until: u64,
) {
    store.persist(&record(number, content, hot_until, retain_until), Some(content.clone())).unwrap();
}

/// Every byte of the shard is readable and right.
pub(super) fn assert_shard(store: &dyn ShardStore, content: &NewContent) {
    for (stripe, piece) in (0..).zip(&content.shard) {
        assert_eq!(store.read_piece(&content.key, stripe).unwrap().as_ref(), Some(piece));
    }
    let roots = store.piece_roots(&content.key).unwrap().unwrap();
    assert_eq!(roots.to_bytes(), content.piece_roots.to_bytes());
}

/// Every byte of the hot copy is readable and right.
pub(super) fn assert_hot(store: &dyn ShardStore, content: &NewContent) {
    let whole = store.read_hot(&content.key, 0..content.batch.len() as u64).unwrap();
    assert_eq!(whole.as_ref(), Some(&content.batch));
}

/// Names of the segment files on a disk.
pub(super) fn segments(disk: &SimulatedDirectory) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(".segment")).collect()
}

/// The one segment file whose name starts like this.
pub(super) fn segment_of(disk: &SimulatedDirectory, prefix: &str) -> String {
    let mut found = segments(disk);
    found.retain(|name| name.starts_with(prefix));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
