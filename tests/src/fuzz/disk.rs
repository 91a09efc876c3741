//! The files of a store, damaged in any way.
//!
//! An input says which file, where and how; the store is then opened over the damage. Whatever it finds, it does not
//! panic and returns right bytes or none; what stands behind the committed end of a segment costs nothing at all.

use std::sync::{Arc, LazyLock};

use attest::{BatchId, CommitteeHash, DataHash, DataRoot, Epoch, RollupId, Statement, SubmissionSignature};
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, encode_and_root};
use dac_node_store::{
    Directory, DiskStore, DiskStoreConfig, NewContent, OnDamage, ShardStore, SimulatedDirectory,
    StatementRecord, Unsynced,
};

const DAY: u64 = 86_400;
const NOW: u64 = 20_000 * DAY;

/// A disk with two contents, and what they are.
struct Fixture {
    disk: SimulatedDirectory,
    stored: Vec<(StatementRecord, NewContent)>,
    /// Segments first.
    files: Vec<String>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let disk = SimulatedDirectory::new();
    let store = open(&disk).expect("an empty disk opens");
    let stored: Vec<_> = [(1, 3_000), (2, 70_000)].map(|(number, bytes)| content(number, bytes)).into();
    for (record, content) in &stored {
        store.persist(record, Some(content.clone())).expect("there is room");
    }
    drop(store);
    let mut files = disk.list().expect("a simulated disk lists");
    files.retain(|name| name != "ballast");
    files.sort_by_key(|name| name.contains("redb"));
    Fixture { disk, stored, files }
});

fn open(disk: &SimulatedDirectory) -> Result<DiskStore, dac_node_store::Error> {
    let config = DiskStoreConfig {
        reserve_bytes: 0,
        segment_bytes: 96 << 10,
        metadata_cache_bytes: 1 << 20,
        ballast_bytes: 0,
        on_damage: OnDamage::Serve,
        ..DiskStoreConfig::default()
    };
    DiskStore::open_on(Arc::new(disk.clone()), &config)
}

fn content(number: u8, bytes: usize) -> (StatementRecord, NewContent) {
    let batch: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).expect("below 251") ^ number).collect();
    let layout = Layout::new(4, 2, bytes as u64).expect("a valid shape");
    let coder = Coder::new(4, 2).expect("a valid shape");
    let piece_roots = encode_and_root(&*fpga_hash::software(), &coder, &layout, &batch);
    let (data_hash, data_root) = (DataHash(fpga_hash::keccak256(&batch)), DataRoot([number; 32]));
    let encoded = |stripe| coder.encode_stripe(&layout, stripe, &batch[layout.stripe_range(stripe)]);
    let shard = (0..layout.stripes()).map(|stripe| encoded(stripe).bytes(3)).collect();
    let shards_root = piece_roots.shards_root();
    let statement = Statement {
        rollup_id: RollupId([7; 32]),
        epoch: Epoch(1),
        committee_hash: CommitteeHash([8; 32]),
        data_bytes: bytes as u64,
        data_hash,
        data_root,
        shards_root,
        hot_until: NOW + DAY,
        retain_until: NOW + 2 * DAY,
    };
    let record = StatementRecord {
        batch_id: BatchId([number; 32]),
        statement,
        deadline: NOW + 60,
        submission_signature: SubmissionSignature([number; 65]),
        coordinator: 0,
        accepted_at: NOW,
    };
    let key = record.content_key();
    (record, NewContent { key, layout, data_root, piece_roots, batch: Bytes::from(batch), shard })
}

/// How an input damages a file.
enum Damage<'a> {
    Append(&'a [u8]),
    Overwrite(u64, &'a [u8]),
    Cut(u64),
}

/// Damages the files of a store as the input says, opens it and reads everything.
pub fn segments(input: &[u8]) {
    let Some((head, data)) = input.split_first_chunk::<4>() else { return };
    let fixture = &*FIXTURE;
    let disk = fixture.disk.restart(Unsynced::Kept);
    let name = &fixture.files[usize::from(head[0]) % fixture.files.len()];
    let file = disk.open(name, false).expect("a file of the fixture");
    let length = file.length().expect("a simulated disk answers");
    let at = u64::from(u16::from_le_bytes([head[2], head[3]])) * length / u64::from(u16::MAX);
    let damage = match head[1] % 4 {
        0 | 1 if name.contains("seg") => Damage::Append(data),
        0..=2 => Damage::Overwrite(at, data),
        _ => Damage::Cut(at),
    };
    match damage {
        Damage::Append(bytes) => file.write(length, bytes).expect("there is room"),
        Damage::Overwrite(at, bytes) => {
            let fits = usize::try_from(length - at).unwrap_or(usize::MAX).min(bytes.len());
            file.write(at, &bytes[..fits]).expect("there is room");
        }
        Damage::Cut(bytes) => file.set_length(bytes).expect("a simulated disk cuts"),
    }
    file.sync().expect("a simulated disk syncs");
    let harmless = matches!(damage, Damage::Append(_));
    match open(&disk) {
        Ok(store) => read_all(&store, fixture, harmless),
        Err(error) => assert!(!harmless, "what stands behind the end of {name} matters: {error}"),
    }
}

/// Everything is right, or (after harmful damage) not there.
fn read_all(store: &DiskStore, fixture: &Fixture, harmless: bool) {
    for (record, content) in &fixture.stored {
        let statement = store.statement(record.batch_id).ok().flatten();
        assert!(statement.as_ref().is_none_or(|found| found == record), "another statement");
        let hot = store.read_hot(&content.key, 0..content.layout.batch_bytes()).ok().flatten();
        assert!(hot.as_ref().is_none_or(|found| *found == content.batch), "wrong bytes");
        let mut pieces = 0;
        for (stripe, expected) in (0..).zip(&content.shard) {
            let piece = store.read_piece(&content.key, stripe).ok().flatten();
            assert!(piece.as_ref().is_none_or(|found| found == expected), "a wrong piece");
            pieces += usize::from(piece.is_some());
        }
        let all = statement.is_some() && hot.is_some() && pieces == content.shard.len();
        assert!(all || !harmless, "something is missing that was committed");
    }
}
