//! The mark of a store that must not be used any more.

use std::sync::OnceLock;

use crate::Error;

/// Set once, by the first failed sync or commit; never taken back.
#[derive(Debug, Default)]
pub(super) struct Poison(OnceLock<String>);

impl Poison {
    /// Poisons the store, unless it is; the first reason stays.
    pub(super) fn set(&self, reason: impl Into<String>) {
        let reason = self.0.get_or_init(|| reason.into());
        tracing::error!(%reason, "store poisoned: nothing is signed any more, the process must stop");
    }

    /// Why it is poisoned, if it is.
    pub(super) fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// The error for whoever asks a poisoned store.
    pub(super) fn error(&self) -> Error {
        Error::Poisoned(self.reason().unwrap_or("the writer stopped").to_owned())
    }

    /// # Errors
    /// [`Error::Poisoned`].
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.reason().is_some() { Err(self.error()) } else { Ok(()) }
    }
}
