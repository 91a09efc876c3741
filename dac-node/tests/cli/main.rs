//! The real binary, as a script would use it: results on standard output, exit codes, `--json`, and no secret anywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop where they cannot go on")]

mod committee;
mod config;
mod keys;
mod l1;
mod network;
mod registry;
mod verify;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use attest::{Certificate, CommitteeFile, RollupId, SeatIndex, Submission, aggregate};
use dac_node::keystore::{NodeKeys, Password};
use parity_scale_codec::Encode as _;
use serde_json::Value;

const PASSWORD: &str = "correct horse battery";
const MEMBERS: usize = 4;

/// What one run of the binary said.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The last line of standard output, which is all of it with `--json`.
    fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Fails with this exit code and this `error.code`, and says what to do.
    #[track_caller]
    fn fails(self, exit: i32, code: &str) -> Value {
        assert_eq!(self.code, exit, "{self:?}");
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{self:?}");
        assert!(error["detail"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(error["hint"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        error
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dac"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["DAC_PASSWORD", "DAC_PASSWORD_FILE", "DAC_LOG", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

fn finish(mut command: Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn dac(arguments: &[&str]) -> Run {
    finish(command(arguments))
}

/// With the password in the environment.
fn dac_with_password(arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.env("DAC_PASSWORD", PASSWORD);
    finish(command)
}

/// Four members with keys and entries, their committee file, a batch and its certificate: made once, only read.
struct Site {
    directory: tempfile::TempDir,
    keys: Vec<NodeKeys>,
    certificate: Certificate,
}

impl Site {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }
}

// A static is never dropped, so its directory lies where `cargo clean` finds it.
static SITE: LazyLock<Site> = LazyLock::new(|| {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let mut arguments: Vec<String> = ["committee", "new", "--epoch", "3", "--chain-id", "31337", "--out"]
        .map(str::to_owned)
        .into_iter()
        .chain([path("committee.json")])
        .collect();
    for seat in 0..MEMBERS {
        let (keys, entry) = (path(&format!("keys{seat}")), path(&format!("entry{seat}.json")));
        dac_with_password(&["keys", "new", "--dir", &keys, "--weak-for-devnet"]).succeeds();
        let address = format!("/ip4/127.0.0.1/tcp/{}", 9000 + seat);
        let name = format!("member {seat}");
        let prove =
            ["keys", "prove", "--dir", &keys, "--chain-id", "31337", "--name", &name, "--address", &address];
        let out = ["--api", "http://127.0.0.1:8547/", "--out", &entry];
        dac_with_password(&[prove.as_slice(), &out].concat()).succeeds();
        arguments.extend(["--member".into(), entry]);
    }
    dac(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).succeeds();
    let password = Password::new(PASSWORD).unwrap();
    let load = |seat| NodeKeys::load(&directory.path().join(format!("keys{seat}")), &password).unwrap();
    let keys: Vec<NodeKeys> = (0..MEMBERS).map(load).collect();
    let certificate = certify(directory.path(), &keys);
    std::fs::write(directory.path().join("certificate"), certificate.encode()).unwrap();
    Site { directory, keys, certificate }
});

/// What a committee would do with a batch of 100,000 bytes, written to `batch`; seat 1 does not sign.
fn certify(directory: &Path, keys: &[NodeKeys]) -> Certificate {
    let file = std::fs::read_to_string(directory.join("committee.json")).unwrap();
    let committee = CommitteeFile::from_json(&file).unwrap().check().unwrap();
    let thresholds = committee.thresholds();
    assert_eq!((thresholds.minimum_shards(), thresholds.quorum()), (2, 3), "the defaults for four members");
    let batch: Vec<u8> = (0_u32..100_000).map(|i| (i % 251).to_le_bytes()[0]).collect();
    std::fs::write(directory.join("batch"), &batch).unwrap();
    let layout = dac_node_coding::Layout::new(4, 2, batch.len() as u64).unwrap();
    let coder = dac_node_coding::Coder::new(4, 2).unwrap();
    let (found, _) = dac_node_coding::commit(&*fpga_hash::software(), &coder, &layout, &batch);
    let submission = Submission {
        rollup_id: RollupId([7; 32]),
        data_hash: found.data_hash,
        data_bytes: batch.len() as u64,
        hot_until: 1_800_000_000,
        retain_until: 1_900_000_000,
        deadline: 1_700_000_000,
    };
    let statement = submission.statement(&committee, found.data_root, found.shards_root);
    let attest = |seat: u16| {
        keys[usize::from(seat)].bls.attest(&statement, committee.domain(), SeatIndex(seat)).unwrap()
    };
    let signed = aggregate(&committee, &statement, [0, 2, 3].map(attest)).certificate.unwrap();
    signed.into_certificate()
}

#[test]
fn help_names_every_command_and_exit_code() {
    let help = dac(&["--help"]).succeeds().stdout;
    for word in [
        "devnet",
        "node",
        "keys",
        "committee",
        "params",
        "verify",
        "bench",
        "config",
        "completions",
        "submit",
        "fetch",
        "status",
        "--json",
        "--quiet",
        "--color",
        "Exit codes:",
        "quorum not reached",
        "DAC_PASSWORD_FILE",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    assert!(dac(&["--version"]).succeeds().stdout.starts_with("dac "));
}

#[test]
fn wrong_arguments_are_exit_code_2_and_an_object_with_json() {
    let run = dac(&["params", "--members", "seven"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("seven"), "{run:?}");
    let error = dac(&["--json", "params", "--members", "seven"]).fails(2, "usage");
    assert!(error["detail"].as_str().unwrap().contains("seven"));
    dac(&["frobnicate", "--json"]).fails(2, "usage");
    dac(&["keys", "new", "--json"]).fails(2, "usage");
    dac(&["keys", "new", "--submitter", "--json"]).fails(2, "usage");
    dac(&["--json", "keys", "prove", "--dir", "x", "--chain-id", "1", "--address", "localhost:1"])
        .fails(2, "usage");
    dac(&["--json", "keys", "prove", "--dir", "x", "--chain-id", "1", "--api", "localhost"])
        .fails(2, "usage");
}

#[test]
fn completions_know_the_commands_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = dac(&["completions", shell]).succeeds().stdout;
        assert!(script.contains("committee") && script.contains("minimum-shards"), "{shell}");
        assert_eq!(dac(&["completions", shell, "--json"]).succeeds().json()["shell"], shell);
    }
    dac(&["--json", "completions", "tcl"]).fails(2, "usage");
}

#[test]
fn quiet_json_says_one_line_and_nothing_else() {
    let committee = SITE.path("committee.json");
    let run = dac(&["--json", "--quiet", "committee", "check", &committee]).succeeds();
    assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (1, ""));
    let run = dac(&["--json", "--quiet", "committee", "check", "none"]);
    assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (1, ""));
    let run = dac(&["committee", "check", "none"]);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains("\nhint: "), "{run:?}");
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let mut child =
        command(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    assert!(!dac(&["params", "--members", "4"]).succeeds().stdout.contains('\u{1b}'));
    assert!(dac(&["--color", "always", "params", "--members", "4"]).succeeds().stdout.contains('\u{1b}'));
}

#[test]
fn a_wrong_log_filter_is_refused() {
    let mut command = command(&["--json", "params", "--members", "4"]);
    command.env("DAC_LOG", "a=b=c");
    finish(command).fails(2, "invalid_log_filter");
}
