//! `dac params`: what follows from members, minimum shards and quorum (PROTOCOL section 2).

use std::path::PathBuf;

use attest::Thresholds;
use serde::Serialize;

use super::committee;
use super::{Exit, Failure, Output};

/// Arguments of `dac params`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Members n
    #[arg(long, value_name = "N", required_unless_present = "committee")]
    members: Option<u16>,
    #[command(flatten)]
    thresholds: ThresholdArgs,
    /// Take all three from this committee file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["members", "minimum_shards", "quorum"])]
    committee: Option<PathBuf>,
}

/// The two thresholds; both default to the Byzantine profile (q = n - f, k = f + 1, f = (n - 1) / 3).
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ThresholdArgs {
    /// Minimum shards k: any k shards rebuild a batch [default: f + 1, f = (n - 1) / 3]
    #[arg(long, value_name = "K")]
    minimum_shards: Option<u16>,
    /// Quorum q: signatures a certificate needs [default: n - f]
    #[arg(long, value_name = "Q")]
    quorum: Option<u16>,
}

impl ThresholdArgs {
    /// The thresholds for `members`, with the defaults where nothing was given.
    pub(super) fn for_members(self, members: u16) -> Result<Thresholds, Failure> {
        let refuse = |error: attest::Error| {
            Failure::usage(error.to_string(), "see what a choice means with: dac params --members N")
        };
        let default = Thresholds::default_for(members).map_err(refuse)?;
        let minimum_shards = self.minimum_shards.unwrap_or(default.minimum_shards());
        Thresholds::new(members, minimum_shards, self.quorum.unwrap_or(default.quorum())).map_err(refuse)
    }
}

/// The algebra as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Algebra {
    members: u16,
    minimum_shards: u16,
    quorum: u16,
    offline_members_tolerated: u16,
    lying_signers_tolerated: u16,
    honest_members_needed: u16,
    honest_members_needed_while_hot: u16,
    spare_pieces: u16,
    pieces_sent: u16,
    sender_upload_ratio: f64,
    storage_ratio: f64,
    warnings: Vec<String>,
}

impl Algebra {
    pub(super) fn of(thresholds: Thresholds) -> Self {
        Algebra {
            members: thresholds.members(),
            minimum_shards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            offline_members_tolerated: thresholds.offline_members_tolerated(),
            lying_signers_tolerated: thresholds.lying_signers_tolerated(),
            honest_members_needed: thresholds.honest_members_needed(),
            honest_members_needed_while_hot: thresholds.honest_members_needed_while_hot(),
            spare_pieces: thresholds.spare_pieces(),
            pieces_sent: thresholds.pieces_sent(),
            sender_upload_ratio: thresholds.sender_upload_ratio(),
            storage_ratio: f64::from(thresholds.members()) / f64::from(thresholds.minimum_shards()),
            warnings: warnings(thresholds),
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// One line for each number, with its formula and what it means.
    pub(super) fn table(&self, output: &Output) -> String {
        let row = |what: &str, formula: &str, value: String, meaning: &str| {
            vec![what.to_owned(), formula.to_owned(), value, meaning.to_owned()]
        };
        let count = |value: u16| value.to_string();
        let ratio = |value: f64| format!("{value:.2}");
        let rows = [
            row("members", "n", count(self.members), "seats of the committee"),
            row("minimum shards", "k", count(self.minimum_shards), "any so many shards rebuild a batch"),
            row("quorum", "q", count(self.quorum), "signatures that a certificate needs"),
            row(
                "may be offline",
                "n - q",
                count(self.offline_members_tolerated),
                "silent members with which certificates are still made",
            ),
            row(
                "signers may lie",
                "q - k",
                count(self.lying_signers_tolerated),
                "lying signers with which a certified batch is still rebuilt",
            ),
            row(
                "honest needed",
                "n - q + k",
                count(self.honest_members_needed),
                "honest members that make a certificate never false, while shards are kept",
            ),
            row(
                "honest needed, hot",
                "n - q + 1",
                count(self.honest_members_needed_while_hot),
                "the same, while whole copies are kept",
            ),
            row(
                "pieces sent",
                "k + n - q",
                count(self.pieces_sent),
                "pieces of a stripe that the coordinator sends",
            ),
            row(
                "upload",
                "(k + n - q) / k",
                ratio(self.sender_upload_ratio),
                "batches that the coordinator sends",
            ),
            row("storage", "n / k", ratio(self.storage_ratio), "batches that the committee keeps as shards"),
        ];
        output.table(&["what", "is", "value", "meaning"], &rows)
    }
}

/// What is allowed but should be chosen knowingly.
fn warnings(thresholds: Thresholds) -> Vec<String> {
    let mut warnings: Vec<String> = thresholds.warnings().iter().map(ToString::to_string).collect();
    if thresholds.offline_members_tolerated() == 0 {
        warnings.push("quorum equals members: one member that is offline stops all certificates".into());
    }
    if thresholds.lying_signers_tolerated() == 0 {
        warnings
            .push("quorum equals minimum shards: one lying signer makes a certified batch unreadable".into());
    }
    warnings
}

/// Prints the algebra; warnings go to standard error too.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let thresholds = match (args.members, &args.committee) {
        (Some(members), _) => args.thresholds.for_members(members)?,
        (None, Some(path)) => committee::load(path)?.1.thresholds(),
        (None, None) => {
            return Err(Failure::new(Exit::Usage, "usage", "no members", "give --members or --committee"));
        }
    };
    let algebra = Algebra::of(thresholds);
    output.result(&algebra, &algebra.table(output))?;
    algebra.warnings().iter().for_each(|warning| output.warn(warning));
    Ok(())
}
