//! The `dac` command line; everything is in [`dac_node::cli`].

use std::process::ExitCode;

/// Thousands of small frames and messages a batch: the system's allocator cost 5 % of the time to certificate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dac_node::cli::main()
}
