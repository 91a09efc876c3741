//! The contracts in an EVM in this process: Prague's rules, gas as on a chain, a clock the test sets.
//!
//! Terms: a *receipt* is what a transaction that succeeded returned and cost; *refused* is one that reverted, with its
//! error. Accounts need no balance and gas costs nothing, but is counted.
//!
//! [`Chain`] is the EVM; [`Settlement`] deploys registry and verifier on it and walks a committee through registration,
//! announcement and activation; [`Seats`] are the keys of its members.

mod chain;
mod seats;
mod settlement;

pub use chain::{Chain, Receipt, Refused};
pub use seats::{Seats, contact, padded_proof};
pub use settlement::{ANNOUNCEMENT_DELAY_SECONDS, NEW_KEYS_MAX, RETENTION_SECONDS_MAX, Settlement};
