//! What the store alone can tell about a batch: how to read it, its pieces, its status after it was forgotten.

use std::sync::Arc;

use attest::{BatchId, Certificate};
use dac_node_coding::{Layout, Piece, verify_stripe_data};

use super::Shared;
use super::read::{Target, stored_piece};
use crate::service::{BatchStatus, MemberOutcome, Outcome, ReadError, Reason, Refusal, Stage};
use dac_node_store::{ContentKey, statement_of};

/// What is needed to read a batch: from the statement this member accepted, or from a certificate it only stores.
pub(super) fn find_target(
    shared: &Shared,
    batch_id: BatchId,
) -> Result<Option<Target>, dac_node_store::Error> {
    let Some(statement) = statement_of(&*shared.store, batch_id)? else { return Ok(None) };
    let thresholds = shared.engine.committee.thresholds();
    let layout = Layout::new(thresholds.members(), thresholds.minimum_shards(), statement.data_bytes)
        .map_err(|error| dac_node_store::Error::Metadata(error.to_string()))?;
    let key = ContentKey { data_hash: statement.data_hash, shards_root: statement.shards_root };
    let roots = match shared.store.piece_roots(&key) {
        Ok(roots) => roots.map(Arc::new),
        // Peers can help, as if nothing were here; the scrub repairs it.
        Err(error @ dac_node_store::Error::Corrupt { .. }) => {
            tracing::error!(batch = %batch_id, %error, "stored piece roots are damaged");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Some(Target { batch_id, statement, key, layout, roots }))
}

/// Whether the shard that is stored of a content, if one is, belongs to this seat. The store keeps one of each content;
/// a member that had another seat in an earlier epoch owes that one until it expires, and cannot promise a second.
pub(super) fn check_shard(shared: &Shared, key: &ContentKey) -> Result<(), Refusal> {
    let own = shared.engine.seat;
    match stored_seat(shared, key).map_err(|error| super::refusal_of(&error))? {
        Some(seat) if seat != own => {
            let detail = format!("these bytes are kept here as shard {seat} of an earlier epoch, not {own}");
            Err(Refusal::new(Reason::StorageError, detail))
        }
        _ => Ok(()),
    }
}

/// The seat whose shard is stored; `None` when nothing is, or it is damaged: then the store mends it.
fn stored_seat(shared: &Shared, key: &ContentKey) -> Result<Option<u16>, dac_node_store::Error> {
    if shared.store.content(key)?.is_none() {
        return Ok(None);
    }
    let Some(roots) = shared.store.piece_roots(key)? else { return Ok(None) };
    let Ok(Some(bytes)) = shared.store.read_piece(key, 0) else { return Ok(None) };
    let (layout, paths) = (*roots.layout(), roots.paths(0, &*shared.hasher));
    let is_of = |index: &u16| {
        let piece = Piece { stripe: 0, index: *index, bytes: bytes.clone(), path: paths.path(*index) };
        piece.check(&layout, &key.shards_root, &*shared.hasher).is_ok()
    };
    let own = shared.engine.seat;
    Ok(std::iter::once(own).chain((0..layout.members()).filter(|seat| *seat != own)).find(is_of))
}

/// A piece this node can vouch for without asking anyone: its own, or any one while the hot copy is here.
pub(super) fn piece_here(
    shared: &Shared,
    target: &Target,
    stripe: u32,
    index: u16,
) -> Result<Piece, ReadError> {
    let own = shared.engine.seat;
    if index == own
        && let Some(piece) = stored_piece(shared, target, stripe)
    {
        return Ok(piece.into_piece());
    }
    let not_here = ReadError::NotHere { asked: index, own };
    let Some(roots) = &target.roots else { return Err(not_here) };
    let storage = |error: String| ReadError::Storage(error);
    let stripe_range = target.layout.stripe_range(stripe);
    let stripe_range = stripe_range.start as u64..stripe_range.end as u64;
    let data =
        shared.store.read_hot(&target.key, stripe_range).map_err(|error| storage(error.to_string()))?;
    let data = data.ok_or(not_here)?;
    let checked = verify_stripe_data(&target.layout, stripe, data, roots, &*shared.hasher)
        .map_err(|error| storage(error.to_string()))?;
    let encoded = shared.coder.encode_stripe(&target.layout, stripe, checked.data());
    Ok(encoded.piece(index, &roots.paths(stripe, &*shared.hasher)))
}

/// A status made from what is stored: who signed is known from the certificate, why others did not is forgotten.
pub(super) fn status_of_stored(
    shared: &Shared,
    batch_id: BatchId,
    record: Option<dac_node_store::StatementRecord>,
    certificate: Option<Certificate>,
) -> Option<BatchStatus> {
    let coordinator = record.as_ref().map_or(0, |record| record.coordinator);
    let statement = match (&record, &certificate) {
        (Some(record), _) => record.statement,
        (None, Some(certificate)) => certificate.statement,
        (None, None) => return None,
    };
    let own = shared.engine.seat;
    let certified =
        certificate.as_ref().map(|c| c.signers.seats(&shared.engine.committee).unwrap_or_default());
    let signed = |seat: u16| match &certified {
        Some(signers) => signers.contains(&attest::SeatIndex(seat)),
        None => seat == own && record.is_some(),
    };
    let members: Vec<MemberOutcome> = (0..shared.engine.committee.thresholds().members())
        .map(|seat| MemberOutcome {
            seat,
            name: shared.engine.names.get(usize::from(seat)).cloned().flatten(),
            outcome: if signed(seat) { Outcome::Signed } else { Outcome::Waiting },
            reason: None,
            detail: None,
            after_ms: None,
        })
        .collect();
    let signers = members.iter().filter(|member| member.outcome == Outcome::Signed).count();
    Some(BatchStatus {
        batch_id,
        rollup_id: statement.rollup_id,
        data_bytes: statement.data_bytes,
        data_hash: statement.data_hash,
        data_root: statement.data_root,
        shards_root: statement.shards_root,
        hot_until: statement.hot_until,
        retain_until: statement.retain_until,
        stage: if certificate.is_some() { Stage::Certified } else { Stage::Signed },
        coordinator,
        quorum: shared.engine.committee.thresholds().quorum(),
        signers: u16::try_from(signers).unwrap_or(u16::MAX),
        members,
        stage_ms: Default::default(),
        sent_bytes: 0,
        received_bytes: 0,
    })
}
