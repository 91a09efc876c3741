//! Why there is no simulation.

use std::path::PathBuf;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The circuit is not whole.
    #[error(transparent)]
    Emit(fpga_cores::emit::Error),
    /// A program is not installed.
    #[error(
        "{tool} is not installed: apt-get install -y --no-install-recommends verilator make g++ \
         (or let `cargo xtask test` do it as root)"
    )]
    ToolMissing {
        /// Which.
        tool: String,
    },
    /// A program did not accept its input.
    #[error("{command} failed:\n{output}")]
    Build {
        /// The command, to be repeated by hand.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The shared library was not built by this crate.
    #[error("{}: {source}", path.display())]
    Load {
        /// Which.
        path: PathBuf,
        /// What the loader said.
        source: libloading::Error,
    },
    /// The simulation did not start: its library has no waveforms.
    #[error("this library was built without waveforms")]
    NoTrace,
}
