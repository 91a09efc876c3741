//! `cargo xtask fuzz`: libFuzzer over every decoder, on the stable toolchain.
//!
//! What cargo-fuzz does with a nightly compiler is done here with two stable options: the coverage pass of LLVM, and its
//! arguments. Without the address sanitizer, which needs nightly: the decoders have no `unsafe` of their own.
//!
//! Inputs that reach new code are kept in `target/fuzz/corpus`; one that breaks a promise goes to
//! `target/fuzz/findings`, and belongs in `tests/fuzz/corpus` once it is understood.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step;

/// The targets, as `tests/fuzz/Cargo.toml` names them.
const TARGETS: [&str; 11] = [
    "message",
    "frame_stream",
    "gossip",
    "piece",
    "certificate",
    "committee_file",
    "node_config",
    "http_request",
    "segments",
    "link",
    "packet",
];
/// Where it builds and what it builds for; with a target named, build scripts and macros are not instrumented.
const FOLDER: &str = "target/fuzz";
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Coverage as libFuzzer wants it: counters, program counters, comparisons.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];
/// More memory than this is a finding.
const MEMORY_MIB_MAX: u32 = 2_048;

/// Builds the targets and runs each for its share of `seconds`, or only the one named.
pub(crate) fn fuzz(seconds: u64, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = only.filter(|name| !TARGETS.contains(name)) {
        bail!("no target is named {name}; there are {}", TARGETS.join(", "));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::set_current_dir(&root).with_context(|| format!("no workspace at {}", root.display()))?;
    let mut build = crate::cargo(&["build", "--manifest-path", "tests/fuzz/Cargo.toml", "--bins"]);
    // Not `--locked`: its lock file follows the workspace's dependencies by itself, and keeps its versions otherwise.
    build.args(["--target", PLATFORM, "--target-dir", FOLDER]).env("RUSTFLAGS", FLAGS.join(" "));
    step("fuzz targets", build)?;
    let chosen: Vec<&str> =
        TARGETS.into_iter().filter(|target| only.is_none_or(|name| name == *target)).collect();
    let share = (seconds / chosen.len() as u64).max(1);
    for target in chosen {
        run(target, share)?;
    }
    Ok(())
}

fn run(target: &str, seconds: u64) -> anyhow::Result<()> {
    let (kept, findings) = (format!("{FOLDER}/corpus/{target}"), format!("{FOLDER}/findings/"));
    for folder in [&kept, &findings] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    let program = Path::new(FOLDER).join(PLATFORM).join("debug").join(target);
    let mut fuzz = Command::new(&program);
    fuzz.args([kept, format!("tests/fuzz/corpus/{target}"), format!("-artifact_prefix={findings}{target}-")]);
    fuzz.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MIB_MAX}")]);
    fuzz.args(["-timeout=20", "-print_final_stats=1", "-verbosity=0"]);
    step(&format!("fuzz {target}"), fuzz)
        .with_context(|| format!("replay with: {} {findings}{target}-<name>", program.display()))
}
