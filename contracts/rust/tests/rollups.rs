//! Rollups: who may submit, and how much.

use alloy_primitives::{Address, B256};
use contracts::CommitteeRegistry::{
    InvalidRollup, InvalidSubmitter, NotRollupAdmin, OwnableUnauthorizedAccount, UnknownRollup,
    isSubmitterCall, removeRollupCall, rollupCall, setRollupCall, setSubmitterCall,
};
use contracts::ICommitteeRegistry::Quota;
use contracts::harness::{RETENTION_SECONDS_MAX, Settlement};

use super::shared::*;

const ADMIN: Address = Address::repeat_byte(0xad);
const SUBMITTER: Address = Address::repeat_byte(0x5b);
const ROLLUP_ID: B256 = B256::repeat_byte(0x5e);

fn quota() -> Quota {
    Quota { batchBytesMax: 64 << 20, bytesPerDay: 1 << 40, retentionSecondsMax: RETENTION_SECONDS_MAX }
}

fn set(settlement: &mut Settlement, admin: Address, quota: Quota) -> anyhow::Result<()> {
    let call = setRollupCall { rollupId: ROLLUP_ID, admin, quota };
    settlement.chain.send(settlement.owner, settlement.registry, &call)?;
    Ok(())
}

fn may_submit(settlement: &mut Settlement) -> bool {
    let call = isSubmitterCall { rollupId: ROLLUP_ID, submitter: SUBMITTER };
    settlement.chain.send(Address::ZERO, settlement.registry, &call).unwrap().output
}

fn allow(allowed: bool) -> setSubmitterCall {
    setSubmitterCall { rollupId: ROLLUP_ID, submitter: SUBMITTER, allowed }
}

#[test]
fn the_admin_names_submitters() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let registry = settlement.registry;
    let NotRollupAdmin { .. } = refused(settlement.chain.send(ADMIN, registry, &allow(true)));
    set(&mut settlement, ADMIN, quota()).unwrap();
    let found = settlement.chain.send(ADMIN, registry, &rollupCall { rollupId: ROLLUP_ID }).unwrap().output;
    assert_eq!((found.admin, found.quota), (ADMIN, quota()));
    let NotRollupAdmin { .. } = refused(settlement.chain.send(settlement.owner, registry, &allow(true)));
    assert!(!may_submit(&mut settlement));
    settlement.chain.send(ADMIN, registry, &allow(true)).unwrap();
    assert!(may_submit(&mut settlement));
    settlement.chain.send(ADMIN, registry, &allow(false)).unwrap();
    assert!(!may_submit(&mut settlement));
}

/// A rollup removed and registered again by somebody else does not inherit submitters.
#[test]
fn removal_forgets_submitters() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let (owner, registry) = (settlement.owner, settlement.registry);
    set(&mut settlement, ADMIN, quota()).unwrap();
    settlement.chain.send(ADMIN, registry, &allow(true)).unwrap();
    // New terms keep them.
    set(&mut settlement, ADMIN, Quota { bytesPerDay: 1, ..quota() }).unwrap();
    assert!(may_submit(&mut settlement));
    let remove = removeRollupCall { rollupId: ROLLUP_ID };
    settlement.chain.send(owner, registry, &remove).unwrap();
    assert!(!may_submit(&mut settlement));
    let UnknownRollup { .. } = refused(settlement.chain.send(owner, registry, &remove));
    set(&mut settlement, Address::repeat_byte(1), quota()).unwrap();
    assert!(!may_submit(&mut settlement));
}

/// Whoever was admin before may have named addresses that the new one does not know.
#[test]
fn a_new_admin_inherits_no_submitters() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let next = Address::repeat_byte(0xae);
    set(&mut settlement, ADMIN, quota()).unwrap();
    settlement.chain.send(ADMIN, settlement.registry, &allow(true)).unwrap();
    set(&mut settlement, next, quota()).unwrap();
    assert!(!may_submit(&mut settlement));
    let NotRollupAdmin { .. } = refused(settlement.chain.send(ADMIN, settlement.registry, &allow(true)));
    settlement.chain.send(next, settlement.registry, &allow(true)).unwrap();
    assert!(may_submit(&mut settlement));
    // And not when it comes back, either.
    set(&mut settlement, ADMIN, quota()).unwrap();
    assert!(!may_submit(&mut settlement));
}

#[test]
fn the_zero_address_submits_for_nobody() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    set(&mut settlement, ADMIN, quota()).unwrap();
    let zero = setSubmitterCall { rollupId: ROLLUP_ID, submitter: Address::ZERO, allowed: true };
    let InvalidSubmitter { .. } = refused(settlement.chain.send(ADMIN, settlement.registry, &zero));
}

#[test]
fn rejects_terms_that_the_committee_does_not_give() {
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    let bad = [
        (Address::ZERO, quota()),
        (ADMIN, Quota { batchBytesMax: 0, ..quota() }),
        (ADMIN, Quota { batchBytesMax: (64 << 20) + 1, ..quota() }),
        (ADMIN, Quota { bytesPerDay: 0, ..quota() }),
        (ADMIN, Quota { retentionSecondsMax: 0, ..quota() }),
        (ADMIN, Quota { retentionSecondsMax: RETENTION_SECONDS_MAX + 1, ..quota() }),
    ];
    for (admin, quota) in bad {
        let call = setRollupCall { rollupId: ROLLUP_ID, admin, quota };
        let InvalidRollup { .. } =
            refused(settlement.chain.send(settlement.owner, settlement.registry, &call));
    }
    let call = setRollupCall { rollupId: ROLLUP_ID, admin: ADMIN, quota: quota() };
    let OwnableUnauthorizedAccount { .. } = refused(settlement.chain.send(ADMIN, settlement.registry, &call));
}
