//! Certificates of committees of every size, judged by the verifier on a real chain: good ones are accepted, everything
//! else is refused with its own error, as it is in `contracts/rust/tests` by an EVM alone.

use alloy_primitives::{Address as L1Address, Bytes, hex, keccak256};
use alloy_sol_types::SolCall;
use attest::{Committee, Domain, SeatIndex, Thresholds};
use contracts::CommitteeRegistry::{announceCall, registerCall, setContactCall, storeKeysCall};
use contracts::ICommitteeRegistry::Announcement;
use contracts::harness::{NEW_KEYS_MAX, Seats, contact, padded_proof};
use dac_node::settlement::operator::Error;
use serde_json::{Value, json};

use crate::l1::{CHAIN_ID, Chain, DELAY, RETENTION};

const ROLLUP: [u8; 32] = [0x5e; 32];

/// More than any call here costs. Whoever does not say how much has it estimated: the call is run some twenty times.
const GAS_MAX: &str = "0x1312d00";

/// Sends from an account whose key nobody has: a test chain lets it.
async fn send_as(chain: &Chain, from: L1Address, call: &impl SolCall) {
    let balance = "0x56bc75e2d63100000";
    chain.owner.test_chain("anvil_setBalance", json!([from, balance])).await.unwrap();
    let data = hex::encode_prefixed(call.abi_encode());
    let transaction = json!([{ "from": from, "to": chain.registry, "data": data, "gas": GAS_MAX }]);
    chain.owner.test_chain("eth_sendTransaction", transaction).await.unwrap();
}

/// The call that registers a seat as it should be.
fn registration(domain: &Domain, seats: &Seats, seat: u16) -> registerCall {
    let (key, operator) = (seats.key(seat), seats.operator(seat));
    let proof = key.prove_possession(domain, attest::Address(operator.into_array()));
    registerCall {
        key: key.public_key().to_padded().to_vec().into(),
        proof: padded_proof(proof).unwrap(),
        contact: contact("alpha"),
    }
}

async fn install(chain: &Chain, epoch: u64, seats: &Seats, thresholds: Thresholds) -> Committee {
    let domain = Domain { chain_id: CHAIN_ID, registry: chain.terms().address };
    for seat in 0..seats.members() {
        send_as(chain, seats.operator(seat), &registration(&domain, seats, seat)).await;
    }
    let ahead = seats.members().saturating_sub(NEW_KEYS_MAX);
    for first in (0..ahead).step_by(usize::from(NEW_KEYS_MAX)) {
        let keys: Bytes = seats.padded_keys(first..ahead.min(first + NEW_KEYS_MAX));
        chain.owner.send(chain.registry, &storeKeysCall { keys }).await.unwrap();
    }
    let (_, now) = chain.owner.now().await.unwrap();
    let announcement = Announcement {
        epoch,
        minimumShards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        activatesAt: alloy_primitives::aliases::U48::saturating_from(now + DELAY + 20),
        members: seats.ids(),
        newKeys: seats.padded_keys(ahead..seats.members()),
    };
    chain.owner.send(chain.registry, &announceCall { announcement }).await.unwrap();
    chain.pass(DELAY + 20).await;
    seats.committee(epoch, domain, thresholds).unwrap()
}

/// The chain refused, and named this error: its name, or its signature.
fn refused_for<T>(found: Result<T, Error>, error: &str, what: &str) {
    let name = error.split('(').next().unwrap();
    let found = found.err();
    let is_named = matches!(&found, Some(Error::Refused(why)) if why.split('(').next() == Some(name));
    assert!(is_named, "{what}: {found:?}, not {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anvil_accepts_certificates_of_every_size_and_nothing_below_quorum() {
    let chain = Chain::deploy().await;
    chain.owner.test_chain("anvil_autoImpersonateAccount", json!([true])).await.unwrap();
    for (epoch, members) in (1..).zip([1u16, 4, 7, 32, 128]) {
        let seats = Seats::new(&format!("anvil {members}"), members).unwrap();
        let quorum = members - (members - 1) / 3;
        let thresholds = Thresholds::new(members, (members - 1) / 3 + 1, quorum).unwrap();
        let committee = install(&chain, epoch, &seats, thresholds).await;
        let retain_until = chain.owner.now().await.unwrap().1 + 3600;
        let certify = |signers: Vec<u16>| seats.certify(&committee, ROLLUP, retain_until, signers).unwrap();
        chain.accepts(&certify((0..members).collect())).await;
        chain.accepts(&certify((0..quorum).collect())).await;
        chain.accepts(&certify((members - quorum..members).collect())).await;
        if quorum > 1 {
            let mut fewer = certify((0..members).collect());
            fewer.signers = attest::Signers::from_seats(members, (1..quorum).map(SeatIndex)).unwrap();
            refused_for(chain.judge(&fewer).await, "BelowQuorum", &format!("{members}"));
        }
    }
}

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// Registers and activates the committee of a vector.
async fn install_vector(chain: &Chain, case: &Value) {
    let (mut members, mut keys) = (vec![], vec![]);
    for member in case["member"].as_array().unwrap() {
        let key = bytes(&member["public_key_padded"]);
        let call = registerCall {
            key: key.clone().into(),
            proof: bytes(&member["proof_of_possession_padded"]).into(),
            contact: contact("alpha"),
        };
        send_as(chain, member["operator"].as_str().unwrap().parse().unwrap(), &call).await;
        members.push(keccak256(&key));
        keys.extend(key);
    }
    // More keys than one blob holds are stored ahead.
    let ahead = members.len().saturating_sub(usize::from(NEW_KEYS_MAX));
    if ahead > 0 {
        let keys: Vec<u8> = keys.drain(..256 * ahead).collect();
        chain.owner.send(chain.registry, &storeKeysCall { keys: keys.into() }).await.unwrap();
    }
    let (_, now) = chain.owner.now().await.unwrap();
    let announcement = Announcement {
        epoch: number(&case["epoch"]),
        minimumShards: u16::try_from(number(&case["minimum_shards"])).unwrap(),
        quorum: u16::try_from(number(&case["quorum"])).unwrap(),
        activatesAt: alloy_primitives::aliases::U48::saturating_from(now + DELAY + 20),
        members,
        newKeys: keys.into(),
    };
    chain.owner.send(chain.registry, &announceCall { announcement }).await.unwrap();
    chain.pass(DELAY + 20).await;
}

/// `tests/vectors/certificate.json`, whose committees are on chain 1, at a registry's address of their own, in a month of
/// their own.
#[tokio::test(flavor = "multi_thread")]
async fn anvil_refuses_every_refused_vector_with_the_error_it_names() {
    let committees = cases(include_str!("../vectors/committee.json"));
    let on_l1 = |case: &&Value| bytes(&case["registry"]).iter().any(|byte| *byte != 0);
    let mut chain = Chain::deploy_on(1).await;
    chain.owner.test_chain("anvil_autoImpersonateAccount", json!([true])).await.unwrap();
    chain.set_time(1_799_990_000).await;
    let first = committees.iter().find(on_l1).unwrap();
    chain.move_registry(first["registry"].as_str().unwrap().parse().unwrap()).await;
    for committee in committees.iter().filter(on_l1) {
        assert_eq!((number(&committee["chain_id"]), &committee["registry"]), (1, &first["registry"]));
        install_vector(&chain, committee).await;
    }
    let (mut accepted, mut refused) = (0, 0);
    for case in cases(include_str!("../vectors/certificate.json")) {
        if number(&case["domain"]["chain_id"]) != 1 {
            continue;
        }
        let rollup: [u8; 32] = bytes(&case["statement"]["rollup_id"]).try_into().unwrap();
        let batch_id = chain.judge_bytes(rollup, bytes(&case["abi"])).await.unwrap();
        assert_eq!(hex::encode_prefixed(batch_id), case["digest"].as_str().unwrap());
        accepted += 1;
        for bad in ["refused", "refused_abi"].iter().flat_map(|list| case[*list].as_array().unwrap()) {
            // Without an error there is no form of its own for L1.
            let Some(error) = bad["error"].as_str() else { continue };
            let found = chain.judge_bytes(rollup, bytes(&bad["abi"])).await;
            refused_for(found, error, &format!("{} members, {}", case["members"], bad["why"]));
            refused += 1;
        }
    }
    assert!(accepted >= 11 && refused >= 310, "{accepted} accepted, {refused} refused");
}

/// What no stored vector can show: times, epochs one after the other, other people's keys.
#[tokio::test(flavor = "multi_thread")]
async fn anvil_refuses_what_comes_too_early_too_late_or_without_proof() {
    let chain = Chain::deploy().await;
    chain.owner.test_chain("anvil_autoImpersonateAccount", json!([true])).await.unwrap();
    let thresholds = Thresholds::new(4, 2, 3).unwrap();
    let seats = Seats::new("anvil", 4).unwrap();
    let committee = install(&chain, 1, &seats, thresholds).await;
    let certify = |committee: &Committee, retain_until: u64| {
        seats.certify(committee, ROLLUP, retain_until, 0..4).unwrap()
    };
    let (_, now) = chain.owner.now().await.unwrap();
    // An hour before the bound and after it: blocks come while this runs.
    chain.accepts(&certify(&committee, now + RETENTION - 3600)).await;
    let too_long = certify(&committee, now + RETENTION + 3600);
    refused_for(chain.judge(&too_long).await, "RetentionTooLong", "kept too long");
    let good = certify(&committee, now + 7200);
    chain.accepts(&good).await;
    let other_rollup = chain.judge_bytes([7; 32], good.to_abi().unwrap()).await;
    refused_for(other_rollup, "RollupMismatch", "offered for another rollup");

    // The same members again: announced, and not begun.
    let second = seats.committee(2, *committee.domain(), thresholds).unwrap();
    let begins = chain.owner.now().await.unwrap().1 + DELAY + 20;
    let announcement = Announcement {
        epoch: 2,
        minimumShards: 2,
        quorum: 3,
        activatesAt: alloy_primitives::aliases::U48::saturating_from(begins),
        members: seats.ids(),
        newKeys: Bytes::new(),
    };
    let mut twice = announcement.clone();
    twice.members[3] = twice.members[0];
    let owner = &chain.owner;
    let announce = |announcement| announceCall { announcement };
    refused_for(owner.call(chain.registry, &announce(twice)).await, "DuplicateMember", "a member twice");
    owner.send(chain.registry, &announce(announcement.clone())).await.unwrap();
    let pending = Announcement { epoch: 3, ..announcement };
    refused_for(owner.call(chain.registry, &announce(pending)).await, "EpochPending", "two at once");
    let early = certify(&second, begins + 3600);
    refused_for(chain.judge(&early).await, "EpochNotActive", "before it begins");
    chain.set_time(begins + 60).await;
    chain.accepts(&early).await;
    // The first epoch has ended: what was in flight is good, what it could not have promised is not.
    chain.accepts(&good).await;
    chain.accepts(&certify(&committee, begins + RETENTION)).await;
    let late = certify(&committee, begins + RETENTION + 1);
    refused_for(chain.judge(&late).await, "EpochSuperseded", "after its end");
    chain.set_time(good.statement.retain_until).await;
    refused_for(chain.judge(&good).await, "CertificateExpired", "expired");

    // Keys: one that is registered, ones without their proof, ones that are none.
    let strangers = Seats::new("strangers", 2).unwrap();
    let register = |call: registerCall| async move { owner.call(chain.registry, &call).await };
    let domain = committee.domain();
    let again = registration(domain, &seats, 0);
    refused_for(register(again).await, "KeyAlreadyRegistered", "a key twice");
    // The proof is of another operator: copied on its way.
    let copied = registration(domain, &strangers, 0);
    refused_for(register(copied.clone()).await, "FalseProofOfPossession", "a copied proof");
    let rogue = registerCall { proof: registration(domain, &strangers, 1).proof, ..copied.clone() };
    refused_for(register(rogue).await, "FalseProofOfPossession", "a proof of another key");
    let infinite = registerCall { key: vec![0; 256].into(), ..copied.clone() };
    refused_for(register(infinite).await, "KeyAtInfinity", "a key at infinity");
    let unproven = registerCall { proof: vec![0; 128].into(), ..copied.clone() };
    refused_for(register(unproven).await, "ProofAtInfinity", "a proof at infinity");
    let mut off_curve = copied.key.to_vec();
    off_curve[255] ^= 1;
    let off_curve = registerCall { key: off_curve.into(), ..copied.clone() };
    refused_for(register(off_curve).await, "InvalidPoint", "a key off the curve");
    let short = registerCall { key: copied.key.slice(..255), ..copied };
    refused_for(register(short).await, "WrongPointLength", "a key cut short");
    let moved = setContactCall { memberId: seats.ids()[0], contact: contact("beta") };
    refused_for(owner.call(chain.registry, &moved).await, "NotOperator", "a member moved by another");
}
