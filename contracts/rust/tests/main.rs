//! The contracts against `attest`: everything signed there must be accepted here, and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests, not only the tests themselves")]

mod absentees;
mod bounds;
mod certificate;
mod epochs;
mod gas;
mod registration;
mod rollups;
mod shared;
mod vectors;
