//! Faults planted on purpose, so that the simulator can show that it finds them. Compiled with the feature
//! `planted-faults` only, which nothing enables but the tests of the simulator: a default build has none of this.
//!
//! One fault at a time, for the whole process. Those of `dac-node` are named here too: one list, one switch.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a member does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedFault {
    /// Asks for the signature with the write, not after the sync.
    SignBeforeSync = 1,
    /// Accepts stripes and batches whose encoding is not the committed one.
    SkipReencodeCheck,
    /// Accepts a piece whose path leads elsewhere.
    AcceptBadPath,
    /// Forgets at every start what it has signed.
    DropSignedTable,
    /// Commits the metadata without a sync of the segments that it names.
    SkipSegmentSync,
}

static PLANTED: AtomicU8 = AtomicU8::new(0);

impl PlantedFault {
    /// All of them.
    pub const ALL: [PlantedFault; 5] = [
        PlantedFault::SignBeforeSync,
        PlantedFault::SkipReencodeCheck,
        PlantedFault::AcceptBadPath,
        PlantedFault::DropSignedTable,
        PlantedFault::SkipSegmentSync,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            PlantedFault::SignBeforeSync => "sign-before-sync",
            PlantedFault::SkipReencodeCheck => "skip-reencode-check",
            PlantedFault::AcceptBadPath => "accept-bad-path",
            PlantedFault::DropSignedTable => "drop-signed-table",
            PlantedFault::SkipSegmentSync => "skip-segment-sync",
        }
    }

    /// The fault of a name.
    pub fn named(name: &str) -> Option<PlantedFault> {
        PlantedFault::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Plants this fault, instead of any other.
    pub fn plant(self) {
        PLANTED.store(self as u8, Ordering::Relaxed);
    }

    /// Whether it is planted.
    pub fn is_planted(self) -> bool {
        PLANTED.load(Ordering::Relaxed) == self as u8
    }
}
