//! The part of the command line that speaks to L1: `dac committee register | announce | status`, `dac verify --l1`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::sol_types::SolCall;
use attest::{Address, Certificate, MemberEntry, SignatureBytes, SubmitterKey};
use contracts::CertificateVerifier::verifyCall;
use contracts::CommitteeRegistry::{
    announceCall, announcementDelaySecondsCall, epochsCall, memberCall, registerCall, retentionSecondsMaxCall,
};
use contracts::ICommitteeRegistry::{Announcement, Contact};
use serde_json::json;

use super::files;
use super::keys::PasswordArgs;
use super::params::ThresholdArgs;
use super::{Exit, Failure, Output, committee};
use crate::chain_member::Registry;
use crate::keystore::{Prompt, load_submitter};
use crate::settlement::ethereum::Ethereum;
use crate::settlement::operator::{Error, Operator};
use crate::settlement::{Follower, FollowerConfig};

/// Where the registry is.
#[derive(Debug, clap::Args)]
pub(super) struct RegistryArgs {
    /// URL of an L1 provider
    #[arg(long, value_name = "URL")]
    l1: String,
    /// The committee registry on L1
    #[arg(long, value_name = "ADDRESS")]
    registry: Address,
}

/// Who sends.
#[derive(Debug, clap::Args)]
pub(super) struct SenderArgs {
    /// Keystore of the sender's secp256k1 key, as made by `dac keys new --submitter`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

impl SenderArgs {
    fn load(&self) -> Result<SubmitterKey, Failure> {
        Ok(load_submitter(&self.key, &self.password.obtain(Prompt::Open, &self.key)?)?)
    }
}

/// Arguments of `dac committee register`.
#[derive(Debug, clap::Args)]
pub(super) struct RegisterArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    sender: SenderArgs,
    /// Entry of the member, as written by `dac keys prove` with this chain id, registry and operator
    #[arg(long, value_name = "FILE")]
    member: PathBuf,
}

/// Arguments of `dac committee announce`.
#[derive(Debug, clap::Args)]
pub(super) struct AnnounceArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Keystore of the owner's key; without it the call is printed, for the timelock that owns the registry
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Number of the epoch, above all before
    #[arg(long)]
    epoch: u64,
    /// Unix seconds at which the epoch begins [default: as soon as the registry's delay allows, and an hour]
    #[arg(long, value_name = "SECONDS")]
    activates_at: Option<u64>,
    #[command(flatten)]
    thresholds: ThresholdArgs,
    /// Entry of a member, in seat order; give it once for each member
    #[arg(long = "member", value_name = "FILE", required = true)]
    members: Vec<PathBuf>,
}

/// Arguments of `dac committee status`.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// First block that can hold an event of the registry
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    first_block: u64,
    /// Blocks above an event before it counts
    #[arg(long, value_name = "BLOCKS", default_value_t = 12)]
    confirmations: u64,
    /// Write the active committee to this new file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How L1's errors end a command.
pub(super) fn failure(error: Error) -> Failure {
    let detail = error.to_string();
    match error {
        Error::Unreachable(_) => Failure::new(
            Exit::Unreachable,
            "l1_unreachable",
            detail,
            "check the URL, or try another provider",
        ),
        Error::Refused(_) => {
            Failure::new(Exit::Refused, "l1_refused", detail, "the contracts' interfaces explain each error")
        }
        Error::Malformed(_) => {
            Failure::verification("l1_malformed", detail, "check the address and the chain")
        }
    }
}

fn follow_failure(error: &crate::settlement::Error) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "l1_unreachable",
        error.to_string(),
        "check the URL and the registry's address",
    )
}

/// The call that registers a member's entry.
pub(super) fn register_call(entry: &MemberEntry) -> Result<registerCall, attest::Error> {
    let proof = SignatureBytes(entry.proof_of_possession.0).decode()?.to_padded();
    Ok(registerCall {
        key: entry.public_key.decode()?.to_padded().to_vec().into(),
        proof: proof.to_vec().into(),
        contact: Contact {
            name: entry.name.clone().unwrap_or_default(),
            peerId: entry.peer_id.clone().unwrap_or_default(),
            addresses: entry.addresses.clone(),
            api: entry.api.clone().unwrap_or_default(),
        },
    })
}

/// The announcement of a committee; keys that L1 has not stored yet go with it.
pub(super) async fn announcement(
    l1: &Operator,
    registry: Address,
    epoch: u64,
    (minimum_shards, quorum): (u16, u16),
    entries: &[MemberEntry],
    activates_at: u64,
) -> Result<announceCall, Failure> {
    let (mut members, mut new_keys) = (Vec::new(), Vec::new());
    for entry in entries {
        let key = entry.public_key.decode().map_err(invalid)?;
        let id = key.padded_hash().into();
        let known = l1.call(registry.0.into(), &memberCall { memberId: id }).await.map_err(failure)?;
        if known.operator.is_zero() {
            let detail = format!("member {} is not registered on L1", entry.public_key);
            return Err(Failure::new(
                Exit::Refused,
                "not_registered",
                detail,
                "register it with: dac committee register",
            ));
        }
        if !known.stored {
            new_keys.extend_from_slice(&key.to_padded());
        }
        members.push(id);
    }
    let announcement = Announcement {
        epoch,
        minimumShards: minimum_shards,
        quorum,
        activatesAt: alloy::primitives::aliases::U48::saturating_from(activates_at),
        members,
        newKeys: new_keys.into(),
    };
    Ok(announceCall { announcement })
}

fn invalid(error: attest::Error) -> Failure {
    Failure::verification(
        "invalid_member",
        error.to_string(),
        "an entry is what its operator wrote with: dac keys prove",
    )
}

/// Registers a member.
pub(super) fn register(args: RegisterArgs, output: &Output) -> Result<(), Failure> {
    let entry = committee::read_entry(&args.member)?;
    let call = register_call(&entry).map_err(invalid)?;
    let key = args.sender.load()?;
    if key.address() != entry.operator {
        let detail = format!("the entry names operator {}, the key is {}'s", entry.operator, key.address());
        return Err(Failure::usage(detail, "prove the key again with: dac keys prove --operator ADDRESS"));
    }
    let done = super::runtime()?.block_on(async {
        let l1 = Operator::connect(&args.registry.l1, Some(&key))?;
        l1.send(args.registry.registry.0.into(), &call).await
    });
    let done = done.map_err(failure)?;
    let value = json!({ "public_key": entry.public_key, "operator": entry.operator, "gas": done.gas, "transaction": done.transaction });
    output.result(
        &value,
        &format!("registered {} for {} gas\ntransaction {}", entry.public_key, done.gas, done.transaction),
    )
}

/// Announces a committee, or prints the call.
pub(super) fn announce(args: AnnounceArgs, output: &Output) -> Result<(), Failure> {
    let entries = args
        .members
        .iter()
        .map(|path: &PathBuf| committee::read_entry(path))
        .collect::<Result<Vec<_>, _>>()?;
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    let thresholds = args.thresholds.for_members(count)?;
    let key = match &args.key {
        Some(path) => Some(load_submitter(path, &args.password.obtain(Prompt::Open, path)?)?),
        None => None,
    };
    super::runtime()?.block_on(async {
        let (url, registry) = (&args.registry.l1, args.registry.registry);
        let l1 = Operator::connect(url, key.as_ref()).map_err(failure)?;
        let delay: u64 = l1.call(registry.0.into(), &announcementDelaySecondsCall {}).await.map_err(failure)?.saturating_to();
        let (_, now) = l1.now().await.map_err(failure)?;
        let activates_at = args.activates_at.unwrap_or(now.saturating_add(delay).saturating_add(3600));
        let limits = (thresholds.minimum_shards(), thresholds.quorum());
        let call = announcement(&l1, registry, args.epoch, limits, &entries, activates_at).await?;
        if key.is_none() {
            let data = format!("0x{}", hex::encode(call.abi_encode()));
            let value = json!({ "to": registry, "data": data, "activates_at": activates_at });
            return output.result(&value, &format!("to   {registry}\ndata {data}"));
        }
        let done = l1.send(registry.0.into(), &call).await.map_err(failure)?;
        let value = json!({ "epoch": args.epoch, "activates_at": activates_at, "gas": done.gas, "transaction": done.transaction });
        output.result(&value, &format!("epoch {} begins at {activates_at}; {} gas", args.epoch, done.gas))
    })
}

/// What never changes in a registry, asked of one provider.
pub(super) async fn registry(url: &str, chain_id: u64, address: Address) -> Result<Registry, Error> {
    let l1 = Operator::connect(url, None)?;
    let found = l1.chain_id().await?;
    if found != chain_id {
        return Err(Error::Malformed(format!("it is on chain {found}, expected {chain_id}")));
    }
    let delay = l1.call(address.0.into(), &announcementDelaySecondsCall {}).await?;
    let retention = l1.call(address.0.into(), &retentionSecondsMaxCall {}).await?;
    let (announcement_delay_seconds, retention_seconds_max) =
        (delay.saturating_to(), retention.saturating_to());
    Ok(Registry { chain_id, address, announcement_delay_seconds, retention_seconds_max })
}

/// Shows what L1 knows.
pub(super) fn status(args: StatusArgs, output: &Output) -> Result<(), Failure> {
    super::runtime()?.block_on(async {
        let (url, registry) = (&args.registry.l1, args.registry.registry);
        let l1 = Operator::connect(url, None).map_err(failure)?;
        let chain_id = l1.chain_id().await.map_err(failure)?;
        let delay = l1.call(registry.0.into(), &announcementDelaySecondsCall {}).await.map_err(failure)?;
        let current = l1.call(registry.0.into(), &epochsCall {}).await.map_err(failure)?.current;
        let config = FollowerConfig {
            first_block: args.first_block,
            confirmations: args.confirmations,
            announcement_delay_seconds: delay.saturating_to(),
            poll_period: Duration::from_secs(12),
        };
        let chain = Ethereum::new(std::slice::from_ref(url), chain_id, registry).map_err(|e| follow_failure(&e))?;
        let mut follower = Follower::new(config, None);
        while follower.poll(&chain, Duration::ZERO).await.map_err(|e| follow_failure(&e))?.pause.is_zero() {}
        let Some(known) = follower.checkpoint() else {
            return Err(Failure::new(Exit::NotFound, "no_blocks", "no confirmed block yet", "try again, or lower --confirmations"));
        };
        if let (Some(path), true) = (&args.out, current != 0) {
            write_committee(path, known, current, chain_id, registry)?;
        }
        let value = json!({
            "chain_id": chain_id,
            "registry": registry,
            "block": known.block.number,
            "epoch": current,
            "standing": format!("{:?}", follower.standing(Duration::ZERO)),
            "epochs": known.view.epochs().iter().map(|(epoch, entry)| json!({
                "epoch": epoch, "members": entry.members.len(), "minimum_shards": entry.minimum_shards,
                "quorum": entry.quorum, "activates_at": entry.activates_at,
                "committee_hash": format!("0x{}", hex::encode(entry.committee_hash)),
            })).collect::<Vec<_>>(),
            "members": known.view.members().iter().map(|(_, member)| json!({
                "name": member.contact.name, "public_key": member.public_key, "operator": member.operator,
                "peer_id": member.contact.peer_id, "api": member.contact.api, "retired": member.retired,
            })).collect::<Vec<_>>(),
            "rollups": known.view.rollups().iter().map(|(id, rollup)| json!({
                "id": id, "submitters": rollup.submitters, "quota": rollup.quota,
            })).collect::<Vec<_>>(),
        });
        let text = format!(
            "chain {chain_id}, registry {registry}, block {}\nepoch {current}, {} announced, {} members registered, {} rollups",
            known.block.number,
            known.view.epochs().len(),
            known.view.members().len(),
            known.view.rollups().len(),
        );
        output.result(&value, &text)
    })
}

fn write_committee(
    path: &Path,
    known: &crate::settlement::follower::Checkpoint,
    epoch: u64,
    chain_id: u64,
    registry: Address,
) -> Result<(), Failure> {
    let (file, _) = known.view.committee(epoch, chain_id, registry).map_err(|e| follow_failure(&e))?;
    files::write_new(path, file.to_json().as_bytes())
}

/// Asks L1's verifier about a certificate.
pub(super) fn verify(url: &str, verifier: Address, certificate: &Certificate) -> Result<(), Failure> {
    let call = verify_call(certificate)?;
    let answer = super::runtime()?
        .block_on(async { Operator::connect(url, None)?.call(verifier.0.into(), &call).await });
    let found = answer.map_err(|error| match error {
        Error::Refused(detail) => {
            Failure::verification("false_certificate", format!("L1: {detail}"), "do not act on it")
        }
        other => failure(other),
    })?;
    if found.0 != certificate.batch_id().0 {
        return Err(Failure::verification(
            "l1_malformed",
            "L1 names another batch",
            "check the verifier's address",
        ));
    }
    Ok(())
}

/// The call that verifies a certificate on L1.
pub(super) fn verify_call(certificate: &Certificate) -> Result<verifyCall, Failure> {
    let bytes = certificate.to_abi().map_err(|error| {
        Failure::verification("false_certificate", error.to_string(), "fetch it from another member")
    })?;
    Ok(verifyCall { rollupId: certificate.statement.rollup_id.0.into(), certificate: bytes.into() })
}
