//! Keys, proofs of possession and committees.

use super::*;

#[test]
fn possession() {
    let mut cases = vec![];
    for (index, domain) in domains().into_iter().enumerate() {
        for operator in [Address::ZERO, address("operator")] {
            let secret = key(&format!("possession {index} {operator}"));
            let public = secret.public_key();
            let proof = secret.prove_possession(&domain, operator);
            proof.verify(&domain, operator, &public).unwrap();
            let other = key("another key").prove_possession(&domain, operator);
            assert_eq!(other.verify(&domain, operator, &public), Err(Error::InvalidPossession));
            cases.push(json!({
                "chain_id": domain.chain_id.to_string(),
                "registry": domain.registry,
                "operator": operator,
                "secret_key": hex(secret.to_bytes()),
                "public_key": public,
                "public_key_padded": hex(public.to_padded()),
                "public_key_padded_hash": hex(public.padded_hash()),
                "digest": possession_digest(&domain, operator, &public),
                "suite": "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_",
                "proof_of_possession": proof,
                "proof_of_possession_padded": padded(SignatureBytes(proof.0)),
                "proof_of_another_key": other,
            }));
        }
    }
    check(
        "possession.json",
        "BLS keys, compressed and as EIP-2537 reads them, and proofs of possession.",
        json!(cases),
    );
}

fn committee_json(Seeded { committee, keys }: &Seeded) -> Value {
    let member = |(member, key): (&Member, &SecretKey)| {
        json!({
            "secret_key": hex(key.to_bytes()),
            "operator": member.operator,
            "public_key": member.public_key,
            "public_key_padded": hex(member.public_key.to_padded()),
            "proof_of_possession": member.proof_of_possession,
            "proof_of_possession_padded": padded(SignatureBytes(member.proof_of_possession.0)),
        })
    };
    let padded_keys: Vec<u8> =
        committee.members().iter().flat_map(|member| member.public_key.to_padded()).collect();
    let thresholds = committee.thresholds();
    json!({
        "epoch": committee.epoch().0.to_string(),
        "chain_id": committee.domain().chain_id.to_string(),
        "registry": committee.domain().registry,
        "members": thresholds.members(),
        "minimum_shards": thresholds.minimum_shards(),
        "quorum": thresholds.quorum(),
        "keys_hash": hex(keccak256(padded_keys)),
        "committee_hash": committee.hash(),
        "aggregate_key": committee.aggregate_key(),
        "aggregate_key_padded": hex(committee.aggregate_key().to_padded()),
        "member": committee.members().iter().zip(keys).map(member).collect::<Vec<_>>(),
    })
}

#[test]
fn committee() {
    let cases: Vec<_> = committees().iter().map(committee_json).collect();
    check(
        "committee.json",
        "Committees: keys in seat order, their hash and the sum of their keys.",
        json!(cases),
    );
}
