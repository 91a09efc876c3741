//! `dac keys`: makes encrypted keys, shows their public halves, proves possession to a committee.
//!
//! Secrets stay in the keystores of [`crate::keystore`]; nothing here prints or accepts one.

use std::path::{Path, PathBuf};

use attest::{Address, Domain, MemberEntry, PublicKeyBytes};
use libp2p::{Multiaddr, PeerId};
use serde::Serialize;

use super::{Failure, Output, files};
use crate::keystore::{
    self, Kdf, MEMBER_FILE, NETWORK_FILE, NodeKeys, Password, Prompt, StatedKey, create_submitter,
    load_submitter,
};

/// Shortest password for a new key that guards something, in characters.
const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Subcommands of `dac keys`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a member's two keys, or a rollup's submitter key
    New(NewArgs),
    /// Show the public half of keys; needs no password
    Show(ShowArgs),
    /// Write a member's entry for the committee file, with proof that it holds its key
    Prove(ProveArgs),
}

/// Where the password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordArgs {
    /// File with the password, one line; else DAC_PASSWORD_FILE, DAC_PASSWORD, or a question on the terminal
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    pub(super) fn obtain(&self, prompt: Prompt, what: &Path) -> Result<Password, Failure> {
        Ok(Password::obtain(self.password_file.as_deref(), prompt, &what.display().to_string())?)
    }
}

/// Arguments of `dac keys new`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Directory for a member's two keystores; made if it is not there
    #[arg(long, required_unless_present = "submitter", conflicts_with = "submitter")]
    dir: Option<PathBuf>,
    /// Make a submitter key (secp256k1) for a rollup instead
    #[arg(long, requires = "out")]
    submitter: bool,
    /// File for the submitter's keystore
    #[arg(long, value_name = "FILE", requires = "submitter")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    /// 64 times cheaper to guess the password of, and faster to open: only for keys that guard nothing
    #[arg(long)]
    weak_for_devnet: bool,
}

/// Arguments of `dac keys show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Directory with a member's two keystores
    #[arg(long, required_unless_present = "file", conflicts_with = "file")]
    dir: Option<PathBuf>,
    /// A submitter's keystore
    #[arg(long)]
    file: Option<PathBuf>,
    /// Open the keystores too and check that they hold what they say; needs the password
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Arguments of `dac keys prove`.
#[derive(Debug, clap::Args)]
pub(super) struct ProveArgs {
    /// Directory with the member's two keystores
    #[arg(long)]
    dir: PathBuf,
    /// EIP-155 chain id of the committee
    #[arg(long)]
    chain_id: u64,
    /// Committee registry on L1; leave out without L1
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO)]
    registry: Address,
    /// The operator's address on L1; leave out without L1
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO)]
    operator: Address,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Multiaddress at which other members reach this one, best first; may be given several times
    #[arg(long = "address", value_name = "MULTIADDRESS")]
    addresses: Vec<Multiaddr>,
    /// Base URL of this member's HTTP interface
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    api: Option<String>,
    /// Write the entry to this new file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
}

/// The public half of keys, as JSON.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Public {
    Member { dir: String, public_key: PublicKeyBytes, peer_id: String },
    Submitter { file: String, address: Address },
}

/// Runs `dac keys ...`.
pub(super) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::New(args) => new(args, output),
        Command::Show(args) => show(args, output),
        Command::Prove(args) => prove(args, output),
    }
}

fn new(args: NewArgs, output: &Output) -> Result<(), Failure> {
    let NewArgs { dir, out, password, weak_for_devnet, .. } = args;
    let Some(path) = dir.as_deref().or(out.as_deref()) else {
        return Err(Failure::usage("no place for the keys", "give --dir, or --submitter and --out"));
    };
    let password = password.obtain(Prompt::Create, path)?;
    let kdf = if weak_for_devnet { Kdf::WeakForDevnet } else { Kdf::Standard };
    if kdf == Kdf::Standard && password.length() < PASSWORD_CHARACTERS_MIN {
        let detail = format!("{} characters are too few for a password", password.length());
        return Err(Failure::usage(detail, format!("take at least {PASSWORD_CHARACTERS_MIN}")));
    }
    let bar = output.spinner("encrypting");
    let public = match &dir {
        Some(dir) => public_of(dir, &NodeKeys::create(dir, &password, kdf)?),
        None => {
            let address = create_submitter(path, &password, kdf)?.address();
            Public::Submitter { file: path.display().to_string(), address }
        }
    };
    bar.finish_and_clear();
    output.result(&public, &text(&public, output))?;
    output.note("Back the keystores up together with their password; nobody can restore either.");
    if let Some(dir) = &dir {
        output.note(&format!(
            "Next: dac keys prove --dir {} --chain-id ID --address MULTIADDRESS",
            dir.display()
        ));
    }
    Ok(())
}

fn show(args: ShowArgs, output: &Output) -> Result<(), Failure> {
    let public = match (&args.dir, &args.file) {
        (Some(dir), _) if args.check => {
            public_of(dir, &NodeKeys::load(dir, &args.password.obtain(Prompt::Open, dir)?)?)
        }
        (Some(dir), _) => stated_by_directory(dir)?,
        (None, Some(file)) if args.check => {
            let address = load_submitter(file, &args.password.obtain(Prompt::Open, file)?)?.address();
            Public::Submitter { file: file.display().to_string(), address }
        }
        (None, Some(file)) => stated_by_file(file)?,
        (None, None) => return Err(Failure::usage("nothing to show", "give --dir or --file")),
    };
    output.result(&public, &text(&public, output))
}

fn prove(args: ProveArgs, output: &Output) -> Result<(), Failure> {
    let password = args.password.obtain(Prompt::Open, &args.dir)?;
    let bar = output.spinner("opening the keystores");
    let keys = NodeKeys::load(&args.dir, &password)?;
    bar.finish_and_clear();
    let domain = Domain { chain_id: args.chain_id, registry: args.registry };
    let entry = MemberEntry {
        name: args.name,
        operator: args.operator,
        public_key: keys.bls.public_key().to_bytes(),
        proof_of_possession: keys.bls.prove_possession(&domain, args.operator),
        peer_id: Some(keys.network.public().to_peer_id().to_string()),
        addresses: args.addresses.iter().map(ToString::to_string).collect(),
        api: args.api,
    };
    let text = serde_json::to_string_pretty(&entry).expect("strings and lists are always JSON");
    if let Some(path) = &args.out {
        files::write_new(path, format!("{text}\n").as_bytes())?;
    }
    output.result(&entry, &text)?;
    if args.addresses.is_empty() {
        output.warn("the entry has no address: other members cannot dial this one");
    }
    output.note("Next: whoever makes the committee gives this entry to: dac committee new --member FILE");
    Ok(())
}

fn public_of(dir: &Path, keys: &NodeKeys) -> Public {
    Public::Member {
        dir: dir.display().to_string(),
        public_key: keys.bls.public_key().to_bytes(),
        peer_id: keys.network.public().to_peer_id().to_string(),
    }
}

/// What the two files of a directory say of themselves.
pub(super) fn stated(dir: &Path) -> Result<(PublicKeyBytes, PeerId), Failure> {
    let (member, network) = (dir.join(MEMBER_FILE), dir.join(NETWORK_FILE));
    match (StatedKey::read(&member)?, StatedKey::read(&network)?) {
        (StatedKey::Member(public_key), StatedKey::Network(peer_id)) => Ok((public_key, peer_id)),
        _ => {
            let detail =
                format!("{} and {} are not the two keys of a member", member.display(), network.display());
            Err(Failure::verification("invalid_keystore", detail, "restore the files from a backup"))
        }
    }
}

fn stated_by_directory(dir: &Path) -> Result<Public, Failure> {
    let (public_key, peer_id) = stated(dir)?;
    Ok(Public::Member { dir: dir.display().to_string(), public_key, peer_id: peer_id.to_string() })
}

fn stated_by_file(file: &Path) -> Result<Public, Failure> {
    match StatedKey::read(file)? {
        StatedKey::Submitter(address) => Ok(Public::Submitter { file: file.display().to_string(), address }),
        keystore::StatedKey::Member(_) | keystore::StatedKey::Network(_) => {
            let detail = format!("{} is a member's key", file.display());
            Err(Failure::usage(detail, "show both of a member's keys with: dac keys show --dir DIR"))
        }
    }
}

fn text(public: &Public, output: &Output) -> String {
    let line = |what: &str, value: &dyn std::fmt::Display| format!("{} {value}", output.heading(what));
    match public {
        Public::Member { dir, public_key, peer_id } => {
            [line("keys", dir), line("BLS public key", public_key), line("peer id", peer_id)].join("\n")
        }
        Public::Submitter { file, address } => {
            [line("key", file), line("submitter address", address)].join("\n")
        }
    }
}

/// `http://` or `https://` and a host.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("a URL is http:// or https:// and a host, for example http://127.0.0.1:8547".into()),
    }
}
