//! `dac committee` and `dac params`: what is false is refused and named.

use std::path::Path;

use serde_json::{Value, json};

use super::{MEMBERS, SITE, dac};

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
