//! The `dac` command line; everything is in [`dac_node::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    dac_node::cli::main()
}
