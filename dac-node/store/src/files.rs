//! The seam between the store and the operating system: one flat directory, ten operations.
//!
//! Promise of an implementor: what [`StoredFile::sync`] returned `Ok` for survives a crash; a file's name survives once
//! [`Directory::sync`] returned `Ok` after its creation. Everything else may be lost, in any order. The store asks for
//! nothing more, so that a simulated directory can take exactly that away ([`super::SimulatedDirectory`]).
//!
//! Both the segment files and the metadata database run on this seam: a simulated crash takes both at the same moment.
//!
//! Choices: positional reads and writes, no shared cursor, no memory maps (a failed page-in is a signal, not an error).

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::Error;

/// Name of the file that one process locks.
const LOCK_NAME: &str = "lock";

/// A flat directory of files.
pub trait Directory: Send + Sync + Debug {
    /// Opens a file for reading and writing. With `create`, makes an empty one when there is none.
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StoredFile>>;

    /// Names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes a name. Open files stay readable.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Makes creations and removals durable.
    fn sync(&self) -> io::Result<()>;

    /// Bytes the underlying storage can still take, for this user.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Whether syncs of several files gain from running at once. Where the order of operations must be the same in every
    /// run, they do not.
    fn syncs_in_parallel(&self) -> bool {
        false
    }
}

/// An open file. Offsets and lengths in bytes.
pub trait StoredFile: Send + Sync + Debug {
    /// Length of the file.
    fn length(&self) -> io::Result<u64>;

    /// Fills `out` from `offset`; `UnexpectedEof` when the file ends before.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; the file grows as needed. After an error any part may have been written.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// Makes content and length durable. An error is final: a second call may lie.
    fn sync(&self) -> io::Result<()>;
}

/// Whether an error says that there is no room (or that the user's quota is spent): nothing is lost, try later.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A directory of a real file system, locked for this process.
#[derive(Debug)]
pub struct RealDirectory {
    path: PathBuf,
    handle: File,
    /// Holds the lock as long as it is open.
    _lock: File,
}

impl RealDirectory {
    /// Opens the directory, creating it (and its parents) when missing, and locks it.
    ///
    /// # Errors
    /// [`Error::Locked`] when another store, in this process or another, holds it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path)?;
        let lock = lock(path)?;
        Ok(Self { path: path.to_owned(), handle: File::open(path)?, _lock: lock })
    }
}

/// Takes the lock of a directory and leaves the process id in it, for the message of whoever comes second.
fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK_NAME);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // The text is advice only; whoever holds the lock may not have written it yet.
            let _ = file.take(20).read_to_string(&mut holder);
            return Err(Error::Locked { path: directory.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(error) => return Err(Error::Io(error.into())),
    }
    // A full disk must not keep the store from opening: it can still be read and pruned.
    let _ = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| write!(file, "{}", std::process::id()));
    Ok(file)
}

impl Directory for RealDirectory {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StoredFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is not ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.handle)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn syncs_in_parallel(&self) -> bool {
        // A journalling file system takes both into one journal commit.
        true
    }
}

/// A file of a real file system.
#[derive(Debug)]
struct RealFile(File);

impl StoredFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync: the length counts as data, times do not.
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_open_names_the_directory_and_the_holder() {
        let path = tempfile::tempdir().unwrap();
        let first = RealDirectory::open(path.path()).unwrap();
        let Err(Error::Locked { path: found, holder }) = RealDirectory::open(path.path()) else {
            panic!("opened twice");
        };
        assert_eq!((found.as_path(), holder), (path.path(), std::process::id().to_string()));
        drop(first);
        RealDirectory::open(path.path()).unwrap();
    }

    #[test]
    fn files_grow_shrink_and_refuse_reads_past_the_end() {
        let path = tempfile::tempdir().unwrap();
        let directory = RealDirectory::open(path.path()).unwrap();
        assert!(directory.open("a", false).is_err());
        let file = directory.open("a", true).unwrap();
        file.write(3, b"xyz").unwrap();
        file.sync().unwrap();
        directory.sync().unwrap();
        assert_eq!(file.length().unwrap(), 6);
        let mut out = [1; 6];
        file.read(0, &mut out).unwrap();
        assert_eq!(&out, b"\0\0\0xyz");
        file.set_length(4).unwrap();
        assert_eq!(file.read(2, &mut [0; 3]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut names = directory.list().unwrap();
        names.sort();
        assert_eq!(names, ["a", LOCK_NAME]);
        directory.unlink("a").unwrap();
        file.read(3, &mut out[..1]).unwrap();
        assert!(directory.open("a", false).is_err());
        assert!(directory.free_bytes().unwrap() > 0);
    }
}
