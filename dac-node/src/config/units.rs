//! Byte sizes in files: read with any unit, written in the largest unit that is exact.
//!
//! `bytesize` writes sizes for people, rounded to one decimal: what it writes is not always what it reads.

use bytesize::ByteSize;

const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// The size as text that reads back equal.
pub(super) fn exact(size: ByteSize) -> String {
    let bytes = size.as_u64();
    match UNITS.into_iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// For `#[serde(with)]` on a size.
pub(super) mod size {
    use super::ByteSize;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        size: &ByteSize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::exact(*size))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ByteSize, D::Error> {
        ByteSize::deserialize(deserializer)
    }
}

/// For `#[serde(with)]` on a size that may be absent.
pub(super) mod optional_size {
    use super::ByteSize;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        size: &Option<ByteSize>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => serializer.serialize_some(&super::exact(*size)),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ByteSize>, D::Error> {
        Option::deserialize(deserializer)
    }
}
