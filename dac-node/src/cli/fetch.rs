//! `dac fetch`: a batch from whoever has it, kept only when its bytes are what the committee certified.

use std::io::Write as _;
use std::path::PathBuf;

use attest::{BatchId, DataHash};
use dac_client::{BatchName, Client, FetchReport};

use super::client::{Bar, ClientArgs, failure};
use super::files::NewFile;
use super::verify::read_certificate;
use super::{Failure, Output, runtime};

/// Arguments of `dac fetch`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The batch id; its certificate is fetched and verified first
    #[arg(required_unless_present_any = ["certificate", "data_hash"])]
    id: Option<BatchId>,
    /// Take the certificate from this file instead of from a member
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    certificate: Option<PathBuf>,
    /// Fetch by keccak256 of the bytes; nothing but the hash is checked then
    #[arg(long, value_name = "HASH", conflicts_with_all = ["id", "certificate"])]
    data_hash: Option<DataHash>,
    #[command(flatten)]
    client: ClientArgs,
    /// Where to write the batch
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// Fetches, checks, then writes.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let (client, _) = args.client.client()?;
    let mut file = NewFile::create(&args.out, args.force)?;
    let bar = Bar::new(output);
    let fetched = fetch(&args, &client, &bar);
    bar.finish();
    let (bytes, report) = fetched?;
    file.file().write_all(&bytes).map_err(|error| Failure::write(&args.out, &error))?;
    file.keep()?;
    output.result(&report, &text(&args, &report))
}

fn fetch(args: &Args, client: &Client, bar: &Bar) -> Result<(bytes::Bytes, FetchReport), Failure> {
    let runtime = runtime()?;
    let fetched = match (&args.certificate, args.id, args.data_hash) {
        (Some(path), _, _) => {
            let checked = read_certificate(path)?.verify(client.committee());
            let checked = checked.map_err(|error| failure(dac_client::Error::Certificate(error)))?;
            runtime.block_on(client.fetch_bytes(checked, bar))
        }
        (None, Some(id), _) => runtime.block_on(client.fetch_bytes(BatchName::Id(id), bar)),
        (None, None, Some(hash)) => runtime.block_on(client.fetch_bytes(BatchName::DataHash(hash), bar)),
        (None, None, None) => return Err(Failure::usage("nothing to fetch", "give an id")),
    };
    fetched.map_err(failure)
}

fn text(args: &Args, report: &FetchReport) -> String {
    let checked = if report.roots_verified {
        "certificate verified, all commitments recomputed from the bytes"
    } else {
        "hash recomputed from the bytes; no certificate was asked for"
    };
    format!(
        "{}: {} bytes\n{checked}\ndata hash {}\nfrom      {}",
        args.out.display(),
        report.data_bytes,
        report.data_hash,
        report.endpoints.join(", "),
    )
}
