//! `dac committee`: members' entries become a committee file, and a file is checked.
//!
//! A file that passes `check` has valid thresholds, a proven key in every seat, and peer ids and addresses that a node
//! can use. Whether it is the *right* committee only its hash can tell: compare it with what L1 or an operator says.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use attest::{Address, Committee, CommitteeFile, CommitteeHash, Epoch, MemberEntry, PublicKeyBytes};
use libp2p::{Multiaddr, PeerId};
use serde::Serialize;

use super::files::{self, JSON_BYTES_MAX};
use super::params::{Algebra, ThresholdArgs};
use super::{Failure, Output};

/// Subcommands of `dac committee`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put member entries together to a committee file; the order of --member is the order of seats
    New(NewArgs),
    /// Check a committee file: thresholds, keys, proofs of possession, addresses
    Check {
        /// The committee file
        file: PathBuf,
    },
    /// Register a member's key on L1
    Register(super::l1::RegisterArgs),
    /// Announce the committee of the next epoch on L1, or print the call for a timelock
    Announce(super::l1::AnnounceArgs),
    /// Show what L1 knows: epochs, members, rollups; write the active committee's file
    Status(super::l1::StatusArgs),
}

/// Arguments of `dac committee new`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Number of the committee in the order of their rule
    #[arg(long)]
    epoch: u64,
    /// EIP-155 chain id of the signing domain
    #[arg(long)]
    chain_id: u64,
    /// Committee registry on L1; leave out without L1
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO)]
    registry: Address,
    #[command(flatten)]
    thresholds: ThresholdArgs,
    /// Entry of a member, as written by `dac keys prove`; give it once for each member
    #[arg(long = "member", value_name = "FILE", required = true)]
    members: Vec<PathBuf>,
    /// Where to write the committee file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What both commands tell about a committee.
#[derive(Debug, Serialize)]
struct Summary {
    file: String,
    epoch: Epoch,
    chain_id: u64,
    registry: Address,
    committee_hash: CommitteeHash,
    members: Vec<Seat>,
    params: Algebra,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Seat {
    seat: usize,
    name: Option<String>,
    public_key: PublicKeyBytes,
    peer_id: Option<String>,
    addresses: Vec<String>,
}

/// Runs `dac committee ...`.
pub(super) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::New(args) => new(args, output),
        Command::Check { file } => {
            let (entries, committee) = load(&file)?;
            report(&file, &entries, &committee, output)
        }
        Command::Register(args) => super::l1::register(args, output),
        Command::Announce(args) => super::l1::announce(args, output),
        Command::Status(args) => super::l1::status(args, output),
    }
}

/// Reads and checks a committee file, addresses included.
pub(super) fn load(path: &Path) -> Result<(CommitteeFile, Committee), Failure> {
    let text = files::read_text(path, JSON_BYTES_MAX)?;
    let file = CommitteeFile::from_json(&text).map_err(|error| refuse(path, &error))?;
    let committee = file.check().map_err(|error| refuse(path, &error))?;
    check_peers(&file).map_err(|detail| invalid(format!("{}: {detail}", path.display())))?;
    Ok((file, committee))
}

fn new(args: NewArgs, output: &Output) -> Result<(), Failure> {
    let NewArgs { epoch, chain_id, registry, thresholds, members: paths, out } = args;
    let count = u16::try_from(paths.len()).unwrap_or(u16::MAX);
    let thresholds = thresholds.for_members(count)?;
    let members = paths.iter().map(|path| read_entry(path)).collect::<Result<Vec<_>, _>>()?;
    let (minimum_shards, quorum) = (thresholds.minimum_shards(), thresholds.quorum());
    let file = CommitteeFile { epoch: Epoch(epoch), chain_id, registry, minimum_shards, quorum, members };
    let committee = file.check().map_err(|error| refuse_entries(&error, &paths))?;
    check_peers(&file).map_err(invalid)?;
    files::write_new(&out, file.to_json().as_bytes())?;
    report(&out, &file, &committee, output)
}

pub(super) fn read_entry(path: &Path) -> Result<MemberEntry, Failure> {
    let text = files::read_text(path, JSON_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        let hint = "an entry is what the member's operator wrote with: dac keys prove";
        Failure::verification("invalid_member", format!("{}: no member entry: {error}", path.display()), hint)
    })
}

fn refuse(path: &Path, error: &attest::Error) -> Failure {
    invalid(format!("{}: {error}", path.display()))
}

fn invalid(detail: String) -> Failure {
    Failure::verification(
        "invalid_committee",
        detail,
        "ask whoever made the file, or that member, for a new one",
    )
}

/// Names the file of the member at fault, not only its seat.
fn refuse_entries(error: &attest::Error, paths: &[PathBuf]) -> Failure {
    let name = |seat: &attest::SeatIndex| paths[usize::from(seat.0)].display();
    let (detail, hint) = match error {
        attest::Error::Member { seat, reason } => (
            format!("{}: {reason}", name(seat)),
            "the member proves its key again with: dac keys prove, with this chain id, registry and its operator",
        ),
        attest::Error::DuplicatePublicKey { first, second } => (
            format!("{} and {} have the same public key", name(first), name(second)),
            "each member makes keys of its own with: dac keys new",
        ),
        other => (other.to_string(), "check the entries with their operators"),
    };
    Failure::verification("invalid_committee", detail, hint)
}

/// Peer ids and addresses that are there must be usable, and no two members may share a peer id.
fn check_peers(file: &CommitteeFile) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (seat, member) in file.members.iter().enumerate() {
        if let Some(text) = &member.peer_id {
            let peer: PeerId = text.parse().map_err(|_| format!("seat {seat}: \"{text}\" is no peer id"))?;
            if !seen.insert(peer) {
                return Err(format!("seat {seat}: peer id {peer} sits in another seat too"));
            }
        }
        for text in &member.addresses {
            text.parse::<Multiaddr>().map_err(|_| format!("seat {seat}: \"{text}\" is no multiaddress"))?;
        }
    }
    Ok(())
}

fn peer_warnings(file: &CommitteeFile) -> Vec<String> {
    let lack = |what: &str, has: fn(&MemberEntry) -> bool| {
        let seats = file.members.iter().enumerate().filter(|(_, member)| !has(member));
        let seats: Vec<String> = seats.map(|(seat, _)| seat.to_string()).collect();
        (!seats.is_empty()).then(|| format!("without {what}: seats {}", seats.join(", ")))
    };
    let all = [
        lack("a peer id (nobody can connect to them)", |member| member.peer_id.is_some()),
        lack("addresses (nobody can dial them)", |member| !member.addresses.is_empty()),
        lack("an API URL (nobody can submit to them or read from them)", |member| member.api.is_some()),
    ];
    all.into_iter().flatten().collect()
}

fn report(path: &Path, file: &CommitteeFile, committee: &Committee, output: &Output) -> Result<(), Failure> {
    let params = Algebra::of(committee.thresholds());
    let warnings: Vec<String> = params.warnings().iter().cloned().chain(peer_warnings(file)).collect();
    let members = file.members.iter().enumerate().map(|(seat, member)| Seat {
        seat,
        name: member.name.clone(),
        public_key: member.public_key,
        peer_id: member.peer_id.clone(),
        addresses: member.addresses.clone(),
    });
    let summary = Summary {
        file: path.display().to_string(),
        epoch: file.epoch,
        chain_id: file.chain_id,
        registry: file.registry,
        committee_hash: committee.hash(),
        members: members.collect(),
        params,
        warnings,
    };
    output.result(&summary, &text(&summary, output))?;
    summary.warnings.iter().for_each(|warning| output.warn(warning));
    Ok(())
}

fn text(summary: &Summary, output: &Output) -> String {
    let Summary { file, epoch, chain_id, registry, committee_hash, members, params, .. } = summary;
    let short = |key: &PublicKeyBytes| format!("{}..", &key.to_string()[..18]);
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = members
        .iter()
        .map(|seat| {
            let addresses = if seat.addresses.is_empty() { "-".into() } else { seat.addresses.join(" ") };
            vec![
                seat.seat.to_string(),
                cell(&seat.name),
                short(&seat.public_key),
                cell(&seat.peer_id),
                addresses,
            ]
        })
        .collect();
    format!(
        "{file}: valid\nepoch {epoch}, chain id {chain_id}, registry {registry}\ncommittee hash {committee_hash}\n\n{}\n\n{}",
        output.table(&["seat", "name", "public key", "peer id", "addresses"], &rows),
        params.table(output),
    )
}
