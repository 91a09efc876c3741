//! Limits of a store on a disk, with the values that fit a member on a machine of its own.

/// What to do when the disk does not have what the metadata needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnDamage {
    /// Refuse to open, with the first damage.
    #[default]
    Refuse,
    /// Open with damaged segments, as [`OnDamage::Serve`]: a scrub repairs them from the other members. Refuse a database
    /// that had to be repaired: statements may be missing, and only a person can tell what became of them.
    Repair,
    /// Open, log each damage as an error, list it in [`DiskStore::damage`](super::DiskStore::damage); reads of it fail
    /// with [`Error::Corrupt`](crate::Error::Corrupt).
    Serve,
}

/// Limits of a [`DiskStore`](super::DiskStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskStoreConfig {
    /// Bytes left free on the disk: the store refuses new data beyond.
    pub reserve_bytes: u64,
    /// Bytes the store may take.
    pub bytes_max: u64,
    /// Bytes of a segment file; one extent larger than that gets a file of its own.
    pub segment_bytes: u64,
    /// Seconds that statements and shards are kept after `retain_until`.
    pub grace_seconds: u64,
    /// Bytes of the database's cache.
    pub metadata_cache_bytes: usize,
    /// Bytes written in advance for the metadata, given back when the disk is full.
    pub ballast_bytes: u64,
    /// Requests that wait for the writer; more block their caller. Also the most in one commit.
    pub queue_requests: usize,
    /// Bytes after which a commit takes no further request.
    pub group_bytes: u64,
    /// Segment files held open.
    pub open_files_max: usize,
    /// What to do when stored data is missing at the start.
    pub on_damage: OnDamage,
}

impl Default for DiskStoreConfig {
    fn default() -> Self {
        Self {
            reserve_bytes: 1 << 30,
            bytes_max: u64::MAX,
            segment_bytes: 256 << 20,
            grace_seconds: 3600,
            metadata_cache_bytes: 16 << 20,
            ballast_bytes: 4 << 20,
            queue_requests: 64,
            group_bytes: 64 << 20,
            open_files_max: 128,
            on_damage: OnDamage::Refuse,
        }
    }
}
