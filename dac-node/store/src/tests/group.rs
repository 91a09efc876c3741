//! Many at once: one commit for all, one copy of equal bytes.

use super::fixture::*;
use crate::commit::{Done, Task};
use crate::*;

fn persist(number: u64, content: &NewContent) -> Task {
    let record = record(number, content, NOW + 3600, NOW + 7200);
    Task::Persist { record: Box::new(record), content: Some(Box::new(content.clone())) }
}

/// Gives the writer all tasks while its first sync is held, so that all others wait together.
fn together(disk: &SimulatedDirectory, store: &DiskStore, tasks: Vec<Task>) -> u64 {
    disk.hold_syncs();
    let before = disk.syncs();
    let answers: Vec<_> = tasks.into_iter().map(|task| store.request(task).unwrap()).collect();
    disk.release_syncs();
    for answer in answers {
        assert!(matches!(answer.recv().unwrap(), Ok(Done::Written)));
    }
    disk.syncs() - before
}

fn wide_store(disk: &SimulatedDirectory) -> DiskStore {
    let config = DiskStoreConfig { queue_requests: 128, segment_bytes: 64 << 20, ..config() };
    DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config).unwrap()
}

#[test]
fn hundred_concurrent_persists_share_few_syncs() {
    let disk = SimulatedDirectory::new();
    let store = wide_store(&disk);
    put(&store, 1000, &content(1000, 2000), NOW + 3600, NOW + 7200);
    let contents: Vec<NewContent> = (0..100).map(|number| content(number, 2000)).collect();
    let tasks = contents.iter().zip(0..).map(|(content, number)| persist(number, content)).collect();
    let syncs = together(&disk, &store, tasks);
    // Two segments and the metadata, for the first group and for the one of all others.
    assert!(syncs <= 6, "{syncs}");
    for content in &contents {
        assert_shard(&store, content);
        assert_hot(&store, content);
    }
}

#[test]
fn equal_content_in_one_group_is_written_once() {
    let disk = SimulatedDirectory::new();
    let store = wide_store(&disk);
    let one = content(1, 50_000);
    put(&store, 0, &content(0, 1), NOW + 3600, NOW + 7200);
    let before = store.space().unwrap().used_bytes;
    // Thirty statements over the same bytes, each asked for twice.
    let tasks = (1..=60).map(|number| persist(1 + number / 2, &one)).collect();
    together(&disk, &store, tasks);
    let written = store.space().unwrap().used_bytes - before;
    assert!(written < 2 * 50_000, "{written}");
    assert_eq!(store.statement_count().unwrap(), 32);
    assert_eq!(store.statements_of(one.key.data_hash).unwrap().len(), 31);
    assert_eq!(store.quota_used(rollup(0), NOW / DAY).unwrap(), 1 + 10 * 50_000);
}

#[test]
fn same_statement_again_writes_nothing() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let content = content(1, 5000);
    put(&store, 1, &content, NOW + 3600, NOW + 7200);
    let (operations, used) = (disk.operations(), store.space().unwrap());
    for _ in 0..3 {
        put(&store, 1, &content, NOW + 3600, NOW + 7200);
    }
    assert_eq!((disk.operations(), store.space().unwrap()), (operations, used));
    assert_eq!(store.quota_used(rollup(1), NOW / DAY).unwrap(), 5000);
}

#[test]
fn refused_task_leaves_the_others_of_its_group_alone() {
    let disk = SimulatedDirectory::new();
    let config = DiskStoreConfig { bytes_max: 3 << 20, segment_bytes: 64 << 20, ..config() };
    let store = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config).unwrap();
    let (small, large) = (content(1, 2000), content(2, 3 << 20));
    disk.hold_syncs();
    let tasks = [persist(0, &content(0, 10)), persist(1, &small), persist(2, &large), persist(3, &small)];
    let answers: Vec<_> = tasks.into_iter().map(|task| store.request(task).unwrap()).collect();
    disk.release_syncs();
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.recv().unwrap().map(|_| ())).collect();
    assert!(matches!(answers[..], [Ok(()), Ok(()), Err(Error::Full { .. }), Ok(())]), "{answers:?}");
    assert_eq!(store.content(&large.key).unwrap().map(|info| info.hot), None);
    drop(store);
    let store = open(&disk.restart(Unsynced::Lost));
    assert_eq!(store.statement_count().unwrap(), 3);
    assert_shard(&store, &small);
}

#[test]
fn large_batches_are_read_by_range_without_reading_all() {
    let disk = SimulatedDirectory::new();
    let store = wide_store(&disk);
    let content = content(1, 3_000_000);
    put(&store, 1, &content, NOW + 3600, NOW + 7200);
    assert_hot(&store, &content);
    assert_shard(&store, &content);
    let name = segment_of(&disk, "hot");
    // Damage in the first part is not even seen by a reader of the second.
    disk.flip_bit(&name, 1000, 0);
    let (start, end) = (300_000, 300_010);
    let part = store.read_hot(&content.key, start..end).unwrap().unwrap();
    assert_eq!(part, content.batch.slice(300_000..300_010));
    assert!(matches!(store.read_hot(&content.key, 0..10), Err(Error::Corrupt { .. })));
}
