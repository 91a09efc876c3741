//! How a command fails: an exit code for scripts, a stable code, the detail with its numbers, and what to do.

use std::path::Path;
use std::process::ExitCode;

use crate::{config, keystore, telemetry};

/// The kinds of outcome, as exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did what it was asked.
    Done = 0,
    /// None of the kinds below.
    Other = 1,
    /// Wrong arguments, configuration or password.
    Usage = 2,
    /// Refused by the committee, or quorum not reached.
    Refused = 3,
    /// A certificate, committee, batch or keystore is not what it says.
    VerificationFailed = 4,
    /// Nothing of this name.
    NotFound = 5,
    /// Nobody answered.
    Unreachable = 6,
    /// A local file could not be read or written.
    LocalIo = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// Kind of failure.
    pub exit: Exit,
    /// Stable, for scripts, `snake_case`.
    pub code: String,
    /// What happened, with the numbers.
    pub detail: String,
    /// What to do next.
    pub hint: String,
}

impl Failure {
    /// A failure of any kind.
    pub fn new(
        exit: Exit,
        code: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Failure { exit, code: code.into(), detail: detail.into(), hint: hint.into() }
    }

    /// Arguments that cannot work.
    pub fn usage(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, "usage", detail, hint)
    }

    /// Something is not what it says.
    pub fn verification(code: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(Exit::VerificationFailed, code, detail, hint)
    }

    /// A file could not be read.
    pub fn read(path: &Path, error: &std::io::Error) -> Self {
        let detail = format!("cannot read {}: {error}", path.display());
        Failure::new(Exit::LocalIo, "cannot_read", detail, "check the path and its permissions")
    }

    /// A file could not be written.
    pub fn write(path: &Path, error: &std::io::Error) -> Self {
        let detail = format!("cannot write {}: {error}", path.display());
        Failure::new(
            Exit::LocalIo,
            "cannot_write",
            detail,
            "check the path, its permissions and the free space",
        )
    }

    /// None of the kinds that have an exit code.
    pub fn other(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(Exit::Other, "other", detail, hint)
    }
}

impl From<keystore::Error> for Failure {
    fn from(error: keystore::Error) -> Self {
        use keystore::{ContainerError, Error};
        let (exit, code, hint) = match &error {
            Error::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                (Exit::LocalIo, "no_keystore", "make keys with: dac keys new")
            }
            Error::Read { .. } => (Exit::LocalIo, "cannot_read", "check the path and its permissions"),
            Error::Write { .. } => {
                (Exit::LocalIo, "cannot_write", "check the path, its permissions and the free space")
            }
            Error::Exists { .. } => (Exit::LocalIo, "exists", "choose another path; this key stays as it is"),
            Error::Content { source: ContainerError::WrongPassword, .. } => {
                (Exit::Usage, "wrong_password", "try again with the password that the keystore was made with")
            }
            _ => (Exit::VerificationFailed, "invalid_keystore", "restore the file from a backup"),
        };
        Failure::new(exit, code, error.to_string(), hint)
    }
}

impl From<keystore::PasswordError> for Failure {
    fn from(error: keystore::PasswordError) -> Self {
        use keystore::PasswordError;
        let (exit, code, hint) = match &error {
            PasswordError::Read { .. } => {
                (Exit::LocalIo, "cannot_read", "check the path and its permissions")
            }
            PasswordError::Nowhere => (Exit::Usage, "no_password", "a password file is the safest of these"),
            _ => (Exit::Usage, "invalid_password", "a password is one line of text"),
        };
        Failure::new(exit, code, error.to_string(), hint)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let (exit, code, hint) = match &error {
            config::Error::Read { .. } => {
                (Exit::LocalIo, "cannot_read", "write one with: dac config example > dac.toml")
            }
            _ => (Exit::Usage, "invalid_config", "compare with: dac config example"),
        };
        Failure::new(exit, code, error.to_string(), hint)
    }
}

impl From<telemetry::Error> for Failure {
    fn from(error: telemetry::Error) -> Self {
        let hint = "write for example DAC_LOG=info or DAC_LOG=info,libp2p=warn";
        Failure::new(Exit::Usage, "invalid_log_filter", error.to_string(), hint)
    }
}
