//! Files of commands: read with a bound, written whole or not at all.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Exit, Failure};

/// Largest JSON file: a committee of 256 members takes less than a quarter.
pub(super) const JSON_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a file of at most `bytes_max`.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::read(path, &error))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| Failure::read(path, &error))?;
    if bytes.len() as u64 > bytes_max {
        let detail = format!("{} is larger than {bytes_max} bytes", path.display());
        return Err(Failure::new(Exit::Usage, "file_too_large", detail, "give the right file"));
    }
    Ok(bytes)
}

/// Reads a text file of at most `bytes_max`.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    String::from_utf8(read(path, bytes_max)?).map_err(|_| {
        let detail = format!("{} is not UTF-8 text", path.display());
        Failure::new(Exit::Usage, "not_text", detail, "give the right file")
    })
}

/// A file that appears under its name only when it is complete and synced.
#[derive(Debug)]
pub(super) struct NewFile {
    temporary: NamedTempFile,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    /// Refuses at once what could not be kept later: a file of this name, unless `replace`.
    pub(super) fn create(path: &Path, replace: bool) -> Result<Self, Failure> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary = tempfile::Builder::new()
            .prefix(".dac-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .map_err(|error| Failure::write(path, &error))?;
        Ok(NewFile { temporary, path: path.into(), replace })
    }

    /// The file, to be written.
    pub(super) fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Syncs it and gives it its name.
    pub(super) fn keep(self) -> Result<(), Failure> {
        let NewFile { temporary, path, replace } = self;
        temporary.as_file().sync_all().map_err(|error| Failure::write(&path, &error))?;
        let kept = if replace { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        kept.map(drop).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(&path),
            _ => Failure::write(&path, &error.error),
        })
    }
}

/// Writes a new file whole.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = NewFile::create(path, false)?;
    file.file().write_all(bytes).map_err(|error| Failure::write(path, &error))?;
    file.keep()
}

fn exists(path: &Path) -> Failure {
    let detail = format!("{} exists already", path.display());
    Failure::new(Exit::LocalIo, "exists", detail, "choose another name, or move that file away")
}
