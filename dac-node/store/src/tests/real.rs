//! The same store on a real file system.

use super::fixture::*;
use crate::*;

#[test]
fn two_stores_never_open_one_directory() {
    let path = tempfile::tempdir().unwrap();
    let first = DiskStore::open(path.path(), &config()).unwrap();
    let second = DiskStore::open(path.path(), &config());
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    drop(first);
    DiskStore::open(path.path(), &config()).unwrap();
}

#[test]
fn what_was_stored_is_there_after_a_reopen() {
    let path = tempfile::tempdir().unwrap();
    let contents: Vec<NewContent> =
        [1, 70_000, 600_000].into_iter().map(|bytes| content(20, bytes)).collect();
    let store = DiskStore::open(path.path(), &config()).unwrap();
    std::thread::scope(|scope| {
        for (content, number) in contents.iter().zip(0..) {
            let store = &store;
            scope.spawn(move || put(store, number, content, NOW + 3600, NOW + 7200));
        }
    });
    drop(store);
    let store = DiskStore::open(path.path(), &config()).unwrap();
    for content in &contents {
        assert_hot(&store, content);
        assert_shard(&store, content);
    }
    assert_eq!(store.recent(10).unwrap().len(), 3);
    assert!(store.space().unwrap().free_bytes > 0);
    store.prune(NOW + DAY).unwrap();
    let names: Vec<_> =
        std::fs::read_dir(path.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".segment")), "{names:?}");
}
