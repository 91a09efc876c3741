//! Every decoder over its committed corpus and seeded mutations of it: no input breaks a promise.
//!
//! `FUZZ_INPUTS` is the number of mutations of the cheapest target (2,000 without it), `FUZZ_SEED` their seed. With
//! coverage: `cargo xtask fuzz`.

use e2e::fuzz::{TARGETS, Target, corpus_folder, made, mutate};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}

/// The committed inputs of a target, by name.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = corpus_folder(target.name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

fn withstands(name: &str) {
    let target = target(name);
    let inputs = number("FUZZ_INPUTS", 2_000) * u64::from(target.inputs_per_hundred) / 100;
    let count = u32::try_from(inputs).expect("a number of inputs");
    if let Err(finding) = mutate(target, &corpus(target), number("FUZZ_SEED", 1), count) {
        panic!("{name} does not withstand this input: {}", hex::encode(finding.input));
    }
}

#[test]
fn link_withstands_any_bytes() {
    withstands("link");
}

#[test]
fn packet_withstands_any_bytes() {
    withstands("packet");
}

#[test]
fn message_withstands_any_bytes() {
    withstands("message");
}

#[test]
fn frame_stream_withstands_any_bytes() {
    withstands("frame_stream");
}

#[test]
fn gossip_withstands_any_bytes() {
    withstands("gossip");
}

#[test]
fn piece_withstands_any_bytes() {
    withstands("piece");
}

#[test]
fn certificate_withstands_any_bytes() {
    withstands("certificate");
}

#[test]
fn committee_file_withstands_any_bytes() {
    withstands("committee_file");
}

#[test]
fn node_config_withstands_any_bytes() {
    withstands("node_config");
}

#[test]
fn http_request_withstands_any_bytes() {
    withstands("http_request");
}

#[test]
fn segments_withstands_any_bytes() {
    withstands("segments");
}

/// `UPDATE_VECTORS=1` writes the files that the encoders make.
#[test]
fn committed_corpus_begins_with_what_the_encoders_make() {
    let update = std::env::var_os("UPDATE_VECTORS").is_some();
    for target in &TARGETS {
        let folder = corpus_folder(target.name);
        for (number, input) in made(target.name).into_iter().enumerate() {
            let path = folder.join(format!("made-{number}"));
            if update {
                std::fs::create_dir_all(&folder).expect("a writable folder");
                std::fs::write(&path, &input).expect("a writable file");
            }
            let found = std::fs::read(&path).unwrap_or_default();
            assert!(found == input, "{} is stale: cargo xtask vectors", path.display());
        }
    }
}

#[test]
fn a_finding_is_the_input_that_panicked() {
    let brittle = Target {
        name: "brittle",
        body: |input| assert!(input.first() != Some(&0xff), "found"),
        inputs_per_hundred: 100,
    };
    let finding = mutate(&brittle, &[vec![1, 2, 3]], 1, 10_000).expect_err("0xff is tried");
    assert_eq!(finding.input[0], 0xff);
}

/// libFuzzer's targets are a package of their own, built only with coverage (`cargo xtask fuzz`): a whole second build of
/// everything. Here their text is compared instead: what they call is in the table of targets, which this build checks.
#[test]
fn libfuzzer_targets_are_three_lines_over_the_bodies_of_this_crate() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    let manifest =
        std::fs::read_to_string(format!("{folder}/Cargo.toml")).expect("the package of the targets");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let listed = manifest["bin"].as_array().expect("a list of programs");
    let listed: Vec<(&str, &str)> =
        listed.iter().filter_map(|bin| bin["name"].as_str().zip(bin["path"].as_str())).collect();
    let paths: Vec<String> = TARGETS.iter().map(|target| format!("targets/{}.rs", target.name)).collect();
    let expected: Vec<(&str, &str)> =
        TARGETS.iter().map(|target| target.name).zip(paths.iter().map(String::as_str)).collect();
    assert_eq!(listed, expected);
    for target in TARGETS {
        let name = target.name;
        let text = std::fs::read_to_string(format!("{folder}/targets/{name}.rs")).expect("a target's file");
        let body = format!("libfuzzer_sys::fuzz_target!(|input: &[u8]| e2e::fuzz::{name}(input));");
        assert_eq!(text, format!("#![no_main]\n\n{body}\n"));
    }
    assert_eq!(std::fs::read_dir(format!("{folder}/targets")).expect("the targets").count(), TARGETS.len());
}
