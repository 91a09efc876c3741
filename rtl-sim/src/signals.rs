//! SIGINT and SIGTERM, waited for by a thread instead of handled in the middle of any.

use std::io;
use std::mem::MaybeUninit;

/// The signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    /// Keeps the signals from this thread and from those that it starts from now on, for [`Signals::wait`].
    pub(crate) fn keep() -> io::Result<Self> {
        let mut signals = MaybeUninit::uninit();
        // SAFETY: the set is written to before anything else is done with it, and the numbers are of signals.
        let signals = unsafe {
            libc::sigemptyset(signals.as_mut_ptr());
            libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
            libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
            signals.assume_init()
        };
        // SAFETY: the set lives until the call returns; the old one is not asked for.
        checked(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut()) })?;
        Ok(Self(signals))
    }

    /// Returns when one of them has come, at once if it came before.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut signal = 0;
        // SAFETY: both live until the call returns.
        checked(unsafe { libc::sigwait(&self.0, &mut signal) })
    }
}

/// These calls return the error's number.
fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
