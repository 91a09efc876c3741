//! Bytes of one simulated file: sparse, and what of it is durable.

use std::collections::BTreeMap;

use super::Unsynced;

/// Bytes of a block: the unit of space.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Bytes of a sector: what a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A file's content with holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    blocks: BTreeMap<u64, Box<[u8; BLOCK_BYTES]>>,
    length: u64,
}

/// A change since the last sync.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

/// A file: what a reader sees, what is durable, and the changes between the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) current: Image,
    durable: Image,
    unsynced: Vec<Change>,
}

/// Splits `offset..offset + length` at block borders: block, offset in it, bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let position = offset + done as u64;
        let within = usize::try_from(position % BLOCK_BYTES as u64).expect("below the block size");
        let bytes = (BLOCK_BYTES - within).min(length - done);
        done += bytes;
        (bytes > 0).then_some((position / BLOCK_BYTES as u64, within, bytes))
    })
}

impl Image {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of blocks that were written.
    pub(super) fn allocated_bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK_BYTES) as u64
    }

    /// How many of `length` bytes at `offset` fit when only `blocks` more blocks can be had.
    pub(super) fn fitting_bytes(&self, offset: u64, length: usize, mut blocks: u64) -> usize {
        let mut fitting = 0;
        for (block, _, bytes) in parts(offset, length) {
            if !self.blocks.contains_key(&block) {
                if blocks == 0 {
                    break;
                }
                blocks -= 1;
            }
            fitting += bytes;
        }
        fitting
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        if offset.saturating_add(out.len() as u64) > self.length {
            return false;
        }
        let mut done = 0;
        for (block, within, bytes) in parts(offset, out.len()) {
            let part = &mut out[done..done + bytes];
            match self.blocks.get(&block) {
                Some(block) => part.copy_from_slice(&block[within..within + bytes]),
                None => part.fill(0),
            }
            done += bytes;
        }
        true
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        for (block, within, length) in parts(offset, bytes.len()) {
            let block = self.blocks.entry(block).or_insert_with(|| Box::new([0; BLOCK_BYTES]));
            block[within..within + length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
        self.length = self.length.max(offset + bytes.len() as u64);
    }

    fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.blocks.split_off(&length.div_ceil(BLOCK_BYTES as u64));
            let within = usize::try_from(length % BLOCK_BYTES as u64).expect("below the block size");
            if within > 0
                && let Some(block) = self.blocks.get_mut(&(length / BLOCK_BYTES as u64))
            {
                block[within..].fill(0);
            }
        }
        self.length = length;
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(offset, bytes) => self.write(*offset, bytes),
            Change::SetLength(length) => self.set_length(*length),
        }
    }
}

impl Inode {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write(offset, bytes.to_vec()));
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.change(Change::SetLength(length));
    }

    fn change(&mut self, change: Change) {
        self.current.apply(&change);
        self.unsynced.push(change);
    }

    /// All changes become durable.
    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            self.durable.apply(&change);
        }
    }

    /// The changes stay visible and will never be durable.
    pub(super) fn lose_unsynced(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        for image in [&mut self.current, &mut self.durable] {
            let mut byte = [0];
            assert!(image.read(offset, &mut byte), "byte {offset} of a file of {}", image.length);
            image.write(offset, &[byte[0] ^ (1 << bit)]);
        }
    }

    pub(super) fn cut(&mut self, length: u64) {
        self.current.set_length(length);
        self.durable.set_length(length);
        self.unsynced.clear();
    }

    /// The file after a crash: durable content and whatever else arrived. `coin` gives numbers below its argument.
    pub(super) fn after_crash(&self, unsynced: Unsynced, mut coin: impl FnMut(usize) -> usize) -> Self {
        let mut image = self.durable.clone();
        match unsynced {
            Unsynced::Kept => image = self.current.clone(),
            Unsynced::Lost => {}
            Unsynced::Torn(_) => {
                for change in &self.unsynced {
                    match (coin(3), change) {
                        (0, _) => {}
                        (1, change) => image.apply(change),
                        (_, Change::SetLength(length)) => image.set_length(*length),
                        (_, Change::Write(offset, bytes)) => {
                            for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                                if coin(2) == 0 {
                                    image.write(offset + (index * SECTOR_BYTES) as u64, sector);
                                }
                            }
                        }
                    }
                }
            }
        }
        Self { current: image.clone(), durable: image, unsynced: Vec::new() }
    }
}
