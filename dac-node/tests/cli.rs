//! The real binary, as a script would use it: results on standard output, exit codes, `--json`, and no secret anywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop where they cannot go on")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use attest::{Certificate, CommitteeFile, RollupId, SeatIndex, Submission, aggregate};
use dac_node::keystore::{MEMBER_FILE, NETWORK_FILE, NodeKeys, Password};
use parity_scale_codec::Encode as _;
use serde_json::{Value, json};

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

/// Everything that must never appear in any output or file, as hex.
fn secrets() -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned()];
    for keys in &SITE.keys {
        secrets.push(hex::encode(*keys.bls.to_bytes()));
        let network = keys.network.clone().try_into_ed25519().unwrap();
        secrets.push(hex::encode(network.secret()));
    }
    secrets
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
fn shown_keys_are_those_of_the_keystores() {
    let shown = dac(&["keys", "show", "--dir", &SITE.path("keys0"), "--json"]).succeeds().json();
    assert_eq!(shown["kind"], "member");
    assert_eq!(shown["public_key"], SITE.keys[0].bls.public_key().to_string());
    assert_eq!(shown["peer_id"], SITE.keys[0].network.public().to_peer_id().to_string());
    let checked =
        dac_with_password(&["keys", "show", "--dir", &SITE.path("keys0"), "--json", "--check"]).succeeds();
    assert_eq!(checked.json(), shown);
    for name in [MEMBER_FILE, NETWORK_FILE] {
        let mode = Path::new(&SITE.path("keys0")).join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn existing_keys_are_never_overwritten() {
    let before = std::fs::read(Path::new(&SITE.path("keys0")).join(MEMBER_FILE)).unwrap();
    dac_with_password(&["--json", "keys", "new", "--dir", &SITE.path("keys0"), "--weak-for-devnet"])
        .fails(7, "exists");
    assert_eq!(std::fs::read(Path::new(&SITE.path("keys0")).join(MEMBER_FILE)).unwrap(), before);
}

#[test]
fn passwords_come_from_the_option_then_the_file_then_the_variable() {
    let directory = tempfile::tempdir().unwrap();
    let (right, wrong) = (directory.path().join("right"), directory.path().join("wrong"));
    std::fs::write(&right, format!("{PASSWORD}\n")).unwrap();
    std::fs::write(&wrong, "incorrect horse\n").unwrap();
    let keys = SITE.path("keys1");
    let show = ["--json", "keys", "show", "--check", "--dir", keys.as_str()];
    let with = |option: Option<&PathBuf>, file: Option<&PathBuf>, variable: Option<&str>| {
        let mut command = command(&show);
        if let Some(path) = option {
            command.arg("--password-file").arg(path);
        }
        if let Some(path) = file {
            command.env("DAC_PASSWORD_FILE", path);
        }
        if let Some(text) = variable {
            command.env("DAC_PASSWORD", text);
        }
        finish(command)
    };
    with(Some(&right), Some(&wrong), Some("wrong")).succeeds();
    with(None, Some(&right), Some("wrong")).succeeds();
    with(None, None, Some(PASSWORD)).succeeds();
    with(Some(&wrong), Some(&right), Some(PASSWORD)).fails(2, "wrong_password");
    with(None, Some(&wrong), Some(PASSWORD)).fails(2, "wrong_password");
    with(None, None, Some("")).fails(2, "invalid_password");
    with(None, None, None).fails(2, "no_password");
    with(Some(&directory.path().join("none")), None, Some(PASSWORD)).fails(7, "cannot_read");
}

#[test]
fn short_passwords_are_refused_for_keys_that_guard_something() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    let mut command = command(&["--json", "keys", "new", "--dir", keys.to_str().unwrap()]);
    command.env("DAC_PASSWORD", "seven77");
    finish(command).fails(2, "usage");
    assert!(!keys.exists());
}

#[test]
fn submitter_keys_are_made_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("submitter.json");
    let file = file.to_str().unwrap();
    let new = ["--json", "keys", "new", "--submitter", "--out", file, "--weak-for-devnet"];
    let made = dac_with_password(&new).succeeds().json();
    assert_eq!(made["kind"], "submitter");
    assert_eq!(made["address"].as_str().unwrap().len(), 42);
    assert_eq!(dac(&["--json", "keys", "show", "--file", file]).succeeds().json(), made);
    assert_eq!(
        dac_with_password(&["--json", "keys", "show", "--check", "--file", file]).succeeds().json(),
        made
    );
    dac_with_password(&new).fails(7, "exists");
    let member = format!("{}/{MEMBER_FILE}", SITE.path("keys0"));
    dac(&["--json", "keys", "show", "--file", &member]).fails(2, "usage");
    dac_with_password(&["--json", "keys", "show", "--check", "--file", &member]).fails(4, "invalid_keystore");
}

#[test]
fn no_output_and_no_file_holds_a_secret() {
    let keys = SITE.path("keys0");
    let prove = ["keys", "prove", "--dir", keys.as_str(), "--chain-id", "1"];
    let mut texts = Vec::new();
    for json in [&["--json"][..], &[]] {
        for run in [
            dac_with_password(&[&["keys", "show", "--check", "--dir", &keys], json].concat()),
            dac_with_password(&[&prove, json].concat()),
            dac_with_password(&[&["keys", "new", "--dir", &keys], json].concat()),
        ] {
            texts.extend([run.stdout, run.stderr]);
        }
    }
    let mut pending = vec![SITE.directory.path().to_path_buf()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            texts.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
    assert!(texts.len() > 12 + 2 * MEMBERS);
    for secret in secrets() {
        assert!(texts.iter().all(|text| !text.to_lowercase().contains(&secret)), "a secret is in the open");
    }
}

#[test]
fn committee_check_tells_hash_and_algebra() {
    let run = dac(&["--json", "committee", "check", &SITE.path("committee.json")]).succeeds();
    let found = run.json();
    assert_eq!(found["committee_hash"], SITE.certificate.statement.committee_hash.to_string());
    assert_eq!((&found["epoch"], &found["chain_id"]), (&json!(3), &json!(31337)));
    assert_eq!(found["params"]["quorum"], 3);
    assert_eq!(found["members"].as_array().unwrap().len(), MEMBERS);
    assert_eq!(found["members"][2]["name"], "member 2");
    assert_eq!(found["warnings"], json!([]));
    let text = dac(&["committee", "check", &SITE.path("committee.json")]).succeeds().stdout;
    assert!(text.contains("member 3") && text.contains("n - q + k"), "{text}");
}

#[test]
fn committee_new_names_the_entry_at_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let new = |members: &[&str], more: &[&str]| {
        let out = path("committee.json");
        let mut arguments =
            vec!["--json", "committee", "new", "--epoch", "1", "--chain-id", "31337", "--out", &out];
        members.iter().for_each(|member| arguments.extend(["--member", member]));
        arguments.extend(more);
        dac(&arguments)
    };
    let entries: Vec<String> = (0..MEMBERS).map(|seat| SITE.path(&format!("entry{seat}.json"))).collect();
    let good: Vec<&str> = entries.iter().map(String::as_str).collect();

    let mut entry: Value = serde_json::from_slice(&std::fs::read(good[2]).unwrap()).unwrap();
    entry["operator"] = json!(format!("0x{}", "11".repeat(20)));
    std::fs::write(path("foreign.json"), entry.to_string()).unwrap();
    let error = new(&[good[0], good[1], &path("foreign.json")], &[]).fails(4, "invalid_committee");
    assert!(error["detail"].as_str().unwrap().contains("foreign.json"), "{error}");
    // The same entries are proven for another chain id only.
    let out = path("other.json");
    let other_chain =
        ["--json", "committee", "new", "--epoch", "1", "--chain-id", "1", "--out", &out, "--member", good[0]];
    dac(&other_chain).fails(4, "invalid_committee");

    let error = new(&[good[0], good[1], good[0]], &[]).fails(4, "invalid_committee");
    assert!(error["detail"].as_str().unwrap().matches("entry0.json").count() == 2, "{error}");
    entry["operator"] = json!(format!("0x{}", "00".repeat(20)));
    entry["peer_id"] = json!(SITE.keys[0].network.public().to_peer_id().to_string());
    std::fs::write(path("same-peer.json"), entry.to_string()).unwrap();
    new(&[good[0], &path("same-peer.json")], &[]).fails(4, "invalid_committee");
    std::fs::write(path("no-entry.json"), "{}").unwrap();
    new(&[&path("no-entry.json")], &[]).fails(4, "invalid_member");
    new(&[&path("missing.json")], &[]).fails(7, "cannot_read");
    new(&good, &["--minimum-shards", "4", "--quorum", "3"]).fails(2, "usage");
    assert!(!Path::new(&path("committee.json")).exists(), "a refused committee was written");

    new(&good, &["--minimum-shards", "1", "--quorum", "2"]).succeeds();
    let found = dac(&["--json", "committee", "check", &path("committee.json")]).succeeds();
    assert_eq!(found.json()["warnings"].as_array().unwrap().len(), 1, "{found:?}");
    assert!(found.stderr.contains("no majority"), "{found:?}");
    new(&good, &[]).fails(7, "exists");
}

#[test]
fn changed_committee_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("committee.json");
    let check = |text: String| {
        std::fs::write(&path, text).unwrap();
        dac(&["--json", "committee", "check", path.to_str().unwrap()])
    };
    let file: Value = serde_json::from_slice(&std::fs::read(SITE.path("committee.json")).unwrap()).unwrap();
    check(file.to_string()).succeeds();
    for (pointer, value) in [
        ("/quorum", json!(5)),
        ("/minimum_shards", json!(0)),
        ("/chain_id", json!(1)),
        ("/members/1/public_key", file["members"][0]["public_key"].clone()),
        ("/members/1/proof_of_possession", file["members"][0]["proof_of_possession"].clone()),
        ("/members/1/peer_id", json!("nobody")),
        ("/members/1/addresses/0", json!("localhost")),
    ] {
        let mut changed = file.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        check(changed.to_string()).fails(4, "invalid_committee");
    }
    check("[]".into()).fails(4, "invalid_committee");
    check(" ".repeat(2 << 20)).fails(2, "file_too_large");
}

#[test]
fn params_follow_the_algebra() {
    let found = dac(&["--json", "params", "--members", "7"]).succeeds().json();
    let expected = json!({
        "members": 7, "minimum_shards": 3, "quorum": 5, "offline_members_tolerated": 2, "lying_signers_tolerated": 2,
        "honest_members_needed": 5, "honest_members_needed_while_hot": 3, "spare_pieces": 2, "pieces_sent": 5,
        "sender_upload_ratio": 5.0 / 3.0, "storage_ratio": 7.0 / 3.0, "warnings": [],
    });
    assert_eq!(found, expected);
    let any_trust =
        dac(&["--json", "params", "--members", "6", "--minimum-shards", "1", "--quorum", "5"]).succeeds();
    assert_eq!(any_trust.json()["sender_upload_ratio"], 2.0);
    let no_parity = dac(&["params", "--members", "4", "--minimum-shards", "4", "--quorum", "4"]).succeeds();
    assert!(
        no_parity.stdout.contains("n - q + k") && no_parity.stderr.matches("warning:").count() == 2,
        "{no_parity:?}"
    );
    let of_file = dac(&["--json", "params", "--committee", &SITE.path("committee.json")]).succeeds().json();
    assert_eq!(of_file["members"], 4);
    for wrong in [["--members", "0"], ["--members", "257"]] {
        dac(&[&["--json", "params"], &wrong[..]].concat()).fails(2, "usage");
    }
    dac(&["--json", "params", "--members", "4", "--quorum", "1"]).fails(2, "usage");
    dac(&["--json", "params"]).fails(2, "usage");
    dac(&["--json", "params", "--members", "4", "--committee", "x"]).fails(2, "usage");
}

#[test]
fn config_example_is_the_committed_one() {
    let committed = include_str!("../dac.example.toml");
    assert_eq!(dac(&["config", "example"]).succeeds().stdout, committed);
    assert_eq!(dac(&["config", "example", "--json"]).succeeds().json()["toml"], committed);
}

#[test]
fn config_check_finds_the_seat_or_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dac.toml");
    let rollup = format!(
        "[[rollups]]\nid = \"0x{}\"\nsubmitters = [\"0x{}\"]\n",
        "07".repeat(32),
        "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    );
    let check = |keys: &str, committee: &str, more: &str| {
        let text = format!("keys_dir = \"{keys}\"\ncommittee = \"{committee}\"\n{more}{rollup}");
        std::fs::write(&path, text).unwrap();
        dac(&["--json", "config", "check", path.to_str().unwrap()])
    };
    let (keys, committee) = (SITE.path("keys2"), SITE.path("committee.json"));
    let found = check(&keys, &committee, "").succeeds().json();
    assert_eq!((&found["seat"], &found["name"]), (&json!(2), &json!("member 2")));

    let error = check(&keys, &committee, "colour = 1\n").fails(2, "invalid_config");
    assert!(error["detail"].as_str().unwrap().contains("colour"), "{error}");
    check(&keys, &committee, "compute_threads = 9999\n").fails(2, "invalid_config");
    check(&keys, "none.json", "").fails(7, "cannot_read");
    check("none", &committee, "").fails(7, "no_keystore");
    dac(&["--json", "config", "check", "none.toml"]).fails(7, "cannot_read");

    let stranger = directory.path().join("stranger");
    let stranger = stranger.to_str().unwrap();
    dac_with_password(&["keys", "new", "--dir", stranger, "--weak-for-devnet"]).succeeds();
    check(stranger, &committee, "").fails(4, "not_a_member");
    std::fs::copy(format!("{keys}/{MEMBER_FILE}"), format!("{stranger}/{MEMBER_FILE}")).unwrap();
    check(stranger, &committee, "").fails(4, "peer_id_mismatch");
}

/// Runs `dac verify` on certificate bytes and a batch.
fn verify(certificate: &[u8], batch: Option<&[u8]>) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let (certificate_path, batch_path) =
        (directory.path().join("certificate"), directory.path().join("batch"));
    std::fs::write(&certificate_path, certificate).unwrap();
    let committee = SITE.path("committee.json");
    let certificate_path = certificate_path.to_str().unwrap();
    let mut arguments =
        vec!["--json", "verify", "--certificate", certificate_path, "--committee", &committee];
    if let Some(batch) = batch {
        std::fs::write(&batch_path, batch).unwrap();
        arguments.extend(["--batch", batch_path.to_str().unwrap()]);
    }
    dac(&arguments)
}

#[test]
fn verifies_a_certificate_in_every_form_and_the_batch_with_it() {
    let certificate = &SITE.certificate;
    let scale = certificate.encode();
    let hex = format!("0x{}", hex::encode(&scale));
    let json = certificate.to_json();
    let batch = std::fs::read(SITE.path("batch")).unwrap();
    for form in [
        scale.clone(),
        format!("{hex}\n").into_bytes(),
        json.clone().into_bytes(),
        json!({ "certificate": hex, "members": 4 }).to_string().into_bytes(),
        format!("{{\"certificate\": {json}, \"status\": {{}}}}").into_bytes(),
    ] {
        let found = verify(&form, Some(&batch)).succeeds().json();
        assert_eq!((&found["valid"], &found["batch_checked"]), (&json!(true), &json!(true)));
        assert_eq!(found["batch_id"], certificate.batch_id().to_string());
        assert_eq!(found["signers"], json!([0, 2, 3]));
    }
    let found = verify(&scale, None).succeeds().json();
    assert_eq!(found["batch_checked"], false);
    let (path, committee) = (SITE.path("certificate"), SITE.path("committee.json"));
    let text = dac(&["verify", "--certificate", &path, "--committee", &committee]).succeeds();
    assert!(text.stdout.contains("certificate valid") && text.stdout.contains("2 (member 2)"), "{text:?}");
}

#[test]
fn refuses_every_changed_byte_of_a_certificate() {
    let scale = SITE.certificate.encode();
    // One byte of each field: chain id, registry, every field of the statement, bitmap, signature.
    for position in [0, 8, 28, 60, 68, 100, 108, 140, 172, 204, 212, 221, scale.len() - 1] {
        let mut changed = scale.clone();
        changed[position] ^= 1;
        let run = verify(&changed, None);
        assert_eq!(run.code, 4, "byte {position}: {run:?}");
    }
    verify(&scale[..scale.len() - 1], None).fails(4, "malformed_certificate");
    verify(b"", None).fails(4, "malformed_certificate");
    verify(b"0xzz", None).fails(4, "malformed_certificate");
    verify(b"{\"certificate\": {\"certificate\": \"0x\"}}", None).fails(4, "malformed_certificate");
    verify(b"[1]", None).fails(4, "malformed_certificate");
}

#[test]
fn refuses_every_other_batch() {
    let scale = SITE.certificate.encode();
    let batch = std::fs::read(SITE.path("batch")).unwrap();
    let mut changed = batch.clone();
    changed[99_999] ^= 1;
    verify(&scale, Some(&changed)).fails(4, "batch_mismatch");
    verify(&scale, Some(&batch[..99_999])).fails(4, "batch_mismatch");
    verify(&scale, Some(&[])).fails(4, "batch_mismatch");
    verify(&scale, Some(&[batch.as_slice(), &[0]].concat())).fails(4, "batch_mismatch");
    let committee = SITE.path("committee.json");
    dac(&["--json", "verify", "--certificate", "none", "--committee", &committee]).fails(7, "cannot_read");
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
