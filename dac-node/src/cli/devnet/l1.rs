//! `dac devnet --l1 anvil`: the whole way of a committee over L1, on this machine.
//!
//! The registry belongs to a timelock, as it should be deployed. The rotation restarts the members with the new committee
//! file: a node does not change its committee at run time yet.

use std::path::Path;

use alloy::primitives::{Address as L1Address, B256, Bytes as L1Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};
use attest::{Address, Certificate, Domain, Epoch, SubmitterKey, Thresholds};
use bytes::Bytes;
use contracts::CommitteeTimelock::{executeCall, scheduleCall};
use contracts::{CertificateVerifier, CommitteeRegistry, CommitteeTimelock};
use serde::Serialize;

use super::anvil::Anvil;
use super::{BatchReport, cannot_start, certify};
use crate::cli::l1::{announcement, failure, register_call, verify_call};
use crate::cli::{Failure, Output};
use crate::devnet::{Devnet, DevnetConfig, Transport, vacate_seat};
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

/// One step and what it cost; several transactions are summed.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    gas: u64,
}

/// The last line of stdout with `--json`.
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
    operators: Vec<SubmitterKey>,
    steps: Vec<Step>,
    output: &'a Output,
}

pub(super) fn run(
    thresholds: Thresholds,
    transport: Transport,
    batches: &[(String, Bytes)],
    output: &Output,
) -> Result<(), Failure> {
    let temporary = tempfile::tempdir().map_err(|error| Failure::write(&std::env::temp_dir(), &error))?;
    crate::cli::runtime()?.block_on(async {
        let mut l1 = L1::deploy(thresholds, output).await?;
        let mut report = Vec::new();
        let mut hashes = Vec::new();
        for epoch in [1, 2] {
            let rotated = thresholds.members() - 1;
            if epoch == 2 {
                vacate_seat(temporary.path(), rotated, Epoch(1)).map_err(|error| cannot_start(&error))?;
                l1.operators[usize::from(rotated)] = operator_key(thresholds.members())?;
                output.line(&format!("\nseat {rotated} goes to another member"));
            }
            let config = l1.devnet_config(thresholds, transport, temporary.path(), epoch);
            let devnet = Devnet::start(config).await.map_err(|error| cannot_start(&error))?;
            let seats = if epoch == 1 { 0..thresholds.members() } else { rotated..thresholds.members() };
            let done = l1.epoch(&devnet, epoch, seats, batches).await;
            hashes.push(devnet.committee().hash().to_string());
            devnet.stop().await.map_err(|error| cannot_start(&error))?;
            report.extend(done?);
        }
        l1.report(hashes, report)
    })
}

/// The secp256k1 key of an operator of this devnet.
fn operator_key(index: u16) -> Result<SubmitterKey, Failure> {
    let secret = fpga_hash::keccak256(format!("devnet operator {index}").as_bytes());
    SubmitterKey::from_bytes(&secret)
        .map_err(|error| Failure::other(error.to_string(), "report this as a bug"))
}

impl<'a> L1<'a> {
    async fn deploy(thresholds: Thresholds, output: &'a Output) -> Result<L1<'a>, Failure> {
        let spinner = output.spinner("starting L1");
        let chain = Anvil::start(CHAIN_ID).await?;
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
        let operators = (0..thresholds.members()).map(operator_key).collect::<Result<_, _>>()?;
        let mut l1 = L1 { chain, owner, registry, verifier, timelock, operators, steps: Vec::new(), output };
        l1.step("deploy", first.gas + second.gas + third.gas);
        l1.output.line(&format!("registry {registry}, verifier {verifier}, timelock {timelock}"));
        Ok(l1)
    }

    fn step(&mut self, name: &'static str, gas: u64) {
        self.output.line(&format!("L1: {name}, {gas} gas"));
        self.steps.push(Step { name, ok: true, gas });
    }

    fn devnet_config(
        &self,
        thresholds: Thresholds,
        transport: Transport,
        directory: &Path,
        epoch: u64,
    ) -> DevnetConfig {
        DevnetConfig {
            transport,
            domain: Domain { chain_id: CHAIN_ID, registry: Address(self.registry.into_array()) },
            epoch: Epoch(epoch),
            operators: self.operators.iter().map(SubmitterKey::address).collect(),
            ..DevnetConfig::new(thresholds, directory)
        }
    }

    /// Registers `seats`, announces the devnet's committee, lets the time pass, certifies, verifies on chain.
    async fn epoch(
        &mut self,
        devnet: &Devnet,
        epoch: u64,
        seats: std::ops::Range<u16>,
        batches: &[(String, Bytes)],
    ) -> Result<Vec<BatchReport>, Failure> {
        let names = match epoch {
            1 => ["register", "announce", "activate", "certify", "verify"],
            _ => [
                "register_rotated",
                "announce_rotated",
                "activate_rotated",
                "certify_rotated",
                "verify_rotated",
            ],
        };
        let mut gas = 0;
        for seat in seats {
            gas += self.register(devnet, seat).await?.gas;
        }
        self.step(names[0], gas);
        let gas = self.announce(devnet, epoch).await?;
        self.step(names[1], gas);
        self.activate(devnet, epoch).await?;
        self.step(names[2], 0);
        let mut reports = Vec::new();
        for (name, batch) in batches {
            reports.push(certify(devnet, name, batch, self.output).await?);
        }
        self.step(names[3], 0);
        let mut gas = 0;
        for report in &reports {
            gas += self.verify(report).await?.gas;
        }
        self.step(names[4], gas);
        Ok(reports)
    }

    async fn register(&self, devnet: &Devnet, seat: u16) -> Result<Done, Failure> {
        let entry = &devnet.committee_file().members[usize::from(seat)];
        let call = register_call(entry)
            .map_err(|error| Failure::other(error.to_string(), "report this as a bug"))?;
        let key = &self.operators[usize::from(seat)];
        let operator = Operator::connect(self.chain.url(), Some(key)).map_err(failure)?;
        operator.endow(operator.address()).await.map_err(failure)?;
        operator.send(self.registry, &call).await.map_err(failure)
    }

    /// Through the timelock: scheduled, waited for, executed.
    async fn announce(&self, devnet: &Devnet, epoch: u64) -> Result<u64, Failure> {
        let (_, now) = self.owner.now().await.map_err(failure)?;
        let file = devnet.committee_file();
        let activates_at = now + TIMELOCK_SECONDS + ANNOUNCEMENT_DELAY_SECONDS + 60;
        let limits = (file.minimum_shards, file.quorum);
        let registry = Address(self.registry.into_array());
        let call = announcement(&self.owner, registry, epoch, limits, &file.members, activates_at).await?;
        let payload: L1Bytes = call.abi_encode().into();
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

    /// Lets the announcement delay pass, then compares L1's committee with the members' own.
    async fn activate(&self, devnet: &Devnet, epoch: u64) -> Result<(), Failure> {
        self.pass(ANNOUNCEMENT_DELAY_SECONDS + 60).await?;
        let epochs =
            self.owner.call(self.registry, &CommitteeRegistry::epochsCall {}).await.map_err(failure)?;
        let found = self
            .owner
            .call(self.registry, &CommitteeRegistry::committeeCall { epoch })
            .await
            .map_err(failure)?;
        if epochs.current != epoch || found.committeeHash.0 != devnet.committee().hash().0 {
            let detail = format!("L1 is in epoch {} with committee {}", epochs.current, found.committeeHash);
            return Err(Failure::verification("devnet", detail, "report this as a bug"));
        }
        Ok(())
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
        self.owner.test_chain("evm_mine", serde_json::json!([])).await.map_err(failure)
    }

    fn report(self, committee_hashes: Vec<String>, batches: Vec<BatchReport>) -> Result<(), Failure> {
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
        self.output.result(&report, "\ncertified and verified on L1, before and after the rotation")
    }
}
