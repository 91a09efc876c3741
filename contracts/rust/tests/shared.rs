//! A committee on a chain, ready to certify.

use alloy_primitives::Bytes;
use alloy_sol_types::SolError;
use attest::{Certificate, Committee, Thresholds};
use contracts::harness::{Receipt, Refused, Seats, Settlement};

pub(crate) const CHAIN_ID: u64 = 31337;
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ROLLUP: [u8; 32] = [0x5e; 32];
pub(crate) const DAY: u64 = 86_400;

/// An active committee and the contracts that know it.
pub(crate) struct Installed {
    pub(crate) settlement: Settlement,
    pub(crate) seats: Seats,
    pub(crate) committee: Committee,
}

/// A committee of `members` with the default thresholds in epoch 1.
pub(crate) fn installed(members: u16) -> Installed {
    with_thresholds(Thresholds::default_for(members).unwrap())
}

pub(crate) fn with_thresholds(thresholds: Thresholds) -> Installed {
    let seats = Seats::new("member", thresholds.members()).unwrap();
    let mut settlement = Settlement::new(CHAIN_ID, NOW).unwrap();
    settlement.install(1, &seats, thresholds).unwrap();
    let committee = seats.committee(1, settlement.domain(), thresholds).unwrap();
    Installed { settlement, seats, committee }
}

impl Installed {
    /// A certificate of `signers` that lasts 30 days.
    pub(crate) fn certify(&self, signers: impl IntoIterator<Item = u16>) -> Certificate {
        let retain_until = self.settlement.chain.now() + 30 * DAY;
        self.seats.certify(&self.committee, ROLLUP, retain_until, signers).unwrap()
    }

    /// The error that the verifier gives to `edit`ed bytes of a certificate of all.
    pub(crate) fn refused_after<E: SolError>(&mut self, edit: impl FnOnce(&mut Vec<u8>)) -> E {
        let mut bytes = self.certify(0..self.seats.members()).to_abi().unwrap();
        edit(&mut bytes);
        refused(self.settlement.verify_bytes(ROLLUP, bytes))
    }
}

/// What a transaction that must not succeed gave back; empty when it reverted without an error.
pub(crate) fn refused_data<T>(result: anyhow::Result<Receipt<T>>) -> Bytes {
    let refused: Refused = result.err().expect("accepted").downcast().expect("halted");
    refused.data
}

/// The error of a transaction that must not succeed.
pub(crate) fn refused<E: SolError, T>(result: anyhow::Result<Receipt<T>>) -> E {
    let refused: Refused = result.err().expect("accepted").downcast().expect("halted");
    refused.decode().unwrap_or_else(|| panic!("not {}: {refused}", E::SIGNATURE))
}

/// The ABI certificate has words of 32 bytes.
pub(crate) fn word(bytes: &mut [u8], index: usize) -> &mut [u8] {
    &mut bytes[32 * index..][..32]
}

pub(crate) fn hex_bytes(text: &serde_json::Value) -> Bytes {
    text.as_str().unwrap().parse().unwrap()
}
