//! A directory in memory that loses what real ones may lose: the twin of [`super::RealDirectory`] for fault tests.
//!
//! Promise: it keeps exactly what [`super::Directory`] promises and, at [`SimulatedDirectory::restart`], takes away
//! whatever the caller chooses of the rest: unsynced writes (whole, or torn at sectors), names created or removed since
//! the last directory sync. The same calls and seeds give the same image.
//!
//! Terms: an *operation* is a call that changes something (create, write, set length, sync, unlink, directory sync);
//! operations, writes and syncs are counted, and faults are planted by such a count.
//!
//! A failing sync behaves as Linux does: the changes it should have made durable are still readable, will never reach
//! the disk, and a second sync says `Ok`. Space is counted in blocks of 4 KiB that were written, so holes are free.
//!
//! Left out on purpose: time. A slow disk is made by holding syncs back ([`SimulatedDirectory::hold_syncs`]).

mod image;
mod state;

use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::files::{Directory, StoredFile};
use state::{Counter, Fault, State};

/// What becomes of unsynced changes at a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Everything arrived: the process was killed, the machine went on.
    Kept,
    /// Nothing arrived.
    Lost,
    /// Each change arrived, did not, or arrived in part (in sectors of 512 bytes), by this seed.
    Torn(u64),
}

/// The simulated directory. Clones are handles to the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDirectory {
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

/// Where syncs wait while they are held back.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Default for SimulatedDirectory {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedDirectory {
    /// An empty disk of 1 TiB.
    pub fn new() -> Self {
        Self::of(State::new())
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), gate: Arc::default() }
    }

    /// The disk as the next process finds it. This one is dead from now on: every call on it or its files fails.
    pub fn restart(&self, unsynced: Unsynced) -> Self {
        let mut state = self.state.lock();
        state.crashed = true;
        Self::of(state.after_crash(unsynced))
    }

    /// The `n`-th operation from now (1 is the next) and everything after it fails; a write may have happened in part.
    pub fn crash_at_operation(&self, n: u64) {
        self.state.lock().plant(Counter::Operations, n, Fault::Crash);
    }

    /// The `n`-th sync of a file or of the directory from now fails and loses what it should have kept.
    pub fn fail_sync(&self, n: u64) {
        self.state.lock().plant(Counter::Syncs, n, Fault::InputOutput);
    }

    /// The `n`-th write from now fails after half of its bytes.
    pub fn fail_write(&self, n: u64) {
        self.state.lock().plant(Counter::Writes, n, Fault::InputOutput);
    }

    /// Bytes the disk holds from now on; writes beyond fail in part with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Lets the disk claim so many bytes more room than it has, as when somebody takes them between look and write.
    pub fn overstate_free_bytes(&self, bytes: u64) {
        self.state.lock().overstated_bytes = bytes;
    }

    /// Bytes occupied now.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// Inverts one bit of a stored byte, behind everybody's back and durably.
    ///
    /// # Panics
    /// When there is no such file or byte.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        self.state.lock().inode_named(name).flip_bit(offset, bit);
    }

    /// Cuts a file, behind everybody's back and durably.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn cut(&self, name: &str, bytes: u64) {
        self.state.lock().inode_named(name).cut(bytes);
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().count(Counter::Operations)
    }

    /// Syncs of files and of the directory so far, failed ones included.
    pub fn syncs(&self) -> u64 {
        self.state.lock().count(Counter::Syncs)
    }

    /// Writes so far, failed ones included.
    pub fn writes(&self) -> u64 {
        self.state.lock().count(Counter::Writes)
    }

    /// Lets every sync wait until [`Self::release_syncs`].
    pub fn hold_syncs(&self) {
        *self.gate.closed.lock() = true;
    }

    /// Lets waiting and later syncs pass.
    pub fn release_syncs(&self) {
        *self.gate.closed.lock() = false;
        self.gate.opened.notify_all();
    }

    fn wait_at_gate(&self) {
        let mut closed = self.gate.closed.lock();
        while *closed {
            self.gate.opened.wait(&mut closed);
        }
    }
}

impl Directory for SimulatedDirectory {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StoredFile>> {
        let inode = self.state.lock().open(name, create)?;
        Ok(Box::new(SimulatedFile { directory: self.clone(), inode }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.state.lock().list()
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.state.lock().unlink(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.wait_at_gate();
        self.state.lock().sync_names()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.state.lock().claimed_free_bytes()
    }
}

/// An open file of a [`SimulatedDirectory`].
#[derive(Debug)]
struct SimulatedFile {
    directory: SimulatedDirectory,
    inode: u64,
}

impl StoredFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.directory.state.lock().length(self.inode)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.directory.state.lock().read(self.inode, offset, out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.directory.state.lock().write(self.inode, offset, bytes)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.directory.state.lock().set_length(self.inode, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.wait_at_gate();
        self.directory.state.lock().sync(self.inode)
    }
}

#[cfg(test)]
mod tests;
