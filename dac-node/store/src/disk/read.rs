//! Reading from the segments: look the place up, read and check the records, cut out what was asked for.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use dac_node_coding::PieceRoots;

use super::DiskStore;
use crate::metadata::ContentRow;
use crate::record::HEADER_BYTES;
use crate::segment::{SegmentKind, extent, file_name};
use crate::{ContentKey, Error};

impl DiskStore {
    /// Reads from an extent of a content. The extent may move while it is read: then the file is gone, and its new place
    /// is in the metadata.
    pub(super) fn with_content<T>(
        &self,
        key: &ContentKey,
        read: impl Fn(&ContentRow) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let mut before = None;
        loop {
            let Some(row) = self.look_up(|metadata| metadata.content(key))? else { return Ok(None) };
            match read(&row) {
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    if before.as_ref() == Some(&row) {
                        let segment = format!("{} or {:?}", row.shard.segment, row.hot);
                        return Err(Error::Corrupt { segment, offset: 0, what: "the file is missing" });
                    }
                    before = Some(row);
                }
                result => return result,
            }
        }
    }

    pub(super) fn read_hot_of(
        &self,
        key: &ContentKey,
        row: &ContentRow,
        range: &Range<u64>,
    ) -> Result<Option<Bytes>, Error> {
        let Some(hot) = &row.hot else { return Ok(None) };
        crate::check_range(range, row.batch_bytes)?;
        let layout = row.layout()?;
        let inside = |at: u64| usize::try_from(at).expect("inside a batch of at most 64 MiB");
        let mut out = Vec::with_capacity(inside(range.end - range.start));
        let mut buffer = Vec::new();
        let part_bytes = u64::from(extent::HOT_PART_BYTES);
        for part in (0..extent::hot_parts(&layout))
            .skip(inside(range.start / part_bytes))
            .take_while(|part| u64::from(*part) * part_bytes < range.end)
        {
            let whole = extent::hot_range(&layout, part);
            let slot = extent::hot_slot(*key, &layout, part);
            let payload = self.files.read(SegmentKind::Hot, hot, &slot, &mut buffer)?;
            let wanted = range.start.max(whole.start)..range.end.min(whole.end);
            out.extend_from_slice(
                &payload[inside(wanted.start - whole.start)..inside(wanted.end - whole.start)],
            );
        }
        Ok(Some(out.into()))
    }

    pub(super) fn read_piece_of(
        &self,
        key: &ContentKey,
        row: &ContentRow,
        stripe: u32,
    ) -> Result<Option<Bytes>, Error> {
        let layout = row.layout()?;
        crate::check_stripe(stripe, &layout)?;
        let slot = extent::piece_slot(*key, &layout, stripe);
        let mut buffer = Vec::new();
        self.files.read(SegmentKind::Shard, &row.shard, &slot, &mut buffer)?;
        Ok(Some(Bytes::from(buffer).slice(HEADER_BYTES..)))
    }

    pub(super) fn read_roots_of(
        &self,
        key: &ContentKey,
        row: &ContentRow,
    ) -> Result<Option<PieceRoots>, Error> {
        let layout = row.layout()?;
        let slot = extent::roots_slot(*key, &layout);
        let mut buffer = Vec::new();
        let bytes = self.files.read(SegmentKind::Shard, &row.shard, &slot, &mut buffer)?;
        let roots = PieceRoots::from_bytes(&layout, bytes, &key.shards_root, &*self.hasher);
        // The checksum held, so this is not rot: something wrote other roots under this name.
        let segment = file_name(SegmentKind::Shard, row.shard.hour, row.shard.segment);
        let what = "the piece roots are not those of the content";
        roots.map(Some).map_err(|_| Error::Corrupt { segment, offset: row.shard.offset, what })
    }
}
