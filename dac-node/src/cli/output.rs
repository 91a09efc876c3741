//! Where a command's words go: results to standard output, everything else to standard error.
//!
//! Promise: a closed pipe ends nothing with a panic; bars are drawn only on a terminal; with `--json` the result is one
//! line, the last one of standard output.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;

/// Options of every command.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// Print the result as one JSON object, on the last line
    #[arg(long, global = true, display_order = 100)]
    pub json: bool,
    /// No progress and no advice, only the result and errors
    #[arg(long, short, global = true, display_order = 101)]
    pub quiet: bool,
    /// Colours: auto, always or never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        display_order = 102
    )]
    pub color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Even into a file
    Always,
    /// Not at all
    Never,
}

/// Prints for one command.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    color: bool,
    color_errors: bool,
    progress: bool,
}

impl Output {
    /// From the command's options and the terminal.
    pub fn new(args: OutputArgs) -> Self {
        let wanted = |terminal: bool| match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let stderr = std::io::stderr().is_terminal();
        Output {
            json: args.json,
            quiet: args.quiet,
            color: wanted(std::io::stdout().is_terminal()),
            color_errors: wanted(stderr),
            progress: stderr && !args.quiet,
        }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Part of a longer result for people: standard output, or standard error when that belongs to JSON.
    pub fn line(&self, text: &str) {
        if !self.json {
            print(text);
        } else if !self.quiet {
            print_error(text);
        }
    }

    /// Advice and news for people.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            print_error(text);
        }
    }

    /// Something allowed but unwise; shown even when quiet.
    pub fn warn(&self, text: &str) {
        print_error(&format!("{} {text}", paint(self.color_errors, "33", "warning:")));
    }

    /// The result: `value` with `--json`, else `text`.
    ///
    /// # Errors
    /// When the value cannot be JSON, for instance a map with keys that are no strings.
    pub fn result(&self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.json {
            let line = serde_json::to_string(value).map_err(|error| {
                Failure::other(format!("the result is no JSON: {error}"), "report this as a bug")
            })?;
            print(&line);
        } else {
            print(text.trim_end_matches('\n'));
        }
        Ok(())
    }

    /// The failure, as an object with `--json`; returns its exit code.
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        let Failure { exit, code, detail, hint } = failure;
        if self.json {
            print(
                &serde_json::json!({ "error": { "code": code, "detail": detail, "hint": hint } }).to_string(),
            );
        }
        if !(self.json && self.quiet) {
            let mark = paint(self.color_errors, "31;1", "error:");
            print_error(&format!("{mark} {detail}\n{} {hint}", paint(self.color_errors, "36", "hint:")));
        }
        (*exit).into()
    }

    /// Bold on a terminal.
    pub fn heading(&self, text: &str) -> String {
        paint(self.color, "1", text)
    }

    /// Columns as wide as their widest cell. The last column is not padded.
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) -> String {
        let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: Vec<&str>| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                write!(line, "{cell:width$}  ").expect("a string takes any text");
            }
            line.trim_end().to_owned()
        };
        let mut text = self.heading(&line(header.to_vec()));
        for row in rows {
            text.push('\n');
            text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
        text
    }

    /// A bar of bytes; invisible without a terminal.
    pub fn bytes_bar(&self, what: &str, total: u64) -> ProgressBar {
        let template = "{msg:12} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec}";
        self.bar(ProgressBar::new(total), template, what)
    }

    /// A bar of things; invisible without a terminal.
    pub fn count_bar(&self, what: &str, total: u64) -> ProgressBar {
        self.bar(ProgressBar::new(total), "{msg:12} [{bar:32}] {pos}/{len}", what)
    }

    /// For work of unknown length; invisible without a terminal.
    pub fn spinner(&self, what: &str) -> ProgressBar {
        let bar = self.bar(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}", what);
        if self.progress {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }

    fn bar(&self, bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
        if !self.progress {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        bar.set_style(ProgressStyle::with_template(template).expect("the templates are written here"));
        bar.with_message(what.to_owned())
    }
}

fn paint(color: bool, style: &str, text: &str) -> String {
    if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// A reader that closed the pipe has what it wanted; nothing is left to do about any other error.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
