//! Keys: only proven ones come in, each once.

use alloy_primitives::{Address, Bytes, keccak256};
use alloy_sol_types::SolEvent;
use contracts::CommitteeRegistry::{
    ContactTooLong, FalseProofOfPossession, InvalidPoint, KeyAlreadyRegistered, KeyAtInfinity,
    MemberRegistered, NotOperator, ProofAtInfinity, Retired, UnknownMember, WrongPointLength, memberCall,
    registerCall, retireCall, setContactCall,
};
use contracts::harness::{Receipt, Seats, Settlement, contact, padded_proof};

use super::shared::*;

fn settlement() -> (Settlement, Seats) {
    (Settlement::new(CHAIN_ID, NOW).unwrap(), Seats::new("member", 2).unwrap())
}

/// The call that registers seat 0 as it should be.
fn good(settlement: &Settlement, seats: &Seats) -> registerCall {
    let operator = attest::Address(seats.operator(0).into_array());
    let proof = seats.key(0).prove_possession(&settlement.domain(), operator);
    registerCall {
        key: seats.key(0).public_key().to_padded().to_vec().into(),
        proof: padded_proof(proof).unwrap(),
        contact: contact("alpha"),
    }
}

fn send(
    settlement: &mut Settlement,
    seats: &Seats,
    call: &registerCall,
) -> anyhow::Result<Receipt<alloy_primitives::B256>> {
    settlement.chain.send(seats.operator(0), settlement.registry, call)
}

#[test]
fn registers_a_proven_key_and_says_so() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    let receipt = send(&mut settlement, &seats, &call).unwrap();
    assert_eq!(receipt.output.0, seats.key(0).public_key().padded_hash());
    let event = MemberRegistered::decode_log(&receipt.logs[0]).unwrap();
    assert_eq!((event.memberId, event.operator), (receipt.output, seats.operator(0)));
    assert_eq!((&event.key, &event.proof), (&call.key, &call.proof));
    assert_eq!(event.contact.peerId, call.contact.peerId);
    let member = memberCall { memberId: receipt.output };
    let answer = settlement.chain.send(Address::ZERO, settlement.registry, &member).unwrap().output;
    assert_eq!((answer.operator, answer.retired), (seats.operator(0), false));
}

#[test]
fn rejects_a_key_twice_whoever_registers_it() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    send(&mut settlement, &seats, &call).unwrap();
    let KeyAlreadyRegistered { .. } = refused(send(&mut settlement, &seats, &call));
    // The secret leaked: another operator proves it too.
    let other = seats.operator(1);
    let proof = seats.key(0).prove_possession(&settlement.domain(), attest::Address(other.into_array()));
    let call = registerCall { proof: padded_proof(proof).unwrap(), ..call };
    let KeyAlreadyRegistered { .. } = refused(settlement.chain.send(other, settlement.registry, &call));
}

/// The key and a good proof, of something else.
#[test]
fn rejects_proofs_of_something_else() {
    let (mut settlement, seats) = settlement();
    let operator = attest::Address(seats.operator(0).into_array());
    let call = good(&settlement, &seats);
    let proofs = [
        // Of another key.
        seats.key(1).prove_possession(&settlement.domain(), operator),
        // Of another operator: copied from a pending transaction.
        seats.key(0).prove_possession(&settlement.domain(), attest::Address([1; 20])),
        // To another chain, to another registry.
        seats.key(0).prove_possession(&attest::Domain { chain_id: 1, ..settlement.domain() }, operator),
        seats.key(0).prove_possession(
            &attest::Domain { registry: attest::Address::ZERO, ..settlement.domain() },
            operator,
        ),
    ];
    for proof in proofs {
        let call = registerCall { proof: padded_proof(proof).unwrap(), ..call.clone() };
        let FalseProofOfPossession {} = refused(send(&mut settlement, &seats, &call));
    }
}

/// A rogue key is `x * G - (sum of the others)`: with it a lone attacker signs for all. Nobody knows its secret, so nobody
/// can prove it; with `x` alone it cannot be registered. (What it could do, registered without a proof, is shown in
/// `test/CommitteeRegistry.t.sol`, where storage can be written.)
#[test]
fn rejects_a_rogue_key() {
    let (mut settlement, seats) = settlement();
    let attacker = blst::min_sig::SecretKey::key_gen(&[9; 32], &[]).unwrap();
    let others: Vec<_> = [0, 1].map(|seat| blst_key(&seats.key(seat).public_key().to_bytes().0)).into();
    let rogue = subtract(&attacker.sk_to_pk(), &others);
    // It is what the attack needs: the sum of all keys is the attacker's own.
    let all: Vec<_> = others.iter().chain([&rogue]).collect();
    let sum = blst::min_sig::AggregatePublicKey::aggregate(&all, true).unwrap().to_public_key();
    assert_eq!(sum, attacker.sk_to_pk());
    let padded = padded_key(&rogue);
    let operator = attest::Address(seats.operator(0).into_array());
    let digest = possession_digest(&settlement, operator, &padded);
    let suite = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    let proof = attacker.sign(&digest, suite, &[]);
    // The proof is good for the sum, and false for the rogue key.
    assert_eq!(proof.verify(true, &digest, suite, &[], &sum, true), blst::BLST_ERROR::BLST_SUCCESS);
    let proof = attest::SignatureBytes(proof.to_bytes()).decode().unwrap().to_padded();
    let call = registerCall { key: padded, proof: proof.to_vec().into(), contact: contact("rogue") };
    let FalseProofOfPossession {} = refused(send(&mut settlement, &seats, &call));
}

fn blst_key(bytes: &[u8]) -> blst::min_sig::PublicKey {
    blst::min_sig::PublicKey::key_validate(bytes).unwrap()
}

/// `from - sum(keys)`, by negating each: the flag of the sign is in the first byte of the compressed form.
fn subtract(from: &blst::min_sig::PublicKey, keys: &[blst::min_sig::PublicKey]) -> blst::min_sig::PublicKey {
    let negated = keys.iter().map(|key| {
        let mut bytes = key.compress();
        bytes[0] ^= 0x20;
        blst_key(&bytes)
    });
    let terms: Vec<_> = negated.chain([*from]).collect();
    let terms: Vec<_> = terms.iter().collect();
    blst::min_sig::AggregatePublicKey::aggregate(&terms, true).unwrap().to_public_key()
}

/// c0 before c1, padded to 64 bytes each: as EIP-2537 reads a key.
fn padded_key(key: &blst::min_sig::PublicKey) -> Bytes {
    let point = key.serialize();
    let coordinate = |from: usize| [&[0; 16], &point[48 * from..][..48]].concat();
    [1, 0, 3, 2].into_iter().flat_map(coordinate).collect()
}

fn possession_digest(settlement: &Settlement, operator: attest::Address, key: &Bytes) -> [u8; 32] {
    let domain = settlement.domain();
    let mut words = [0; 128];
    words[24..32].copy_from_slice(&domain.chain_id.to_be_bytes());
    words[44..64].copy_from_slice(&domain.registry.0);
    words[76..96].copy_from_slice(&operator.0);
    words[96..].copy_from_slice(keccak256(key).as_slice());
    keccak256(words).0
}

/// The right key over the right 32 bytes, under the suite of attestations: only the suite differs, and it is no proof.
#[test]
fn rejects_an_attestation_as_a_proof() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    let operator = attest::Address(seats.operator(0).into_array());
    let digest = possession_digest(&settlement, operator, &call.key);
    let secret = blst::min_sig::SecretKey::from_bytes(&*seats.key(0).to_bytes()).unwrap();
    let under = |suite: &[u8]| {
        let signature = attest::SignatureBytes(secret.sign(&digest, suite, &[]).to_bytes());
        registerCall { proof: signature.decode().unwrap().to_padded().to_vec().into(), ..call.clone() }
    };
    let attested = under(b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_");
    let FalseProofOfPossession {} = refused(send(&mut settlement, &seats, &attested));
    send(&mut settlement, &seats, &under(b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_")).unwrap();
}

#[test]
fn rejects_infinity() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    let key = registerCall { key: vec![0; 256].into(), ..call.clone() };
    let KeyAtInfinity {} = refused(send(&mut settlement, &seats, &key));
    let proof = registerCall { proof: vec![0; 128].into(), ..call.clone() };
    let ProofAtInfinity {} = refused(send(&mut settlement, &seats, &proof));
    let both = registerCall { key: vec![0; 256].into(), proof: vec![0; 128].into(), ..call };
    let KeyAtInfinity {} = refused(send(&mut settlement, &seats, &both));
}

/// A point of the twist outside the subgroup: x = 2, y from the curve equation (found with blst's square root).
fn g2_point_outside_the_subgroup() -> Bytes {
    let mut compressed = [0; 96];
    for x in 1..=u8::MAX {
        compressed[0] = 0x80;
        compressed[95] = x;
        let mut point = [0; 192];
        if let Ok(decoded) = blst::min_sig::PublicKey::uncompress(&compressed) {
            assert!(decoded.validate().is_err(), "a small x in the subgroup");
            point.copy_from_slice(&decoded.serialize());
            let coordinate = |from: usize| [&[0; 16], &point[48 * from..][..48]].concat();
            return [1, 0, 3, 2].into_iter().flat_map(coordinate).collect();
        }
    }
    panic!("no point with a small x");
}

#[test]
fn rejects_what_is_no_point_of_the_subgroup() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    let outside = registerCall { key: g2_point_outside_the_subgroup(), ..call.clone() };
    let InvalidPoint {} = refused(send(&mut settlement, &seats, &outside));
    for (byte, bit) in [(255, 1), (0, 1), (16, 0x80), (64, 1), (200, 4)] {
        let mut key = call.key.to_vec();
        key[byte] ^= bit;
        let call = registerCall { key: key.into(), ..call.clone() };
        let InvalidPoint {} = refused(send(&mut settlement, &seats, &call));
    }
    // (0, 2): on the curve of G1, of order 3.
    let mut proof = vec![0; 128];
    proof[127] = 2;
    let call = registerCall { proof: proof.into(), ..call };
    let InvalidPoint {} = refused(send(&mut settlement, &seats, &call));
}

#[test]
fn rejects_other_lengths() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    for length in [0, 96, 192, 255, 257] {
        let mut key = call.key.to_vec();
        key.resize(length, 0);
        let call = registerCall { key: key.into(), ..call.clone() };
        let WrongPointLength { bytesFound, .. } = refused(send(&mut settlement, &seats, &call));
        assert_eq!(bytesFound.to::<usize>(), length);
    }
    for length in [0, 48, 96, 127, 129] {
        let mut proof = call.proof.to_vec();
        proof.resize(length, 0);
        let call = registerCall { proof: proof.into(), ..call.clone() };
        let WrongPointLength { .. } = refused(send(&mut settlement, &seats, &call));
    }
}

#[test]
fn bounds_the_contact() {
    let (mut settlement, seats) = settlement();
    let call = good(&settlement, &seats);
    let mut many = call.clone();
    many.contact.addresses = vec![String::new(); 9];
    let ContactTooLong { addresses, .. } = refused(send(&mut settlement, &seats, &many));
    assert_eq!(addresses.to::<u64>(), 9);
    let mut long = call.clone();
    long.contact.api = "x".repeat(1025);
    let ContactTooLong { .. } = refused(send(&mut settlement, &seats, &long));
    let mut largest = call;
    largest.contact.addresses = vec!["y".repeat(128); 8];
    (largest.contact.name, largest.contact.api) = (String::new(), String::new());
    largest.contact.peerId = String::new();
    send(&mut settlement, &seats, &largest).unwrap();
}

#[test]
fn only_the_operator_speaks_for_a_member() {
    let (mut settlement, seats) = settlement();
    let member_id = settlement.register(&seats, 0).unwrap().output;
    let registry = settlement.registry;
    let change = setContactCall { memberId: member_id, contact: contact("beta") };
    let NotOperator { .. } = refused(settlement.chain.send(seats.operator(1), registry, &change));
    settlement.chain.send(seats.operator(0), registry, &change).unwrap();
    let NotOperator { .. } =
        refused(settlement.chain.send(seats.operator(1), registry, &retireCall { memberId: member_id }));
    settlement.chain.send(seats.operator(0), registry, &retireCall { memberId: member_id }).unwrap();
    let Retired { .. } =
        refused(settlement.chain.send(seats.operator(0), registry, &retireCall { memberId: member_id }));
    let unknown = retireCall { memberId: keccak256("nobody") };
    let UnknownMember { .. } = refused(settlement.chain.send(seats.operator(0), registry, &unknown));
}
