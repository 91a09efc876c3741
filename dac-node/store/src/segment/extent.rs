//! Where the records of an extent lie: arithmetic over the layout, nothing stored.

use std::ops::Range;

use dac_node_coding::{Layout, PIECE_BYTES};

use crate::ContentKey;
use crate::record::{RecordKind, RecordName, record_bytes};

/// Bytes of the batch in one hot record: small enough to read for a range request, large enough for one disk access.
pub(crate) const HOT_PART_BYTES: u32 = 256 << 10;

/// A record of an extent: its name, and its offset from the start of the extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: RecordName,
    pub(crate) offset: u64,
}

/// Number of hot records.
pub(crate) fn hot_parts(layout: &Layout) -> u32 {
    u32::try_from(layout.batch_bytes().div_ceil(u64::from(HOT_PART_BYTES))).expect("256 parts of 64 MiB")
}

/// The bytes of the batch in hot record `part`.
pub(crate) fn hot_range(layout: &Layout, part: u32) -> Range<u64> {
    let start = u64::from(part) * u64::from(HOT_PART_BYTES);
    start..layout.batch_bytes().min(start + u64::from(HOT_PART_BYTES))
}

/// Hot record `part`.
pub(crate) fn hot_slot(key: ContentKey, layout: &Layout, part: u32) -> Slot {
    let range = hot_range(layout, part);
    let payload_bytes = u32::try_from(range.end - range.start).expect("at most one part");
    Slot {
        name: RecordName { kind: RecordKind::Hot, index: part, key, payload_bytes },
        offset: u64::from(part) * record_bytes(HOT_PART_BYTES),
    }
}

/// Bytes of the whole hot extent.
pub(crate) fn hot_bytes(key: ContentKey, layout: &Layout) -> u64 {
    end(hot_slot(key, layout, hot_parts(layout) - 1))
}

/// The record of all piece roots, first of the shard extent.
pub(crate) fn roots_slot(key: ContentKey, layout: &Layout) -> Slot {
    let payload_bytes = 32 * u32::from(layout.members()) * layout.stripes();
    Slot { name: RecordName { kind: RecordKind::Roots, index: 0, key, payload_bytes }, offset: 0 }
}

/// The record of this member's piece of a stripe.
pub(crate) fn piece_slot(key: ContentKey, layout: &Layout, stripe: u32) -> Slot {
    let payload_bytes = u32::try_from(layout.piece_bytes(stripe)).expect("at most 32 KiB");
    let full = record_bytes(u32::try_from(PIECE_BYTES).expect("32 KiB"));
    Slot {
        name: RecordName { kind: RecordKind::Piece, index: stripe, key, payload_bytes },
        offset: end(roots_slot(key, layout)) + u64::from(stripe) * full,
    }
}

/// Bytes of the whole shard extent.
pub(crate) fn shard_bytes(key: ContentKey, layout: &Layout) -> u64 {
    end(piece_slot(key, layout, layout.stripes() - 1))
}

/// All records of the hot extent.
pub(crate) fn hot_slots(key: ContentKey, layout: &Layout) -> impl Iterator<Item = Slot> + use<> {
    let layout = *layout;
    (0..hot_parts(&layout)).map(move |part| hot_slot(key, &layout, part))
}

/// All records of the shard extent.
pub(crate) fn shard_slots(key: ContentKey, layout: &Layout) -> impl Iterator<Item = Slot> + use<> {
    let layout = *layout;
    std::iter::once(roots_slot(key, &layout))
        .chain((0..layout.stripes()).map(move |stripe| piece_slot(key, &layout, stripe)))
}

fn end(slot: Slot) -> u64 {
    slot.offset + record_bytes(slot.name.payload_bytes)
}

#[cfg(test)]
mod tests {
    use attest::{DataHash, ShardsRoot};
    use proptest::prelude::*;

    use super::*;

    const KEY: ContentKey = ContentKey { data_hash: DataHash([1; 32]), shards_root: ShardsRoot([2; 32]) };

    fn without_gaps(slots: impl Iterator<Item = Slot>, bytes: u64) {
        let reached = slots.fold(0, |reached, slot| {
            assert_eq!(slot.offset, reached);
            end(slot)
        });
        assert_eq!(reached, bytes);
    }

    proptest! {
        #[test]
        fn records_lie_behind_each_other_without_gaps(
            members in 1_u16..=256,
            minimum_shards: prop::sample::Index,
            bytes in 1_u64..=(3 << 20),
        ) {
            let minimum_shards = u16::try_from(minimum_shards.index(members.into())).unwrap() + 1;
            let layout = Layout::new(members, minimum_shards, bytes).unwrap();
            without_gaps(hot_slots(KEY, &layout), hot_bytes(KEY, &layout));
            without_gaps(shard_slots(KEY, &layout), shard_bytes(KEY, &layout));
            let payload: u64 = hot_slots(KEY, &layout).map(|slot| u64::from(slot.name.payload_bytes)).sum();
            prop_assert_eq!(payload, bytes);
        }
    }
}
