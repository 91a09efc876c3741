//! What this member owes, and the state of each shard of it.
//!
//! Promise: after [`refresh`] every live certificate in the store that is of this committee is in the ledger, and its
//! shard is either here or due for repair. Memory: about 200 bytes a live certificate.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use attest::{BatchId, Statement};

use super::super::Shared;
use crate::custody::{RepairReport, ScrubReport, WAITING_SHOWN_MAX, WaitingShard};
use dac_node_engine::message::IDS_MAX;
use dac_node_store::{ContentKey, stored_certificate};

/// Longest pause between two tries of one repair.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// A live certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) statement: Statement,
    /// Monotonic time at which this member noticed it.
    pub(super) noticed: Duration,
}

impl Owed {
    fn key(&self) -> ContentKey {
        key_of(&self.statement)
    }
}

/// Why a repair is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The shard is not here.
    Missing,
    /// The stored shard does not check.
    Shard,
    /// The stored hot copy does not check.
    Hot,
}

/// A repair to be done.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) batch_id: BatchId,
    pub(super) statement: Statement,
    pub(super) need: Need,
    /// Monotonic time before which it is not tried.
    not_before: Duration,
    /// Handed out by [`Ledger::ready`]: it waits until that repair says how it ended.
    under_way: bool,
    attempts: u32,
    detail: String,
}

/// Everything this member owes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    certificates: BTreeMap<BatchId, Owed>,
    due: BTreeMap<ContentKey, Due>,
    checked: HashSet<ContentKey>,
    /// Place in the store's order of certificates up to which all are here.
    cursor: u64,
    pub(super) scrub: ScrubReport,
    pub(super) repair: RepairReport,
    /// Monotonic time at which the repair queue was last empty, and the bytes repaired until then.
    idle: (Duration, u64),
}

/// How many shards are in which state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) live: u64,
    pub(super) here: u64,
    pub(super) checked: u64,
    pub(super) missing: u64,
    pub(super) damaged: u64,
}

pub(super) fn key_of(statement: &Statement) -> ContentKey {
    ContentKey { data_hash: statement.data_hash, shards_root: statement.shards_root }
}

impl Ledger {
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { live: self.certificates.len() as u64, ..Counts::default() };
        for owed in self.certificates.values() {
            let key = owed.key();
            match self.due.get(&key).map(|due| due.need) {
                Some(Need::Missing) => counts.missing += 1,
                _ => {
                    counts.here += 1;
                    counts.checked += u64::from(self.checked.contains(&key));
                }
            }
        }
        counts.damaged = self.due.values().filter(|due| due.need != Need::Missing).count() as u64;
        counts
    }

    pub(super) fn waiting(&self) -> Vec<WaitingShard> {
        let shown = self.due.values().take(WAITING_SHOWN_MAX).map(|due| WaitingShard {
            batch_id: due.batch_id,
            state: if due.need == Need::Missing { "missing" } else { "damaged" }.to_owned(),
            attempts: due.attempts,
            detail: due.detail.clone(),
        });
        shown.collect()
    }

    /// Bytes of the shards that wait; `shard_bytes` of one.
    pub(super) fn repair_report(
        &self,
        now: Duration,
        shard_bytes: impl Fn(&Statement) -> u64,
    ) -> RepairReport {
        let waiting_bytes: u64 = self.due.values().map(|due| shard_bytes(&due.statement)).sum();
        let (since, before) = self.idle;
        let (elapsed, done) = (now.saturating_sub(since), self.repair.repaired_bytes - before);
        let rate = if elapsed.is_zero() { 0.0 } else { done as f64 / elapsed.as_secs_f64() };
        let seconds = (rate > 0.0).then(|| Duration::try_from_secs_f64(waiting_bytes as f64 / rate).ok());
        RepairReport {
            waiting: self.due.len() as u64,
            waiting_bytes,
            bytes_per_second: rate,
            estimate_seconds: seconds.flatten().map(|left| left.as_secs() + 1),
            ..self.repair.clone()
        }
    }

    /// Certificates noticed before `before`, for audits.
    pub(super) fn older_than(&self, before: Duration) -> Vec<(BatchId, Statement)> {
        let old = self.certificates.iter().filter(|(_, owed)| owed.noticed <= before);
        old.map(|(id, owed)| (*id, owed.statement)).collect()
    }

    /// A live certificate over a content. Looks at each.
    pub(super) fn certificate_over(&self, key: &ContentKey) -> Option<BatchId> {
        self.certificates.iter().find(|(_, owed)| owed.key() == *key).map(|(id, _)| *id)
    }

    /// Takes repairs that may be tried now, at most `limit`; each ends with [`Ledger::repaired`], [`Ledger::not_needed`]
    /// or [`Ledger::failed`].
    pub(super) fn ready(&mut self, now: Duration, limit: usize) -> Vec<Due> {
        if self.due.is_empty() {
            self.idle = (now, self.repair.repaired_bytes);
        }
        let ready = self.due.values_mut().filter(|due| due.not_before <= now && !due.under_way);
        let taken = ready.take(limit).map(|due| {
            due.under_way = true;
            due.clone()
        });
        taken.collect()
    }

    /// The content was read back and found right.
    pub(super) fn found_good(&mut self, key: ContentKey) {
        self.checked.insert(key);
        self.settle(&key);
    }

    /// Nothing is due any more for what is here, unless its repair is under way: that one says so itself.
    fn settle(&mut self, key: &ContentKey) {
        if self.due.get(key).is_some_and(|due| !due.under_way) {
            self.due.remove(key);
        }
    }

    /// The content was read back and is damaged. `batch_id` names it to others.
    pub(super) fn found_damaged(
        &mut self,
        need: Need,
        batch_id: BatchId,
        statement: Statement,
        detail: String,
        now: Duration,
    ) {
        let key = key_of(&statement);
        self.checked.remove(&key);
        let due = Due { batch_id, statement, need, not_before: now, under_way: false, attempts: 0, detail };
        let entry = self.due.entry(key).or_insert(due);
        // A shard that is gone as well needs the shard first.
        if entry.need == Need::Hot {
            entry.need = need;
        }
    }

    /// The exchange brought the shard before its repair began.
    pub(super) fn not_needed(&mut self, key: &ContentKey) {
        self.due.remove(key);
    }

    /// The repair was done; `shard_bytes` of it are the least that had to come.
    pub(super) fn repaired(&mut self, key: ContentKey, shard_bytes: u64) {
        self.repair.repaired += 1;
        self.repair.repaired_bytes += shard_bytes;
        self.checked.insert(key);
        self.due.remove(&key);
    }

    /// The repair failed: it is tried again later.
    pub(super) fn failed(&mut self, key: ContentKey, detail: String, now: Duration, pause: Duration) {
        self.repair.failed += 1;
        if let Some(due) = self.due.get_mut(&key) {
            due.under_way = false;
            due.attempts = due.attempts.saturating_add(1);
            let pause = pause.max(Duration::from_millis(100));
            due.not_before = now + pause.saturating_mul(1 << due.attempts.min(16)).min(RETRY_MAX);
            due.detail = detail;
        }
    }

    /// Forgets what expired, and what was checked of contents that are gone.
    fn expire(&mut self, unix_seconds: u64) {
        let live = |statement: &Statement| statement.retain_until >= unix_seconds;
        let before = self.certificates.len();
        self.certificates.retain(|_, owed| live(&owed.statement));
        self.due.retain(|_, due| live(&due.statement));
        if self.certificates.len() < before {
            let kept: HashSet<ContentKey> = self.certificates.values().map(Owed::key).collect();
            self.checked.retain(|key| kept.contains(key));
        }
    }
}

/// Brings the ledger in line with the store. Blocks.
pub(super) fn refresh(shared: &Shared) -> Result<(), dac_node_store::Error> {
    let now = shared.clock.now();
    let mut cursor = shared.heal.ledger.lock().cursor;
    loop {
        let page = shared.store.certificates_since(cursor, now.unix_seconds, IDS_MAX)?;
        cursor = page.next;
        for id in page.ids {
            add(shared, id)?;
        }
        shared.heal.ledger.lock().cursor = cursor;
        if !page.more {
            break;
        }
    }
    arrived(shared)?;
    shared.heal.ledger.lock().expire(now.unix_seconds);
    Ok(())
}

/// Adds one certificate.
fn add(shared: &Shared, id: BatchId) -> Result<(), dac_node_store::Error> {
    let Some(certificate) = stored_certificate(&*shared.store, id)? else { return Ok(()) };
    let statement = certificate.statement;
    if statement.committee_hash != shared.engine.committee.hash() {
        return Ok(());
    }
    let key = key_of(&statement);
    let is_here = shared.store.content(&key)?.is_some();
    let now = shared.clock.now().monotonic;
    let mut ledger = shared.heal.ledger.lock();
    ledger.certificates.insert(id, Owed { statement, noticed: now });
    if !is_here {
        // It may be on its way: an exchange that is not over here.
        let not_before = now + shared.heal.config.repair_after;
        let detail = "not received".to_owned();
        let need = Need::Missing;
        let due = Due { batch_id: id, statement, need, not_before, under_way: false, attempts: 0, detail };
        ledger.due.entry(key).or_insert(due);
    }
    Ok(())
}

/// Takes shards off the list that came by the usual way meanwhile.
fn arrived(shared: &Shared) -> Result<(), dac_node_store::Error> {
    let missing: Vec<ContentKey> = {
        let ledger = shared.heal.ledger.lock();
        let missing = ledger.due.iter().filter(|(_, due)| due.need == Need::Missing && !due.under_way);
        missing.map(|(key, _)| *key).collect()
    };
    for key in missing {
        if shared.store.content(&key)?.is_some() {
            shared.heal.ledger.lock().settle(&key);
        }
    }
    Ok(())
}
