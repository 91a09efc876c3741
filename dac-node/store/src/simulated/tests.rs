use super::*;

/// A file with `synced` durable and `unsynced` not.
fn disk(synced: &[u8], unsynced: &[u8]) -> SimulatedDirectory {
    let disk = SimulatedDirectory::new();
    let file = disk.open("a", true).unwrap();
    file.write(0, synced).unwrap();
    file.sync().unwrap();
    disk.sync().unwrap();
    file.write(synced.len() as u64, unsynced).unwrap();
    disk
}

fn content(disk: &SimulatedDirectory, name: &str) -> Vec<u8> {
    let file = disk.open(name, false).unwrap();
    let mut out = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read(0, &mut out).unwrap();
    out
}

#[test]
fn crash_keeps_what_was_synced_and_only_that_for_sure() {
    assert_eq!(content(&disk(b"abc", b"def").restart(Unsynced::Kept), "a"), b"abcdef");
    assert_eq!(content(&disk(b"abc", b"def").restart(Unsynced::Lost), "a"), b"abc");
    let outcomes: std::collections::BTreeSet<Vec<u8>> =
        (0..64).map(|seed| content(&disk(b"abc", &[1; 1024]).restart(Unsynced::Torn(seed)), "a")).collect();
    assert!(outcomes.len() >= 4, "whole, nothing, first half, second half");
    assert!(outcomes.iter().all(|outcome| outcome.starts_with(b"abc")));
}

#[test]
fn names_need_their_own_sync() {
    let disk = disk(b"abc", b"");
    disk.open("b", true).unwrap();
    disk.unlink("a").unwrap();
    let lost = disk.restart(Unsynced::Lost);
    assert_eq!(lost.list().unwrap(), ["a"]);
    assert!(disk.list().is_err(), "the old handle is dead");
}

#[test]
fn failed_sync_loses_the_changes_and_the_next_one_lies() {
    let disk = disk(b"abc", b"def");
    disk.fail_sync(1);
    let file = disk.open("a", false).unwrap();
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    assert_eq!(content(&disk, "a"), b"abcdef");
    assert_eq!(content(&disk.restart(Unsynced::Lost), "a"), b"abc");
}

#[test]
fn full_disk_takes_what_fits_and_holes_are_free() {
    let disk = disk(b"abc", b"");
    disk.set_capacity(disk.used_bytes() + 4096);
    let file = disk.open("a", false).unwrap();
    file.set_length(1 << 30).unwrap();
    let error = file.write(4096, &[7; 8192]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.free_bytes().unwrap(), 0);
    let mut out = [0; 4097];
    file.read(4096, &mut out).unwrap();
    assert_eq!((out[4095], out[4096]), (7, 0));
    file.set_length(3).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 4096);
}

#[test]
fn crash_at_the_nth_operation_stops_everything_after_it() {
    let disk = disk(b"abc", b"");
    disk.crash_at_operation(2);
    let file = disk.open("a", false).unwrap();
    file.write(3, b"d").unwrap();
    assert!(file.write(4, b"efgh").is_err());
    assert!(file.sync().is_err() && file.length().is_err() && disk.list().is_err());
    assert_eq!(content(&disk.restart(Unsynced::Kept), "a"), b"abcdef");
}
