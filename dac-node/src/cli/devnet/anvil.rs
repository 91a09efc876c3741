//! A test chain in a process of its own: anvil, as npm has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cli::{Exit, Failure};

/// Where a checkout of this project has npm's packages.
const CONTRACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts");
/// The program inside them.
const ANVIL: &str = "node_modules/.bin/anvil";
/// Longest wait until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// A running anvil; stopped when dropped.
#[derive(Debug)]
pub(super) struct Anvil {
    url: String,
    _process: Child,
}

impl Anvil {
    /// Starts it on a free port, under Prague's rules.
    pub(super) async fn start(chain_id: u64) -> Result<Anvil, Failure> {
        let program = locate().await?;
        let mut command = Command::new(&program);
        command.args(["--port", "0", "--hardfork", "prague", "--chain-id", &chain_id.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process =
            command.spawn().map_err(|error| broken(format!("{}: {error}", program.display())))?;
        let output = process.stdout.take().ok_or_else(|| broken("it has no output".into()))?;
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
        let address = address.ok_or_else(|| broken(format!("it did not listen within {START_MAX:?}")))?;
        // It writes a line for each request: read on, or it stops when the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Anvil { url: format!("http://{address}"), _process: process })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

fn broken(detail: String) -> Failure {
    let hint = "install it with: cargo xtask contracts, or name one in DAC_ANVIL";
    Failure::new(Exit::Other, "no_anvil", format!("anvil: {detail}"), hint)
}

/// `DAC_ANVIL`, or the checkout's own, installed if need be.
async fn locate() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("DAC_ANVIL") {
        return Ok(named.into());
    }
    let program = Path::new(CONTRACTS).join(ANVIL);
    if !program.exists() {
        let mut npm = Command::new("npm");
        npm.current_dir(CONTRACTS).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done =
            npm.status().await.map_err(|error| broken(format!("npm is needed to install it: {error}")))?;
        if !done.success() {
            return Err(broken(format!("npm ci: {done}")));
        }
    }
    Ok(program)
}
