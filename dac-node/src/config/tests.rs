//! The example, unknown fields, and every check's error.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<NodeConfig, toml::de::Error> {
    toml::from_str(text)
}

/// The example with its optional lines and the rollup switched on.
fn example_in_full() -> String {
    let switched_on = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.contains(" = ") => rest.to_owned(),
        _ => line.to_owned(),
    };
    example().lines().map(|line| switched_on(line) + "\n").collect()
}

fn usable() -> NodeConfig {
    let config = parse(&example_in_full()).unwrap();
    config.check().unwrap();
    config
}

#[test]
fn example_equals_the_defaults() {
    assert_eq!(parse(&example()).unwrap(), NodeConfig::default());
}

#[test]
fn example_in_full_sets_every_field() {
    let config = usable();
    assert_eq!(config.rollups.len(), 1);
    let policy = toml::Table::try_from(&config.rollups[0]).unwrap();
    let written = parse(&example_in_full()).map(|config| toml::Table::try_from(config).unwrap()).unwrap();
    for field in NodeConfig::FIELDS {
        assert!(written.contains_key(field.name), "{} is not in the example", field.name);
    }
    for (name, _) in policy {
        assert!(example().contains(&format!("# {name} = ")), "{name} is not in the example");
    }
    let defaults = parse_policy("id = \"0x{}\"\nsubmitters = []");
    let sample = RollupPolicy { id: defaults.id, submitters: vec![], ..config.rollups[0].clone() };
    assert_eq!(sample, defaults, "the sample rollup shows the defaults");
}

fn parse_policy(text: &str) -> RollupPolicy {
    toml::from_str(&text.replace("{}", &"01".repeat(32))).unwrap()
}

#[test]
fn committed_example_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dac.example.toml");
    if std::env::var_os("UPDATE_CONFIG").is_some() {
        std::fs::write(&path, example()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, example(), "stale: run the tests once with UPDATE_CONFIG=1");
}

#[test]
fn empty_file_is_the_defaults() {
    assert_eq!(parse("").unwrap(), NodeConfig::default());
}

#[test]
fn rejects_unknown_fields_everywhere() {
    for text in [
        "colour = \"red\"",
        "[network]\nport = 1",
        "[api]\nlisten = \"127.0.0.1:1\"\ntls = true",
        "[timings]\npiece_timeout = \"1s\"",
        "[store]\nmax = \"1 GiB\"",
        "[hash]\nname = \"software\"",
        "[log]\nlevels = \"info\"",
        "[[rollups]]\nid = \"0x0000000000000000000000000000000000000000000000000000000000000001\"\nsubmitters = []\nowner = 1",
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains("unknown field"), "{text}: {error}");
    }
}

#[test]
fn rejects_values_without_a_unit_it_knows() {
    for text in ["[api]\nwait_max = \"60 parsecs\"", "[api]\nwait_max = 60", "batch_bytes_max = \"1 acre\""] {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// Each entry: the field that must be named, and how to break it.
type Breakage = (&'static str, fn(&mut NodeConfig));

fn breakages() -> Vec<Breakage> {
    vec![
        ("batch_bytes_max", |c| c.batch_bytes_max = ByteSize(0)),
        ("batch_bytes_max", |c| {
            c.batch_bytes_max = ByteSize(BATCH + 1);
            c.api.unauthenticated_bytes_max = c.batch_bytes_max;
        }),
        ("batches_in_flight_max", |c| c.batches_in_flight_max = 0),
        ("batches_in_flight_max", |c| c.batches_in_flight_max = 4097),
        ("bytes_in_flight_max", |c| c.bytes_in_flight_max = ByteSize(BATCH - 1)),
        ("compute_threads", |c| c.compute_threads = 1025),
        ("network.listen", |c| c.network.listen.clear()),
        ("network.listen", |c| c.network.listen = vec!["/ip4/0.0.0.0/udp/9547".parse().unwrap()]),
        ("network.listen", |c| c.network.listen = vec!["/dns4/a.example/tcp/9547".parse().unwrap()]),
        ("network.listen", |c| c.network.listen = vec!["/ip4/0.0.0.0/tcp/9547/ws".parse().unwrap()]),
        ("api.connections_max", |c| c.api.connections_max = 0),
        ("api.connections_max", |c| c.api.connections_max = 65_537),
        ("api.body_idle_max", |c| c.api.body_idle_max = Duration::from_millis(999)),
        ("api.wait_max", |c| c.api.wait_max = Duration::from_secs(3601)),
        ("api.unauthenticated_bytes_max", |c| c.api.unauthenticated_bytes_max = ByteSize(BATCH - 1)),
        ("api.authorised_bytes_max", |c| c.api.authorised_bytes_max = ByteSize(BATCH - 1)),
        ("timings.piece_timeout_floor", |c| c.timings.piece_timeout_floor = Duration::ZERO),
        ("timings.piece_timeout_ceiling", |c| c.timings.piece_timeout_ceiling = Duration::from_millis(249)),
        ("timings.give_up_after", |c| c.timings.give_up_after = Duration::from_secs(3)),
        ("timings.member_answer_timeout", |c| c.timings.member_answer_timeout = Duration::from_secs(19)),
        ("timings.takeover_after", |c| c.timings.takeover_after = Duration::from_millis(1)),
        ("store.max_bytes", |c| c.store.max_bytes = Some(ByteSize(2 * BATCH - 1))),
        ("hash.engine", |c| c.hash.engine = "abacus".into()),
        ("hash.device", |c| c.hash.device = Some("usb:1".into())),
        ("hash.device", |c| {
            c.hash.engine = "fpga".into();
            c.hash.device = None;
        }),
        ("hash.device_timeout", |c| c.hash.device_timeout = Duration::ZERO),
        ("hash.reattach_after", |c| c.hash.reattach_after = Duration::from_secs(61)),
        ("hash.recheck_one_in", |c| c.hash.recheck_one_in = 0),
        ("log.level", |c| c.log.level = "info,=,=".into()),
        ("rollups", |c| c.rollups.clear()),
        ("rollups[1].id", |c| c.rollups.push(c.rollups[0].clone())),
        ("rollups[0].submitters", |c| c.rollups[0].submitters.clear()),
        ("rollups[0].submitters", |c| c.rollups[0].submitters.push(attest::Address::ZERO)),
        ("rollups[0].batch_max", |c| c.rollups[0].batch_max = ByteSize(0)),
        ("rollups[0].batch_max", |c| c.rollups[0].batch_max = ByteSize(BATCH + 1)),
        ("rollups[0].quota_per_day", |c| c.rollups[0].quota_per_day = ByteSize(BATCH - 1)),
        ("rollups[0].retention_max", |c| c.rollups[0].retention_max = Duration::from_secs(59)),
    ]
}

const BATCH: u64 = attest::BATCH_BYTES_MAX;

#[test]
fn every_bad_value_is_named_alone_and_with_a_hint() {
    for (number, (field, damage)) in breakages().into_iter().enumerate() {
        let mut config = usable();
        damage(&mut config);
        let Err(Error::Invalid { problems }) = config.check() else {
            panic!("breakage {number} of {field} passes")
        };
        assert_eq!(problems.len(), 1, "breakage {number}: {problems:?}");
        assert_eq!(problems[0].field, field, "breakage {number}");
        assert!(!problems[0].hint.is_empty());
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let mut config = usable();
    config.compute_threads = usize::MAX;
    config.rollups.clear();
    let text = config.check().unwrap_err().to_string();
    assert!(
        text.contains("2 problem") && text.contains("compute_threads") && text.contains("[[rollups]]"),
        "{text}"
    );
}

#[test]
fn load_resolves_paths_against_the_file_and_names_it_in_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dac.toml");
    let absolute = "committee = \"committee.json\"";
    std::fs::write(&path, example_in_full().replace(absolute, "committee = \"/etc/dac/committee.json\""))
        .unwrap();
    let config = NodeConfig::load(&path).unwrap();
    assert_eq!(config.data_dir, directory.path().join("data"));
    assert_eq!(config.keys_dir, directory.path().join("keys"));
    assert_eq!(config.password_file.unwrap(), directory.path().join("password"));
    assert_eq!(config.committee, Path::new("/etc/dac/committee.json"));

    std::fs::write(&path, "colour = 1").unwrap();
    let error = NodeConfig::load(&path).unwrap_err().to_string();
    assert!(error.contains("dac.toml") && error.contains("line 1"), "{error}");
    std::fs::write(&path, "").unwrap();
    assert!(matches!(NodeConfig::load(&path), Err(Error::Invalid { .. })));
    assert!(matches!(NodeConfig::load(directory.path()), Err(Error::Read { .. })));
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(matches!(NodeConfig::load(&path), Err(Error::Read { .. })));
}

proptest! {
    #[test]
    fn sizes_read_back_as_written(bytes in prop_oneof![any::<u64>(), (0_u64..1 << 20).prop_map(|n| n << 10)]) {
        // bytesize parses numbers through f64 above 2^53.
        prop_assume!(bytes < 1 << 53);
        let mut config = NodeConfig::default();
        config.store.reserve = ByteSize(bytes);
        config.store.max_bytes = Some(ByteSize(bytes));
        prop_assert_eq!(parse(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}
