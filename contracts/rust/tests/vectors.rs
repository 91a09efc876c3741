//! `tests/vectors`: the bytes that Rust wrote, forge reads, and L1 accepts or refuses.
//!
//! Committees of the vectors name a registry's address; the contracts are moved there. Those without an L1 (operators
//! are zero) cannot register and are skipped, but their number is counted.

use std::collections::BTreeSet;

use alloy_primitives::{Address, keccak256};
use alloy_sol_types::SolValue;
use attest::{Certificate, Committee, Domain, Epoch, Member, PublicKeyBytes, Thresholds};
use contracts::CertificateVerifier;
use contracts::CommitteeRegistry::{announceCall, registerCall, storeKeysCall};
use contracts::ICommitteeRegistry::Announcement;
use contracts::harness::{ANNOUNCEMENT_DELAY_SECONDS, Settlement, contact};
use serde_json::Value;

use super::shared::*;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

/// The committee of a vector, registered and active.
fn install(case: &Value) -> Settlement {
    let mut settlement =
        Settlement::new(number(&case["chain_id"]), NOW - ANNOUNCEMENT_DELAY_SECONDS - DAY).unwrap();
    let registry = address(&case["registry"]);
    settlement.chain.move_account(settlement.registry, registry).unwrap();
    settlement.registry = registry;
    let owner = settlement.owner;
    settlement.verifier = settlement
        .chain
        .deploy(owner, &CertificateVerifier::BYTECODE, &registry.abi_encode())
        .unwrap()
        .output;
    let (mut members, mut new_keys) = (vec![], vec![]);
    let list = case["member"].as_array().unwrap();
    for member in list {
        let key = hex_bytes(&member["public_key_padded"]);
        let proof = hex_bytes(&member["proof_of_possession_padded"]);
        let call = registerCall { key: key.clone(), proof, contact: contact("alpha") };
        members.push(settlement.chain.send(address(&member["operator"]), registry, &call).unwrap().output);
        new_keys.extend_from_slice(&key);
    }
    // More keys than one blob holds are stored ahead.
    let ahead = members.len().saturating_sub(96);
    if ahead > 0 {
        let keys = new_keys.drain(..256 * ahead).collect::<Vec<u8>>().into();
        settlement.chain.send(owner, registry, &storeKeysCall { keys }).unwrap();
    }
    let thresholds = Thresholds::new(
        u16::try_from(members.len()).unwrap(),
        u16::try_from(number(&case["minimum_shards"])).unwrap(),
        u16::try_from(number(&case["quorum"])).unwrap(),
    )
    .unwrap();
    let activates_at = settlement.chain.now() + ANNOUNCEMENT_DELAY_SECONDS;
    let announcement = Announcement {
        epoch: number(&case["epoch"]),
        minimumShards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        activatesAt: alloy_primitives::aliases::U48::from(activates_at),
        members,
        newKeys: new_keys.into(),
    };
    settlement.chain.send(owner, registry, &announceCall { announcement }).unwrap();
    settlement.activate();
    settlement
}

/// The same committee as `attest` reads it.
fn attest_committee(case: &Value) -> Committee {
    let members = case["member"].as_array().unwrap().iter().map(|member| {
        let text = |field: &str| member[field].as_str().unwrap();
        Member {
            operator: attest::Address(address(&member["operator"]).into_array()),
            public_key: text("public_key").parse::<PublicKeyBytes>().unwrap().decode().unwrap(),
            proof_of_possession: text("proof_of_possession").parse().unwrap(),
        }
    });
    let members: Vec<Member> = members.collect();
    let domain = Domain {
        chain_id: number(&case["chain_id"]),
        registry: attest::Address(address(&case["registry"]).into_array()),
    };
    let small = |field: &str| u16::try_from(number(&case[field])).unwrap();
    let thresholds = Thresholds::new(small("members"), small("minimum_shards"), small("quorum")).unwrap();
    Committee::new(Epoch(number(&case["epoch"])), domain, thresholds, members).unwrap()
}

/// L1 gives the vector's own error. Without one the bytes have no form of their own on L1: a SCALE form that is none, or
/// one whose bitmap has another width, which is the same number.
fn refuses(settlement: &mut Settlement, rollup: [u8; 32], good: &Value, bad: &Value) {
    let why = bad["why"].as_str().unwrap();
    let Some(error) = bad["error"].as_str() else {
        assert!(bad["abi"].is_null() || bad["abi"] == *good, "{why}: no error is named");
        return;
    };
    let found = refused_data(settlement.verify_bytes(rollup, hex_bytes(&bad["abi"]).to_vec()));
    assert_eq!(found.get(..4), Some(&keccak256(error)[..4]), "{why}: {found}, not {error}");
}

/// `attest` gives its own error to the form that it would read: SCALE, or L1's where there is no other.
fn refuses_off_chain(known: &Committee, bad: &Value) {
    let (why, error) = (bad["why"].as_str().unwrap(), bad["attest_error"].as_str().unwrap());
    let found = match bad.get("scale") {
        Some(scale) => Certificate::decode_strict(&hex_bytes(scale)),
        None => Certificate::from_abi(&hex_bytes(&bad["abi"]), known.thresholds().members()),
    };
    let found = found.and_then(|certificate| certificate.verify(known)).expect_err(why);
    let shown = format!("{found:?}");
    let name = shown.split(|character: char| !character.is_alphanumeric()).next();
    assert_eq!(name, Some(error), "{why}: {found}");
}

#[test]
fn the_certificates_of_the_vectors_verify_and_the_refused_do_not() {
    let committees = cases("committee");
    let (mut accepted, mut refused) = (0, 0);
    let mut sizes = BTreeSet::new();
    for case in cases("certificate") {
        let hash = &case["committee_hash"];
        let committee = committees.iter().find(|committee| &committee["committee_hash"] == hash).unwrap();
        if address(&committee["registry"]).is_zero() {
            continue;
        }
        let mut settlement = install(committee);
        sizes.insert(number(&committee["members"]));
        let rollup = hex_bytes(&case["statement"]["rollup_id"]);
        let rollup: [u8; 32] = rollup.as_ref().try_into().unwrap();
        let abi = hex_bytes(&case["abi"]);
        let batch_id = settlement.verify_bytes(rollup, abi.to_vec()).unwrap().output;
        assert_eq!(batch_id.to_string(), case["digest"]);
        let members = u16::try_from(number(&case["members"])).unwrap();
        let good = Certificate::from_abi(&abi, members).unwrap();
        let known = attest_committee(committee);
        good.verify(&known).unwrap();
        accepted += 1;
        for bad in ["refused", "refused_abi"].iter().flat_map(|list| case[*list].as_array().unwrap()) {
            refuses(&mut settlement, rollup, &case["abi"], bad);
            refuses_off_chain(&known, bad);
            refused += 1;
        }
    }
    assert!([1, 4, 7, 32, 128].iter().all(|size| sizes.contains(size)), "{sizes:?}");
    assert!(accepted >= 11 && refused >= 350, "{accepted} accepted, {refused} refused");
}
