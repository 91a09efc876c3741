//! What a member knows of L1, on disk: a restart goes on from there, also while no provider answers.
//!
//! It is a memory, not a truth: the follower compares its block with the chain before it is used, and a file that is
//! missing, damaged or of another registry only costs reading L1 from the registry's first block. Its first line is the
//! keccak256 of the rest: a digit that changed on the disk would still be JSON, and an epoch would begin another day.

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
        let checked = read.and_then(|_| match text.split_once('\n') {
            Some((sum, body)) if sum == checksum(body.as_bytes()) => Ok(body),
            _ => Err("the file is damaged".to_owned()),
        });
        let saved = checked.and_then(|body| serde_json::from_str(body).map_err(|error| error.to_string()));
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
        let body = serde_json::to_vec(self)?;
        file.write_all(format!("{}\n", checksum(&body)).as_bytes())?;
        file.write_all(&body)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    }
}

fn checksum(body: &[u8]) -> String {
    hex::encode(fpga_hash::keccak256(body))
}
