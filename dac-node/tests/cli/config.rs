//! `dac config`: the example is the committed one, and a check finds what would stop a node.

use dac_node::keystore::MEMBER_FILE;
use serde_json::json;

use super::{SITE, dac, dac_with_password};

#[test]
fn config_example_is_the_committed_one() {
    let committed = include_str!("../../dac.example.toml");
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
