//! Reading back everything that is stored, slowly, for ever.
//!
//! Promise: whatever rots is found within one pass, and its repair is due at once. A content is compared with its
//! commitments, not only with checksums: every piece of the shard and, while it is here, every stripe of the hot copy.

use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, Statement};
use bytes::Bytes;
use dac_node_coding::{PieceRoots, verify_stripe_data};
use fpga_hash::tree::piece_roots;

use super::super::Shared;
use super::super::stored::check_shard;
use super::blocking;
use super::ledger::{Need, key_of};
use dac_node_store::{ContentKey, stored_certificate};

/// Contents looked up at once.
const PAGE: usize = 64;
/// Pause when nothing is stored or the store does not answer.
const IDLE: Duration = Duration::from_secs(1);

/// What one content is like.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Bytes that were read.
    bytes: u64,
    /// What is damaged, in words.
    pub(super) damage: Option<(Need, String)>,
}

/// Pass after pass.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        pass(&shared).await;
        let ended = shared.clock.now().unix_seconds;
        let contents = {
            let mut ledger = shared.heal.ledger.lock();
            ledger.scrub.passes += 1;
            ledger.scrub.last_pass_at = Some(ended);
            ledger.scrub.contents_this_pass
        };
        // After a pass that found nothing, what comes first is read back soon.
        let pause = if contents == 0 { IDLE } else { shared.heal.config.scrub_pause.max(IDLE) };
        tokio::time::sleep(pause).await;
    }
}

async fn pass(shared: &Arc<Shared>) {
    shared.heal.ledger.lock().scrub.contents_this_pass = 0;
    let mut after = None;
    loop {
        let page = match blocking(shared, move |shared| shared.store.contents_after(after, PAGE)).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the scrub cannot list what is stored");
                return;
            }
        };
        let Some((last, _)) = page.last() else { return };
        after = Some(*last);
        for (key, _) in page {
            content(shared, key).await;
        }
    }
}

async fn content(shared: &Arc<Shared>, key: ContentKey) {
    let examined = blocking(shared, move |shared| {
        // A store may serve several committees; each reads back its own.
        let Some(named) = statement_over(shared, key)? else { return Ok(None) };
        // The same bytes, kept as the shard of another seat in an earlier epoch: that one was promised.
        if check_shard(shared, &key).is_err() {
            return Ok(None);
        }
        Ok(Some((named, check(shared, &key)?)))
    });
    let (named, found) = match examined.await {
        Ok(Some(examined)) => examined,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "the scrub cannot read what is stored");
            tokio::time::sleep(IDLE).await;
            return;
        }
    };
    let bytes = found.bytes;
    record(shared, key, named, found);
    let rate = shared.heal.config.scrub_rate.as_u64().max(1);
    tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
}

/// Writes the finding down; damage becomes a repair.
fn record(shared: &Shared, key: ContentKey, (batch_id, statement): (BatchId, Statement), found: Found) {
    let now = shared.clock.now().monotonic;
    let mut ledger = shared.heal.ledger.lock();
    ledger.scrub.contents_this_pass += 1;
    ledger.scrub.bytes += found.bytes;
    match found.damage {
        None => ledger.found_good(key),
        Some((need, detail)) => {
            tracing::error!(batch = %batch_id, ?need, detail, "stored data is damaged, repairing");
            ledger.scrub.damage_found += 1;
            ledger.found_damaged(need, batch_id, statement, detail, now);
        }
    }
}

/// A statement of this committee over a content, by which others know it.
fn statement_over(
    shared: &Shared,
    key: ContentKey,
) -> Result<Option<(BatchId, Statement)>, dac_node_store::Error> {
    for id in shared.store.statements_of(key.data_hash)? {
        let Some(record) = shared.store.statement(id)? else { continue };
        let is_ours = record.statement.committee_hash == shared.engine.committee.hash();
        if is_ours && record.content_key() == key {
            return Ok(Some((id, record.statement)));
        }
    }
    let certified = shared.heal.ledger.lock().certificate_over(&key);
    let Some(id) = certified else { return Ok(None) };
    let certificate = stored_certificate(&*shared.store, id)?;
    Ok(certificate.filter(|found| key_of(&found.statement) == key).map(|found| (id, found.statement)))
}

/// Reads one content back and compares it with its commitments. Blocks.
pub(super) fn check(shared: &Shared, key: &ContentKey) -> Result<Found, dac_node_store::Error> {
    let mut found = Found::default();
    let Some(info) = shared.store.content(key)? else { return Ok(found) };
    let damage = match compare_shard(shared, key, &mut found.bytes) {
        Ok(roots) if info.hot => match compare_hot(shared, key, &roots, &mut found.bytes) {
            Ok(()) => None,
            Err(error) => Some((Need::Hot, error)),
        },
        Ok(_) => None,
        Err(error) => Some((Need::Shard, error)),
    };
    found.damage = match damage {
        Some((need, Damaged::Data(detail))) => Some((need, detail)),
        // It expired while it was read: nothing is owed.
        Some(_) if shared.store.content(key)?.is_none() => None,
        Some((need, Damaged::Gone)) => Some((need, "not here any more".to_owned())),
        Some((_, Damaged::Store(error))) => return Err(error),
        None => None,
    };
    Ok(found)
}

/// Why a comparison did not hold.
#[derive(Debug)]
enum Damaged {
    Data(String),
    Gone,
    Store(dac_node_store::Error),
}

impl From<dac_node_store::Error> for Damaged {
    fn from(error: dac_node_store::Error) -> Self {
        match error {
            dac_node_store::Error::Corrupt { .. } => Damaged::Data(error.to_string()),
            error => Damaged::Store(error),
        }
    }
}

fn compare_shard(shared: &Shared, key: &ContentKey, bytes: &mut u64) -> Result<PieceRoots, Damaged> {
    let roots = shared.store.piece_roots(key)?.ok_or(Damaged::Gone)?;
    let layout = *roots.layout();
    for stripe in 0..layout.stripes() {
        let piece: Bytes = shared.store.read_piece(key, stripe)?.ok_or(Damaged::Gone)?;
        *bytes += piece.len() as u64;
        let computed = piece_roots(&*shared.hasher, &[&piece]);
        if computed != [roots.piece_root(stripe, shared.engine.seat)] {
            return Err(Damaged::Data(format!("the piece of stripe {stripe} is not the committed one")));
        }
    }
    Ok(roots)
}

fn compare_hot(
    shared: &Shared,
    key: &ContentKey,
    roots: &PieceRoots,
    bytes: &mut u64,
) -> Result<(), Damaged> {
    let layout = *roots.layout();
    for stripe in 0..layout.stripes() {
        let range = layout.stripe_range(stripe);
        let data = shared.store.read_hot(key, range.start as u64..range.end as u64)?;
        // It expired since.
        let Some(data) = data else { return Ok(()) };
        *bytes += data.len() as u64;
        verify_stripe_data(&layout, stripe, data, roots, &*shared.hasher)
            .map_err(|error| Damaged::Data(error.to_string()))?;
    }
    Ok(())
}
