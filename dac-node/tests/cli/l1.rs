//! A committee over an L1 in a process of its own: anvil, from npm. Needs Node.js with npm.

use super::*;

#[test]
fn a_committee_certifies_on_l1_and_changes_a_member() {
    let report = dac(&["devnet", "--l1", "anvil", "--members", "4", "--json"]).succeeds().json();
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "deploy",
            "register",
            "announce",
            "activate",
            "certify",
            "verify",
            "register_rotated",
            "announce_rotated",
            "activate_rotated",
            "certify_rotated",
            "verify_rotated",
        ]
    );
    assert!(steps.iter().all(|step| step["ok"] == true), "{steps:?}");
    let gas = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap()["gas"].as_u64().unwrap();
    for verify in ["verify", "verify_rotated"] {
        assert!((140_000..165_000).contains(&gas(verify)), "{verify}: {}", gas(verify));
    }
    // One member registers, and only its key is stored.
    assert!(gas("register") > 3 * gas("register_rotated"));
    assert!(gas("announce") > gas("announce_rotated"));
    let hashes = report["committee_hashes"].as_array().unwrap();
    assert_ne!(hashes[0], hashes[1]);
}

/// A batch without a byte: the step is named, and what was done before it.
#[test]
fn a_step_that_fails_is_reported_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let batch = directory.path().join("empty");
    std::fs::write(&batch, "").unwrap();
    let batch = batch.to_str().unwrap();
    let run = dac(&["devnet", "--l1", "anvil", "--members", "4", "--batch", batch, "--json"]);
    assert_ne!(run.code, 0);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [report, error] = lines.as_slice() else { panic!("{}", run.stdout) };
    assert_eq!(error["error"]["code"], "usage", "{error}");
    let steps = report["steps"].as_array().unwrap();
    let ended: Vec<_> =
        steps.iter().map(|step| (step["name"].as_str().unwrap(), step["ok"] == true)).collect();
    let all_before = ["deploy", "register", "announce", "activate"].map(|name| (name, true));
    assert_eq!(ended, [&all_before[..], &[("certify", false)]].concat());
}

#[test]
fn an_l1_that_does_not_answer_is_unreachable() {
    let registry = format!("0x{}", "ab".repeat(20));
    let arguments = ["committee", "status", "--l1", "http://127.0.0.1:1", "--registry", &registry, "--json"];
    dac(&arguments).fails(6, "l1_unreachable");
}
