//! Where a download goes before it is verified: memory, or a file beside its final name.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::Error;

/// Takes bytes in order, can forget them all, and gives them away once.
pub(crate) enum Sink {
    Memory(BytesMut),
    File(Part),
}

/// A file under a temporary name. Dropped unfinished, it removes itself.
pub(crate) struct Part {
    file: File,
    part: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Sink {
    pub(crate) fn memory() -> Self {
        Sink::Memory(BytesMut::new())
    }

    /// Creates the temporary file in the folder of `path`, so that renaming it is atomic.
    pub(crate) async fn file(path: &Path) -> Result<Self, Error> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:08x}.part", RandomState::new().hash_one(path) >> 32));
        let part = path.with_file_name(name);
        let file = File::options().write(true).create_new(true).open(&part).await;
        let file = file.map_err(|error| file_error(&part, error))?;
        Ok(Sink::File(Part { file, part, path: path.to_owned(), finished: false }))
    }

    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Sink::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Sink::File(part) => {
                part.file.write_all(bytes).await.map_err(|error| file_error(&part.part, error))
            }
        }
    }

    /// Forgets everything.
    pub(crate) async fn reset(&mut self) -> Result<(), Error> {
        match self {
            Sink::Memory(memory) => {
                memory.clear();
                Ok(())
            }
            Sink::File(part) => part.reset().await.map_err(|error| file_error(&part.part, error)),
        }
    }

    /// The bytes were verified: syncs and renames a file, or hands out the memory (empty for a file).
    pub(crate) async fn finish(self) -> Result<Bytes, Error> {
        match self {
            Sink::Memory(memory) => Ok(memory.freeze()),
            Sink::File(mut part) => {
                part.publish().await.map_err(|error| file_error(&part.path, error))?;
                Ok(Bytes::new())
            }
        }
    }
}

impl Part {
    async fn reset(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(0).await?;
        self.file.rewind().await.map(drop)
    }

    async fn publish(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        tokio::fs::rename(&self.part, &self.path).await?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_file(&self.part)
        {
            tracing::warn!(path = %self.part.display(), %error, "unfinished download not removed");
        }
    }
}

fn file_error(path: &Path, error: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), error }
}
