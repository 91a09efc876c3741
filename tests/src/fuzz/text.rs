//! Files that operators write: the committee file and the node's configuration.

use attest::CommitteeFile;
use dac_node::config::NodeConfig;

/// Members of a committee file whose keys are checked: each costs a pairing.
const MEMBERS_CHECKED_MAX: usize = 4;

/// A committee file: refused with words, or the same again after a round trip.
pub fn committee_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let file = match CommitteeFile::from_json(text) {
        Ok(file) => file,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(CommitteeFile::from_json(&file.to_json()).expect("its own JSON"), file);
    if file.members.len() <= MEMBERS_CHECKED_MAX
        && let Ok(committee) = file.check()
    {
        assert_eq!(usize::from(committee.thresholds().members()), file.members.len());
    }
}

/// A configuration: refused with words, or the same again after a round trip.
pub fn node_config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(config) = toml::from_str::<NodeConfig>(text) else { return };
    if let Err(error) = config.check() {
        assert!(!error.to_string().is_empty());
    }
    let written = toml::to_string(&config).expect("what was read can be written");
    let again: NodeConfig = toml::from_str(&written).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
}
