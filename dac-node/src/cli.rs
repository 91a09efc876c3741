//! The command line `dac`: what an operator, a rollup and an auditor type.
//!
//! Promise: standard output carries the result and nothing else; with `--json` its last line is one JSON object, also
//! when the command fails. Logs, progress and advice go to standard error. The exit code says what kind of failure it
//! was ([`Exit`]), the hint says what to do. No secret is ever printed.
//!
//! Each subcommand is a file: its arguments (`Args`) and `run(args, &Output)`.

pub mod bench;
mod client;
mod committee;
mod completions;
mod config;
pub mod devnet;
mod doctor;
mod failure;
mod fetch;
mod files;
mod keys;
mod l1;
pub mod node;
mod output;
mod params;
mod status;
mod submit;
mod time;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::telemetry;

pub use failure::{Exit, Failure};
pub use output::{Output, OutputArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  another failure
  2  wrong arguments, configuration or password
  3  refused by the committee, or quorum not reached
  4  verification failed: certificate, committee, batch or keystore
  5  not found
  6  unreachable
  7  a local file could not be read or written

With --json the last line of standard output is one JSON object; for a failure it is
{\"error\": {\"code\": ..., \"detail\": ..., \"hint\": ...}}.
Variables: DAC_PASSWORD_FILE, DAC_PASSWORD (keystores), DAC_LOG (log filter), NO_COLOR.";

/// The data-availability committee of a validium: run a member, submit batches, fetch and verify them.
#[derive(Debug, Parser)]
#[command(name = "dac", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole committee on this machine, certify a batch and read it back with members gone
    Devnet(devnet::Args),
    /// Run one member
    Node(node::Args),
    /// Make, show and prove keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Put members together to a committee, or check one
    #[command(subcommand)]
    Committee(committee::Command),
    /// Show what follows from members, minimum shards and quorum
    Params(params::Args),
    /// Submit a batch and wait for its certificate
    Submit(submit::Args),
    /// Fetch a batch and check it against its certificate
    Fetch(fetch::Args),
    /// Verify a certificate, and a batch against it, without any network
    Verify(verify::Args),
    /// Show where a batch stands, or whether the members are ready
    Status(status::Args),
    /// Check that members keep what they promised, and say what to do when they do not
    Doctor(doctor::Args),
    /// Measure
    Bench(bench::Args),
    /// Print or check a node's configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let output = Output::new(cli.output);
            match start_logs(&cli.command, cli.output).and_then(|()| run(cli.command, &output)) {
                Ok(()) => Exit::Done.into(),
                Err(failure) => output.failure(&failure),
            }
        }
        Err(error) => refuse_arguments(&error, &arguments),
    }
}

fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Devnet(args) => devnet::run(args, output),
        Command::Node(args) => node::run(args, output),
        Command::Keys(command) => keys::run(command, output),
        Command::Committee(command) => committee::run(command, output),
        Command::Params(args) => params::run(args, output),
        Command::Submit(args) => submit::run(args, output),
        Command::Fetch(args) => fetch::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Status(args) => status::run(args, output),
        Command::Doctor(args) => doctor::run(args, output),
        Command::Bench(args) => bench::run(args, output),
        Command::Config(command) => config::run(command, output),
        Command::Completions(args) => completions::run(args, output),
    }
}

/// A node logs as its configuration says; every other command is quiet unless something is wrong.
fn start_logs(command: &Command, output: OutputArgs) -> Result<(), Failure> {
    if matches!(command, Command::Node(_)) {
        return Ok(());
    }
    telemetry::init(if output.quiet { "error" } else { "warn" }, false)?;
    Ok(())
}

/// clap's own message for people; for `--json` the same as an object. `--help` and `--version` are no failures.
fn refuse_arguments(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let told = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return if told.is_ok() { Exit::Done.into() } else { Exit::Other.into() };
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let text = error.to_string();
        let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::usage(detail, "see the arguments with --help");
        Output::new(OutputArgs { json: true, quiet: true, ..OutputArgs::default() }).failure(&failure);
    }
    Exit::Usage.into()
}

/// The runtime of commands that talk to a network.
///
/// # Errors
/// When the system has no threads left.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::other(format!("cannot start threads: {error}"), "close other programs"))
}

#[cfg(test)]
mod tests;
