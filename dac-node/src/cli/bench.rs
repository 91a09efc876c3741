//! `dac bench`: the hash engines beside their peers, whole committees beside full replication, and load.
//!
//! Every figure has its peer in the same run: machines differ and are busy, ratios travel better. With `--json` there is
//! one object per row.

mod committee;
mod load;

use serde::Serialize;

use crate::cli::{Failure, Output};

/// Arguments of `dac bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Keccak and Poseidon engines against other implementations and the machine's bound
    Hash,
    /// Time, bytes and memory of a certificate, beside full replication by the same nodes
    Committee(committee::Args),
    /// Submissions as they come, against a devnet or a running committee: times, throughput, errors, bytes, memory
    Load(load::Args),
}

/// Measures.
///
/// # Errors
/// When a committee does not start or does not certify.
pub fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.what {
        What::Hash => hash(output),
        What::Committee(args) => committee::run(args, output),
        What::Load(args) => load::run(args, output),
    }
}

fn hash(output: &Output) -> Result<(), Failure> {
    let spinner = output.spinner("measuring, about a minute");
    let rows = fpga_hash::bench::run();
    spinner.finish_and_clear();
    let cells = |row: &fpga_hash::bench::Row| {
        let bound =
            row.bound.map(|bound| format!("{:.0} %", 100.0 * row.rate.value() / bound)).unwrap_or_default();
        let (rate, peer) = (short(row.rate.value()), short(row.peer_value));
        let ratio = format!("{:.2}", row.ratio);
        vec![row.work.to_owned(), row.engine.to_owned(), rate, row.peer.to_owned(), peer, ratio, bound]
    };
    let header = ["work", "engine", "per second", "peer", "per second", "ratio", "of the bound"];
    print_rows(&rows, &output.table(&header, &rows.iter().map(cells).collect::<Vec<_>>()), output)
}

/// One object per line with `--json`, else the table.
fn print_rows<T: Serialize>(rows: &[T], table: &str, output: &Output) -> Result<(), Failure> {
    if !output.is_json() {
        output.line(table);
        return Ok(());
    }
    rows.iter().try_for_each(|row| output.result(row, ""))
}

/// A number in three digits and a unit prefix.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.1}"),
    }
}
