//! No room: clear refusals, a clean state, and going on when there is room again.

use std::sync::Arc;

use super::fixture::*;
use crate::*;

/// Fills the store with contents of 20,000 bytes until it refuses; how many it took, and the refusal.
fn fill(store: &DiskStore, from: u64) -> (u64, Error) {
    for number in from..from + 1000 {
        let content = content(number, 20_000);
        let record = record(number, &content, NOW + 3600, NOW + 7200);
        if let Err(error) = store.persist(&record, Some(content)) {
            return (number - from, error);
        }
    }
    panic!("never full");
}

fn check(store: &DiskStore, statements: std::ops::Range<u64>) {
    for number in statements.clone() {
        assert_shard(store, &content(number, 20_000));
        assert_hot(store, &content(number, 20_000));
    }
    assert_eq!(store.statement_count().unwrap(), statements.end - statements.start);
}

#[test]
fn full_disk_refuses_before_the_reserve_and_goes_on_when_there_is_room() {
    let disk = SimulatedDirectory::new();
    disk.set_capacity(3 << 20);
    let config = DiskStoreConfig { reserve_bytes: 500_000, ..config() };
    let store = DiskStore::open_on(Arc::new(disk.clone()), &config).unwrap();
    let (stored, error) = fill(&store, 0);
    assert!(stored > 10);
    let Error::Full { needed_bytes, free_bytes } = error else { panic!("{error}") };
    assert!(needed_bytes > 30_000 && free_bytes < needed_bytes);
    assert!(disk.free_bytes().unwrap() >= 500_000 - 64_000, "the metadata may go a little below");
    check(&store, 0..stored);

    // Certificates and prunes work while it is full.
    store.put_certificate(id(0), &certificate(&record(0, &content(0, 20_000), 1, 1), 5)).unwrap();
    assert_eq!(store.prune(NOW + 3601).unwrap().hot_copies, stored);
    assert!(store.space().unwrap().free_bytes > needed_bytes);
    let (more, _) = fill(&store, 1000);
    assert!(more > 0);
}

#[test]
fn cap_of_the_store_holds_whatever_the_disk_has() {
    let disk = SimulatedDirectory::new();
    let config = DiskStoreConfig { bytes_max: 4 << 20, ..config() };
    let store = DiskStore::open_on(Arc::new(disk.clone()), &config).unwrap();
    let (stored, error) = fill(&store, 0);
    assert!(stored > 10 && matches!(error, Error::Full { .. }), "{stored} {error}");
    let space = store.space().unwrap();
    assert!(space.used_bytes <= 4 << 20 && space.free_bytes < 60_000, "{space:?}");
    check(&store, 0..stored);
}

/// The disk is filled by somebody else, at any moment, to any degree.
#[test]
fn disk_filled_by_others_is_refused_cleanly_and_needs_no_restart() {
    let mut full = 0;
    for room in (0..120_000).step_by(1024) {
        let disk = SimulatedDirectory::new();
        let store = open(&disk);
        for number in 0..3 {
            put(&store, number, &content(number, 20_000), NOW + 3600, NOW + 7200);
        }
        // The first look says that there is room: as when it is taken between the look and the write.
        disk.set_capacity(disk.used_bytes() + room);
        disk.overstate_free_bytes(1 << 30);
        let (content, other) = (content(7, 20_000), record(7, &content(7, 20_000), NOW + 3600, NOW + 7200));
        let before = segment_lengths(&disk);
        let answer = store.persist(&other, Some(content.clone()));
        let mut statements = 3;
        match answer {
            Ok(()) => statements = 4,
            Err(Error::Full { .. }) => {
                full += 1;
                assert_eq!(segment_lengths(&disk), before, "what was written is taken back");
            }
            Err(error) => panic!("{room}: {error}"),
        }
        check_numbers(&store, statements);
        store.prune(NOW).unwrap();
        disk.overstate_free_bytes(0);
        disk.set_capacity(1 << 30);
        store.persist(&other, Some(content.clone())).unwrap();
        check_numbers(&store, 4);
        assert_shard(&store, &content);
        drop(store);
        check_numbers(&open(&disk.restart(Unsynced::Lost)), 4);
    }
    assert!(full > 20, "{full}");
}

/// A member that started on a full disk was told "no room" for as long as nothing was written, and as it was told so it
/// asked for no write: only the next prune ended that. Found by the simulator, seed 256 on the real store.
#[test]
fn room_that_comes_back_is_seen_without_a_write() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    put(&store, 0, &content(0, 20_000), NOW + 3600, NOW + 7200);
    disk.set_capacity(disk.used_bytes() + 4096);
    disk.cut("ballast", 0);
    drop(store);
    let disk = disk.restart(Unsynced::Lost);
    disk.set_capacity(disk.used_bytes() + 4096);
    let store = open(&disk);
    assert_eq!(store.space().unwrap().free_bytes, 0);
    disk.set_capacity(disk.used_bytes() + config().ballast_bytes);
    assert_eq!(store.space().unwrap().free_bytes, 0, "that much may be what a commit lives on");
    disk.set_capacity(1 << 30);
    assert!(store.space().unwrap().free_bytes > 1 << 29);
    put(&store, 1, &content(1, 20_000), NOW + 3600, NOW + 7200);
}

fn segment_lengths(disk: &SimulatedDirectory) -> Vec<(String, u64)> {
    let length = |name: &String| disk.open(name, false).unwrap().length().unwrap();
    segments(disk).into_iter().map(|name| (name.clone(), length(&name))).collect()
}

fn check_numbers(store: &DiskStore, statements: u64) {
    assert_eq!(store.statement_count().unwrap(), statements);
    for number in 0..3 {
        assert_shard(store, &content(number, 20_000));
    }
}

#[test]
fn full_disk_without_a_free_block_can_be_pruned() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    for number in 0..40 {
        put(&store, number, &content(number, 5000), NOW + 60, NOW + 120);
    }
    disk.set_capacity(disk.used_bytes());
    let refused =
        store.persist(&record(99, &content(99, 5000), NOW + 60, NOW + 120), Some(content(99, 5000)));
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    let pruned = store.prune(NOW + 130 + GRACE).unwrap();
    assert_eq!(pruned.statements, 40);
    assert!(pruned.segments > 0);
    put(&store, 99, &content(99, 5000), NOW + 60, NOW + 120);
}
