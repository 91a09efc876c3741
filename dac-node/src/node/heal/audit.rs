//! Asking other members for random leaves of random live shards.
//!
//! Promise: "held" was measured: the leaf and its path lead to the `shardsRoot` of a live certificate, and came in time. A
//! member that signed and keeps nothing is found after a few questions: with a part `p` of its shards gone, `m` questions
//! miss that with probability `(1 - p)^m`.
//!
//! What it does not prove: that the member did not fetch the leaf from others within the deadline.

use std::sync::Arc;

use attest::{BatchId, Statement};
use dac_node_coding::{Layout, LeafOpening};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::super::Shared;
use super::ask::{ask, peers};
use crate::custody::{AuditFailure, AuditOutcome, MemberCustody};
use dac_node_engine::message::{Question, Reply};

/// Results so far, by seat.
#[derive(Debug)]
pub(super) struct Audits {
    members: Vec<MemberCustody>,
}

impl Audits {
    pub(super) fn new(members: u16) -> Audits {
        let members = (0..members).map(|seat| MemberCustody { seat, ..MemberCustody::default() });
        Audits { members: members.collect() }
    }

    pub(super) fn members(&self) -> &[MemberCustody] {
        &self.members
    }

    fn record(&mut self, seat: u16, asked: AuditFailure) {
        let Some(member) = self.members.get_mut(usize::from(seat)) else { return };
        member.asked += 1;
        match asked.outcome {
            AuditOutcome::Held => {
                member.held += 1;
                member.last_held_at = Some(asked.at);
                return;
            }
            AuditOutcome::Missing => member.missing += 1,
            AuditOutcome::Wrong => member.wrong += 1,
            AuditOutcome::NoAnswer => member.no_answer += 1,
        }
        member.last_failure = Some(asked);
    }
}

/// One audit after the other, at the configured pace.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.heal.config.audit_every).await;
        one(&shared).await;
    }
}

async fn one(shared: &Arc<Shared>) {
    let Some(peer) = peers(shared).first().copied() else { return };
    // Whoever missed the batch gets the time to fetch it.
    let settled = shared.heal.config.repair_after.saturating_mul(2);
    let before = shared.clock.now().monotonic.checked_sub(settled);
    let live = before.map(|before| shared.heal.ledger.lock().older_than(before)).unwrap_or_default();
    let Some((batch_id, statement)) = live.choose(&mut rand::rng()).copied() else { return };
    let thresholds = shared.engine.committee.thresholds();
    let layout = Layout::new(thresholds.members(), thresholds.minimum_shards(), statement.data_bytes);
    let Ok(layout) = layout else { return };
    let stripe = rand::rng().random_range(0..layout.stripes());
    let leaf = rand::rng().random_range(0..layout.leaves(stripe));
    let outcome = question(shared, peer, (batch_id, &statement), &layout, (stripe, leaf)).await;
    let at = shared.clock.now().unix_seconds;
    shared.meter.audit(peer, outcome);
    if outcome != AuditOutcome::Held {
        tracing::warn!(member = peer, batch = %batch_id, stripe, leaf, outcome = outcome.label(), "audit failed");
    }
    shared.heal.audits.lock().record(peer, AuditFailure { batch_id, stripe, leaf, at, outcome });
}

async fn question(
    shared: &Arc<Shared>,
    peer: u16,
    (batch_id, statement): (BatchId, &Statement),
    layout: &Layout,
    (stripe, leaf): (u32, u32),
) -> AuditOutcome {
    let question = Question::Leaf(batch_id, stripe, leaf);
    match ask(shared, peer, question, shared.heal.config.audit_deadline).await {
        Some(Reply::Leaf(bytes, path)) => {
            let opening = LeafOpening { stripe, index: peer, leaf, bytes: bytes.into(), path };
            match opening.check(layout, &statement.shards_root) {
                Ok(_) => AuditOutcome::Held,
                Err(_) => AuditOutcome::Wrong,
            }
        }
        Some(Reply::NotHere) => AuditOutcome::Missing,
        Some(_) => AuditOutcome::Wrong,
        None => AuditOutcome::NoAnswer,
    }
}
