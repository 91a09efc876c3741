//! A committee in a process of its own, so that it can be killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use attest::{Domain, RollupId, SubmitterKey, Thresholds};
use serde::{Deserialize, Serialize};

use super::Killed;
use crate::Rollup;

/// What the process says on its first line, once every member is connected to every other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The members' APIs, in seat order.
    pub api: Vec<String>,
    /// The committee file.
    pub committee: PathBuf,
    /// The rollup that they serve.
    pub rollup_id: RollupId,
    /// Signing domain.
    pub chain_id: u64,
    /// The rollup's key, hex. It guards nothing.
    pub submitter: String,
}

/// A running committee; killed when dropped.
#[derive(Debug)]
pub struct CommitteeProcess {
    process: Killed,
    hello: Hello,
}

impl CommitteeProcess {
    /// Starts `program` (the binary `committee` of this crate) on a directory and waits until its members are connected.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(
        program: &str,
        thresholds: Thresholds,
        directory: &Path,
    ) -> anyhow::Result<CommitteeProcess> {
        Self::start_with(program, thresholds, directory, None).await
    }

    /// The same with a hash device, by its name.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_with(
        program: &str,
        thresholds: Thresholds,
        directory: &Path,
        hash_device: Option<&str>,
    ) -> anyhow::Result<CommitteeProcess> {
        let numbers = [thresholds.members(), thresholds.minimum_shards(), thresholds.quorum()];
        let mut command = Command::new(program);
        command.arg(directory).args(numbers.map(|number| number.to_string())).args(hash_device);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let child = command.spawn().context("cannot start the committee")?;
            let mut process = Killed(child);
            let stdout = process.0.stdout.take().context("standard output is piped")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            let hello = serde_json::from_str(&line).context("the committee did not come up")?;
            Ok(CommitteeProcess { process, hello })
        })
        .await?
    }

    /// The members' APIs, in seat order.
    pub fn api(&self) -> &[String] {
        &self.hello.api
    }

    /// The committee file.
    pub fn committee(&self) -> &Path {
        &self.hello.committee
    }

    /// The rollup that it serves.
    ///
    /// # Panics
    /// When the process gave no key.
    pub fn rollup(&self) -> Rollup {
        let mut key = [0; 32];
        hex::decode_to_slice(&self.hello.submitter, &mut key).expect("the process writes hex");
        let key = SubmitterKey::from_bytes(&key).expect("the process writes a key");
        let domain = Domain { chain_id: self.hello.chain_id, registry: attest::Address::ZERO };
        Rollup::new(self.hello.rollup_id, domain, key)
    }

    /// Kills it as a power cut would, as far as a process can be: SIGKILL, nothing flushed, nothing said.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.0.try_wait()?.is_none(), "the committee ended by itself");
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(())
    }
}
