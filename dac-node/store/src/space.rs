//! How much the store uses and how much it may still write.
//!
//! Promise: what [`SpaceMeter::check`] grants fits below the store's own cap and leaves the reserve on the disk, as far
//! as the disk's word goes; a disk that is filled by others meanwhile is found out by the write itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::files::Directory;
use crate::metadata::backend::Ballast;
use crate::{Error, Space};

/// Charged for the metadata of a statement: its rows and index entries are about 1 KiB, copied with their pages.
pub(super) const METADATA_BYTES: u64 = 16 << 10;

/// Counts space. Shared by the writer and whoever asks.
#[derive(Debug)]
pub(super) struct SpaceMeter {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) ballast: Arc<Ballast>,
    pub(super) reserve_bytes: u64,
    pub(super) bytes_max: u64,
    /// Bytes of all segments, set by the writer.
    pub(super) segments: AtomicU64,
    /// Bytes of the database's file.
    pub(super) metadata: Arc<AtomicU64>,
    /// False while the ballast is short: the disk was full and still is.
    pub(super) ballast_whole: std::sync::atomic::AtomicBool,
}

impl SpaceMeter {
    /// Room as of the last commit.
    pub(super) fn space(&self) -> Result<Space, Error> {
        let used_bytes = self.used(self.segments.load(Ordering::Relaxed));
        let free_bytes = self.free(used_bytes)?;
        Ok(Space { used_bytes, free_bytes })
    }

    /// Whether `needed_bytes` more may be written when the segments take `segments` bytes.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub(super) fn check(&self, needed_bytes: u64, segments: u64) -> Result<(), Error> {
        let free_bytes = self.free(self.used(segments))?;
        if needed_bytes > free_bytes {
            return Err(Error::Full { needed_bytes, free_bytes });
        }
        Ok(())
    }

    fn used(&self, segments: u64) -> u64 {
        segments.saturating_add(self.metadata.load(Ordering::Relaxed)).saturating_add(self.ballast.bytes())
    }

    fn free(&self, used_bytes: u64) -> Result<u64, Error> {
        let on_disk = self.directory.free_bytes()?.saturating_sub(self.reserve_bytes);
        if !self.ballast_whole.load(Ordering::Relaxed) && !self.room_is_back(on_disk)? {
            return Ok(0);
        }
        Ok(on_disk.min(self.bytes_max.saturating_sub(used_bytes)))
    }

    /// Fills the ballast up when there is room for twice of it. Who is told that there is none asks for no write, so no
    /// write would do it. With less room a commit at work may be living on what the ballast gave back.
    fn room_is_back(&self, on_disk: u64) -> Result<bool, Error> {
        let whole = on_disk >= self.ballast.bytes_full().saturating_mul(2) && self.ballast.refill()?;
        if whole {
            self.ballast_whole.store(true, Ordering::Relaxed);
        }
        Ok(whole)
    }
}
