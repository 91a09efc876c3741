//! The shape of the command line itself; the commands are tested through the binary in `tests/cli.rs`.

use std::collections::HashSet;

use clap::CommandFactory as _;

use super::*;

#[test]
fn arguments_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn help_lists_every_exit_code() {
    let codes = [
        Exit::Done,
        Exit::Other,
        Exit::Usage,
        Exit::Refused,
        Exit::VerificationFailed,
        Exit::NotFound,
        Exit::Unreachable,
        Exit::LocalIo,
    ];
    let distinct: HashSet<u8> = codes.iter().map(|exit| *exit as u8).collect();
    assert_eq!(distinct.len(), codes.len());
    for code in distinct {
        assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
    }
}

#[test]
fn every_command_and_argument_is_described() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path}: {}", argument.get_id());
        }
        command.get_subcommands().for_each(|child| walk(child, &path));
    }
    walk(&Cli::command(), "");
}

#[test]
fn table_columns_line_up() {
    let output = Output::new(OutputArgs { color: output::Color::Never, ..OutputArgs::default() });
    let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "22".to_owned()]];
    assert_eq!(output.table(&["what", "value"], &rows), "what    value\na       1\nlonger  22");
}
