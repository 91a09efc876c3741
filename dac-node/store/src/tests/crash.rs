//! A crash at every operation: what was answered `Ok` is there, nothing half-written is.

use std::collections::BTreeMap;

use super::fixture::*;
use crate::*;

/// What a script was told before the crash.
#[derive(Default)]
struct Told {
    /// Statements that `persist` said `Ok` to.
    statements: BTreeMap<u64, StatementRecord>,
    certificates: Vec<u64>,
    /// The latest time a prune was asked for, whether it was answered or not.
    pruned_at: u64,
}

fn contents() -> Vec<NewContent> {
    [3000, 70_000, 1, 20_000].into_iter().zip(10..).map(|(bytes, number)| content(number, bytes)).collect()
}

/// Statement `number`: content, hours until hot and shard expire.
const STATEMENTS: [(usize, u64, u64); 7] =
    [(0, 1, 2), (1, 1, 3), (0, 1, 2), (2, 1, 1), (1, 6, 8), (3, 2, 9), (2, 7, 9)];

fn statement(number: u64) -> (StatementRecord, NewContent) {
    let (content, hot, retain) = STATEMENTS[usize::try_from(number).unwrap()];
    let content = contents()[content].clone();
    (record(number, &content, NOW + hot * 3600, NOW + retain * 3600), content)
}

/// New contents, a second statement over one, an extension, prunes that move and unlink. Stops at the first error.
fn script(store: &DiskStore, told: &mut Told) -> Result<(), Error> {
    let persist = |number: u64, with_bytes: bool, told: &mut Told| {
        let (record, content) = statement(number);
        store.persist(&record, with_bytes.then_some(content))?;
        told.statements.insert(number, record);
        Ok::<(), Error>(())
    };
    for (number, with_bytes) in [(0, true), (1, true), (2, false), (3, true)] {
        persist(number, with_bytes, told)?;
    }
    store.put_certificate(id(0), &certificate(&statement(0).0, 5))?;
    told.certificates.push(0);
    persist(4, false, told)?;
    for hours in [4, 5] {
        told.pruned_at = NOW + hours * 3600;
        store.prune(told.pruned_at)?;
    }
    persist(5, true, told)?;
    // Its content was pruned: it comes with the bytes again.
    persist(6, true, told)
}

/// What must hold of any image after a crash.
fn check(store: &DiskStore, told: &Told) {
    let alive = |until: u64| until >= told.pruned_at;
    for record in told.statements.values() {
        let StatementRecord { batch_id, statement, .. } = record;
        if alive(statement.retain_until + GRACE) {
            assert_eq!(store.statement(*batch_id).unwrap().as_ref(), Some(record));
        }
    }
    // Whatever is visible, told or not, is whole.
    for id in store.recent(100).unwrap() {
        let record = store.statement(id).unwrap().unwrap();
        assert!(store.statements_of(record.statement.data_hash).unwrap().contains(&id));
        let content = contents().into_iter().find(|content| content.key == record.content_key()).unwrap();
        if alive(record.statement.retain_until + GRACE) {
            assert_shard(store, &content);
        }
        if alive(record.statement.hot_until) {
            assert_hot(store, &content);
        }
    }
    for number in &told.certificates {
        assert_eq!(store.certificate(id(*number)).unwrap(), Some(certificate(&statement(*number).0, 5)));
    }
    assert_eq!(store.statement_count().unwrap(), store.recent(100).unwrap().len() as u64);
}

/// The store works after the crash as if there had been none.
fn check_goes_on(store: &DiskStore) {
    for number in 0..STATEMENTS.len() as u64 {
        let (record, content) = statement(number);
        store.persist(&record, Some(content.clone())).unwrap();
        assert_shard(store, &content);
    }
    store.prune(NOW + 30 * DAY).unwrap();
    assert_eq!(store.statement_count().unwrap(), 0);
}

/// Runs the script until the `n`-th operation; the image as the next process finds it.
fn crashed_at(n: u64, unsynced: Unsynced) -> (SimulatedDirectory, Told) {
    let disk = SimulatedDirectory::new();
    disk.crash_at_operation(n);
    let mut told = Told::default();
    if let Ok(store) = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config()) {
        match script(&store, &mut told) {
            // The last operations are those of closing the store, which nobody waits for.
            Ok(()) => drop(store),
            Err(error) => {
                assert!(matches!(error, Error::Poisoned(_) | Error::Io(_)), "operation {n}: {error}")
            }
        }
    }
    (disk.restart(unsynced), told)
}

fn operations_of_the_script() -> u64 {
    let disk = SimulatedDirectory::new();
    let store = open(&disk);
    let mut told = Told::default();
    script(&store, &mut told).unwrap();
    check(&store, &told);
    drop(store);
    disk.operations()
}

#[test]
fn crash_at_any_operation_loses_nothing_that_was_answered() {
    let operations = operations_of_the_script();
    assert!(operations > 100, "{operations}");
    for n in 1..=operations {
        for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(n)] {
            let (disk, told) = crashed_at(n, unsynced);
            let store = open(&disk);
            check(&store, &told);
            check_goes_on(&store);
            drop(store);
            assert_eq!(segments(&disk), [""; 0], "operation {n}, {unsynced:?}");
        }
    }
}

#[test]
fn crash_while_recovering_from_a_crash_loses_nothing() {
    let operations = operations_of_the_script();
    for n in (operations / 3..=operations).step_by(7) {
        let (mut disk, told) = crashed_at(n, Unsynced::Torn(n));
        for again in 1.. {
            disk.crash_at_operation(again);
            let opened = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config());
            let crashed = disk.operations() >= again;
            assert!(opened.is_ok() || crashed, "operation {n}, then {again}: {opened:?}");
            drop(opened);
            disk = disk.restart(Unsynced::Torn(again));
            if !crashed {
                break;
            }
        }
        check(&open(&disk), &told);
    }
}

#[test]
fn failing_sync_poisons_for_ever_and_loses_nothing() {
    let disk = SimulatedDirectory::new();
    let mut told = Told::default();
    script(&open(&disk), &mut told).unwrap();
    let syncs = disk.syncs();
    assert!(syncs > 20, "{syncs}");
    for n in 1..=syncs {
        let disk = SimulatedDirectory::new();
        disk.fail_sync(n);
        let mut told = Told::default();
        let Ok(store) = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config()) else { continue };
        let Err(error) = script(&store, &mut told) else {
            // The last syncs are those of closing the store, which nobody waits for.
            drop(store);
            check(&open(&disk.restart(Unsynced::Lost)), &told);
            continue;
        };
        assert!(matches!(error, Error::Poisoned(_)) && error.is_fatal(), "sync {n}: {error}");
        let (record, content) = statement(0);
        assert!(matches!(store.persist(&record, Some(content.clone())), Err(Error::Poisoned(_))));
        assert!(matches!(store.read_hot(&content.key, 0..1), Err(Error::Poisoned(_))));
        assert!(matches!(store.space(), Err(Error::Poisoned(_))));
        let writes = disk.writes();
        drop(store);
        assert_eq!(disk.writes(), writes, "a poisoned store writes nothing more");
        let store = open(&disk.restart(Unsynced::Lost));
        check(&store, &told);
        check_goes_on(&store);
    }
}

#[test]
fn failing_write_is_refused_or_poisons_and_loses_nothing() {
    let disk = SimulatedDirectory::new();
    script(&open(&disk), &mut Told::default()).unwrap();
    let mut refused = 0;
    for n in 1..=disk.writes() {
        let disk = SimulatedDirectory::new();
        disk.fail_write(n);
        let mut told = Told::default();
        let Ok(store) = DiskStore::open_on(std::sync::Arc::new(disk.clone()), &config()) else { continue };
        match script(&store, &mut told) {
            Ok(()) | Err(Error::Poisoned(_)) => {
                drop(store);
                check(&open(&disk.restart(Unsynced::Lost)), &told);
            }
            Err(Error::Io(_)) => {
                // A write to a segment: undone, and the store goes on.
                refused += 1;
                check(&store, &told);
                check_goes_on(&store);
            }
            Err(other) => panic!("write {n}: {other}"),
        }
    }
    assert!(refused > 5, "{refused}");
}
