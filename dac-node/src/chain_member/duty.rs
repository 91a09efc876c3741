//! What a member owes by a view of L1: the epochs it serves, where each stands, and for whom. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use attest::{Address, Committee, CommitteeFile, RollupId};

use crate::service::RollupPolicy;
use crate::settlement::{Standing, View};
use dac_node_engine::Term;

/// Epochs served at once: the newest. With a week between epochs and two months of retention there are nine.
pub const LIVE_EPOCHS_MAX: usize = 16;

/// What never changes in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Registry {
    /// Its chain.
    pub chain_id: u64,
    /// Its address.
    pub address: Address,
    /// Least time between an announcement and its activation.
    pub announcement_delay_seconds: u64,
    /// For so long after its end an epoch vouches for what it signed, and its members serve.
    pub retention_seconds_max: u64,
}

/// One epoch that counts, and this member's seat in it.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    /// `None` when the member has no seat in it.
    pub(super) seat: Option<u16>,
    pub(super) file: CommitteeFile,
    pub(super) committee: Committee,
}

/// Epochs that still count: announced and not yet released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveEpochs {
    /// The newest ones, in order.
    pub(super) served: Vec<u64>,
    /// Those before them: more than this member serves at once.
    pub(super) left_out: Vec<u64>,
}

/// The epochs that count at `l1_time`.
pub(super) fn live_epochs(view: &View, l1_time: u64, retention_seconds_max: u64) -> LiveEpochs {
    let released = |epoch: u64| {
        let end = view.superseded_at(epoch).unwrap_or(u64::MAX);
        end.saturating_add(retention_seconds_max) <= l1_time
    };
    let mut served: Vec<u64> = view.epochs().keys().copied().filter(|epoch| !released(*epoch)).collect();
    let left_out = served.drain(..served.len().saturating_sub(LIVE_EPOCHS_MAX)).collect();
    LiveEpochs { served, left_out }
}

/// The committees of `epochs`, checked, with the seat of `key`. One that makes no sense is left out, and logged.
pub(super) fn duties(
    view: &View,
    registry: &Registry,
    epochs: &[u64],
    key: &attest::PublicKey,
) -> BTreeMap<u64, Duty> {
    let mut duties = BTreeMap::new();
    for epoch in epochs {
        match view.committee(*epoch, registry.chain_id, registry.address) {
            Ok((file, committee)) => {
                let seat = committee.seat_of(key).map(|seat| seat.0);
                duties.insert(*epoch, Duty { seat, file, committee });
            }
            Err(error) => tracing::error!(epoch, %error, "an epoch of L1 is not served"),
        }
    }
    duties
}

/// Where `epoch` stands; `until` is the moment at which the active one has to be confirmed again.
pub(super) fn term(standing: Standing, epoch: u64, until: Option<Duration>) -> Term {
    match standing {
        Standing::Active(active) if active == epoch => Term::Running { until },
        Standing::Active(active) => Term::Closed(format!("epoch {epoch} is not active on L1, {active} is")),
        Standing::Changing { to, .. } if to == epoch => Term::Beginning,
        Standing::Changing { to, .. } => {
            Term::Closed(format!("epoch {epoch} has ended, the first block of {to} is not confirmed yet"))
        }
        Standing::Unknown => Term::Closed("which epoch is active on L1 is not known now".to_owned()),
    }
}

/// The rollups as submissions are checked against them.
pub(super) fn rollups(view: &View) -> BTreeMap<RollupId, RollupPolicy> {
    let policy = |(id, rollup): &(RollupId, crate::settlement::view::Rollup)| {
        let policy = RollupPolicy {
            id: *id,
            submitters: rollup.submitters.iter().copied().collect(),
            quota_per_day: bytesize::ByteSize(rollup.quota.bytes_per_day),
            batch_max: bytesize::ByteSize(rollup.quota.batch_bytes_max),
            retention_max: Duration::from_secs(rollup.quota.retention_seconds_max),
        };
        (*id, policy)
    };
    view.rollups().iter().map(policy).collect()
}
