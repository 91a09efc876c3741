//! Registry and verifier, deployed, and a committee's way through them.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::SolValue;
use attest::{Certificate, Domain, Thresholds};

use super::{Chain, Receipt, Seats, contact, padded_proof};
use crate::CertificateVerifier::{self, verifyCall};
use crate::CommitteeRegistry::{self, announceCall, registerCall, storeKeysCall};
use crate::ICommitteeRegistry::Announcement;

/// Delay between announcement and activation.
pub const ANNOUNCEMENT_DELAY_SECONDS: u64 = 7 * 86_400;
/// Longest retention.
pub const RETENTION_SECONDS_MAX: u64 = 60 * 86_400;
/// Most new keys in one announcement.
pub const NEW_KEYS_MAX: u16 = 96;

/// The contracts on a chain.
#[expect(missing_debug_implementations, reason = "the EVM has none")]
pub struct Settlement {
    /// Where they are.
    pub chain: Chain,
    /// Who announces committees.
    pub owner: Address,
    /// Who sends certificates.
    pub settler: Address,
    /// The registry.
    pub registry: Address,
    /// The verifier.
    pub verifier: Address,
}

impl Settlement {
    /// Deploys both on a new chain.
    ///
    /// # Errors
    /// Whatever a constructor refused.
    pub fn new(chain_id: u64, now: u64) -> anyhow::Result<Self> {
        let mut chain = Chain::new(chain_id, now);
        let owner = Address::from_word(keccak256("owner"));
        let arguments = (owner, ANNOUNCEMENT_DELAY_SECONDS, RETENTION_SECONDS_MAX).abi_encode_params();
        let registry = chain.deploy(owner, &CommitteeRegistry::BYTECODE, &arguments)?.output;
        let verifier = chain.deploy(owner, &CertificateVerifier::BYTECODE, &registry.abi_encode())?.output;
        Ok(Self { chain, owner, settler: Address::from_word(keccak256("settler")), registry, verifier })
    }

    /// Where signatures count.
    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.chain.chain_id(), registry: attest::Address(self.registry.into_array()) }
    }

    /// Registers one member.
    ///
    /// # Errors
    /// [`super::Refused`].
    pub fn register(&mut self, seats: &Seats, seat: u16) -> anyhow::Result<Receipt<B256>> {
        let operator = seats.operator(seat);
        let key = seats.key(seat);
        let proof = key.prove_possession(&self.domain(), attest::Address(operator.into_array()));
        let call = registerCall {
            key: key.public_key().to_padded().to_vec().into(),
            proof: padded_proof(proof)?,
            contact: contact("alpha"),
        };
        self.chain.send(operator, self.registry, &call)
    }

    /// Announces `members` under `epoch`, to begin when it may at the earliest.
    ///
    /// # Errors
    /// [`super::Refused`].
    pub fn announce(
        &mut self,
        epoch: u64,
        thresholds: Thresholds,
        members: Vec<B256>,
        new_keys: Bytes,
    ) -> anyhow::Result<Receipt<()>> {
        let announcement = Announcement {
            epoch,
            minimumShards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            activatesAt: alloy_primitives::aliases::U48::from(self.chain.now() + ANNOUNCEMENT_DELAY_SECONDS),
            members,
            newKeys: new_keys,
        };
        let receipt = self.chain.send(self.owner, self.registry, &announceCall { announcement })?;
        Ok(Receipt { output: (), gas: receipt.gas, logs: receipt.logs })
    }

    /// Registers all members, announces them, and lets the delay pass. Many keys are stored ahead.
    ///
    /// # Errors
    /// [`super::Refused`].
    pub fn install(
        &mut self,
        epoch: u64,
        seats: &Seats,
        thresholds: Thresholds,
    ) -> anyhow::Result<Receipt<()>> {
        for seat in 0..seats.members() {
            self.register(seats, seat)?;
        }
        let ahead = seats.members().saturating_sub(NEW_KEYS_MAX);
        for first in (0..ahead).step_by(usize::from(NEW_KEYS_MAX)) {
            let keys = seats.padded_keys(first..ahead.min(first + NEW_KEYS_MAX));
            self.chain.send(self.owner, self.registry, &storeKeysCall { keys })?;
        }
        let receipt =
            self.announce(epoch, thresholds, seats.ids(), seats.padded_keys(ahead..seats.members()))?;
        self.activate();
        Ok(receipt)
    }

    /// Lets the announcement delay pass.
    pub fn activate(&mut self) {
        self.chain.set_now(self.chain.now() + ANNOUNCEMENT_DELAY_SECONDS);
    }

    /// Sends a certificate to the verifier, for the rollup it names.
    ///
    /// # Errors
    /// [`super::Refused`].
    pub fn verify(&mut self, certificate: &Certificate) -> anyhow::Result<Receipt<B256>> {
        self.verify_bytes(certificate.statement.rollup_id.0, certificate.to_abi()?)
    }

    /// Sends bytes to the verifier.
    ///
    /// # Errors
    /// [`super::Refused`].
    pub fn verify_bytes(
        &mut self,
        rollup_id: [u8; 32],
        certificate: Vec<u8>,
    ) -> anyhow::Result<Receipt<B256>> {
        let call = verifyCall { rollupId: rollup_id.into(), certificate: certificate.into() };
        self.chain.send(self.settler, self.verifier, &call)
    }
}
