//! What a run counted, so that "no violation" also says of how much.

use serde::Serialize;

/// Counters of one run, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Things that happened, one after the other.
    pub steps: u64,
    /// Signatures of honest members.
    pub signatures: u64,
    /// Certificates that honest members stored.
    pub certificates: u64,
    /// Stripes read and compared.
    pub reads: u64,
    /// Crashes.
    pub crashes: u64,
    /// Things that liars did on their own account.
    pub lies: u64,
    /// Opens of submissions that no rollup made.
    pub unauthorised: u64,
    /// Penalties, of liars all of them.
    pub penalties: u64,
    /// Proofs of wrong encodings kept.
    pub evidence: u64,
    /// Refusals by honest members.
    pub refusals: u64,
    /// Frames that a full queue dropped.
    pub dropped: u64,
    /// Submissions that had to be certified, and were.
    pub certified: u64,
    /// Most exchanges in flight at one member.
    pub in_flight_most: u64,
    /// Steps after which a member had as many exchanges in flight as it may.
    pub limits_reached: u64,
    /// Steps after which a member had as many bytes in flight as it may.
    pub bytes_limits_reached: u64,
    /// Longest time from an honest submission that had to be certified to its certificate, simulated milliseconds.
    pub certified_after_ms_most: u64,
}

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.signatures += other.signatures;
        self.certificates += other.certificates;
        self.reads += other.reads;
        self.crashes += other.crashes;
        self.lies += other.lies;
        self.unauthorised += other.unauthorised;
        self.penalties += other.penalties;
        self.evidence += other.evidence;
        self.refusals += other.refusals;
        self.dropped += other.dropped;
        self.certified += other.certified;
        self.limits_reached += other.limits_reached;
        self.bytes_limits_reached += other.bytes_limits_reached;
        self.in_flight_most = self.in_flight_most.max(other.in_flight_most);
        self.certified_after_ms_most = self.certified_after_ms_most.max(other.certified_after_ms_most);
    }
}

/// What two runs of a seed agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of every event and effect.
    pub trace: u64,
    /// Lines of the trace.
    pub lines: u64,
    /// What happened.
    pub tally: Tally,
}
