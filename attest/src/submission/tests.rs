use alloy_sol_types::SolStruct;
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use parity_scale_codec::Encode;
use proptest::prelude::*;

use super::*;
use crate::testing::alloy_domain;

mod sol {
    alloy_sol_types::sol! {
        struct Submission {
            bytes32 rollupId;
            bytes32 dataHash;
            uint64 dataBytes;
            uint64 hotUntil;
            uint64 retainUntil;
            uint64 deadline;
        }
    }
}

fn any_submission() -> impl Strategy<Value = (Domain, Submission)> {
    any::<(u64, [u8; 20], [u8; 32], [u8; 32], (u64, u64, u64, u64))>().prop_map(
        |(chain_id, registry, id, hash, n)| {
            let submission = Submission {
                rollup_id: RollupId(id),
                data_hash: DataHash(hash),
                data_bytes: n.0,
                hot_until: n.1,
                retain_until: n.2,
                deadline: n.3,
            };
            (Domain { chain_id, registry: Address(registry) }, submission)
        },
    )
}

fn bytes32(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The private key of the accounts documentation of web3.js and its address.
fn known_key() -> (SubmitterKey, Address) {
    let key = bytes32("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318");
    let address = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23".parse().unwrap();
    (SubmitterKey::from_bytes(&key).unwrap(), address)
}

fn refused(signature: SubmissionSignature, digest: &SubmissionDigest) -> &'static str {
    match signature.recover(digest) {
        Err(Error::InvalidSubmissionSignature { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

/// The signature of "Some data" in the accounts documentation of web3.js.
#[test]
fn recovers_the_address_of_a_published_signature() {
    let digest =
        SubmissionDigest(bytes32("1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"));
    let signature: SubmissionSignature = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
                                          6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
        .parse()
        .unwrap();
    let (key, address) = known_key();
    assert_eq!(signature.recover(&digest), Ok(address));
    assert_eq!(key.sign(&digest), signature);
}

/// Account 0 of the mnemonic "test test ... junk" that Ethereum development nodes start with.
#[test]
fn derives_published_addresses() {
    let bytes = bytes32("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    let key = SubmitterKey::from_bytes(&bytes).unwrap();
    assert_eq!(key.address(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap());
    assert_eq!(*key.to_bytes(), bytes);
    let (key, address) = known_key();
    assert_eq!(key.address(), address);
    assert_eq!(format!("{key:?}"), "SubmitterKey(0x2c7536e3605d9c16a7a3d7b1898e529396a65c23)");
}

#[test]
fn refuses_a_key_out_of_range() {
    let order = bytes32("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    for bytes in [[0; 32], order, [0xff; 32]] {
        assert_eq!(SubmitterKey::from_bytes(&bytes).err(), Some(Error::InvalidSubmitterKey));
    }
}

#[test]
fn refuses_a_v_that_is_no_parity() {
    let (key, _) = known_key();
    let digest = SubmissionDigest([5; 32]);
    for v in [2, 3, 26, 29, 30, 255] {
        let mut signature = key.sign(&digest);
        signature.0[64] = v;
        assert_eq!(refused(signature, &digest), "v is not 27, 28, 0 or 1");
    }
}

#[test]
fn refuses_numbers_out_of_range() {
    let (key, _) = known_key();
    let digest = SubmissionDigest([5; 32]);
    for range in [0..32, 32..64] {
        for byte in [0x00, 0xff] {
            let mut signature = key.sign(&digest);
            signature.0[range.clone()].fill(byte);
            assert_eq!(refused(signature, &digest), "r or s is out of range");
        }
    }
}

/// The smallest r that is the x of no point of the curve.
#[test]
fn refuses_an_r_that_is_no_point() {
    let mut bytes = [0; 65];
    bytes[63] = 1;
    bytes[64] = 27;
    let details: Vec<_> = (1..=5u8)
        .map(|r| {
            bytes[31] = r;
            SubmissionSignature(bytes).recover(&SubmissionDigest([5; 32])).is_err()
        })
        .collect();
    assert_eq!(details, [false, false, false, false, true]);
    assert_eq!(refused(SubmissionSignature(bytes), &SubmissionDigest([5; 32])), "no key signs this");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn digest_is_that_of_another_eip712_implementation((domain, submission) in any_submission()) {
        let other = sol::Submission {
            rollupId: submission.rollup_id.0.into(),
            dataHash: submission.data_hash.0.into(),
            dataBytes: submission.data_bytes,
            hotUntil: submission.hot_until,
            retainUntil: submission.retain_until,
            deadline: submission.deadline,
        };
        prop_assert_eq!(sol::Submission::eip712_encode_type(), Submission::TYPE);
        prop_assert_eq!(submission.struct_hash(), other.eip712_hash_struct().0);
        prop_assert_eq!(submission.digest(&domain).0, other.eip712_signing_hash(&alloy_domain(&domain)).0);
        prop_assert_eq!(submission.encode().len(), 96);
    }

    #[test]
    fn signer_is_recovered_from_both_forms_of_v(secret in 1u8.., digest: [u8; 32]) {
        let key = SubmitterKey::from_bytes(&[secret.min(0xfe); 32]).unwrap();
        let digest = SubmissionDigest(digest);
        let mut signature = key.sign(&digest);
        prop_assert_eq!(signature.recover(&digest), Ok(key.address()));
        signature.0[64] -= 27;
        prop_assert_eq!(signature.recover(&digest), Ok(key.address()));
        signature.0[64] ^= 1;
        prop_assert_ne!(signature.recover(&digest), Ok(key.address()));
    }

    /// Without the low-s rule the mirrored signature would recover the same address: one authorisation, two texts.
    #[test]
    fn refuses_the_mirrored_signature(digest: [u8; 32]) {
        let (key, address) = known_key();
        let digest = SubmissionDigest(digest);
        let signature = key.sign(&digest);
        let (r, s) = Signature::from_slice(&signature.0[..64]).unwrap().split_scalars();
        let mirrored = Signature::from_scalars(r, -s).unwrap();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&mirrored.to_bytes());
        bytes[64] = 27 + 28 - signature.0[64];
        prop_assert_eq!(signature.recover(&digest), Ok(address));
        prop_assert_eq!(refused(SubmissionSignature(bytes), &digest), "s is in the upper half");
    }

    /// k256 is Rust where libsecp256k1 is C, and by other people.
    #[test]
    fn signs_and_recovers_as_another_implementation(
        secret: [u8; 32],
        digest: [u8; 32],
        spoilt in prop::option::of((0..64_usize, 1u8..)),
    ) {
        let Ok(key) = SubmitterKey::from_bytes(&secret) else {
            prop_assert!(SigningKey::from_slice(&secret).is_err());
            return Ok(());
        };
        let other = SigningKey::from_slice(&secret).unwrap();
        let (signature, recovery) = other.sign_prehash_recoverable(&digest).unwrap();
        let mut signed = key.sign(&SubmissionDigest(digest));
        prop_assert_eq!(&signed.0[..64], &signature.to_bytes()[..]);
        prop_assert_eq!(signed.0[64], 27 + recovery.to_byte());
        if let Some((at, bits)) = spoilt {
            signed.0[at] ^= bits;
        }
        let recovered = Signature::from_slice(&signed.0[..64]).ok().filter(|s| s.normalize_s().is_none());
        let recovered = recovered.and_then(|s| VerifyingKey::recover_from_prehash(&digest, &s, recovery).ok());
        let address = recovered.map(|key| {
            let hash = crate::eip712::keccak256(&key.to_encoded_point(false).as_bytes()[1..]);
            Address(hash[12..].try_into().unwrap())
        });
        prop_assert_eq!(signed.recover(&SubmissionDigest(digest)).ok(), address);
    }

    #[test]
    fn recovering_never_panics(r_and_s: [[u8; 32]; 2], v: u8, digest: [u8; 32]) {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&r_and_s[0]);
        bytes[32..64].copy_from_slice(&r_and_s[1]);
        bytes[64] = v % 30;
        drop(SubmissionSignature(bytes).recover(&SubmissionDigest(digest)));
    }
}

#[test]
fn statement_repeats_the_submission() {
    let committee = crate::testing::committee(4);
    let statement = crate::testing::statement(&committee);
    assert_eq!(committee.check_statement(&statement), Ok(()));
    assert_eq!(
        (statement.data_bytes, statement.hot_until, statement.retain_until),
        (12345, 1_800_000_000, 1_900_000_000)
    );
    let submission = Submission {
        rollup_id: statement.rollup_id,
        data_hash: statement.data_hash,
        data_bytes: 0,
        hot_until: 2,
        retain_until: 1,
        deadline: 0,
    };
    assert!(matches!(submission.check(), Err(Error::DataBytesOutOfRange { found: 0, .. })));
    let submission = Submission { data_bytes: 1, ..submission };
    assert_eq!(submission.check(), Err(Error::HotAfterRetain { hot_until: 2, retain_until: 1 }));
    assert_eq!(Submission { hot_until: 1, ..submission }.check(), Ok(()));
}
