//! `member`: the command line `dac` as it is, built with this crate so that its tests and benches find it.

use std::process::ExitCode;

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dac_node::cli::main()
}
