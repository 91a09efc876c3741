//! `dac keys`: made once, never overwritten, opened by the right password only, and no secret anywhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dac_node::keystore::{MEMBER_FILE, NETWORK_FILE};

use super::{MEMBERS, PASSWORD, SITE, command, dac, dac_with_password, finish};

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
