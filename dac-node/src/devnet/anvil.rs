//! A test chain in a process of its own: anvil, as npm has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Where a checkout of this project has npm's packages.
const CONTRACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts");
/// The program inside them.
const ANVIL: &str = "node_modules/.bin/anvil";
/// Time between blocks, as on Ethereum.
const BLOCK_SECONDS: &str = "12";
/// Longest wait until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// A running anvil; stopped when dropped.
#[derive(Debug)]
pub struct Anvil {
    url: String,
    _process: Child,
}

impl Anvil {
    /// Starts it on a free port, under Prague's rules.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub async fn start(chain_id: u64) -> anyhow::Result<Anvil> {
        let program = locate().await?;
        let mut command = Command::new(&program);
        command.args(["--port", "0", "--hardfork", "prague", "--chain-id", &chain_id.to_string()]);
        // Members take a chain without blocks for a provider that stands still. A transaction gets its block at once.
        command.args(["--block-time", BLOCK_SECONDS, "--mixed-mining"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| program.display().to_string())?;
        let output = process.stdout.take().context("anvil has no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = tokio::time::timeout(START_MAX, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix("Listening on ") {
                    return Some(address.trim().to_owned());
                }
            }
            None
        });
        let address = address.await.ok().flatten();
        let address = address.with_context(|| format!("anvil did not listen within {START_MAX:?}"))?;
        // It writes a line for each request: read on, or it stops when the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Anvil { url: format!("http://{address}"), _process: process })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// `DAC_ANVIL`, or the checkout's own, installed if need be.
async fn locate() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("DAC_ANVIL") {
        return Ok(named.into());
    }
    let program = Path::new(CONTRACTS).join(ANVIL);
    if !program.exists() {
        let mut npm = Command::new("npm");
        npm.current_dir(CONTRACTS).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done = npm.status().await.context("npm is needed to install anvil")?;
        ensure!(done.success(), "npm ci: {done}");
    }
    Ok(program)
}
