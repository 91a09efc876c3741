//! Writing a shard again: one that rotted, or one that a member owes but never received.
//!
//! Promise: afterwards the content's shard is on durable storage and checks, or nothing changed. A content that only came
//! here this way has no statement's record and no hot copy, so no later statement rests on it unseen: persisting one with
//! a hot copy brings the bytes again.

use super::persist::{Shard, damage, row_of};
use super::{Failure, Writer};
use crate::metadata::{ContentRow, Tables};
use crate::segment::{SegmentKind, extent};
use crate::{Error, RestoredContent};

impl Writer {
    pub(super) fn restore(
        &mut self,
        tables: &mut Tables<'_>,
        content: &RestoredContent,
    ) -> Result<(), Failure> {
        let old = tables.content(&content.key)?;
        let needed_bytes = extent::shard_bytes(content.key, &content.layout);
        let new = self
            .place_restored(old.as_ref(), content)
            .map_err(|error| self.full_error(error, needed_bytes))?;
        // From here on only the metadata changes, and its errors are fatal.
        tables.replace_content(&content.key, old.as_ref(), Some(&new))?;
        self.fresh.insert(content.key);
        Ok(())
    }

    fn place_restored(
        &mut self,
        old: Option<&ContentRow>,
        content: &RestoredContent,
    ) -> Result<ContentRow, Error> {
        let key = content.key;
        let parts = Shard { key, piece_roots: &content.piece_roots, pieces: &content.shard };
        let Some(old) = old else {
            let shard = self.append_shard(parts, content.retain_until, 0)?;
            let row = row_of(content.layout, content.data_root, shard);
            return Ok(ContentRow { retain_until: content.retain_until, ..row });
        };
        let mut row = old.clone();
        row.retain_until = row.retain_until.max(content.retain_until);
        let layout = row.layout()?;
        if let Some(found) = damage(self.files.verify(SegmentKind::Shard, key, &layout, &row.shard))? {
            tracing::info!(damage = %found, "damaged shard is written again");
            row.shard = self.append_shard(parts, row.retain_until, 0)?;
        }
        if let (Some(hot), Some(batch)) = (&row.hot, &content.batch)
            && let Some(found) = damage(self.files.verify(SegmentKind::Hot, key, &layout, hot))?
        {
            tracing::info!(damage = %found, "damaged hot copy is written again");
            row.hot = Some(self.append_hot(key, &layout, batch, row.hot_until)?);
        }
        Ok(row)
    }
}
