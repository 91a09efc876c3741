//! Statements and submissions: EIP-712 digests, and the signatures of submitters.

use super::*;

#[test]
fn statement() {
    let mut cases = vec![];
    for domain in domains() {
        for statement in statements() {
            statement.check().unwrap();
            cases.push(json!({
                "domain": domain_json(&domain),
                "statement": statement_json(&statement),
                "type": Statement::TYPE,
                "type_hash": hex(keccak256(Statement::TYPE)),
                "struct_hash": hex(statement.struct_hash()),
                "digest": statement.digest(&domain),
                "scale": hex(statement.encode()),
            }));
        }
    }
    check(
        "statement.json",
        "EIP-712 digests of statements: what members sign, and the id of the batch.",
        json!(cases),
    );
}

fn submission_json(submission: &Submission) -> Value {
    json!({
        "rollup_id": submission.rollup_id,
        "data_hash": submission.data_hash,
        "data_bytes": submission.data_bytes.to_string(),
        "hot_until": submission.hot_until.to_string(),
        "retain_until": submission.retain_until.to_string(),
        "deadline": submission.deadline.to_string(),
    })
}

fn refused_signature(why: &str, signature: SubmissionSignature, digest: &SubmissionDigest) -> Value {
    signature.recover(digest).expect_err(why);
    json!({ "why": why, "signature": signature })
}

/// Signatures next to a good one that recover nothing.
fn refused_signatures(signature: SubmissionSignature, digest: &SubmissionDigest) -> Value {
    let edit = |edit: &dyn Fn(&mut [u8; 65])| {
        let mut other = signature;
        edit(&mut other.0);
        other
    };
    let mirrored = edit(&|bytes| {
        let parsed = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
        let (r, s) = parsed.split_scalars();
        bytes[..64].copy_from_slice(&k256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes());
        bytes[64] = 27 + 28 - bytes[64];
    });
    json!([
        refused_signature("high s", mirrored, digest),
        refused_signature("v is 29", edit(&|bytes| bytes[64] = 29), digest),
        refused_signature("v is 2", edit(&|bytes| bytes[64] = 2), digest),
        refused_signature("r is zero", edit(&|bytes| bytes[..32].fill(0)), digest),
        refused_signature("s is zero", edit(&|bytes| bytes[32..64].fill(0)), digest),
        refused_signature("r is above the order", edit(&|bytes| bytes[..32].fill(0xff)), digest),
    ])
}

#[test]
fn submission() {
    let mut cases = vec![];
    for domain in domains() {
        for Statement { rollup_id, data_hash, data_bytes, hot_until, retain_until, .. } in statements() {
            let deadline = hot_until / 2;
            let submission =
                Submission { rollup_id, data_hash, data_bytes, hot_until, retain_until, deadline };
            let secret = word(&format!("submitter {rollup_id}"));
            let key = SubmitterKey::from_bytes(&secret).unwrap();
            let digest = submission.digest(&domain);
            let signature = key.sign(&digest);
            assert_eq!(signature.recover(&digest), Ok(key.address()));
            cases.push(json!({
                "domain": domain_json(&domain),
                "submission": submission_json(&submission),
                "type": Submission::TYPE,
                "type_hash": hex(keccak256(Submission::TYPE)),
                "struct_hash": hex(submission.struct_hash()),
                "digest": digest,
                "scale": hex(submission.encode()),
                "secret_key": hex(secret),
                "address": key.address(),
                "signature": signature,
                "refused": refused_signatures(signature, &digest),
            }));
        }
    }
    check(
        "submission.json",
        "EIP-712 digests of submissions and secp256k1 signatures on them.",
        json!(cases),
    );
}
