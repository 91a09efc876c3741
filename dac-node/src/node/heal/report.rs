//! All of healing as a document and as metrics.

use attest::Statement;
use dac_node_coding::Layout;

use super::super::{NodeHandle, Shared};
use crate::custody::{CustodyReport, MemberCustody, RepairReport};
use crate::metrics::ShardCounts;

impl NodeHandle {
    /// What this member keeps, what it lacks, and what it knows of the others.
    pub fn custody(&self) -> CustodyReport {
        let shared = &self.shared;
        let connected = shared.network.connected().borrow().len().saturating_sub(1);
        let catch_up = shared.heal.catch_up.lock().report(connected);
        let members = members(shared);
        let ledger = shared.heal.ledger.lock();
        let counts = ledger.counts();
        let repair =
            ledger.repair_report(shared.clock.now().monotonic, |statement| shard_bytes(shared, statement));
        CustodyReport {
            seat: shared.engine.seat,
            complete: counts.missing == 0 && counts.damaged == 0,
            certificates_live: counts.live,
            shards_here: counts.here,
            shards_checked: counts.checked,
            shards_missing: counts.missing,
            shards_damaged: counts.damaged,
            waiting: ledger.waiting(),
            catch_up,
            repair,
            scrub: ledger.scrub.clone(),
            members,
        }
    }
}

fn members(shared: &Shared) -> Vec<MemberCustody> {
    let audits = shared.heal.audits.lock();
    let others = audits.members().iter().filter(|member| member.seat != shared.engine.seat);
    let named = others.map(|member| MemberCustody {
        name: shared.engine.names.get(usize::from(member.seat)).cloned().flatten(),
        ..member.clone()
    });
    named.collect()
}

pub(super) fn repair(shared: &Shared) -> RepairReport {
    let now = shared.clock.now().monotonic;
    shared.heal.ledger.lock().repair_report(now, |statement| shard_bytes(shared, statement))
}

fn shard_bytes(shared: &Shared, statement: &Statement) -> u64 {
    let thresholds = shared.engine.committee.thresholds();
    let layout = Layout::new(thresholds.members(), thresholds.minimum_shards(), statement.data_bytes);
    layout.map_or(0, |layout| layout.shard_bytes() as u64)
}

/// Brings the gauges up to date.
pub(in super::super) fn refresh_metrics(shared: &Shared) {
    let repair = repair(shared);
    let ledger = shared.heal.ledger.lock();
    let counts = ledger.counts();
    shared.meter.shards(&ShardCounts {
        live: counts.live,
        here: counts.here,
        checked: counts.checked,
        missing: counts.missing,
        damaged: counts.damaged,
    });
    shared.meter.healing(
        (repair.repaired, repair.repaired_bytes, repair.received_bytes, repair.failed),
        (ledger.scrub.bytes, ledger.scrub.passes, ledger.scrub.damage_found),
    );
}
