//! The metadata database's file on the store's seam, with a ballast against a full disk.
//!
//! Promise: while the ballast lasts, a full disk does not fail a commit. The database gives up for good on a write that
//! fails, and even removing old data first writes; the ballast is a file of zeros that is given back step by step when
//! the disk refuses, and written again when there is room ([`Ballast::refill`]). Data is refused meanwhile.
//!
//! After the store is poisoned nothing more is written: the database would otherwise finish its books when dropped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::files::{Directory, StoredFile, is_full};
use crate::poison::Poison;

/// Name of the database's file.
pub(crate) const METADATA_NAME: &str = "metadata.redb";
/// Name of the ballast's file.
const BALLAST_NAME: &str = "ballast";
/// The ballast is given back in so many steps.
const STEPS: u64 = 8;
/// Written at once when the ballast is filled.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Space held back for the metadata.
#[derive(Debug)]
pub(crate) struct Ballast {
    file: Box<dyn StoredFile>,
    bytes_full: u64,
    bytes: Mutex<u64>,
}

impl Ballast {
    /// Opens the ballast as it is; it may be short or missing.
    pub(crate) fn open(directory: &dyn Directory, bytes_full: u64) -> io::Result<Self> {
        let file = directory.open(BALLAST_NAME, true)?;
        let found = file.length()?;
        if found > bytes_full {
            file.set_length(bytes_full)?;
        }
        Ok(Self { file, bytes_full, bytes: Mutex::new(found.min(bytes_full)) })
    }

    /// Bytes it holds now.
    pub(crate) fn bytes(&self) -> u64 {
        *self.bytes.lock()
    }

    /// Bytes of a whole one.
    pub(crate) fn bytes_full(&self) -> u64 {
        self.bytes_full
    }

    /// Writes what is missing. True when the ballast is whole, false when there is no room. Cheap when it is whole.
    pub(crate) fn refill(&self) -> io::Result<bool> {
        let mut bytes = self.bytes.lock();
        while *bytes < self.bytes_full {
            let part = usize::try_from(self.bytes_full - *bytes).unwrap_or(usize::MAX).min(ZEROS.len());
            match self.file.write(*bytes, &ZEROS[..part]) {
                Err(error) if is_full(&error) => {
                    tracing::debug!(
                        held_bytes = *bytes,
                        wanted_bytes = self.bytes_full,
                        "no room for the ballast"
                    );
                    return Ok(false);
                }
                result => result?,
            }
            *bytes += part as u64;
        }
        Ok(true)
    }

    /// Gives a step back to the disk. False when there is none left.
    fn release(&self) -> bool {
        let mut bytes = self.bytes.lock();
        if *bytes == 0 {
            return false;
        }
        let rest = bytes.saturating_sub((self.bytes_full / STEPS).max(1));
        if self.file.set_length(rest).is_err() {
            return false;
        }
        tracing::warn!(held_bytes = rest, "disk full: ballast given to the metadata");
        *bytes = rest;
        true
    }
}

/// The database's file.
#[derive(Debug)]
pub(super) struct MetadataFile {
    pub(super) file: Box<dyn StoredFile>,
    /// Length of the file, for whoever counts.
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) ballast: Arc<Ballast>,
    pub(super) poison: Arc<Poison>,
}

impl MetadataFile {
    /// Performs a change; when the disk is full, gives ballast for it.
    fn change(&self, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
        if let Some(reason) = self.poison.reason() {
            return Err(io::Error::other(reason.to_owned()));
        }
        loop {
            match change() {
                Err(error) if is_full(&error) && self.ballast.release() => {}
                result => return result,
            }
        }
    }
}

impl redb::StorageBackend for MetadataFile {
    fn len(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|| self.file.set_length(len))?;
        self.bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(reason) = self.poison.reason() {
            return Err(io::Error::other(reason.to_owned()));
        }
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|| self.file.write(offset, data))
    }
}
