//! Open segment files, at most so many, and reading records from them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::extent::{self, Slot};
use super::{ExtentPlace, SegmentKind, file_name};
use crate::files::{Directory, StoredFile};
use crate::record::{self, HEADER_BYTES, RecordPlace};
use crate::{ContentKey, Error};
use dac_node_coding::Layout;

/// Files synced at the same time, where that helps.
const SYNCS_AT_ONCE: usize = 8;

/// The directory and the files that are open in it. Shared by readers and the writer.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    directory: Arc<dyn Directory>,
    open: Mutex<OpenFiles>,
}

#[derive(Debug)]
struct OpenFiles {
    files: HashMap<u64, (Arc<dyn StoredFile>, u64)>,
    /// Counts uses; the file used longest ago is closed first.
    tick: u64,
    files_max: usize,
}

impl OpenFiles {
    fn get(&mut self, segment: u64) -> Option<Arc<dyn StoredFile>> {
        self.tick += 1;
        let (file, used) = self.files.get_mut(&segment)?;
        *used = self.tick;
        Some(Arc::clone(file))
    }

    fn insert(&mut self, segment: u64, file: Arc<dyn StoredFile>) {
        if self.files.len() >= self.files_max
            && let Some(oldest) = self.files.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id)
        {
            self.files.remove(&oldest);
        }
        self.files.insert(segment, (file, self.tick));
    }
}

impl SegmentFiles {
    pub(crate) fn new(directory: Arc<dyn Directory>, files_max: usize) -> Self {
        let open = Mutex::new(OpenFiles { files: HashMap::new(), tick: 0, files_max: files_max.max(1) });
        Self { directory, open }
    }

    pub(crate) fn directory(&self) -> &dyn Directory {
        &*self.directory
    }

    /// The file of a segment, opened when it is not.
    pub(crate) fn file(&self, kind: SegmentKind, hour: u64, segment: u64) -> io::Result<Arc<dyn StoredFile>> {
        if let Some(file) = self.open.lock().get(segment) {
            return Ok(file);
        }
        // Opening outside the lock: a slow disk does not hold up readers of open files.
        let file: Arc<dyn StoredFile> = self.directory.open(&file_name(kind, hour, segment), false)?.into();
        self.open.lock().insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// A new, empty file for a segment.
    pub(crate) fn create(
        &self,
        kind: SegmentKind,
        hour: u64,
        segment: u64,
    ) -> io::Result<Arc<dyn StoredFile>> {
        let file: Arc<dyn StoredFile> = self.directory.open(&file_name(kind, hour, segment), true)?.into();
        self.open.lock().insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Removes the file of a segment; readers that have it open go on.
    pub(crate) fn unlink(&self, kind: SegmentKind, hour: u64, segment: u64) -> io::Result<()> {
        self.open.lock().files.remove(&segment);
        self.directory.unlink(&file_name(kind, hour, segment))
    }

    /// Reads one record of an extent and checks it. The payload is `buffer` from `HEADER_BYTES` on.
    ///
    /// # Errors
    /// [`Error::Io`] with `NotFound` when the file is gone (the extent may have moved), [`Error::Corrupt`].
    pub(crate) fn read<'a>(
        &self,
        kind: SegmentKind,
        extent: &ExtentPlace,
        slot: &Slot,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Error> {
        let offset = extent.offset + slot.offset;
        let name = || file_name(kind, extent.hour, extent.segment);
        let file = self.file(kind, extent.hour, extent.segment)?;
        let bytes = HEADER_BYTES + slot.name.payload_bytes as usize;
        if buffer.len() < bytes {
            // Zero as the system gives it. To grow what is there writes every zero, and byte by byte when unoptimised.
            *buffer = vec![0; bytes];
        }
        let buffer = &mut buffer[..bytes];
        match file.read(offset, buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(record::corrupt(name(), offset, "the file ends before the record does"));
            }
            result => result?,
        }
        record::check(buffer, RecordPlace { segment: extent.segment, offset }, &slot.name)
            .map_err(|what| record::corrupt(name(), offset, what))
    }

    /// Reads and checks all records of an extent, and throws them away.
    pub(crate) fn verify(
        &self,
        kind: SegmentKind,
        key: ContentKey,
        layout: &Layout,
        place: &ExtentPlace,
    ) -> Result<(), Error> {
        let mut buffer = Vec::new();
        for slot in slots(kind, key, layout) {
            self.read(kind, place, &slot, &mut buffer)?;
        }
        Ok(())
    }
}

/// Makes all files durable. In parallel, the hot copy and the shard of one batch take the time of one.
pub(super) fn sync_all(files: &[&dyn StoredFile], in_parallel: bool) -> io::Result<()> {
    let sync_each = |share: &[&dyn StoredFile]| share.iter().try_for_each(|file| file.sync());
    if !in_parallel || files.len() < 2 {
        return sync_each(files);
    }
    let (own, others) = files.split_at(files.len().div_ceil(SYNCS_AT_ONCE));
    std::thread::scope(|scope| {
        let shares = others.chunks(own.len());
        let others: Vec<_> = shares.map(|share| scope.spawn(move || sync_each(share))).collect();
        let own = sync_each(own);
        let joined = others.into_iter().map(|other| other.join().expect("a sync returns errors"));
        joined.fold(own, io::Result::and)
    })
}

/// All records of an extent.
pub(crate) fn slots(kind: SegmentKind, key: ContentKey, layout: &Layout) -> Box<dyn Iterator<Item = Slot>> {
    match kind {
        SegmentKind::Hot => Box::new(extent::hot_slots(key, layout)),
        SegmentKind::Shard => Box::new(extent::shard_slots(key, layout)),
    }
}
