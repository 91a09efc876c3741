//! `member`: the command line `dac` as it is, built with this crate so that its tests and benches find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    dac_node::cli::main()
}
