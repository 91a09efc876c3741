//! `dac config`: a commented example, and a check of a file before a node is started with it.

use std::path::{Path, PathBuf};

use attest::CommitteeFile;

use super::{Failure, Output, committee, keys};
use crate::config::{NodeConfig, example};

/// Subcommands of `dac config`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print a configuration file with all fields, their defaults and what they mean
    Example,
    /// Check a configuration file, and that its committee and keys fit together
    Check {
        /// The configuration file
        file: PathBuf,
    },
}

/// Runs `dac config ...`.
pub(super) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Example => {
            let text = example();
            output.result(&serde_json::json!({ "toml": text }), &text)
        }
        Command::Check { file } => check(&file, output),
    }
}

/// Values first, then the files they name. Needs no password: it compares what the keystores say of themselves.
fn check(path: &Path, output: &Output) -> Result<(), Failure> {
    let config = NodeConfig::load(path)?;
    let (file, committee) = committee::load(&config.committee)?;
    let (public_key, peer_id) = keys::stated(&config.keys_dir)?;
    let seat = seat(&file, &public_key.to_string(), &peer_id.to_string(), &config)?;
    let name = file.members[seat].name.clone();
    let hash = committee.hash();
    let text = format!(
        "{}: valid\nseat {seat}{} of committee {hash}, epoch {}\npeer id {peer_id}\nrollups served: {}",
        path.display(),
        name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default(),
        file.epoch,
        config.rollups.len(),
    );
    let value = serde_json::json!({
        "file": path.display().to_string(),
        "valid": true,
        "seat": seat,
        "name": name,
        "committee_hash": hash,
        "epoch": file.epoch,
        "public_key": public_key,
        "peer_id": peer_id.to_string(),
        "rollups": config.rollups.iter().map(|rollup| rollup.id).collect::<Vec<_>>(),
    });
    output.result(&value, &text)
}

/// The seat that holds this node's key, with the peer id that the committee expects there.
fn seat(
    file: &CommitteeFile,
    public_key: &str,
    peer_id: &str,
    config: &NodeConfig,
) -> Result<usize, Failure> {
    let (keys, committee) = (config.keys_dir.display(), config.committee.display());
    let found = file.members.iter().position(|member| member.public_key.to_string() == public_key);
    let Some(seat) = found else {
        let detail = format!("no seat of {committee} has the key of {keys} ({public_key})");
        let hint = "set keys_dir to this member's keys, or committee to the committee it is in";
        return Err(Failure::verification("not_a_member", detail, hint));
    };
    match &file.members[seat].peer_id {
        Some(expected) if expected != peer_id => {
            let detail = format!("seat {seat} of {committee} has peer id {expected}, {keys} has {peer_id}");
            Err(Failure::verification(
                "peer_id_mismatch",
                detail,
                "restore the network key that the seat was made with",
            ))
        }
        _ => Ok(seat),
    }
}
