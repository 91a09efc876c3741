//! Members as processes with an `[l1]` section: what an operator types, from keys to a certificate that L1 accepts.
//!
//! Needs Node.js with npm, for anvil.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address as L1Address, U256};
use alloy_sol_types::SolValue;
use attest::{Address, Certificate, CommitteeFile, Domain, RollupId, SubmitterKey, Thresholds};
use contracts::ICommitteeRegistry::Quota;
use contracts::{CertificateVerifier, CommitteeRegistry};
use dac_node::clock::{Clock, SystemClock};
use dac_node::config::NodeConfig;
use dac_node::devnet::anvil::Anvil;
use dac_node::settlement::operator::Operator;
use e2e::{Members, Rollup, Setup, Times, noise, until};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::shared::{PROGRAM, four};

const CHAIN_ID: u64 = 31_337;
const DELAY: u64 = 120;
const RETENTION: u64 = 60 * 86_400;
const CONFIRMATIONS: u64 = 2;
const ROLLUP: RollupId = RollupId([0x11; 32]);
/// Of every keystore here; they guard nothing.
const PASSWORD: &str = "process test";

/// A chain with the contracts, and where the test's files are.
struct L1<'a> {
    anvil: Anvil,
    key: SubmitterKey,
    owner: Operator,
    registry: L1Address,
    verifier: L1Address,
    directory: &'a Path,
}

/// Runs `dac --json` to its end; the object it printed.
fn dac(arguments: &[&str]) -> Value {
    let mut command = Command::new(PROGRAM);
    command.arg("--json").args(arguments).env("DAC_PASSWORD", PASSWORD).stdin(Stdio::null());
    let output = command.output().unwrap();
    let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}{warned}");
    said.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap())
}

impl L1<'_> {
    /// A key in a keystore, which owns the contracts deployed here.
    async fn deploy(directory: &Path) -> L1<'_> {
        let anvil = Anvil::start(CHAIN_ID).await.unwrap();
        let key = directory.join("owner.json");
        let new = ["keys", "new", "--submitter", "--weak-for-devnet", "--out", key.to_str().unwrap()];
        let made = dac(&new);
        let password = dac_node::keystore::Password::new(PASSWORD).unwrap();
        let key = dac_node::keystore::load_submitter(&key, &password).unwrap();
        assert_eq!(made["address"], key.address().to_string());
        let owner = Operator::connect(anvil.url(), Some(&key)).unwrap();
        owner.endow(owner.address()).await.unwrap();
        let terms = (owner.address(), U256::from(DELAY), U256::from(RETENTION)).abi_encode_params();
        let (registry, _) = owner.deploy(&CommitteeRegistry::BYTECODE, &terms).await.unwrap();
        let terms = registry.abi_encode();
        let (verifier, _) = owner.deploy(&CertificateVerifier::BYTECODE, &terms).await.unwrap();
        L1 { anvil, key, owner, registry, verifier, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// `dac committee …` on this registry.
    fn committee(&self, command: &str, arguments: &[&str]) -> Value {
        let registry = self.registry.to_string();
        let on = ["committee", command, "--l1", self.anvil.url(), "--registry", &registry];
        dac(&[&on[..], arguments].concat())
    }

    /// A member's proof and registration, under the owner's address: who operates does not matter here.
    fn register(&self, members: &Members, seat: u16) -> String {
        let keys = members.directory(seat).join("keys");
        let (keys, entry) = (keys.to_str().unwrap(), self.path(&format!("entry{seat}.json")));
        let (chain_id, registry) = (CHAIN_ID.to_string(), self.registry.to_string());
        let (operator, at) = (self.owner.address().to_string(), members.address(seat));
        let address = format!("/ip4/{}/tcp/{}", at.ip(), at.port());
        let prove = ["keys", "prove", "--dir", keys, "--chain-id", &chain_id, "--registry", &registry];
        let rest = ["--operator", &operator, "--address", &address, "--out", &entry];
        dac(&[&prove[..], &rest].concat());
        self.committee("register", &["--member", &entry, "--key", &self.path("owner.json")]);
        entry
    }

    /// Announces these members as an epoch that begins after the delay and a minute.
    async fn announce(&self, epoch: u64, entries: &[String]) {
        let seats: Vec<&str> = entries.iter().flat_map(|entry| ["--member", entry.as_str()]).collect();
        let (key, (_, now)) = (self.path("owner.json"), self.owner.now().await.unwrap());
        let (epoch, begins) = (epoch.to_string(), (now + DELAY + 60).to_string());
        let terms = ["--epoch", &epoch, "--activates-at", &begins, "--key", &key];
        self.committee("announce", &[&terms[..], &seats].concat());
    }

    /// Lets a rollup submit.
    async fn authorise(&self, rollup: &Rollup) {
        // A client counts its transactions, and the commands have sent others meanwhile.
        let owner = Operator::connect(self.anvil.url(), Some(&self.key)).unwrap();
        let id = rollup.id.0.into();
        let quota = Quota { batchBytesMax: 1 << 20, bytesPerDay: 1 << 40, retentionSecondsMax: RETENTION };
        let admin = self.owner.address();
        let set = CommitteeRegistry::setRollupCall { rollupId: id, admin, quota };
        owner.send(self.registry, &set).await.unwrap();
        let submitter = rollup.key.address().0.into();
        let allow = CommitteeRegistry::setSubmitterCall { rollupId: id, submitter, allowed: true };
        owner.send(self.registry, &allow).await.unwrap();
    }

    async fn pass(&self, seconds: u64) {
        self.owner.test_chain("evm_increaseTime", json!([seconds])).await.unwrap();
        let blocks = format!("{:#x}", 1 + CONFIRMATIONS);
        self.owner.test_chain("anvil_mine", json!([blocks])).await.unwrap();
    }

    /// What an operator writes into the configuration: where L1 is; no committee and no rollups, since those come from there.
    fn follow(&self, members: &Members, seat: u16, provider: &str) {
        let path = members.directory(seat).join("dac.toml");
        let mut config: NodeConfig = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (config.committee, config.rollups) = (NodeConfig::default().committee, vec![]);
        config.l1.providers = vec![provider.to_owned()];
        config.l1.registry = Some(Address(self.registry.into_array()));
        (config.l1.chain_id, config.l1.confirmations) = (CHAIN_ID, CONFIRMATIONS);
        config.l1.poll_period = Duration::from_millis(200);
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("[l1]"), "{text}");
        std::fs::write(path, text).unwrap();
    }

    /// The committee that `dac committee status` reads from L1.
    fn status(&self, name: &str) -> (Value, CommitteeFile) {
        let (confirmations, out) = (CONFIRMATIONS.to_string(), self.path(name));
        let found = self.committee("status", &["--confirmations", &confirmations, "--out", &out]);
        (found, CommitteeFile::from_json(&std::fs::read_to_string(out).unwrap()).unwrap())
    }

    /// `dac verify`, here and on L1; fails unless both accept.
    fn verify(&self, certificate: &Certificate, committee: &str) {
        let (path, committee) = (self.path("certificate.json"), self.path(committee));
        std::fs::write(&path, certificate.to_json()).unwrap();
        let verifier = self.verifier.to_string();
        let on = ["--l1", self.anvil.url(), "--verifier", &verifier];
        dac(&[&["verify", "--certificate", &path, "--committee", &committee][..], &on].concat());
    }
}

/// A batch to a member, its certificate back.
async fn certify(rollup: &Rollup, api: &str, seed: u64) -> Certificate {
    let times = Times::from(SystemClock::new().now().unix_seconds);
    let answer = rollup.submit(api, &noise(seed, 30_000), times).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Certificate::from_json(&answer.json()["certificate"].to_string()).unwrap()
}

/// A way to the chain that a member uses, and that can be cut.
struct Provider {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Provider {
    fn start(l1: &L1<'_>, listener: TcpListener) -> Provider {
        let chain: SocketAddr = l1.anvil.url().trim_start_matches("http://").parse().unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            // Connections end with this task.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(chain).await {
                        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Provider { url, task }
    }

    /// Cuts it, with all that goes through it. What listens at its address again takes its place.
    async fn cut(self) -> String {
        self.task.abort();
        let _aborted = self.task.await;
        self.url.trim_start_matches("http://").to_owned()
    }
}

/// Four registered members, announced as epoch 1, which has begun, and a rollup that may submit. Nobody runs. Members 2 and 3
/// have a provider of their own.
async fn registered(directory: &Path) -> (L1<'_>, Members, Rollup, Vec<String>, Provider) {
    let setup = Setup {
        program: Path::new(PROGRAM),
        arguments: &[],
        thresholds: four(),
        directory,
        emulated: false,
        adjust: |_, _| {},
    };
    let members = Members::prepare(&setup).unwrap();
    // They have no file: what they know of each other comes from L1.
    std::fs::remove_file(members.committee()).unwrap();
    let l1 = L1::deploy(directory).await;
    let entries: Vec<String> = (0..4).map(|seat| l1.register(&members, seat)).collect();
    l1.announce(1, &entries).await;
    let domain = Domain { chain_id: CHAIN_ID, registry: Address(l1.registry.into_array()) };
    let rollup = Rollup::new(ROLLUP, domain, SubmitterKey::from_bytes(&[0x5b; 32]).unwrap());
    l1.authorise(&rollup).await;
    let provider = Provider::start(&l1, TcpListener::bind("127.0.0.1:0").await.unwrap());
    for seat in 0..4 {
        l1.follow(&members, seat, if seat < 2 { l1.anvil.url() } else { &provider.url });
    }
    l1.pass(DELAY + 60).await;
    (l1, members, rollup, entries, provider)
}

/// The epoch that a member is in, by its own word.
async fn epoch_of(rollup: &Rollup, api: &str) -> Option<u64> {
    rollup.try_get(api, "/v1/committee").await.ok()?.json()["epoch"].as_u64()
}

/// Four processes that know nothing but their keys and the registry's address find each other on L1, certify, and L1 accepts
/// it; one that is killed finds its way back.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_follow_a_registry_certify_and_l1_accepts_it() {
    let directory = tempfile::tempdir().unwrap();
    let (l1, mut members, rollup, _, _provider) = registered(directory.path()).await;
    members.start_all().await.unwrap();
    let certificate = certify(&rollup, members.api(1), 1).await;
    let (status, file) = l1.status("committee.json");
    assert_eq!((&status["epoch"], &status["members"].as_array().unwrap().len()), (&json!(1), &4));
    let committee = file.check().unwrap();
    assert_eq!(committee.thresholds(), Thresholds::new(4, 2, 3).unwrap());
    certificate.verify(&committee).unwrap();
    l1.verify(&certificate, "committee.json");

    // From what it keeps on its disk and from L1, a member takes its seat again.
    members.kill(1).unwrap();
    members.restart(1).await.unwrap();
    let id = certificate.batch_id();
    assert!(rollup.fetch(members.api(1), id).await.ok() == noise(1, 30_000));
    let again = certify(&rollup, members.api(1), 2).await;
    l1.verify(&again, "committee.json");
}

/// Two members have signed, two stand still when the next epoch begins; they go on, without a provider to tell them of it,
/// and sign. The batch is certified under the epoch it began in, by a coordinator that is in the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_flight_at_the_change_is_certified_under_the_epoch_it_began_in() {
    let directory = tempfile::tempdir().unwrap();
    let (l1, mut members, rollup, entries, provider) = registered(directory.path()).await;
    members.start_all().await.unwrap();
    l1.status("committee.json");
    l1.announce(2, &entries).await;

    let address = provider.cut().await;
    members.freeze(2).unwrap();
    members.freeze(3).unwrap();
    let batch = noise(1, 30_000);
    let name = attest::DataHash(fpga_hash::keccak256(&batch));
    let status = format!("/v1/batches/{name}/status");
    let times = Times::from(SystemClock::new().now().unix_seconds);
    let submitting = async { rollup.submit(members.api(0), &batch, times).await };
    let changing = async {
        let two_signed = || async {
            let found = rollup.try_get(members.api(0), &status).await.ok()?.json();
            (found["signers"] == 2).then_some(())
        };
        until("two members have signed", two_signed).await;
        l1.pass(DELAY + 60).await;
        for seat in [0, 1] {
            let changed = || async { (epoch_of(&rollup, members.api(seat)).await == Some(2)).then_some(()) };
            until("the member is in epoch 2", changed).await;
        }
        // The change has been, and the batch is where it was.
        let found = rollup.get(members.api(0), &status).await.json();
        assert_eq!((&found["stage"], &found["signers"]), (&json!("signed"), &json!(2)), "{found}");
        members.thaw(2).unwrap();
        members.thaw(3).unwrap();
    };
    let (answer, ()) = futures::join!(submitting, changing);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let certificate = Certificate::from_json(&answer.json()["certificate"].to_string()).unwrap();
    assert_eq!(certificate.statement.epoch.0, 1);
    assert_eq!(epoch_of(&rollup, members.api(0)).await, Some(2));
    l1.verify(&certificate, "committee.json");

    // They hear of it, and what begins now is of epoch 2.
    let _provider = Provider::start(&l1, TcpListener::bind(address).await.unwrap());
    for seat in [2, 3] {
        let changed = || async { (epoch_of(&rollup, members.api(seat)).await == Some(2)).then_some(()) };
        until("the member is in epoch 2", changed).await;
    }
    members.wait_connected().await;
    let next = certify(&rollup, members.api(3), 2).await;
    assert_eq!(next.statement.epoch.0, 2);
    l1.status("committee-2.json");
    l1.verify(&next, "committee-2.json");
}
