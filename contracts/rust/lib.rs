//! The committee on L1 as Rust sees it: bindings of the committed artifacts, and the contracts run in process.
//!
//! The bindings are made from `artifacts/*.json` when this crate compiles, so `cargo` needs no Solidity compiler; `cargo
//! xtask contracts` checks that the sources still compile to these bytes. What each function and error means is in
//! `src/interfaces`.
//!
//! Terms: a *member id* is keccak256 of a member's padded key (`attest::PublicKey::padded_hash`).
//!
//! `harness` (feature `harness`) runs the contracts in revm under Prague's rules, with gas as on a chain. It is how they are
//! tested here; crates that build on them test with it too.

#[cfg(feature = "harness")]
pub mod harness;

/// What `sol!` makes: as the ABI names things.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::too_many_arguments,
    reason = "generated"
)]
mod bindings {
    pub mod registry {
        alloy_sol_types::sol!(
            #[sol(all_derives)]
            CommitteeRegistry,
            "artifacts/CommitteeRegistry.json"
        );
    }
    pub mod verifier {
        alloy_sol_types::sol!(
            #[sol(all_derives)]
            CertificateVerifier,
            "artifacts/CertificateVerifier.json"
        );
    }
    pub mod timelock {
        alloy_sol_types::sol!(
            #[sol(all_derives)]
            CommitteeTimelock,
            "artifacts/CommitteeTimelock.json"
        );
    }
}

pub use bindings::registry::{CommitteeRegistry, ICommitteeRegistry};
pub use bindings::timelock::CommitteeTimelock;
pub use bindings::verifier::CertificateVerifier;
