//! `dac submit`: signs a submission, sends the batch to a member, and ends with a verified certificate or a reason.
//!
//! Running it again with the same file and within the same second is the same batch; later it is another statement over
//! the same bytes.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use attest::{BATCH_BYTES_MAX, CommitteeFile, RollupId};
use dac_client::{SubmitOptions, Submitted, Until};

use super::client::{Bar, ClientArgs, failure};
use super::files::{self, NewFile};
use super::keys::PasswordArgs;
use super::{Failure, Output, runtime, time};
use crate::keystore::{Prompt, load_submitter};

/// Arguments of `dac submit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The batch: any bytes, up to 64 MiB
    file: PathBuf,
    #[command(flatten)]
    client: ClientArgs,
    /// The rollup it belongs to: 0x and 64 hex digits
    #[arg(long, value_name = "ID")]
    rollup: RollupId,
    /// Keystore of the rollup's submitter key, as made by `dac keys new --submitter`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    /// Members serve the whole batch for so long
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    hot_for: Duration,
    /// Members keep their shards for so long
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    retain_for: Duration,
    /// Members refuse to start after so long, and no new attempt is made
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Recompute the roots here too, instead of leaving them to the members that signed
    #[arg(long)]
    check_roots: bool,
    /// Write the certificate to this new file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Submits and waits.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let (client, committee) = args.client.client()?;
    let batch = files::read(&args.file, BATCH_BYTES_MAX)?;
    let key = load_submitter(&args.key, &args.password.obtain(Prompt::Open, &args.key)?)?;
    // Before anything is sent: a certificate that cannot be kept is no use.
    let certificate_file = args.out.as_deref().map(|path| NewFile::create(path, false)).transpose()?;
    let options = SubmitOptions {
        hot: Until::For(args.hot_for),
        retain: Until::For(args.retain_for),
        deadline: Until::For(args.deadline),
        check_roots: args.check_roots,
    };
    let bar = Bar::new(output);
    let submitted =
        runtime()?.block_on(client.submit_reporting(&key, args.rollup, batch.into(), options, &bar));
    bar.finish();
    let submitted = submitted.map_err(failure)?;
    if let (Some(mut file), Some(path)) = (certificate_file, &args.out) {
        let json = submitted.certificate.certificate().to_json() + "\n";
        file.file().write_all(json.as_bytes()).map_err(|error| Failure::write(path, &error))?;
        file.keep()?;
    }
    output.result(&submitted.report(), &text(&submitted, &committee, output))
}

fn text(submitted: &Submitted, committee: &CommitteeFile, output: &Output) -> String {
    let certificate = &submitted.certificate;
    let statement = certificate.statement();
    let mut text = format!(
        "certified by {} of {} members, verified against {}\nbatch id     {}\nbytes        {}\ndata hash    {}\n\
         data root    {}\nshards root  {}\nhot until    {}\nretain until {}\n",
        certificate.signers().len(),
        committee.members.len(),
        statement.committee_hash,
        certificate.batch_id(),
        statement.data_bytes,
        statement.data_hash,
        statement.data_root,
        statement.shards_root,
        time::calendar(statement.hot_until),
        time::calendar(statement.retain_until),
    );
    if let Some(status) = &submitted.status {
        text.push('\n');
        text.push_str(&super::status::members_table(&status.members, output));
    }
    text
}
