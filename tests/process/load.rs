//! Clients that submit until they are told to stop, and a ledger of what was certified.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;
use e2e::{Members, Rollup, Times, noise, until};
use tokio::task::JoinSet;

use crate::shared::times;

/// Sizes of batches, one after the other: a few groups, a few stripes' worth.
const BATCH_BYTES: [usize; 4] = [700, 16 << 10, 70_000, 3_000];
/// A client whose member is down tries the next one after this pause.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes are read back by so many readers at once.
const READERS: usize = 4;

/// One certified batch: its bytes follow from the number.
#[derive(Clone, Debug)]
pub(crate) struct Certified {
    pub(crate) number: u64,
    pub(crate) signers: Vec<u16>,
}

impl Certified {
    pub(crate) fn batch(&self) -> Bytes {
        batch(self.number)
    }
}

/// The batch of this number.
fn batch(number: u64) -> Bytes {
    noise(number, BATCH_BYTES[usize::try_from(number).unwrap_or(0) % BATCH_BYTES.len()])
}

/// All that clients hold certificates of.
pub(crate) type Ledger = BTreeMap<BatchId, Certified>;

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    certified: Arc<AtomicU64>,
    clients: JoinSet<Ledger>,
}

struct Client {
    api: Vec<String>,
    committee: PathBuf,
    rollup: Rollup,
    times: Times,
    stop: Arc<AtomicBool>,
    certified: Arc<AtomicU64>,
}

impl Load {
    /// So many clients, each with batches of its own, each submission to the next of these members.
    pub(crate) fn start(members: &Members, clients: u64, seats: &[u16], seed: u64) -> Load {
        let (stop, certified) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let mut load = Load { stop, certified, clients: JoinSet::new() };
        for client in 0..clients {
            let work = Client {
                api: seats.iter().map(|seat| members.api(*seat).to_owned()).collect(),
                committee: members.committee().to_owned(),
                rollup: members.rollup(),
                times: times(),
                stop: load.stop.clone(),
                certified: load.certified.clone(),
            };
            load.clients.spawn(work.run((seed << 40) + (client << 32)));
        }
        load
    }

    /// Waits until so many more batches are certified.
    pub(crate) async fn wait_for(&self, more: u64) {
        let wanted = self.certified() + more;
        until("more batches are certified", || async { (self.certified() >= wanted).then_some(()) }).await;
    }

    pub(crate) fn certified(&self) -> u64 {
        self.certified.load(Ordering::Relaxed)
    }

    /// Lets every client finish what it began.
    pub(crate) async fn stop(mut self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::new();
        while let Some(one) = self.clients.join_next().await {
            ledger.extend(one.unwrap());
        }
        ledger
    }
}

impl Client {
    async fn run(self, first: u64) -> Ledger {
        let mut ledger = Ledger::new();
        let mut number = first;
        while !self.stop.load(Ordering::Relaxed) {
            let api = &self.api[usize::try_from(number + (first >> 32)).unwrap_or(0) % self.api.len()];
            // A member that dies answers nothing, one that starts or lacks its peers refuses: neither is certified.
            match self.rollup.try_submit(api, &batch(number), self.times).await {
                Ok(answer) if answer.status == 200 => {
                    let certified = answer.certified(&self.committee);
                    let signers = certified.certificate.signers().iter().map(|seat| seat.0).collect();
                    ledger.insert(certified.batch_id, Certified { number, signers });
                    self.certified.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
            number += 1;
        }
        ledger
    }
}

/// Every signer of every batch gives it back, byte for byte: each promised that for itself.
pub(crate) async fn assert_all_there(members: &Members, ledger: &Ledger) {
    let mut readers = JoinSet::new();
    let entries: Vec<(BatchId, Certified)> = ledger.iter().map(|(id, one)| (*id, one.clone())).collect();
    for part in entries.chunks(entries.len().div_ceil(READERS).max(1)) {
        let (rollup, part) = (members.rollup(), part.to_vec());
        let api: Vec<String> = (0..members.len()).map(|seat| members.api(seat).to_owned()).collect();
        readers.spawn(async move {
            for (id, certified) in part {
                let expected = certified.batch();
                for seat in &certified.signers {
                    let answer = rollup.fetch(&api[usize::from(*seat)], id).await;
                    assert_eq!(answer.status, 200, "member {seat} signed {id}: {}", answer.text());
                    assert!(answer.body == expected, "member {seat} gives other bytes of {id}");
                    let shard = format!("/v1/batches/{id}/shards/{seat}");
                    let shard = rollup.get(&api[usize::from(*seat)], &shard).await;
                    assert_eq!(shard.status, 200, "member {seat} has no shard of {id}: {}", shard.text());
                }
            }
        });
    }
    while let Some(read) = readers.join_next().await {
        read.unwrap();
    }
}
