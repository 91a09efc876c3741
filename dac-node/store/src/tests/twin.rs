//! The store on a disk and the one in memory answer alike, whatever is asked in whatever order.

use std::mem::discriminant;

use proptest::prelude::*;

use super::fixture::*;
use crate::*;

#[derive(Clone, Debug)]
enum Step {
    Persist { statement: u64, content: u64, hot: u64, retain: u64, with_bytes: bool },
    Certificate { statement: u64, signers: u16, retain: u64 },
    Restore { content: u64, retain: u64, with_batch: bool },
    Evidence { statement: u64, byte: u8 },
    Prune { after: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12_u64, 0..5_u64, 0..9000_u64, 0..9000_u64, any::<bool>()).prop_map(
            |(statement, content, hot, more, with_bytes)| Step::Persist {
                statement, content, hot, retain: hot + more, with_bytes,
            }
        ),
        2 => (0..12_u64, 1..=7_u16, 0..9000_u64)
            .prop_map(|(statement, signers, retain)| Step::Certificate { statement, signers, retain }),
        2 => (0..5_u64, 0..9000_u64, any::<bool>())
            .prop_map(|(content, retain, with_batch)| Step::Restore { content, retain, with_batch }),
        1 => (0..12_u64, any::<u8>()).prop_map(|(statement, byte)| Step::Evidence { statement, byte }),
        2 => (0..4000_u64).prop_map(|after| Step::Prune { after }),
        1 => Just(Step::Reopen),
    ]
}

/// Content `number`; sizes around the borders of stripe (64 KiB) and hot part (256 KiB).
fn sized(number: u64) -> NewContent {
    let bytes = [1, 5000, 65_536, 65_537, 300_000][usize::try_from(number).unwrap()];
    content(number, bytes)
}

fn outcome<T: PartialEq + std::fmt::Debug>(
    result: Result<T, Error>,
) -> Result<T, std::mem::Discriminant<Error>> {
    result.map_err(|error| discriminant(&error))
}

fn perform(
    store: &dyn ShardStore,
    step: &Step,
    now: &mut u64,
) -> Result<(u64, u64), std::mem::Discriminant<Error>> {
    outcome(match step {
        Step::Persist { statement, content, hot, retain, with_bytes } => {
            let content = sized(*content);
            let mut record = record(*statement, &content, *now + hot, *now + retain);
            record.accepted_at = *now;
            store.persist(&record, with_bytes.then_some(content)).map(|()| (0, 0))
        }
        Step::Certificate { statement, signers, retain } => {
            let bytes = certificate(&record(*statement, &sized(0), 1, *now + retain), *signers);
            store.put_certificate(id(*statement), &bytes).map(|()| (0, 0))
        }
        Step::Restore { content, retain, with_batch } => {
            store.restore(restored(sized(*content), *now + retain, *with_batch)).map(|()| (0, 0))
        }
        Step::Evidence { statement, byte } => {
            store.put_evidence(id(*statement), &[*byte; 100]).map(|()| (0, 0))
        }
        Step::Prune { after } => {
            *now += after;
            store.prune(*now).map(|pruned| (pruned.statements, pruned.hot_copies))
        }
        Step::Reopen => Ok((0, 0)),
    })
}

/// Everything the trait lets one see, as text.
fn view(store: &dyn ShardStore, now: u64) -> Vec<String> {
    let mut seen = vec![
        format!("{:?}", store.recent(100).unwrap()),
        format!("{:?}", store.recent(2).unwrap()),
        format!("{}", store.statement_count().unwrap()),
        format!("{:?}", store.certificates_since(0, now, 100).unwrap()),
        format!("{:?}", store.certificates_since(3, now, 2).unwrap()),
        format!("{:?}", store.contents_after(None, 3).unwrap()),
        format!("{:?}", store.contents_after(Some(sized(2).key), 100).unwrap()),
    ];
    for statement in 0..12 {
        let id = id(statement);
        seen.push(format!("{statement}: {:?}", store.statement(id).unwrap()));
        seen.push(format!("{statement}: {:?}", store.certificate(id).unwrap()));
        seen.push(format!("{statement}: {:?}", store.evidence(id).unwrap()));
        for day in NOW / DAY - 1..=now / DAY {
            seen.push(format!("{day}: {}", store.quota_used(rollup(statement), day).unwrap()));
        }
    }
    for number in 0..5 {
        let content = sized(number);
        let length = content.batch.len() as u64;
        seen.push(format!("{number}: {:?}", store.content(&content.key).unwrap()));
        seen.push(format!("{number}: {:?}", store.statements_of(content.key.data_hash).unwrap()));
        for range in [0..length, length / 3..length / 2, length..length, 0..length + 1] {
            let bytes = outcome(store.read_hot(&content.key, range.clone()));
            let bound = |at| usize::try_from(at).unwrap();
            let right = content.batch.get(bound(range.start)..bound(range.end));
            let right = bytes.as_ref().map(|bytes| bytes.as_deref().map(|bytes| Some(bytes) == right));
            seen.push(format!("{number} {range:?}: {right:?}"));
        }
        for stripe in 0..=content.layout.stripes() {
            let piece = outcome(store.read_piece(&content.key, stripe));
            let right = content.shard.get(stripe as usize);
            let right = piece.as_ref().map(|piece| piece.as_ref().map(|piece| Some(piece) == right));
            seen.push(format!("{number} {stripe}: {right:?}"));
        }
        let roots = store.piece_roots(&content.key).unwrap().map(|roots| roots.to_bytes());
        seen.push(format!("{number}: {:?}", roots.map(|roots| roots == content.piece_roots.to_bytes())));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn disk_and_memory_answer_alike(steps in proptest::collection::vec(step(), 1..24)) {
        let mut disk = SimulatedDirectory::new();
        let mut store = open(&disk);
        let twin = MemoryStore::new(GRACE, u64::MAX);
        let (mut now, mut now_twin) = (NOW, NOW);
        for step in &steps {
            if matches!(step, Step::Reopen) {
                drop(store);
                disk = disk.restart(Unsynced::Lost);
                store = open(&disk);
            }
            let (found, expected) = (perform(&store, step, &mut now), perform(&twin, step, &mut now_twin));
            prop_assert_eq!(found, expected, "{:?}", step);
            prop_assert_eq!(view(&store, now), view(&twin, now), "after {:?}", step);
        }
    }
}

#[test]
fn evidence_keeps_the_newest_64_and_the_first_of_each() {
    let disk = SimulatedDirectory::new();
    let stores: [&dyn ShardStore; 2] = [&open(&disk), &MemoryStore::default()];
    for store in stores {
        for number in 0..70 {
            store.put_evidence(id(number), &[1; 10]).unwrap();
        }
        store.put_evidence(id(69), &[2; 10]).unwrap();
        assert_eq!(store.evidence(id(5)).unwrap(), None);
        assert_eq!(store.evidence(id(6)).unwrap(), Some(vec![1; 10]));
        assert_eq!(store.evidence(id(69)).unwrap(), Some(vec![1; 10]));
        store.put_evidence(id(70), &vec![0; EVIDENCE_BYTES_MAX]).unwrap();
        let error = store.put_evidence(id(71), &vec![0; EVIDENCE_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(error, Error::EvidenceTooLarge { .. }));
        assert!(matches!(store.put_certificate(id(1), b"junk"), Err(Error::Certificate(_))));
    }
}
