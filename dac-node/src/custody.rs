//! What a member says of its own keeping and of the others': the document of `GET /v1/custody`.
//!
//! Terms: a certificate is *live* until its `retainUntil`; every member of its committee *owes* the shard of its seat then,
//! whether it signed or not. A shard is *here* when it is stored, *checked* when it was read back and compared with the
//! commitments since the process started. An *audit* asks another member for a random leaf of a random live shard.

use attest::BatchId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything about custody at one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CustodyReport {
    /// Who reports.
    pub seat: u16,
    /// True when every live certificate's shard is here, and none is known to be damaged.
    pub complete: bool,
    /// Live certificates whose committee has this seat.
    pub certificates_live: u64,
    /// Their shards that are here.
    pub shards_here: u64,
    /// Of these, read back and found right since the process started.
    pub shards_checked: u64,
    /// Shards that are owed and not here.
    pub shards_missing: u64,
    /// Stored contents found damaged and not yet repaired, certified or not.
    pub shards_damaged: u64,
    /// The first of what is missing or damaged, at most 16.
    pub waiting: Vec<WaitingShard>,
    /// Hearing of certificates that this member missed.
    pub catch_up: CatchUpReport,
    /// Getting shards back.
    pub repair: RepairReport,
    /// Reading everything back.
    pub scrub: ScrubReport,
    /// What the others answered when they were audited, in seat order.
    pub members: Vec<MemberCustody>,
}

/// Shards named in a report.
pub const WAITING_SHOWN_MAX: usize = 16;

impl CustodyReport {
    /// This epoch's report with what the same member owes under an earlier one. Numbers add up; seat, catch-up and the
    /// other members stay those of this epoch.
    #[must_use]
    pub fn with_earlier(mut self, earlier: CustodyReport) -> CustodyReport {
        self.complete &= earlier.complete;
        self.certificates_live += earlier.certificates_live;
        self.shards_here += earlier.shards_here;
        self.shards_checked += earlier.shards_checked;
        self.shards_missing += earlier.shards_missing;
        self.shards_damaged += earlier.shards_damaged;
        self.waiting.extend(earlier.waiting);
        self.waiting.truncate(WAITING_SHOWN_MAX);
        let (repair, before) = (&mut self.repair, earlier.repair);
        repair.waiting += before.waiting;
        repair.waiting_bytes += before.waiting_bytes;
        repair.repaired += before.repaired;
        repair.repaired_bytes += before.repaired_bytes;
        repair.received_bytes += before.received_bytes;
        repair.failed += before.failed;
        repair.bytes_per_second += before.bytes_per_second;
        repair.estimate_seconds = repair.estimate_seconds.max(before.estimate_seconds);
        self.scrub.bytes += earlier.scrub.bytes;
        self.scrub.damage_found += earlier.scrub.damage_found;
        self.scrub.contents_this_pass += earlier.scrub.contents_this_pass;
        self
    }
}

/// A shard that is owed and not in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingShard {
    /// A batch it belongs to.
    #[schema(value_type = String)]
    pub batch_id: BatchId,
    /// `missing` or `damaged`.
    pub state: String,
    /// Repairs tried so far.
    pub attempts: u32,
    /// What was found, or why the last try failed.
    pub detail: String,
}

/// State of the catch-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatchUpReport {
    /// Members that were asked for all they have since they last connected.
    pub members_heard: u16,
    /// Other members connected now.
    pub members_connected: u16,
    /// Certificates that were new here.
    pub certificates_found: u64,
    /// Answers that did not verify.
    pub certificates_refused: u64,
}

/// State of the repair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepairReport {
    /// Shards waiting for repair.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Shards repaired since the process started.
    pub repaired: u64,
    /// Their bytes: the least that had to be received.
    pub repaired_bytes: u64,
    /// Bytes of pieces and roots received for them.
    pub received_bytes: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Shard bytes a second since the queue was last empty.
    pub bytes_per_second: f64,
    /// Seconds until the queue is empty at that rate; none while nothing is known of the rate.
    pub estimate_seconds: Option<u64>,
}

/// State of the scrub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScrubReport {
    /// Passes over everything stored that were finished.
    pub passes: u64,
    /// Contents read in this pass.
    pub contents_this_pass: u64,
    /// Bytes read since the process started.
    pub bytes: u64,
    /// Damage found since the process started.
    pub damage_found: u64,
    /// Unix seconds at which the last pass ended.
    pub last_pass_at: Option<u64>,
}

/// How one member answered audits of this one, since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberCustody {
    /// Who was asked.
    pub seat: u16,
    /// Its name in the committee file.
    pub name: Option<String>,
    /// Questions.
    pub asked: u64,
    /// Right leaves in time.
    pub held: u64,
    /// It said that it does not have the shard.
    pub missing: u64,
    /// Leaves that are not those of the batch.
    pub wrong: u64,
    /// No answer in time.
    pub no_answer: u64,
    /// Unix seconds of the last right leaf.
    pub last_held_at: Option<u64>,
    /// The last audit that failed.
    pub last_failure: Option<AuditFailure>,
}

/// An audit that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditFailure {
    /// Which batch.
    #[schema(value_type = String)]
    pub batch_id: BatchId,
    /// Which stripe.
    pub stripe: u32,
    /// Which leaf.
    pub leaf: u32,
    /// Unix seconds.
    pub at: u64,
    /// What was wrong.
    pub outcome: AuditOutcome,
}

/// How one audit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// The right leaf in time.
    Held,
    /// Not there, as the member says itself.
    Missing,
    /// Another leaf than the batch's.
    Wrong,
    /// Nothing in time.
    NoAnswer,
}

impl AuditOutcome {
    /// All outcomes.
    pub const ALL: [AuditOutcome; 4] =
        [AuditOutcome::Held, AuditOutcome::Missing, AuditOutcome::Wrong, AuditOutcome::NoAnswer];

    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            AuditOutcome::Held => "held",
            AuditOutcome::Missing => "missing",
            AuditOutcome::Wrong => "wrong",
            AuditOutcome::NoAnswer => "no_answer",
        }
    }
}
