//! A committee of processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use attest::{Address, CommitteeFile, Domain, Epoch, MemberEntry, RollupId, SubmitterKey, Thresholds};
use bytesize::ByteSize;
use dac_node::config::NodeConfig;
use dac_node::keystore::{Kdf, NodeKeys, Password};
use dac_node::net;
use dac_node::service::RollupPolicy;

use super::faults::Faults;
use super::link::{self, Links};
use super::member::{Ended, MemberProcess};
use super::namespace::Namespace;
use super::proxy::Proxy;
use crate::{Answer, Rollup, until};

/// Ports inside a namespace, or on a loopback address of the member's own.
const PORT: u16 = 9547;
const API_PORT: u16 = 8547;
/// The keystores guard nothing.
const PASSWORD: &str = "process test";
const DOMAIN: Domain = Domain { chain_id: 31_337, registry: Address::ZERO };
const ROLLUP: RollupId = RollupId([0x77; 32]);

/// What to start.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The program that runs a member with `node --config`.
    pub program: &'a Path,
    /// What it is told beside its configuration.
    pub arguments: &'static [&'static str],
    /// Committee size and thresholds.
    pub thresholds: Thresholds,
    /// Where everything goes.
    pub directory: &'a Path,
    /// Give each member a namespace where that is allowed.
    pub emulated: bool,
    /// Applied to each member's configuration before it is written.
    pub adjust: fn(u16, &mut NodeConfig),
}

/// How members reach each other.
#[derive(Debug)]
pub enum Network {
    /// Each on a loopback address of its own: `127.x.y.seat + 1`.
    Loopback {
        /// Of this committee alone.
        subnet: [u8; 2],
    },
    /// Each in a namespace of its own, with emulated links between them.
    Emulated(Links),
}

#[derive(Debug)]
struct Seat {
    directory: PathBuf,
    namespace: Option<Namespace>,
    /// Leads into the namespace for as long as it is kept.
    _proxy: Option<Proxy>,
    api: String,
    process: Option<MemberProcess>,
    faults: Option<Faults>,
}

/// A committee of processes; all are killed when dropped.
#[derive(Debug)]
pub struct Members {
    program: PathBuf,
    arguments: &'static [&'static str],
    committee: PathBuf,
    submitter: SubmitterKey,
    seats: Vec<Seat>,
    network: Network,
}

impl Members {
    /// Makes keys, files and networks. Starts nobody.
    ///
    /// # Errors
    /// What failed, in words. Not being allowed to make namespaces is no failure: it is said on standard error.
    pub fn prepare(setup: &Setup<'_>) -> anyhow::Result<Members> {
        let n = setup.thresholds.members();
        let (network, namespaces) = if setup.emulated { emulate(n) } else { loopback(n) };
        let addresses: Vec<Ipv4Addr> = (0..n).map(|seat| address(&network, seat)).collect();
        let submitter = SubmitterKey::from_bytes(&[0x51; 32]).expect("a small number is a key");
        let mut members = Members {
            program: setup.program.into(),
            arguments: setup.arguments,
            committee: setup.directory.join("committee.json"),
            submitter,
            seats: Vec::new(),
            network,
        };
        let password = Password::new(PASSWORD)?;
        let mut entries = Vec::new();
        for ((seat, namespace), address) in (0..n).zip(namespaces).zip(&addresses) {
            let directory = setup.directory.join(format!("member-{seat}"));
            let keys = NodeKeys::create(&directory.join("keys"), &password, Kdf::WeakForDevnet)?;
            entries.push(entry(seat, &keys, *address));
            std::fs::write(directory.join("password"), PASSWORD)?;
            let mut config = members.config(seat, &directory, *address);
            (setup.adjust)(seat, &mut config);
            std::fs::write(directory.join("dac.toml"), toml::to_string(&config)?)?;
            let listens = config.api.listen;
            let proxy = namespace.as_ref().map(|inside| Proxy::new(inside, listens)).transpose()?;
            let api = format!("http://{}", proxy.as_ref().map_or(listens, Proxy::address));
            members.seats.push(Seat {
                directory,
                namespace,
                _proxy: proxy,
                api,
                process: None,
                faults: None,
            });
        }
        let file = CommitteeFile {
            epoch: Epoch(1),
            chain_id: DOMAIN.chain_id,
            registry: DOMAIN.registry,
            minimum_shards: setup.thresholds.minimum_shards(),
            quorum: setup.thresholds.quorum(),
            members: entries,
        };
        file.check().context("the committee of the test")?;
        std::fs::write(&members.committee, file.to_json())?;
        Ok(members)
    }

    /// [`Members::prepare`], then everybody is started and connected.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn start(setup: &Setup<'_>) -> anyhow::Result<Members> {
        let mut members = Members::prepare(setup)?;
        members.start_all().await?;
        Ok(members)
    }

    fn config(&self, seat: u16, directory: &Path, address: Ipv4Addr) -> NodeConfig {
        let mut config = NodeConfig {
            data_dir: directory.join("data"),
            keys_dir: directory.join("keys"),
            password_file: Some(directory.join("password")),
            committee: self.committee.clone(),
            rollups: vec![RollupPolicy {
                id: ROLLUP,
                submitters: vec![self.submitter.address()],
                quota_per_day: ByteSize::tib(1),
                batch_max: ByteSize::mib(64),
                retention_max: Duration::from_secs(90 * 86_400),
            }],
            ..NodeConfig::default()
        };
        config.store.reserve = ByteSize::mib(1);
        let listen = format!("/ip4/{address}/tcp/{PORT}");
        config.network.listen = vec![listen.parse().expect("an address and a port")];
        let inside = self.network.is_emulated();
        let api = if inside { Ipv4Addr::LOCALHOST } else { address };
        config.api.listen = SocketAddr::from((api, API_PORT));
        // A member's processors are shared by all.
        config.compute_threads = 2;
        config.log.level = if seat == 0 { "info" } else { "warn" }.to_owned();
        config
    }

    /// Starts everybody who is down and waits until all are connected.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        for seat in 0..self.len() {
            if self.seats[usize::from(seat)].process.is_none() {
                self.spawn(seat)?;
            }
        }
        self.wait_connected().await;
        Ok(())
    }

    /// Starts a member's process, and does not wait for it.
    ///
    /// # Errors
    /// When it runs already, or cannot be started.
    pub fn spawn(&mut self, seat: u16) -> anyhow::Result<()> {
        let (program, arguments) = (self.program.clone(), self.arguments);
        let seat = &mut self.seats[usize::from(seat)];
        anyhow::ensure!(seat.process.is_none(), "the member runs already");
        let mut command = MemberProcess::command(&program, &seat.directory, arguments, seat.faults.as_ref())?;
        let mut spawn = || command.spawn().context("cannot start a member");
        let child = match &seat.namespace {
            Some(namespace) => namespace.inside(spawn)?,
            None => spawn()?,
        };
        seat.process = Some(MemberProcess::of(child, &seat.directory));
        Ok(())
    }

    /// Starts a member again and waits until it is connected to everybody who runs.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn restart(&mut self, seat: u16) -> anyhow::Result<()> {
        self.spawn(seat)?;
        self.wait_connected().await;
        Ok(())
    }

    /// Waits until every running member is connected to every other.
    ///
    /// # Panics
    /// After a minute, or when one ends instead, with its log.
    pub async fn wait_connected(&mut self) {
        let rollup = self.rollup();
        let running: Vec<&mut Seat> = self.seats.iter_mut().filter(|seat| seat.process.is_some()).collect();
        let expected = running.len() as u64;
        for seat in running {
            let process = std::cell::RefCell::new(&mut seat.process);
            until("every member is connected to every other", || async {
                let ended = process.borrow_mut().as_mut().and_then(|process| process.ended().ok().flatten());
                if let Some(Ended { status, log }) = ended {
                    panic!("a member ended instead of starting, {status}:\n{log}");
                }
                let answer = rollup.try_get(&seat.api, "/readyz").await.ok()?;
                let connected = answer.json()["connected"].as_u64()?;
                (connected >= expected).then_some(())
            })
            .await;
        }
    }

    /// SIGKILL: nothing flushed, nothing said.
    ///
    /// # Errors
    /// When the member had ended by itself.
    pub fn kill(&mut self, seat: u16) -> anyhow::Result<()> {
        let process = self.seats[usize::from(seat)].process.take().context("the member is down")?;
        anyhow::ensure!(process.kill()?, "member {seat} had ended by itself");
        Ok(())
    }

    /// SIGSTOP: it stays where it is, with its connections open.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self, seat: u16) -> anyhow::Result<()> {
        self.process(seat)?.signal(libc::SIGSTOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self, seat: u16) -> anyhow::Result<()> {
        self.process(seat)?.signal(libc::SIGCONT)
    }

    /// Waits until a member's process ends by itself.
    ///
    /// # Panics
    /// After a minute.
    pub async fn wait_ended(&mut self, seat: u16) -> Ended {
        let process = self.seats[usize::from(seat)].process.as_mut();
        let process = std::cell::RefCell::new(process.expect("the member was started"));
        let ended = until("the process ends", || async { process.borrow_mut().ended().ok().flatten() }).await;
        self.seats[usize::from(seat)].process = None;
        ended
    }

    /// Faults inside a member's process, from its next start on.
    ///
    /// # Errors
    /// Without a C compiler.
    pub fn faults(&mut self, seat: u16) -> anyhow::Result<&Faults> {
        let seat = &mut self.seats[usize::from(seat)];
        if seat.faults.is_none() {
            seat.faults = Some(Faults::new(&seat.directory.join("faults"))?);
        }
        seat.faults.as_ref().context("it was just made")
    }

    /// Plays a member that is down: its keys and its place in the network, in this process. On loopback only.
    ///
    /// # Errors
    /// What failed, in words.
    pub async fn play(&self, seat: u16) -> anyhow::Result<(net::Network, net::NetworkEvents)> {
        let file = CommitteeFile::from_json(&std::fs::read_to_string(&self.committee)?)?;
        let committee = file.check()?;
        let keys = NodeKeys::load(&self.directory(seat).join("keys"), &Password::new(PASSWORD)?)?;
        let peer = |(seat, member): (u16, &MemberEntry)| -> anyhow::Result<net::Peer> {
            let peer_id = member.peer_id.as_deref().context("a test's committee has peer ids")?.parse()?;
            let addresses = member.addresses.iter().map(|address| Ok(address.parse()?));
            Ok(net::Peer { seat, peer_id, addresses: addresses.collect::<anyhow::Result<_>>()? })
        };
        let others = (0..).zip(&file.members).filter(|(other, _)| *other != seat);
        let peers = others.map(peer).collect::<anyhow::Result<_>>()?;
        let address = file.members[usize::from(seat)].addresses[0].parse()?;
        let bound = net::Bound::listen(&keys.network, &[address]).await?;
        bound.start(net::NetworkConfig { seat, peers, committee: committee.hash().to_string() })
    }

    /// Memory of a member's process.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_bytes(&self, seat: u16) -> anyhow::Result<u64> {
        self.process(seat)?.resident_bytes()
    }

    fn process(&self, seat: u16) -> anyhow::Result<&MemberProcess> {
        self.seats[usize::from(seat)].process.as_ref().context("the member is down")
    }

    /// Members, running or not.
    pub fn len(&self) -> u16 {
        u16::try_from(self.seats.len()).expect("a committee has at most 256 members")
    }

    /// Never: a committee has members.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Where a member's API is, whether it runs or not.
    pub fn api(&self, seat: u16) -> &str {
        &self.seats[usize::from(seat)].api
    }

    /// Does something in a member's own network, with the address of its API there.
    ///
    /// # Errors
    /// Those of the work, and when there is no way in.
    pub fn beside<T: Send>(
        &self,
        seat: u16,
        work: impl FnOnce(&str) -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let seat = &self.seats[usize::from(seat)];
        match &seat.namespace {
            Some(namespace) => {
                let api = SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT));
                namespace.inside(|| work(&format!("http://{api}")))
            }
            None => work(&seat.api),
        }
    }

    /// Where a member's files are.
    pub fn directory(&self, seat: u16) -> &Path {
        &self.seats[usize::from(seat)].directory
    }

    /// Where a member listens for the others.
    pub fn address(&self, seat: u16) -> SocketAddr {
        SocketAddr::from((address(&self.network, seat), PORT))
    }

    /// The committee file.
    pub fn committee(&self) -> &Path {
        &self.committee
    }

    /// The links between them.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The rollup that they serve, with an HTTP client.
    pub fn rollup(&self) -> Rollup {
        let key = SubmitterKey::from_bytes(&self.submitter.to_bytes());
        Rollup::new(ROLLUP, DOMAIN, key.expect("the key was a key before it was copied"))
    }

    /// Asks a member for one of its metrics; 0 where it has none of this name.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self, seat: u16) -> Result<Answer, reqwest::Error> {
        self.rollup().try_get(self.api(seat), "/metrics").await
    }
}

impl Network {
    fn is_emulated(&self) -> bool {
        matches!(self, Network::Emulated(_))
    }

    /// The links, where there are any.
    pub fn links(&self) -> Option<&Links> {
        match self {
            Network::Loopback { .. } => None,
            Network::Emulated(links) => Some(links),
        }
    }
}

/// Addresses that no other committee of this machine has: by process and number.
fn loopback(n: u16) -> (Network, Vec<Option<Namespace>>) {
    static COMMITTEES: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(8) + COMMITTEES.fetch_add(1, Ordering::Relaxed) % 8;
    let [_, _, high, low] = number.to_be_bytes();
    (Network::Loopback { subnet: [64 + high % 128, low] }, (0..n).map(|_| None).collect())
}

/// Namespaces where they are allowed.
fn emulate(n: u16) -> (Network, Vec<Option<Namespace>>) {
    let make = || -> anyhow::Result<(Network, Vec<Option<Namespace>>)> {
        let made = (0..n).map(|seat| Namespace::new(link::address(seat)));
        let (namespaces, devices): (Vec<_>, Vec<_>) =
            made.collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
        let links = Links::new(devices)?;
        Ok((Network::Emulated(links), namespaces.into_iter().map(Some).collect()))
    };
    make().unwrap_or_else(|error| {
        eprintln!("no emulated network, members are on plain loopback instead: {error:#}");
        loopback(n)
    })
}

/// Where a member listens.
fn address(network: &Network, seat: u16) -> Ipv4Addr {
    match network {
        Network::Emulated(_) => link::address(seat),
        Network::Loopback { subnet: [a, b] } => {
            Ipv4Addr::new(127, *a, *b, u8::try_from(seat + 1).expect("at most 254 members"))
        }
    }
}

fn entry(seat: u16, keys: &NodeKeys, address: Ipv4Addr) -> MemberEntry {
    MemberEntry {
        name: Some(format!("member-{seat}")),
        operator: Address::ZERO,
        public_key: keys.bls.public_key().to_bytes(),
        proof_of_possession: keys.bls.prove_possession(&DOMAIN, Address::ZERO),
        peer_id: Some(keys.network.public().to_peer_id().to_string()),
        addresses: vec![format!("/ip4/{address}/tcp/{PORT}")],
        api: None,
    }
}
