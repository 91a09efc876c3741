//! The simulated disk behind its lock: names, files, counters, planted faults.

use std::collections::BTreeMap;
use std::io;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Unsynced;
use super::image::{BLOCK_BYTES, Inode};

/// Capacity of a new disk: 1 TiB.
const CAPACITY_BYTES: u64 = 1 << 40;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Operations,
    Writes,
    Syncs,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This operation and all after it fail.
    Crash,
    /// This operation fails with `EIO`.
    InputOutput,
}

/// The disk.
#[derive(Debug)]
pub(super) struct State {
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pub(super) capacity: u64,
    /// Added to what the disk says is free.
    pub(super) overstated_bytes: u64,
    counts: [u64; 3],
    /// Counter, its value at which it happens, what happens.
    faults: Vec<(Counter, u64, Fault)>,
    pub(super) crashed: bool,
}

fn crashed() -> io::Error {
    io::Error::other("simulated crash")
}

fn input_output() -> io::Error {
    io::Error::other("simulated input/output error")
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            inodes: BTreeMap::new(),
            inode_next: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            capacity: CAPACITY_BYTES,
            overstated_bytes: 0,
            counts: [0; 3],
            faults: Vec::new(),
            crashed: false,
        }
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    pub(super) fn plant(&mut self, counter: Counter, n: u64, fault: Fault) {
        self.faults.push((counter, self.count(counter) + n, fault));
    }

    fn check_alive(&self) -> io::Result<()> {
        if self.crashed { Err(crashed()) } else { Ok(()) }
    }

    /// Counts one operation and says what goes wrong with it.
    fn operation(&mut self, also: Option<Counter>) -> io::Result<Option<Fault>> {
        self.check_alive()?;
        for counter in [Some(Counter::Operations), also].into_iter().flatten() {
            self.counts[counter as usize] += 1;
        }
        let due = |(counter, at, _): &(Counter, u64, Fault)| {
            (*counter == Counter::Operations || Some(*counter) == also) && self.count(*counter) == *at
        };
        let fault = self.faults.iter().find(|fault| due(fault)).map(|(_, _, fault)| *fault);
        self.crashed |= fault == Some(Fault::Crash);
        Ok(fault)
    }

    /// For operations that a fault prevents altogether.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation(None)? {
            None => Ok(()),
            Some(Fault::Crash) => Err(crashed()),
            Some(Fault::InputOutput) => Err(input_output()),
        }
    }

    fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("files stay until the restart")
    }

    pub(super) fn inode_named(&mut self, name: &str) -> &mut Inode {
        let inode = self.names.get(name).copied();
        self.inode(inode.unwrap_or_else(|| panic!("no file {name}")))
    }

    pub(super) fn open(&mut self, name: &str, create: bool) -> io::Result<u64> {
        self.check_alive()?;
        if let Some(inode) = self.names.get(name) {
            return Ok(*inode);
        }
        if !create {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no file {name}")));
        }
        self.whole_operation()?;
        let inode = self.inode_next;
        self.inode_next += 1;
        self.inodes.insert(inode, Inode::default());
        self.names.insert(name.to_owned(), inode);
        Ok(inode)
    }

    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        self.check_alive()?;
        Ok(self.names.keys().cloned().collect())
    }

    pub(super) fn unlink(&mut self, name: &str) -> io::Result<()> {
        self.whole_operation()?;
        match self.names.remove(name) {
            Some(_) => Ok(()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))),
        }
    }

    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        match self.operation(Some(Counter::Syncs))? {
            None => self.durable_names = self.names.clone(),
            Some(Fault::Crash) => return Err(crashed()),
            Some(Fault::InputOutput) => return Err(input_output()),
        }
        Ok(())
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[inode].current.allocated_bytes()).sum()
    }

    fn free_bytes(&self) -> u64 {
        self.capacity.saturating_sub(self.used_bytes())
    }

    pub(super) fn claimed_free_bytes(&self) -> io::Result<u64> {
        self.check_alive()?;
        Ok(self.free_bytes().saturating_add(self.overstated_bytes))
    }

    pub(super) fn length(&mut self, inode: u64) -> io::Result<u64> {
        self.check_alive()?;
        Ok(self.inode(inode).current.length())
    }

    pub(super) fn read(&mut self, inode: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check_alive()?;
        match self.inode(inode).current.read(offset, out) {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    pub(super) fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        match self.operation(Some(Counter::Writes))? {
            None => {}
            Some(fault) => {
                self.inode(inode).write(offset, half);
                return Err(if fault == Fault::Crash { crashed() } else { input_output() });
            }
        }
        let blocks = self.free_bytes() / BLOCK_BYTES as u64;
        let file = self.inode(inode);
        let fitting = file.current.fitting_bytes(offset, bytes.len(), blocks);
        file.write(offset, &bytes[..fitting]);
        if fitting < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn set_length(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        self.whole_operation()?;
        self.inode(inode).set_length(bytes);
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        match self.operation(Some(Counter::Syncs))? {
            None => self.inode(inode).sync(),
            Some(Fault::Crash) => return Err(crashed()),
            Some(Fault::InputOutput) => {
                self.inode(inode).lose_unsynced();
                return Err(input_output());
            }
        }
        Ok(())
    }

    /// The disk as the next process finds it. Counters start again, planted faults are gone.
    pub(super) fn after_crash(&self, unsynced: Unsynced) -> Self {
        let seed = if let Unsynced::Torn(seed) = unsynced { seed } else { 0 };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut coin = |limit: usize| random.random_range(0..limit);
        let names = self.names_after_crash(unsynced, &mut coin);
        let mut next = Self { inode_next: self.inode_next, capacity: self.capacity, ..Self::new() };
        for inode in names.values() {
            next.inodes.insert(*inode, self.inodes[inode].after_crash(unsynced, &mut coin));
        }
        next.durable_names = names.clone();
        next.names = names;
        next
    }

    fn names_after_crash(
        &self,
        unsynced: Unsynced,
        coin: &mut impl FnMut(usize) -> usize,
    ) -> BTreeMap<String, u64> {
        let mut names = match unsynced {
            Unsynced::Kept => return self.names.clone(),
            Unsynced::Lost => return self.durable_names.clone(),
            Unsynced::Torn(_) => self.durable_names.clone(),
        };
        for name in self.names.keys().chain(self.durable_names.keys()) {
            let (now, before) = (self.names.get(name), self.durable_names.get(name));
            if now != before && coin(2) == 0 {
                match now {
                    Some(inode) => names.insert(name.clone(), *inode),
                    None => names.remove(name),
                };
            }
        }
        names
    }
}
