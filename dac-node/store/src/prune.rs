//! Forgetting what expired, in steps that other requests can come between.
//!
//! Promise: nothing goes before its time: statements and shards at `retain_until` plus grace, hot copies at `hot_until`,
//! each at the latest of all statements over the content. Certificates stay. A segment goes when nothing in it is needed;
//! its file is unlinked after the commit that says so, and a crash in between leaves a file that the next open removes.
//!
//! Extensions: a later statement with later times changes times in the metadata, no bytes; the segment lives as long as
//! anything in it does. That alone would let one small content, extended again and again, keep 256 MiB of dead bytes for
//! ever. So a segment past its hour in which something is still alive is emptied here: its live extents move to the
//! segments of their later hours (checked record by record, synced and committed like any write), then it goes. However
//! often a content is extended, it moves at most once per expiry of the segment it lies in, and not while anybody waits
//! for a signature. An extent that does not check stays where it is, and its segment with it: a repair needs it.
//!
//! Each step is one commit of at most [`STEP_ROWS`] rows of each sort and about [`STEP_MOVE_BYTES`] moved bytes.

use crate::commit::{Failure, Writer};
use crate::files::is_full;
use crate::metadata::{ContentRow, Fatal, Tables};
use crate::segment::extent;
use crate::segment::{SegmentKind, SegmentRow, hour_of};
use crate::{ContentKey, Error, Pruned, QUOTA_DAYS_KEPT};

/// Rows of each sort removed in one step.
const STEP_ROWS: usize = 256;
/// A step moves extents until it has moved this much.
const STEP_MOVE_BYTES: u64 = 16 << 20;

/// What one step did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PruneStep {
    pub(super) pruned: Pruned,
    /// There is more to do.
    pub(super) more: bool,
}

impl Writer {
    /// One step.
    pub(super) fn prune(&mut self, tables: &mut Tables<'_>, now: u64) -> Result<PruneStep, Failure> {
        let mut step = PruneStep::default();
        let kept_since = now.saturating_sub(self.grace_seconds);
        let statements = tables.expired_statements(kept_since, STEP_ROWS)?;
        for id in &statements {
            tables.remove_statement(*id)?;
        }
        let hot = tables.expired_hot(now, STEP_ROWS)?;
        for key in &hot {
            drop_hot(tables, key)?;
        }
        let contents = tables.expired_contents(kept_since, STEP_ROWS)?;
        for key in &contents {
            step.pruned.hot_copies += u64::from(drop_content(tables, key)?);
        }
        tables.drop_quotas((now / 86_400).saturating_sub(QUOTA_DAYS_KEPT), STEP_ROWS)?;
        tables.trim_certificate_order(kept_since, STEP_ROWS)?;
        step.pruned.statements = statements.len() as u64;
        step.pruned.hot_copies += hot.len() as u64;
        step.more = [statements.len(), hot.len(), contents.len()].contains(&STEP_ROWS);
        if !step.more {
            step.more = self.empty_overdue(tables, now)?;
        }
        step.pruned.segments = self.remove_empty(tables)?;
        Ok(step)
    }

    /// Moves what lives on out of segments whose hour is over. True when the step's bytes were spent before the end.
    fn empty_overdue(&mut self, tables: &mut Tables<'_>, now: u64) -> Result<bool, Failure> {
        let overdue =
            |row: &SegmentRow| row.hour.saturating_mul(3600).saturating_add(self.grace_of(row.kind)) < now;
        let segments: Vec<(u64, SegmentKind)> = self
            .segments
            .rows()
            .iter()
            .filter(|(segment, row)| overdue(row) && !self.unmovable.contains(segment))
            .map(|(segment, row)| (*segment, row.kind))
            .collect();
        let mut moved_bytes = 0;
        for (segment, kind) in segments {
            while let Some(key) = tables.contents_in(segment, 1)?.pop() {
                if moved_bytes >= STEP_MOVE_BYTES {
                    return Ok(true);
                }
                match self.move_extent(tables, kind, key)? {
                    Ok(bytes) => moved_bytes += bytes,
                    Err(Error::Full { needed_bytes, free_bytes }) => {
                        tracing::warn!(needed_bytes, free_bytes, "no room to empty an expired segment");
                        return Ok(false);
                    }
                    Err(error) => {
                        tracing::error!(segment, %error, "an extent cannot move; its segment stays");
                        self.unmovable.insert(segment);
                        break;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Moves one extent to the head of its content's present hour; bytes moved, or why not.
    fn move_extent(
        &mut self,
        tables: &mut Tables<'_>,
        kind: SegmentKind,
        key: ContentKey,
    ) -> Result<Result<u64, Error>, Fatal> {
        let old = stored(tables, &key)?;
        let mark = self.segments.mark();
        match self.copy_extent(kind, key, &old) {
            Ok((new, bytes)) => {
                tables.replace_content(&key, Some(&old), Some(&new))?;
                Ok(Ok(bytes))
            }
            Err(error) => {
                self.segments.roll_back(mark);
                Ok(Err(match error {
                    Error::Io(error) if is_full(&error) => Error::Full { needed_bytes: 0, free_bytes: 0 },
                    error => error,
                }))
            }
        }
    }

    fn copy_extent(
        &mut self,
        kind: SegmentKind,
        key: ContentKey,
        old: &ContentRow,
    ) -> Result<(ContentRow, u64), Error> {
        let layout = old.layout()?;
        let (bytes, from, until) = match kind {
            SegmentKind::Hot => {
                let hot = old.hot.ok_or(Error::UnknownContent(key))?;
                (extent::hot_bytes(key, &layout), hot, old.hot_until)
            }
            SegmentKind::Shard => (extent::shard_bytes(key, &layout), old.shard, old.retain_until),
        };
        self.check_room(bytes)?;
        let to = self.segments.move_extent(kind, hour_of(until), &from, (key, &layout))?;
        let new = match kind {
            SegmentKind::Hot => ContentRow { hot: Some(to), ..old.clone() },
            SegmentKind::Shard => ContentRow { shard: to, ..old.clone() },
        };
        Ok((new, bytes))
    }

    /// Takes segments that nothing needs out of the books. Only those past their hour or sealed: the others are in use.
    fn remove_empty(&mut self, tables: &mut Tables<'_>) -> Result<u64, Failure> {
        let mut empty = Vec::new();
        for segment in self.segments.rows().keys() {
            if tables.contents_in(*segment, 1)?.is_empty() {
                empty.push(*segment);
            }
        }
        for segment in &empty {
            self.unlink.extend(self.segments.remove(*segment).map(|row| (*segment, row)));
            tables.mark_changed();
        }
        Ok(empty.len() as u64)
    }

    fn grace_of(&self, kind: SegmentKind) -> u64 {
        match kind {
            SegmentKind::Hot => 0,
            SegmentKind::Shard => self.grace_seconds,
        }
    }
}

/// The row of a content that an index names.
fn stored(tables: &Tables<'_>, key: &ContentKey) -> Result<ContentRow, Fatal> {
    let missing = || Fatal(Error::Metadata(format!("an index names {key:?}, which is not stored")));
    tables.content(key)?.ok_or_else(missing)
}

fn drop_hot(tables: &mut Tables<'_>, key: &ContentKey) -> Result<(), Fatal> {
    let old = stored(tables, key)?;
    tables.replace_content(key, Some(&old), Some(&ContentRow { hot: None, ..old.clone() }))
}

/// True when a hot copy went with it.
fn drop_content(tables: &mut Tables<'_>, key: &ContentKey) -> Result<bool, Fatal> {
    let old = stored(tables, key)?;
    tables.replace_content(key, Some(&old), None)?;
    Ok(old.hot.is_some())
}
