//! `dac completions`: a script that teaches a shell the commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure, Output};

/// Arguments of `dac completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dac", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.result(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }), &script)
}
