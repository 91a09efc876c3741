//! What goes when, what stays, and that disk space comes back.

use super::fixture::*;
use crate::*;

#[test]
fn hot_copy_goes_first_then_the_shard_after_the_grace_period_then_only_the_certificate_is_left() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let content = content(1, 5000);
    put(&store, 1, &content, NOW + 100, NOW + 200);
    let bytes = certificate(&record(1, &content, NOW + 100, NOW + 200), 5);
    store.put_certificate(id(1), &bytes).unwrap();

    let nothing = Pruned::default();
    assert_eq!(store.prune(NOW + 100).unwrap(), nothing);
    assert_hot(&store, &content);
    assert_eq!(store.prune(NOW + 101).unwrap(), Pruned { hot_copies: 1, segments: 1, ..nothing });
    assert_eq!(store.read_hot(&content.key, 0..1).unwrap(), None);
    assert_eq!(store.prune(NOW + 200 + GRACE).unwrap(), nothing);
    assert_shard(&store, &content);
    assert_eq!(store.prune(NOW + 201 + GRACE).unwrap(), Pruned { statements: 1, segments: 1, ..nothing });
    assert_eq!(store.read_piece(&content.key, 0).unwrap(), None);
    assert_eq!(store.statement(id(1)).unwrap(), None);
    assert_eq!(store.statements_of(content.key.data_hash).unwrap(), []);
    assert_eq!(segments(&disk), [""; 0]);

    let store = open(&disk.restart(Unsynced::Kept));
    assert_eq!(store.certificate(id(1)).unwrap(), Some(bytes));
}

#[test]
fn certificate_is_replaced_only_by_one_with_more_signers() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let record = record(1, &content(1, 10), 1, 1);
    for (put, kept) in [(5, 5), (4, 5), (6, 6), (5, 6)] {
        store.put_certificate(id(1), &certificate(&record, put)).unwrap();
        assert_eq!(store.certificate(id(1)).unwrap(), Some(certificate(&record, kept)));
    }
    let operations = disk.operations();
    store.put_certificate(id(1), &certificate(&record, 6)).unwrap();
    assert_eq!(disk.operations(), operations);
}

#[test]
fn later_statement_extends_what_is_kept_and_frees_the_old_segments() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let (extended, other) = (content(1, 20_000), content(2, 20_000));
    put(&store, 1, &extended, NOW + 3600, NOW + 3600);
    put(&store, 2, &other, NOW + 3600, NOW + 3600);
    let old = segments(&disk);
    let used = store.space().unwrap().used_bytes;
    store.persist(&record(3, &extended, NOW + 20_000, NOW + 40_000), None).unwrap();
    assert_eq!(
        (segments(&disk), store.space().unwrap().used_bytes),
        (old.clone(), used),
        "no bytes are written"
    );

    let pruned = store.prune(NOW + 2 * 3600 + GRACE + 1).unwrap();
    assert_eq!((pruned.statements, pruned.hot_copies, pruned.segments), (2, 1, 2));
    let new = segments(&disk);
    assert!(new.len() == 2 && new.iter().all(|name| !old.contains(name)), "{new:?}");
    assert_hot(&store, &extended);
    assert_shard(&store, &extended);
    assert_eq!(store.read_piece(&other.key, 0).unwrap(), None);
    assert!(store.space().unwrap().used_bytes < used - 30_000);

    drop(store);
    let disk = disk.restart(Unsynced::Lost);
    let store = open(&disk);
    assert_hot(&store, &extended);
    assert_shard(&store, &extended);
    assert_eq!(store.prune(NOW + 20_001).unwrap().hot_copies, 1);
    assert_eq!(store.prune(NOW + 50_000).unwrap().statements, 1);
    assert_eq!(segments(&disk), [""; 0]);
}

#[test]
fn reader_of_a_moved_extent_finds_its_new_place() {
    let disk = SimulatedDirectory::new();
    // One open file: the old one is closed before it is unlinked.
    let config = DiskStoreConfig { open_files_max: 1, ..config() };
    let store = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config).unwrap();
    let content = content(1, 70_000);
    put(&store, 1, &content, NOW + 3600, NOW + 3600);
    store.persist(&record(2, &content, NOW + 90_000, NOW + 90_000), None).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for _ in 0..200 {
                assert_hot(&store, &content);
                assert_shard(&store, &content);
            }
        });
        let mut until = 90_000;
        while !reader.is_finished() {
            until += 10_000;
            store.persist(&record(until, &content, NOW + until, NOW + until), None).unwrap();
            store.prune(NOW + until - 5000).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn extent_that_does_not_check_stays_where_it_is() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let content = content(1, 5000);
    put(&store, 1, &content, NOW + 60, NOW + 60);
    store.persist(&record(2, &content, NOW + 60, NOW + 90_000), None).unwrap();
    let name = segment_of(&disk, "shard");
    disk.flip_bit(&name, 1000, 0);
    store.prune(NOW + 80_000).unwrap();
    assert_eq!(segments(&disk), [name.as_str()]);
    assert!(
        matches!(store.read_piece(&content.key, 0), Err(Error::Corrupt { segment, .. }) if segment == name)
    );
    // Someone who has the bytes can put them right.
    store.persist(&record(3, &content, NOW + 60, NOW + 90_000), Some(content.clone())).unwrap();
    assert_shard(&store, &content);
    store.prune(NOW + 80_000).unwrap();
    assert_ne!(segments(&disk), [name]);
}

#[test]
fn hot_copy_that_is_gone_is_written_again_only_with_its_bytes() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let content = content(1, 5000);
    put(&store, 1, &content, NOW + 60, NOW + 9000);
    store.prune(NOW + 61).unwrap();
    let shorter = record(2, &content, NOW + 30, NOW + 9000);
    store.persist(&shorter, None).unwrap();
    let longer = record(3, &content, NOW + 600, NOW + 9000);
    assert!(matches!(store.persist(&longer, None), Err(Error::UnknownContent(_))));
    store.persist(&longer, Some(content.clone())).unwrap();
    assert_hot(&store, &content);
    assert!(store.content(&content.key).unwrap().unwrap().hot);
}

#[test]
fn thousands_expire_in_steps_and_others_come_between() {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let contents: Vec<NewContent> = (0..8).map(|number| content(number, 10)).collect();
    for (content, number) in contents.iter().cycle().zip(0..600) {
        let with_bytes = (number < 8).then(|| content.clone());
        store.persist(&record(number, content, NOW + 60, NOW + 60), with_bytes).unwrap();
    }
    let pruned = store.prune(NOW + 61 + GRACE).unwrap();
    assert_eq!((pruned.statements, pruned.hot_copies), (600, 8));
    assert_eq!(segments(&disk), [""; 0]);
    assert_eq!(store.recent(10).unwrap(), []);
}

#[test]
fn old_quota_counters_go_after_a_week() {
    let store = open(&SimulatedDirectory::new());
    put(&store, 1, &content(1, 10), NOW + 60, NOW + 60);
    store.prune(NOW + QUOTA_DAYS_KEPT * DAY).unwrap();
    assert_eq!(store.quota_used(rollup(1), NOW / DAY).unwrap(), 10);
    store.prune(NOW + (QUOTA_DAYS_KEPT + 1) * DAY).unwrap();
    assert_eq!(store.quota_used(rollup(1), NOW / DAY).unwrap(), 0);
}
