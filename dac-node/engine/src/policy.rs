//! What a member lets a rollup do.

use std::time::Duration;

use attest::{Address, RollupId};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// One rollup this member serves, from config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollupPolicy {
    /// Its identity in statements.
    pub id: RollupId,
    /// Addresses that may authorise a submission.
    pub submitters: Vec<Address>,
    /// Bytes a day.
    #[serde(default = "quota_default")]
    pub quota_per_day: ByteSize,
    /// Largest batch.
    #[serde(default = "batch_max_default")]
    pub batch_max: ByteSize,
    /// Longest retention, from now.
    #[serde(default = "retention_max_default", with = "humantime_serde")]
    pub retention_max: Duration,
}

fn quota_default() -> ByteSize {
    ByteSize::gib(16)
}

fn batch_max_default() -> ByteSize {
    ByteSize::mib(64)
}

fn retention_max_default() -> Duration {
    Duration::from_secs(60 * 86_400)
}
