//! One member as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;

use super::Killed;
use super::faults::Faults;

/// How a member's process ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal.
    pub status: ExitStatus,
    /// All it wrote to standard error in this life and those before.
    pub log: String,
}

/// A running process.
#[derive(Debug)]
pub(super) struct MemberProcess {
    process: Killed,
    log: PathBuf,
}

impl MemberProcess {
    /// What is started: the node with a configuration, its log at the end of a file.
    pub(super) fn command(
        program: &Path,
        directory: &Path,
        arguments: &[&str],
        faults: Option<&Faults>,
    ) -> anyhow::Result<Command> {
        let log = log_in(directory);
        let log = File::options().create(true).append(true).open(&log).context("cannot open the log")?;
        let mut command = Command::new(program);
        command.args(["node", "--config"]).arg(directory.join("dac.toml")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.envs(faults.map(Faults::environment).into_iter().flatten());
        Ok(command)
    }

    pub(super) fn of(child: Child, directory: &Path) -> MemberProcess {
        MemberProcess { process: Killed(child), log: log_in(directory) }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// SIGKILL. False when it had ended by itself.
    pub(super) fn kill(mut self) -> anyhow::Result<bool> {
        let ended = self.process.0.try_wait()?;
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(ended.is_none())
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<Ended>> {
        let status = self.process.0.try_wait()?;
        let log = |status| Ok(Ended { status, log: std::fs::read_to_string(&self.log)? });
        status.map(log).transpose()
    }

    /// Sends a signal by its number.
    pub(super) fn signal(&self, signal: libc::c_int) -> anyhow::Result<()> {
        let id = libc::pid_t::try_from(self.id())?;
        // SAFETY: takes numbers. The process is ours and not waited for yet, so its number is still its own.
        anyhow::ensure!(unsafe { libc::kill(id, signal) } == 0, "signal {signal}: process {id} is gone");
        Ok(())
    }

    /// Memory in use, in bytes, as the kernel counts it.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kibibytes.context("no resident size in /proc")? << 10)
    }
}

fn log_in(directory: &Path) -> PathBuf {
    directory.join("log.txt")
}
