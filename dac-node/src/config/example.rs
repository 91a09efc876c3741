//! The commented example file: written from the structures and their defaults.

use super::{
    ApiConfig, Documented, Field, HashConfig, HealConfig, L1Config, LogConfig, NetworkConfig, NodeConfig,
    StoreConfig, TimingsConfig,
};

const HEADER: &str = "\
# Configuration of one committee member: dac node --config dac.toml
#
# Every value below is the default, except the rollups, which have none. Unknown fields are refused.
# Durations need a unit (250ms, 30s, 2days), sizes too (64 MiB). Relative paths are relative to this file.
# Check a file with: dac config check dac.toml
";

/// No default can name a rollup; the values here are made up.
const ROLLUP_SAMPLE: &str = r#"
# [[rollups]]
# # Its identity in statements: 32 bytes, chosen at registration.
# id = "0x0000000000000000000000000000000000000000000000000000000000000001"
# # Addresses that may authorise a submission: dac keys new --submitter prints one.
# submitters = ["0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"]
# # Bytes a day.
# quota_per_day = "16 GiB"
# # Largest batch.
# batch_max = "64 MiB"
# # Longest retention, counted from the submission.
# retention_max = "60days"
"#;

/// A complete configuration file with comments. All values are defaults; the one thing to add is a rollup.
pub fn example() -> String {
    let mut text = String::from(HEADER);
    let root = defaults::<NodeConfig>();
    for field in NodeConfig::FIELDS {
        match field.name {
            "network" => table::<NetworkConfig>(&mut text, field),
            "api" => table::<ApiConfig>(&mut text, field),
            "timings" => table::<TimingsConfig>(&mut text, field),
            "store" => table::<StoreConfig>(&mut text, field),
            "heal" => table::<HealConfig>(&mut text, field),
            "hash" => table::<HashConfig>(&mut text, field),
            "l1" => table::<L1Config>(&mut text, field),
            "log" => table::<LogConfig>(&mut text, field),
            "rollups" => {
                text.push('\n');
                comment(&mut text, field);
                text.pop();
                text.push_str(ROLLUP_SAMPLE);
            }
            _ => value(&mut text, field, &root),
        }
    }
    text
}

fn defaults<T: Documented>() -> toml::Table {
    toml::Table::try_from(T::default()).expect("defaults are strings, numbers, booleans and lists of them")
}

fn table<T: Documented>(text: &mut String, heading: &Field) {
    text.push('\n');
    comment(text, heading);
    text.push_str(&format!("[{}]\n", heading.name));
    let defaults = defaults::<T>();
    for field in T::FIELDS {
        value(text, field, &defaults);
    }
}

fn value(text: &mut String, field: &Field, defaults: &toml::Table) {
    text.push('\n');
    comment(text, field);
    match (defaults.get(field.name), field.sample) {
        (Some(value), _) => text.push_str(&format!("{} = {value}\n", field.name)),
        (None, Some(sample)) => text.push_str(&format!("# {} = {sample}\n", field.name)),
        (None, None) => unreachable!("field {} has neither a default nor a sample", field.name),
    }
}

fn comment(text: &mut String, field: &Field) {
    for line in field.comment {
        text.push_str(&format!("#{}\n", line.trim_end()));
    }
}
