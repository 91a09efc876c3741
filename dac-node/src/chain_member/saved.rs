//! What a member knows of L1, on disk: a restart goes on from there, also while no provider answers.
//!
//! It is a memory, not a truth: the follower compares its block with the chain before it is used, and a file that is
//! missing, damaged or of another registry only costs reading L1 from the registry's first block.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::duty::Registry;
use crate::settlement::follower::Checkpoint;

/// Largest file that is read: a registry of many years is far below.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Its name in the data directory.
const FILE: &str = "l1.json";

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Whose events these are.
    pub registry: Registry,
    /// What they add up to; `None` before the first confirmed block.
    pub checkpoint: Option<Checkpoint>,
}

impl Saved {
    /// Where it is kept.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Reads it; `None` when there is none that can be used.
    pub fn load(path: &Path) -> Option<Saved> {
        let mut text = String::new();
        let file = std::fs::File::open(path).ok()?;
        let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string());
        let saved = read.and_then(|_| serde_json::from_str(&text).map_err(|error| error.to_string()));
        saved
            .inspect_err(|error| tracing::warn!(path = %path.display(), error, "L1 is read from the start"))
            .ok()
    }

    /// Replaces it: whoever reads finds the old or the new one, whole.
    ///
    /// # Errors
    /// What the file system said.
    pub fn store(&self, path: &Path) -> std::io::Result<()> {
        let new = path.with_extension("new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    }
}
