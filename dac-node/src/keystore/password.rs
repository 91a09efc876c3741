//! Passwords of keystores: where they come from and what is made of them.
//!
//! Promise: a [`Password`] is normalised as EIP-2335 asks (NFKD, control codes removed), is never printed, and is wiped
//! from memory when dropped.
//!
//! Sources, first one that is set: the file named on the command line, the file named by `DAC_PASSWORD_FILE`,
//! `DAC_PASSWORD` itself, a prompt without echo when a terminal is there. A file is the best of these for a service: the
//! environment of a process can be read by its owner and ends up in crash reports.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Names the file that holds the password.
pub const PASSWORD_FILE_VARIABLE: &str = "DAC_PASSWORD_FILE";

/// Holds the password itself.
pub const PASSWORD_VARIABLE: &str = "DAC_PASSWORD";

/// Longest password, in bytes of UTF-8, from any source.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The file cannot be read.
    #[error("cannot read password file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More text than any password.
    #[error("password in {from} is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong {
        /// Where it came from.
        from: String,
    },
    /// Bytes that are no text.
    #[error("password in {from} is not UTF-8")]
    NotText {
        /// Where it came from.
        from: String,
    },
    /// A file with several lines: likely not a password file.
    #[error("password file {} has more than one line", path.display())]
    SeveralLines {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is left after normalisation.
    #[error("password in {from} is empty")]
    Empty {
        /// Where it came from.
        from: String,
    },
    /// Typed twice, differently.
    #[error("the two passwords differ")]
    Differ,
    /// The terminal failed.
    #[error("cannot read a password from the terminal: {0}")]
    Terminal(std::io::Error),
    /// No file, no variable, no terminal.
    #[error(
        "no password: give --password-file, set {PASSWORD_FILE_VARIABLE} or {PASSWORD_VARIABLE}, or run on a terminal"
    )]
    Nowhere,
}

/// A normalised password. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// Whether a prompt asks once (to open) or twice (for a new keystore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// To open what exists.
    Open,
    /// For something new: a typing error would lock it for good.
    Create,
}

impl Password {
    /// Normalises a password.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`]; [`PasswordError::Empty`] when nothing but control codes was there.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        Self::from_source(text, || "the argument".into())
    }

    fn from_source(text: &str, from: impl Fn() -> String) -> Result<Self, PasswordError> {
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong { from: from() });
        }
        // Room for everything at once, so that no half-filled copy stays behind unwiped: one character becomes at most
        // 18 characters of 4 bytes in NFKD.
        let mut normal = Zeroizing::new(String::with_capacity(72 * text.len()));
        normal.extend(text.nfkd().filter(|character| !character.is_control()));
        if normal.is_empty() {
            return Err(PasswordError::Empty { from: from() });
        }
        Ok(Password(normal))
    }

    /// Reads a file of one line. Its line end is not part of the password.
    ///
    /// # Errors
    /// Any [`PasswordError`] about a file.
    pub fn from_file(path: &Path) -> Result<Self, PasswordError> {
        let from = || format!("file {}", path.display());
        let read = |source| PasswordError::Read { path: path.into(), source };
        let mut bytes = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX + 3));
        // Two bytes more than a password for the line end, one to see that there is more.
        let limit = PASSWORD_BYTES_MAX as u64 + 3;
        File::open(path).map_err(read)?.take(limit).read_to_end(&mut bytes).map_err(read)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PasswordError::NotText { from: from() })?;
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.contains('\n') {
            return Err(PasswordError::SeveralLines { path: path.into() });
        }
        Self::from_source(line, from)
    }

    /// Finds the password: `file`, then the environment, then the terminal (see the module).
    ///
    /// # Errors
    /// [`PasswordError::Nowhere`] says what to do; a source that is set but wrong is an error, not skipped.
    pub fn obtain(file: Option<&Path>, prompt: Prompt, what: &str) -> Result<Self, PasswordError> {
        if let Some(path) = file {
            return Self::from_file(path);
        }
        if let Some(path) = std::env::var_os(PASSWORD_FILE_VARIABLE) {
            return Self::from_file(Path::new(&path));
        }
        if let Some(value) = std::env::var_os(PASSWORD_VARIABLE) {
            let from = || format!("variable {PASSWORD_VARIABLE}");
            let text = value.into_string().map_err(|_| PasswordError::NotText { from: from() })?;
            return Self::from_source(&Zeroizing::new(text), from);
        }
        if !std::io::stdin().is_terminal() {
            return Err(PasswordError::Nowhere);
        }
        Self::ask(prompt, what)
    }

    fn ask(prompt: Prompt, what: &str) -> Result<Self, PasswordError> {
        let read = |text: String| {
            rpassword::prompt_password(text).map(Zeroizing::new).map_err(PasswordError::Terminal)
        };
        let from = || "the terminal".to_owned();
        let first = Self::from_source(&read(format!("Password for {what}: "))?, from)?;
        if prompt == Prompt::Create {
            let second = Self::from_source(&read(format!("The same password again for {what}: "))?, from)?;
            if *first.0 != *second.0 {
                return Err(PasswordError::Differ);
            }
        }
        Ok(first)
    }

    /// Characters after normalisation.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
