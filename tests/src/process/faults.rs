//! Faults inside a member's process: syncs that fail, a calendar that is wrong. By a library that the loader puts before
//! the C library (`faults.c`), compiled here, and a page of memory that this process writes and that one reads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Source of the library.
const SOURCE: &str = include_str!("faults.c");
/// Bytes of the page: seconds ahead, and whether syncs fail, eight bytes each.
const PAGE_BYTES: u64 = 16;

/// The faults of one member. None at first.
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    page: PathBuf,
    file: File,
}

impl Faults {
    /// Compiles the library into a directory.
    ///
    /// # Errors
    /// Without a C compiler named `cc`, which the workspace needs anyway.
    pub fn new(directory: &Path) -> anyhow::Result<Faults> {
        std::fs::create_dir_all(directory)?;
        let (source, library) = (directory.join("faults.c"), directory.join("faults.so"));
        std::fs::write(&source, SOURCE)?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
        let status = compile.status().context("a C compiler named cc is needed: apt-get install gcc")?;
        ensure!(status.success(), "{compile:?} failed ({status})");
        let page = directory.join("faults.page");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&page)?;
        file.set_len(PAGE_BYTES)?;
        Ok(Faults { library, page, file })
    }

    /// From now on the member's calendar is ahead by so much (behind, if below zero).
    ///
    /// # Errors
    /// What the file system said.
    pub fn move_calendar(&self, seconds: i64) -> std::io::Result<()> {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0)
    }

    /// From now on every sync of the member fails with EIO, or none.
    ///
    /// # Errors
    /// What the file system said.
    pub fn fail_syncs(&self, fail: bool) -> std::io::Result<()> {
        self.file.write_all_at(&i64::from(fail).to_ne_bytes(), 8)
    }

    /// What a process needs to have them.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("DAC_TEST_FAULTS", &self.page)]
    }
}
