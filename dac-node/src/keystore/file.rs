//! Keystore files on disk: read with a bound, written whole or not at all, never overwritten.

use std::fs::{DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Error;

/// Longest keystore file: twenty times a usual one.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Reads a keystore file. Warns when others than its owner may read it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let mode = format!("{:03o}", mode & 0o777);
        tracing::warn!(file = %path.display(), mode, "others may read this keystore: chmod 600 it");
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::TooLarge { path: path.into(), bytes_max: FILE_BYTES_MAX });
    }
    Ok(bytes)
}

/// Writes a new file that only its owner may read: temporary file, sync, rename that refuses to replace, sync of the
/// directory. After `Ok` the file survives a crash; after an error it is not there.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.into(), source };
    let directory = parent(path);
    // tempfile creates with mode 0600.
    let mut temporary =
        tempfile::Builder::new().prefix(".keystore-").tempfile_in(&directory).map_err(failed)?;
    temporary.write_all(text.as_bytes()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
        _ => failed(error.error),
    })?;
    sync_directory(&directory).map_err(failed)
}

/// Creates a directory that only its owner may enter, if it is not there.
pub(super) fn create_directory(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    sync_directory(&parent(path)).map_err(failed)
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}
