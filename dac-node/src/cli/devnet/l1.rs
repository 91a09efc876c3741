//! `dac devnet --l1 anvil`: the whole way of a committee over L1, on this machine.
//!
//! The registry belongs to a timelock, as it should be deployed. The members follow the chain as `dac node` does: they
//! are started once and learn of their committee, the rollup and the rotation from the registry, while they run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address as L1Address, B256, Bytes as L1Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};
use attest::{Address, Certificate, CommitteeFile, Epoch, RollupId, SubmitterKey, Thresholds};
use bytes::Bytes;
use contracts::CommitteeRegistry::{setRollupCall, setSubmitterCall};
use contracts::CommitteeTimelock::{executeCall, scheduleCall};
use contracts::ICommitteeRegistry::Quota;
use contracts::{CertificateVerifier, CommitteeRegistry, CommitteeTimelock};
use dac_client::{Client, ClientConfig};
use serde::Serialize;

use super::{BatchReport, Committee, cannot_start, certify};
use crate::chain_member::{ChainMember, Registry};
use crate::cli::client::failure as client_failure;
use crate::cli::l1::{announcement, failure, register_call, verify_call};
use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::compute::ComputePool;
use crate::config::HashConfig;
use crate::devnet::Transport;
use crate::devnet::anvil::Anvil;
use crate::devnet::chain::ChainDevnet;
use crate::hash_engine::HashEngine;
use crate::settlement::Standing;
use crate::settlement::ethereum::Ethereum;
use crate::settlement::operator::{Done, Operator};

/// The L1s that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Chain {
    /// foundry's test chain, from npm
    Anvil,
}

const CHAIN_ID: u64 = 31337;
const TIMELOCK_SECONDS: u64 = 60;
const ANNOUNCEMENT_DELAY_SECONDS: u64 = 120;
const RETENTION_SECONDS_MAX: u64 = 90 * 86_400;
const CONFIRMATIONS: u64 = 2;
/// How often members look at the chain.
const POLL_PERIOD: Duration = Duration::from_millis(200);
/// Longest wait until members have seen what the chain says, and each other.
const SEEN_MAX: Duration = Duration::from_secs(60);

/// The steps, in order: the second five with one member rotated.
const STEPS: [&str; 11] = [
    "deploy",
    "register",
    "announce",
    "activate",
    "certify",
    "verify",
    "register_rotated",
    "announce_rotated",
    "activate_rotated",
    "certify_rotated",
    "verify_rotated",
];

/// One step and what it cost; several transactions are summed. The one that failed is the last.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    gas: u64,
}

/// The last line of stdout with `--json`; before the error when a step failed.
#[derive(Debug, Serialize)]
struct Report {
    chain_id: u64,
    registry: Address,
    verifier: Address,
    timelock: Address,
    committee_hashes: Vec<String>,
    steps: Vec<Step>,
    batches: Vec<BatchReport>,
}

/// The contracts, and who acts on them.
struct L1<'a> {
    chain: Anvil,
    owner: Operator,
    registry: L1Address,
    verifier: L1Address,
    timelock: L1Address,
    submitter: SubmitterKey,
    steps: Vec<Step>,
    output: &'a Output,
}

/// Members that were started, in the order in which they came.
struct Members {
    devnet: ChainDevnet,
    entries: Vec<attest::MemberEntry>,
    running: Vec<ChainMember>,
}

pub(super) fn run(
    thresholds: Thresholds,
    transport: Transport,
    batches: &[(String, Bytes)],
    output: &Output,
) -> Result<(), Failure> {
    let temporary = tempfile::tempdir().map_err(|error| Failure::write(&std::env::temp_dir(), &error))?;
    crate::cli::runtime()?.block_on(async {
        let mut l1 = L1::deploy(output).await?;
        let mut members = l1.members(temporary.path(), transport).await?;
        let done = l1.demonstrate(&mut members, thresholds, batches).await;
        for member in members.running {
            member.stop().await.map_err(|error| cannot_start(&error.into()))?;
        }
        match done {
            Ok((hashes, reports)) => {
                l1.report(hashes, reports, "\ncertified and verified on L1, before and after the rotation")
            }
            Err(failure) => {
                l1.step(false, 0);
                l1.report(Vec::new(), Vec::new(), "")?;
                Err(failure)
            }
        }
    })
}

/// The secp256k1 key of an operator of this devnet.
fn operator_key(index: u16) -> Result<SubmitterKey, Failure> {
    let secret = fpga_hash::keccak256(format!("devnet operator {index}").as_bytes());
    SubmitterKey::from_bytes(&secret)
        .map_err(|error| Failure::other(error.to_string(), "report this as a bug"))
}

impl<'a> L1<'a> {
    async fn deploy(output: &'a Output) -> Result<L1<'a>, Failure> {
        let spinner = output.spinner("starting L1");
        let chain = Anvil::start(CHAIN_ID).await.map_err(|error| {
            let hint = "install it with: cargo xtask contracts, or name one in DAC_ANVIL";
            Failure::new(Exit::Other, "no_anvil", format!("{error:#}"), hint)
        })?;
        let key = operator_key(u16::MAX)?;
        let owner = Operator::connect(chain.url(), Some(&key)).map_err(failure)?;
        owner.endow(owner.address()).await.map_err(failure)?;
        let none: Vec<L1Address> = vec![L1Address::ZERO];
        let lock = (U256::from(TIMELOCK_SECONDS), vec![owner.address()], none).abi_encode_params();
        let (timelock, first) = owner.deploy(&CommitteeTimelock::BYTECODE, &lock).await.map_err(failure)?;
        let terms = (timelock, U256::from(ANNOUNCEMENT_DELAY_SECONDS), U256::from(RETENTION_SECONDS_MAX));
        let (registry, second) =
            owner.deploy(&CommitteeRegistry::BYTECODE, &terms.abi_encode_params()).await.map_err(failure)?;
        let (verifier, third) =
            owner.deploy(&CertificateVerifier::BYTECODE, &registry.abi_encode()).await.map_err(failure)?;
        spinner.finish_and_clear();
        let submitter = operator_key(u16::MAX - 1)?;
        let mut l1 = L1 { chain, owner, registry, verifier, timelock, submitter, steps: Vec::new(), output };
        // With the rollup's authorisation: without it the committee serves nobody.
        let fourth = l1.authorise().await?;
        l1.step(true, first.gas + second.gas + third.gas + fourth);
        l1.output.line(&format!("registry {registry}, verifier {verifier}, timelock {timelock}"));
        Ok(l1)
    }

    async fn members(&self, directory: &Path, transport: Transport) -> Result<Members, Failure> {
        let registry = Registry {
            chain_id: CHAIN_ID,
            address: Address(self.registry.into_array()),
            announcement_delay_seconds: ANNOUNCEMENT_DELAY_SECONDS,
            retention_seconds_max: RETENTION_SECONDS_MAX,
        };
        let devnet = ChainDevnet {
            directory: directory.to_owned(),
            transport,
            registry,
            confirmations: CONFIRMATIONS,
            poll_period: POLL_PERIOD,
            compute: ComputePool::new(0).map_err(|error| cannot_start(&error.into()))?,
            hash: HashEngine::start(&HashConfig::default()).await.map_err(|error| cannot_start(&error))?,
            clock: Arc::new(SystemClock::new()),
        };
        Ok(Members { devnet, entries: Vec::new(), running: Vec::new() })
    }

    /// The next of [`STEPS`] ended.
    fn step(&mut self, ok: bool, gas: u64) {
        let name = STEPS[self.steps.len().min(STEPS.len() - 1)];
        self.output.line(&format!("L1: {name}{}, {gas} gas", if ok { "" } else { " failed" }));
        self.steps.push(Step { name, ok, gas });
    }

    /// Both epochs. Gives the hashes of their committees and what was certified.
    async fn demonstrate(
        &mut self,
        members: &mut Members,
        thresholds: Thresholds,
        batches: &[(String, Bytes)],
    ) -> Result<(Vec<String>, Vec<BatchReport>), Failure> {
        let n = usize::from(thresholds.members());
        let (mut hashes, mut reports) = (Vec::new(), Vec::new());
        let mut seats: Vec<usize> = (0..n).collect();
        for epoch in [1, 2] {
            if epoch == 2 {
                seats[n - 1] = n;
                self.output.line(&format!("\nseat {} goes to another member; nobody restarts", n - 1));
            }
            let mut gas = 0;
            for index in members.running.len()..=*seats.iter().max().unwrap_or(&0) {
                gas += self.register(members, index).await?.gas;
            }
            self.step(true, gas);
            let file = members.committee_file(epoch, &seats, thresholds);
            let gas = self.announce(&file).await?;
            self.step(true, gas);
            let committee = self.activate(members, &file, &seats).await?;
            self.step(true, 0);
            hashes.push(committee.1);
            let mut certified = Vec::new();
            for (name, batch) in batches {
                certified.push(certify(&committee.0, name, batch, self.output).await?);
            }
            self.step(true, 0);
            let mut gas = 0;
            for report in &certified {
                gas += self.verify(report).await?.gas;
            }
            self.step(true, gas);
            reports.extend(certified);
        }
        Ok((hashes, reports))
    }

    fn rollup_id(&self) -> RollupId {
        RollupId(fpga_hash::keccak256(b"devnet rollup"))
    }

    /// The rollup through the timelock, its submitter by its admin.
    async fn authorise(&self) -> Result<u64, Failure> {
        let quota = Quota {
            batchBytesMax: 64 << 20,
            bytesPerDay: 1 << 40,
            retentionSecondsMax: RETENTION_SECONDS_MAX,
        };
        let rollup_id = self.rollup_id().0.into();
        let call = setRollupCall { rollupId: rollup_id, admin: self.owner.address(), quota };
        let gas = self.through_timelock(call.abi_encode().into()).await?;
        let submitter = self.submitter.address().0.into();
        let allow = setSubmitterCall { rollupId: rollup_id, submitter, allowed: true };
        Ok(gas + self.owner.send(self.registry, &allow).await.map_err(failure)?.gas)
    }

    /// Registers a new member and starts it.
    async fn register(&self, members: &mut Members, index: usize) -> Result<Done, Failure> {
        let number = u16::try_from(index).unwrap_or(u16::MAX);
        let key = operator_key(number)?;
        let prepared = members.devnet.prepare(number, key.address()).await;
        let candidate = prepared.map_err(|error| cannot_start(&error))?;
        let entry = candidate.entry.clone();
        let call = register_call(&entry)
            .map_err(|error| Failure::other(error.to_string(), "report this as a bug"))?;
        let operator = Operator::connect(self.chain.url(), Some(&key)).map_err(failure)?;
        operator.endow(operator.address()).await.map_err(failure)?;
        let done = operator.send(self.registry, &call).await.map_err(failure)?;
        let address = Address(self.registry.into_array());
        let chain = Ethereum::new(&[self.chain.url().to_owned()], CHAIN_ID, address)
            .map_err(|error| cannot_start(&error.into()))?;
        let member = members.devnet.start(candidate, chain).await.map_err(|error| cannot_start(&error))?;
        members.entries.push(entry);
        members.running.push(member);
        Ok(done)
    }

    async fn announce(&self, file: &CommitteeFile) -> Result<u64, Failure> {
        let (_, now) = self.owner.now().await.map_err(failure)?;
        let activates_at = now + TIMELOCK_SECONDS + ANNOUNCEMENT_DELAY_SECONDS + 60;
        let limits = (file.minimum_shards, file.quorum);
        let registry = Address(self.registry.into_array());
        let call =
            announcement(&self.owner, registry, file.epoch.0, limits, &file.members, activates_at).await?;
        self.through_timelock(call.abi_encode().into()).await
    }

    /// Scheduled, waited for, executed.
    async fn through_timelock(&self, payload: L1Bytes) -> Result<u64, Failure> {
        let schedule = scheduleCall {
            target: self.registry,
            value: U256::ZERO,
            data: payload.clone(),
            predecessor: B256::ZERO,
            salt: B256::ZERO,
            delay: U256::from(TIMELOCK_SECONDS),
        };
        let scheduled = self.owner.send(self.timelock, &schedule).await.map_err(failure)?;
        self.pass(TIMELOCK_SECONDS).await?;
        let execute = executeCall {
            target: self.registry,
            value: U256::ZERO,
            payload,
            predecessor: B256::ZERO,
            salt: B256::ZERO,
        };
        let executed = self.owner.send(self.timelock, &execute).await.map_err(failure)?;
        Ok(scheduled.gas + executed.gas)
    }

    /// Lets the announcement delay pass, waits until the members of the epoch have seen it and each other, and compares
    /// L1's committee with their own.
    async fn activate(
        &self,
        members: &Members,
        file: &CommitteeFile,
        seats: &[usize],
    ) -> Result<(Committee, String), Failure> {
        let wrong = |detail: String| Failure::verification("devnet", detail, "report this as a bug");
        self.pass(ANNOUNCEMENT_DELAY_SECONDS + 60).await?;
        let epoch = file.epoch.0;
        let committee = file.check().map_err(|error| wrong(error.to_string()))?;
        let call = CommitteeRegistry::committeeCall { epoch };
        let found = self.owner.call(self.registry, &call).await.map_err(failure)?;
        if found.committeeHash.0 != committee.hash().0 {
            return Err(wrong(format!("L1 has committee {} in epoch {epoch}", found.committeeHash)));
        }
        let path = members.devnet.directory.join(format!("committee-{epoch}.json"));
        std::fs::write(&path, file.to_json()).map_err(|error| Failure::write(&path, &error))?;
        let seen = tokio::time::timeout(SEEN_MAX, members.seen(epoch, seats)).await;
        let nodes = seen.map_err(|_| wrong(format!("members did not see epoch {epoch} in {SEEN_MAX:?}")))?;
        let urls: Vec<String> = seats.iter().map(|index| members.running[*index].api_url()).collect();
        let hash = committee.hash().to_string();
        let client = Client::new(ClientConfig::new(urls, committee)).map_err(client_failure)?;
        let submitter = operator_key(u16::MAX - 1)?;
        let (rollup_id, clock) = (self.rollup_id(), members.devnet.clock.clone());
        Ok((Committee { client, submitter, rollup_id, clock, path, nodes }, hash))
    }

    async fn verify(&self, report: &BatchReport) -> Result<Done, Failure> {
        let wrong = |detail: String| Failure::verification("certificate", detail, "report this as a bug");
        let bytes = hex::decode(report.certificate.trim_start_matches("0x"))
            .map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::decode_strict(&bytes).map_err(|error| wrong(error.to_string()))?;
        let call = verify_call(&certificate)?;
        let batch_id = self.owner.call(self.verifier, &call).await.map_err(failure)?;
        if batch_id.0 != certificate.batch_id().0 {
            return Err(wrong(format!("L1 names batch {batch_id}")));
        }
        self.owner.send(self.verifier, &call).await.map_err(failure)
    }

    async fn pass(&self, seconds: u64) -> Result<(), Failure> {
        self.owner.test_chain("evm_increaseTime", serde_json::json!([seconds])).await.map_err(failure)?;
        // What it brings is to be confirmed.
        let blocks = format!("{:#x}", 1 + CONFIRMATIONS);
        self.owner.test_chain("anvil_mine", serde_json::json!([blocks])).await.map_err(failure)
    }

    fn report(
        self,
        committee_hashes: Vec<String>,
        batches: Vec<BatchReport>,
        text: &str,
    ) -> Result<(), Failure> {
        let address = |address: L1Address| Address(address.into_array());
        let report = Report {
            chain_id: CHAIN_ID,
            registry: address(self.registry),
            verifier: address(self.verifier),
            timelock: address(self.timelock),
            committee_hashes,
            steps: self.steps,
            batches,
        };
        self.output.result(&report, text)
    }
}

impl Members {
    fn committee_file(&self, epoch: u64, seats: &[usize], thresholds: Thresholds) -> CommitteeFile {
        CommitteeFile {
            epoch: Epoch(epoch),
            chain_id: self.devnet.registry.chain_id,
            registry: self.devnet.registry.address,
            minimum_shards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            members: seats.iter().map(|index| self.entries[*index].clone()).collect(),
        }
    }

    /// Waits until the members in `seats` have the epoch active and are connected in it; gives their nodes.
    async fn seen(&self, epoch: u64, seats: &[usize]) -> Vec<(u16, crate::node::NodeHandle)> {
        let mut nodes = Vec::new();
        for (seat, index) in (0..).zip(seats) {
            let mut epochs = self.running[*index].epochs();
            let active = epochs.wait_for(|epochs| {
                epochs.standing == Standing::Active(epoch) && epochs.nodes.contains_key(&epoch)
            });
            // A member that stopped is found out by the certificate that does not come.
            let Ok(node) = active.await.map(|epochs| epochs.nodes[&epoch].clone()) else { continue };
            let mut connected = node.connected();
            let _stopped = connected.wait_for(|all| usize::from(all.len()) == seats.len()).await;
            nodes.push((seat, node));
        }
        nodes
    }
}
