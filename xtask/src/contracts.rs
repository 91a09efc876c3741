//! `cargo xtask contracts`: installs forge, the Solidity compiler and OpenZeppelin through npm, builds, compares, tests.
//!
//! Versions and hashes are in `contracts/package-lock.json`; nothing is installed outside `contracts/node_modules` and
//! `target`. The committed artifacts are what `cargo` and operators use, so they must be what the sources compile to,
//! byte for byte; `--update` writes them. `--nightly` adds longer fuzzing, slither and halmos, from PyPI into
//! `target/python`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::step;

/// Contracts whose artifacts are committed.
const ARTIFACTS: [&str; 3] = ["CommitteeRegistry", "CertificateVerifier", "CommitteeTimelock"];
/// Tests of libraries.
const LIBRARIES: &str = "test/libraries/*";
/// Python tools of the nightly run, pinned.
const PYTHON_TOOLS: [&str; 2] = ["slither-analyzer==0.11.6", "halmos==0.3.3"];

/// What to do beyond the checks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Long fuzzing, slither and halmos too.
    pub(crate) nightly: bool,
    /// Write artifacts and gas figures instead of comparing them.
    pub(crate) update: bool,
}

/// Runs everything that is Solidity.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let folder = folder();
    install(&folder)?;
    step("contracts: formatting", forge(&folder, &["fmt", "--check"]))?;
    step("contracts: lints", forge(&folder, &["lint", "--deny", "warnings", "src"]))?;
    step("contracts: build", forge(&folder, &["build", "src"]))?;
    // Bytes depend on which sources are compiled together, and forge compiles only those that changed: what differs after
    // that, or is to be written, is built again as a fresh machine does it.
    if options.update || !ARTIFACTS.iter().all(|name| artifact(&folder, name, false).is_ok()) {
        step("contracts: build from nothing", forge(&folder, &["build", "src", "--force"]))?;
    }
    for name in ARTIFACTS {
        artifact(&folder, name, options.update)?;
    }
    if options.nightly {
        step("contracts: forge tests", forge_tests(&folder, "nightly", &[]))?;
    } else {
        // Contracts come from the artifacts, so their tests need no optimiser; libraries are compiled into theirs.
        step("contracts: forge tests", forge_tests(&folder, "test", &["--no-match-path", LIBRARIES]))?;
        step(
            "contracts: forge tests of libraries",
            forge_tests(&folder, "default", &["--match-path", LIBRARIES]),
        )?;
    }
    if options.update {
        let mut gas = crate::cargo(&["test", "--locked", "-p", "contracts", "gas"]);
        gas.env("UPDATE_GAS", "1");
        step("contracts: gas figures", gas)?;
    }
    if options.nightly { analyse(&folder) } else { Ok(()) }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

fn forge(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("node_modules/.bin/forge");
    command.current_dir(folder).args(arguments).env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1");
    command
}

fn forge_tests(folder: &Path, profile: &str, which: &[&str]) -> Command {
    let mut tests = forge(folder, &[&["test"], which].concat());
    tests.env("FOUNDRY_PROFILE", profile);
    tests
}

/// Installs what the lock file names, unless that has been done. npm checks the hashes.
pub(crate) fn install(folder: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    ensure!(
        Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()),
        "npm is missing: the contracts need Node.js 18 or later with npm (Debian: apt-get install nodejs npm)"
    );
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    step("contracts: npm ci", npm)?;
    std::fs::write(stamp, lock).context("node_modules")
}

/// Compares one committed artifact with what forge has just built, or writes it.
fn artifact(folder: &Path, name: &str, update: bool) -> anyhow::Result<()> {
    let built = target().join(format!("contracts/out/{name}.sol/{name}.json"));
    let built: Value =
        serde_json::from_slice(&std::fs::read(&built).with_context(|| built.display().to_string())?)?;
    let made = json!({
        "contractName": name,
        "abi": built["abi"],
        "bytecode": built["bytecode"]["object"],
        "deployedBytecode": built["deployedBytecode"]["object"],
    });
    let path = folder.join(format!("artifacts/{name}.json"));
    if update {
        let text = serde_json::to_string_pretty(&made)? + "\n";
        return std::fs::write(&path, text).with_context(|| path.display().to_string());
    }
    // As values: the order of an object's fields says nothing.
    let committed = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if committed.as_ref() != Some(&made) {
        bail!("contracts/artifacts/{name}.json is stale: cargo xtask contracts --update, then commit it");
    }
    Ok(())
}

/// Static analysis and symbolic execution.
fn analyse(folder: &Path) -> anyhow::Result<()> {
    let python = python_tools()?;
    let tool = |name: &str| {
        let mut command = Command::new(python.join("bin").join(name));
        let bin = folder.join("node_modules/.bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = [bin, python.join("bin")].into_iter().chain(std::env::split_paths(&path));
        command.current_dir(folder);
        std::env::join_paths(paths).map(|path| command.env("PATH", path)).context("PATH")?;
        anyhow::Ok(command)
    };
    let mut slither = tool("slither")?;
    slither.args([".", "--config-file", "slither.config.json"]);
    step("contracts: slither", slither)?;
    let mut halmos = tool("halmos")?;
    halmos.args(["--match-contract", "Symbolic.*", "--forge-build-out", "../target/contracts/out"]);
    // A busy machine takes longer than the minute that is usual.
    halmos.args(["--solver-timeout-assertion", "15m"]);
    step("contracts: halmos", halmos)
}

/// A virtual environment with the pinned tools.
fn python_tools() -> anyhow::Result<PathBuf> {
    let python = target().join("python");
    let stamp = python.join("installed");
    let wanted = PYTHON_TOOLS.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&python);
    step("contracts: python3 -m venv (Debian: apt-get install python3-venv)", make)?;
    let mut install = Command::new(python.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]).args(PYTHON_TOOLS);
    step("contracts: pip install", install)?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}
