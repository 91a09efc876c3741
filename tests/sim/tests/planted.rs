//! The simulator finds what it is there to find: each planted fault breaks a promise within few seeds, and the same seeds
//! are clean without it. Run by `cargo xtask test`; by hand with `cargo test -p e2e-sim --features planted-faults --test planted`.

use std::process::Command;

/// Seeds within which a fault must be found.
const SEEDS: u64 = 60;

/// What the simulator says of its first seeds on these disks with a fault planted: the words of its violations.
fn violations(plant: Option<&str>, disk: &str) -> Vec<String> {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
    sim.args(["--seeds", &SEEDS.to_string(), "--disk", disk, "--json"]);
    if let Some(name) = plant {
        sim.args(["--plant", name]);
    }
    let output = sim.output().expect("the simulator starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    let violations = report["violations"].as_array().expect("a list").clone();
    assert_eq!(output.status.success(), violations.is_empty(), "the exit code says the same");
    violations.iter().map(|violation| violation["what"].as_str().expect("words").to_owned()).collect()
}

fn assert_found(fault: &str, disk: &str, words: &str) {
    let found = violations(Some(fault), disk);
    assert!(!found.is_empty(), "{fault} was not found within {SEEDS} seeds");
    assert!(found.iter().any(|what| what.contains(words)), "{fault} was found as something else: {found:?}");
}

#[test]
fn the_same_seeds_are_clean_without_a_fault() {
    assert_eq!(violations(None, "memory"), [] as [String; 0]);
    assert_eq!(violations(None, "real"), [] as [String; 0]);
}

#[test]
fn finds_a_member_that_signs_before_the_sync() {
    assert_found("sign-before-sync", "memory", "signs before the sync");
}

#[test]
fn finds_a_member_that_skips_the_re_encode_check() {
    assert_found("skip-reencode-check", "memory", "kept bytes have the commitments they are kept under");
}

#[test]
fn finds_a_member_that_accepts_a_bad_path() {
    assert_found("accept-bad-path", "memory", "right encoding");
}

#[test]
fn finds_a_store_that_forgets_what_was_signed() {
    assert_found("drop-signed-table", "real", "its disk does not hold it: no statement");
}

#[test]
fn finds_a_store_that_does_not_sync_its_segments() {
    assert_found("skip-segment-sync", "real", "a disk that only lost what was not synced does not open");
}
