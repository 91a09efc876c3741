//! Writes and checks `tests/vectors/{statement,submission,possession,committee,certificate}.json`.
//!
//! Every file is made anew in memory and compared with the committed one, so a change of any byte that others rely on
//! fails here. `UPDATE_VECTORS=1` writes them. Keys come from `generate(keccak256(label))`; nothing is random.
//!
//! Form, for readers in any language: an object `{ "about", "cases": [..] }`; byte strings are 0x hex; numbers of 64
//! bits are decimal strings, since many JSON readers round above 2^53; a case holds all inputs and each digest on the
//! way. `refused` cases hold bytes that must not be accepted, and why. Those of certificates name the error of each reader:
//! `error` is L1's, null where the bytes have no form of their own there, `attest_error` this crate's.

#![expect(clippy::unwrap_used, reason = "helpers of tests, not only the tests themselves")]

mod certificate;
mod committee;
mod statement;

use std::path::PathBuf;

use attest::*;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};

fn keccak256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Keccak256::digest(bytes.as_ref()).into()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// 32 bytes that depend on a label only.
fn word(label: &str) -> [u8; 32] {
    keccak256(label)
}

fn address(label: &str) -> Address {
    Address(word(label)[12..].try_into().unwrap())
}

/// Compares with the committed file, or writes it. The order of fields does not count.
fn check(name: &str, about: &str, cases: Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let made = json!({ "about": about, "cases": cases });
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let committed: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(committed == made, "{name} is stale; after a deliberate change run with UPDATE_VECTORS=1");
}

fn domains() -> [Domain; 3] {
    [
        Domain { chain_id: 31337, registry: Address::ZERO },
        Domain { chain_id: 1, registry: address("registry") },
        Domain { chain_id: u64::MAX, registry: Address([0xff; 20]) },
    ]
}

fn domain_json(domain: &Domain) -> Value {
    json!({
        "chain_id": domain.chain_id.to_string(),
        "registry": domain.registry,
        "type": Domain::TYPE,
        "type_hash": hex(keccak256(Domain::TYPE)),
        "name_hash": hex(keccak256(Domain::NAME)),
        "version_hash": hex(keccak256(Domain::VERSION)),
        "separator": domain.separator(),
    })
}

fn statement_json(statement: &Statement) -> Value {
    json!({
        "rollup_id": statement.rollup_id,
        "epoch": statement.epoch.0.to_string(),
        "committee_hash": statement.committee_hash,
        "data_bytes": statement.data_bytes.to_string(),
        "data_hash": statement.data_hash,
        "data_root": statement.data_root,
        "shards_root": statement.shards_root,
        "hot_until": statement.hot_until.to_string(),
        "retain_until": statement.retain_until.to_string(),
    })
}

fn statements() -> [Statement; 3] {
    let of = |label: &str, numbers: [u64; 4]| Statement {
        rollup_id: RollupId(word(&format!("{label} rollup"))),
        epoch: Epoch(numbers[0]),
        committee_hash: CommitteeHash(word(&format!("{label} committee"))),
        data_bytes: numbers[1],
        data_hash: DataHash(word(&format!("{label} data"))),
        data_root: DataRoot(word(&format!("{label} root"))),
        shards_root: ShardsRoot(word(&format!("{label} shards"))),
        hot_until: numbers[2],
        retain_until: numbers[3],
    };
    [
        of("first", [0, 1, 0, 0]),
        of("usual", [7, 1 << 20, 1_800_000_000, 1_802_592_000]),
        of("largest", [u64::MAX, BATCH_BYTES_MAX, u64::MAX - 1, u64::MAX]),
    ]
}

fn key(label: &str) -> SecretKey {
    SecretKey::generate(&word(label)).unwrap()
}

fn padded(signature: SignatureBytes) -> String {
    hex(signature.decode().unwrap().to_padded())
}

/// A committee whose keys and operators follow from its size and domain.
struct Seeded {
    committee: Committee,
    keys: Vec<SecretKey>,
}

fn seeded(members: u16, thresholds: Thresholds, domain: Domain) -> Seeded {
    seeded_in(u64::from(members) + 1, members, thresholds, domain)
}

fn seeded_in(epoch: u64, members: u16, thresholds: Thresholds, domain: Domain) -> Seeded {
    let keys: Vec<_> = (0..members).map(|seat| key(&format!("member {seat} of {members}"))).collect();
    let member = |(seat, key): (usize, &SecretKey)| {
        let without_l1 = domain.registry == Address::ZERO;
        let operator = if without_l1 { Address::ZERO } else { address(&format!("operator {seat}")) };
        let proof_of_possession = key.prove_possession(&domain, operator);
        Member { operator, public_key: key.public_key(), proof_of_possession }
    };
    let list = keys.iter().enumerate().map(member).collect();
    let committee = Committee::new(Epoch(epoch), domain, thresholds, list).unwrap();
    Seeded { committee, keys }
}

fn committees() -> Vec<Seeded> {
    let [without_l1, with_l1, _] = domains();
    let default = |members| Thresholds::default_for(members).unwrap();
    vec![
        seeded(1, default(1), without_l1),
        seeded(4, default(4), with_l1),
        seeded(7, default(7), without_l1),
        seeded(9, Thresholds::any_trust(9).unwrap(), with_l1),
        seeded(32, default(32), with_l1),
        // On L1 too, in an order in which one registry can have them; the smaller ones above have none.
        seeded_in(101, 1, default(1), with_l1),
        seeded_in(107, 7, default(7), with_l1),
        seeded_in(228, 128, default(128), with_l1),
    ]
}
