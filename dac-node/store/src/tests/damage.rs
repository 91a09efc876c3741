//! Bytes that rot, files that shrink or vanish: always found, always said, never passed on.

use std::sync::Arc;

use super::fixture::*;
use crate::*;

fn disk_with(content: &NewContent) -> SimulatedDirectory {
    let disk = SimulatedDirectory::new();
    put(&open(&disk), 1, content, NOW + 3600, NOW + 7200);
    disk
}

fn length(disk: &SimulatedDirectory, name: &str) -> u64 {
    disk.open(name, false).unwrap().length().unwrap()
}

#[test]
fn every_flipped_byte_of_a_record_is_found_on_read() {
    let content = content(1, 3000);
    for prefix in ["hot", "shard"] {
        let disk = disk_with(&content);
        let name = segment_of(&disk, prefix);
        let store = open(&disk);
        for offset in 64..length(&disk, &name) {
            disk.flip_bit(&name, offset, 3);
            let hot = store.read_hot(&content.key, 0..3000);
            let shard = store.read_piece(&content.key, 0);
            let roots = store.piece_roots(&content.key);
            let found = [hot.is_err(), shard.is_err(), roots.is_err()];
            for error in [hot.err(), shard.err(), roots.err()].into_iter().flatten() {
                assert!(matches!(&error, Error::Corrupt { segment, .. } if *segment == name), "{error}");
            }
            disk.flip_bit(&name, offset, 3);
            // Spare header bytes (84 to 88 of a record) and padding mean nothing; all else belongs to one record.
            let ignored = found == [false; 3];
            let spare =
                if prefix == "hot" { (148..152).contains(&offset) } else { shard_spare(&content, offset) };
            assert_eq!(ignored, spare, "{prefix} {offset}");
        }
        assert_hot(&store, &content);
        assert_shard(&store, &content);
    }
}

/// Roots record: 4 * 32 bytes of payload after 88 of header; then the piece.
fn shard_spare(content: &NewContent, offset: u64) -> bool {
    assert_eq!(content.layout.stripes(), 1);
    (148..152).contains(&offset) || (64 + 216 + 84..64 + 216 + 88).contains(&offset)
}

#[test]
fn last_commit_is_read_at_open_and_a_hole_in_it_is_reported() {
    let content = content(1, 3000);
    let disk = disk_with(&content);
    let name = segment_of(&disk, "shard");
    disk.flip_bit(&name, 400, 0);
    let refused = DiskStore::open_on(Arc::new(disk.clone()), &config());
    assert!(matches!(refused, Err(Error::Corrupt { segment, .. }) if segment == name));

    for on_damage in [OnDamage::Serve, OnDamage::Repair] {
        let serving = DiskStoreConfig { on_damage, ..config() };
        let store = DiskStore::open_on(Arc::new(disk.clone()), &serving).unwrap();
        assert_eq!(store.damage().iter().map(|damage| &damage.segment).collect::<Vec<_>>(), [&name]);
    }
    let serving = DiskStoreConfig { on_damage: OnDamage::Repair, ..config() };
    let store = DiskStore::open_on(Arc::new(disk.clone()), &serving).unwrap();
    assert!(matches!(store.read_piece(&content.key, 0), Err(Error::Corrupt { .. })));
    assert_hot(&store, &content);
}

#[test]
fn metadata_beyond_the_file_is_reported_and_never_dropped() {
    let content = content(1, 3000);
    for cut in [0, 63, 64, 500] {
        let disk = disk_with(&content);
        let name = segment_of(&disk, "hot");
        disk.cut(&name, cut);
        let refused = DiskStore::open_on(Arc::new(disk.clone()), &config());
        assert!(
            matches!(&refused, Err(Error::Corrupt { segment, offset, .. }) if (segment, *offset) == (&name, cut)),
            "{refused:?}"
        );
        let serving = DiskStoreConfig { on_damage: OnDamage::Serve, ..config() };
        let store = DiskStore::open_on(Arc::new(disk.clone()), &serving).unwrap();
        assert_eq!(store.damage().len(), 1);
        assert!(store.content(&content.key).unwrap().unwrap().hot, "still in the books");
        assert!(matches!(store.read_hot(&content.key, 0..3000), Err(Error::Corrupt { .. })));
        assert_shard(&store, &content);
        // Nothing is appended behind the hole.
        let other = super::fixture::content(2, 3000);
        put(&store, 2, &other, NOW + 3600, NOW + 7200);
        assert_hot(&store, &other);
        assert_eq!(length(&disk, &name), cut);
    }
}

#[test]
fn missing_segment_is_reported_and_the_rest_is_served() {
    let content = content(1, 3000);
    let disk = disk_with(&content);
    let name = segment_of(&disk, "shard");
    disk.unlink(&name).unwrap();
    let refused = DiskStore::open_on(Arc::new(disk.clone()), &config());
    assert!(
        matches!(refused, Err(Error::Corrupt { segment, what: "the file is missing", .. }) if segment == name)
    );
    let serving = DiskStoreConfig { on_damage: OnDamage::Serve, ..config() };
    let store = DiskStore::open_on(Arc::new(disk), &serving).unwrap();
    assert!(matches!(store.read_piece(&content.key, 0), Err(Error::Corrupt { .. })));
    assert_hot(&store, &content);
}

#[test]
fn torn_tail_is_cut_off_and_written_over() {
    let content = content(1, 3000);
    let disk = disk_with(&content);
    let name = segment_of(&disk, "shard");
    let committed = length(&disk, &name);
    let file = disk.open(&name, false).unwrap();
    file.write(committed, &[0xab; 777]).unwrap();
    file.sync().unwrap();
    let store = open(&disk);
    assert_eq!(length(&disk, &name), committed);
    let other = super::fixture::content(2, 3000);
    put(&store, 2, &other, NOW + 3600, NOW + 7200);
    assert_eq!(segments(&disk).len(), 2, "both in the same heads");
    for content in [&content, &other] {
        assert_shard(&store, content);
        assert_hot(&store, content);
    }
}

#[test]
fn lost_metadata_beside_segments_is_refused_and_nothing_is_removed() {
    let content = content(1, 3000);
    let disk = disk_with(&content);
    disk.unlink("metadata.redb").unwrap();
    let before = segments(&disk);
    for _ in 0..2 {
        let refused = DiskStore::open_on(Arc::new(disk.clone()), &config());
        assert!(
            matches!(&refused, Err(Error::Metadata(reason)) if reason.contains("segments")),
            "{refused:?}"
        );
        assert_eq!(segments(&disk), before);
    }
}

#[test]
fn statement_over_rotten_bytes_is_refused_or_brings_them_again() {
    let content = content(1, 3000);
    for (prefix, offset) in [("hot", 1000), ("shard", 1000)] {
        let disk = disk_with(&content);
        let name = segment_of(&disk, prefix);
        let store = open(&disk);
        disk.flip_bit(&name, offset, 1);
        let later = record(2, &content, NOW + 3600, NOW + 7200);
        assert!(matches!(store.persist(&later, None), Err(Error::Corrupt { .. })));
        assert_eq!(store.statement(id(2)).unwrap(), None);
        store.persist(&later, Some(content.clone())).unwrap();
        assert_hot(&store, &content);
        assert_shard(&store, &content);
    }
}

#[test]
fn other_format_versions_are_refused() {
    let disk = disk_with(&content(1, 3000));
    crate::metadata::write_format(&disk, 1);
    let refused = DiskStore::open_on(Arc::new(disk), &config()).map(|_| "opened");
    assert!(matches!(refused, Err(Error::Version { expected: 2, found: 1 })), "{refused:?}");
}

/// Statements 0 to 5, each with its content and certificate.
fn disk_with_six() -> SimulatedDirectory {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    for number in 0..6 {
        let content = content(number, 2000);
        put(&store, number, &content, NOW + 3600, NOW + 7200);
        store.put_certificate(id(number), &certificate(&record(number, &content, 1, 1), 5)).unwrap();
    }
    drop(store);
    disk
}

/// Asks for everything; what is answered must be right. Answers that were refused, and that were `None`.
fn refused_and_missing(store: &DiskStore) -> (u32, u32) {
    let (mut refused, mut missing) = (0, 0);
    let mut count = |answer: Result<Option<bool>, Error>| match answer {
        Ok(Some(right)) => assert!(right, "a wrong answer"),
        Ok(None) => missing += 1,
        Err(_) => refused += 1,
    };
    for number in 0..6 {
        let content = content(number, 2000);
        let expected = record(number, &content, NOW + 3600, NOW + 7200);
        count(store.statement(id(number)).map(|found| found.map(|found| found == expected)));
        count(store.read_hot(&content.key, 0..2000).map(|found| found.map(|found| found == content.batch)));
        let expected = certificate(&record(number, &content, 1, 1), 5);
        count(store.certificate(id(number)).map(|found| found.map(|found| found == expected)));
    }
    (refused, missing)
}

#[test]
fn damaged_metadata_never_passes_for_other_metadata() {
    let disk = disk_with_six();
    let bytes = length(&disk, "metadata.redb");
    let (mut unopened, mut answered) = (0, 0);
    for offset in (0..bytes).step_by(53) {
        let copy = disk.restart(Unsynced::Kept);
        let mut byte = [0];
        copy.open("metadata.redb", false).unwrap().read(offset, &mut byte).unwrap();
        // Most of the file is zeros that mean nothing yet.
        if byte == [0] {
            continue;
        }
        copy.flip_bit("metadata.redb", offset, u8::try_from(offset % 8).unwrap());
        match DiskStore::open_on(Arc::new(copy), &config()) {
            Err(_) => unopened += 1,
            Ok(store) => {
                assert_eq!(refused_and_missing(&store), (0, 0), "byte {offset}");
                answered += 1;
            }
        }
    }
    assert!(unopened > 10 && answered > 10, "{unopened} {answered}");
}

#[test]
fn restore_replaces_what_is_damaged_and_only_that() {
    let content = content(1, 3000);
    for (prefix, with_batch) in [("shard", false), ("shard", true), ("hot", true)] {
        let disk = disk_with(&content);
        let name = segment_of(&disk, prefix);
        let store = open(&disk);
        disk.flip_bit(&name, 400, 0);
        store.restore(restored(content.clone(), NOW + 9000, with_batch)).unwrap();
        assert_hot(&store, &content);
        assert_shard(&store, &content);
        assert_eq!(store.content(&content.key).unwrap().unwrap().retain_until, NOW + 9000);
        drop(store);
        let store = open(&disk.restart(Unsynced::Lost));
        assert_hot(&store, &content);
        assert_shard(&store, &content);
    }
}

#[test]
fn restore_without_the_batch_leaves_a_damaged_hot_copy_as_it_is() {
    let content = content(1, 3000);
    let disk = disk_with(&content);
    let name = segment_of(&disk, "hot");
    let store = open(&disk);
    disk.flip_bit(&name, 400, 0);
    store.restore(restored(content.clone(), NOW, false)).unwrap();
    assert!(matches!(store.read_hot(&content.key, 0..3000), Err(Error::Corrupt { .. })));
    assert_eq!(store.content(&content.key).unwrap().unwrap().retain_until, NOW + 7200, "never sooner");
}

#[test]
fn a_restored_shard_gives_no_statement_and_no_hot_copy() {
    let content = content(1, 3000);
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    store.restore(restored(content.clone(), NOW + 9000, false)).unwrap();
    assert_shard(&store, &content);
    assert_eq!(store.read_hot(&content.key, 0..1).unwrap(), None);
    assert_eq!(store.statement_count().unwrap(), 0);
    // A statement that promises whole bytes does not rest on a shard alone.
    let promised = record(1, &content, NOW + 10, NOW + 20);
    assert!(matches!(store.persist(&promised, None), Err(Error::UnknownContent(_))));
    store.persist(&promised, Some(content.clone())).unwrap();
    assert_hot(&store, &content);
}
