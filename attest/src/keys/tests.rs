use proptest::prelude::*;

use super::*;
use crate::testing::{self, DOMAIN};

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// One answer of another implementation for one key.
struct Known {
    ikm: &'static str,
    secret: &'static str,
    public: &'static str,
    padded: &'static str,
    attested: &'static str,
    attested_padded: &'static str,
    possessed: &'static str,
}

/// Computed with py_ecc 8.0.0 (pure Python): KeyGen, hash_to_G1 of bytes 100 to 131 under both suites, compression.
const KNOWN: [Known; 2] = [
    Known {
        ikm: "0707070707070707070707070707070707070707070707070707070707070707",
        secret: "23c205e368093188a73311a45658e3d30e00741019b0eff05277ba2fd42bc422",
        public: "8038bfe033bc328ea36bb7c3438bc5a27a0dc880506277e116c8b842ed0c1ea78d32c90b04afbca59bd828c1e6c5e3f3\
                 19274412f2e9eecf7334114b02847693e9d997f1aa9f936d90cae8946df6593033431513e210880bcda015da1b61f6f5",
        padded: "00000000000000000000000000000000\
                 19274412f2e9eecf7334114b02847693e9d997f1aa9f936d90cae8946df6593033431513e210880bcda015da1b61f6f5\
                 00000000000000000000000000000000\
                 0038bfe033bc328ea36bb7c3438bc5a27a0dc880506277e116c8b842ed0c1ea78d32c90b04afbca59bd828c1e6c5e3f3\
                 00000000000000000000000000000000\
                 186970b10d03d2f317610d8418642b47fda2c5ffe7ee38636249f3b3b723e2c61d42e886604720aca665b9f04744ba0b\
                 00000000000000000000000000000000\
                 0c4bb3d4169e7d4db6194d9bbb0d3e58b6a4f3e22b5c40c895d78184cb4566d2a05b9ed24dfdfa24a3376a3792fc37ed",
        attested: "916924d08ff423b6642244c1aed6a54d846a5bc1160297cbaf1b4b4f71ae1fd90f87f249c66b1d16373dd3cd569f9ffb",
        attested_padded: "00000000000000000000000000000000\
             116924d08ff423b6642244c1aed6a54d846a5bc1160297cbaf1b4b4f71ae1fd90f87f249c66b1d16373dd3cd569f9ffb\
             00000000000000000000000000000000\
             057ff75b2c162c289ebc135bc8ab1f39e81a79d9a3a8d87d928130c786300a8c542e0b8c235ac97efa06500fd4d21b20",
        possessed: "90574485b25df8ab5d39fec57826d426179145a2d6aede2bc77e63e1c69780d88a6d62f1cea2529a4d14608696c39db3",
    },
    Known {
        ikm: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        secret: "23360db7e337b0a32b264e06bc11c1b474d16f55665373de1ce93cf15ddb3456",
        public: "acfd749941a5bea56796745d1fc91668d63f9522374cb6e9c033433e3216dcad48b4fc1ab7000a365f2861565daa6b08\
                 19fd041ac58eed8c441c8b3478df6ceeaf89cc02c8119f63891a1368d7ec1d0c7e2abaaae2ac8579b7eece473478dac7",
        padded: "00000000000000000000000000000000\
                 19fd041ac58eed8c441c8b3478df6ceeaf89cc02c8119f63891a1368d7ec1d0c7e2abaaae2ac8579b7eece473478dac7\
                 00000000000000000000000000000000\
                 0cfd749941a5bea56796745d1fc91668d63f9522374cb6e9c033433e3216dcad48b4fc1ab7000a365f2861565daa6b08\
                 00000000000000000000000000000000\
                 0e7dbc1ef1502e48bb553bcc411d4c42bc70170821815c0a8f1431421a099a45a74efd2d70623f02011040ec965316eb\
                 00000000000000000000000000000000\
                 0f170ab6ff2c30023a686560aea44adbe4d9938f9dd4e761311f23fc91f81b7c6e3037ece5d4428c88a494c65fbd9542",
        attested: "b37433ff4116c66afefb7579a227e852fcb3edff46e294d0caec9f9fe588745e75967d8d15e8aea64ff902ad5175c252",
        attested_padded: "00000000000000000000000000000000\
             137433ff4116c66afefb7579a227e852fcb3edff46e294d0caec9f9fe588745e75967d8d15e8aea64ff902ad5175c252\
             00000000000000000000000000000000\
             0f82a5f434dd3224a3a5e9a3aa332264ecda690ac4bc34daca66ffb08eb99a371746956615e8dfa86a54334f341fede1",
        possessed: "b4b70a0ea2eb64b1efefeb5f8549297491665fd331b3715280171103f9b97301bb2af15aa0a9e014da3ab24987af3750",
    },
];

#[test]
fn keys_and_signatures_are_those_of_another_implementation() {
    let digest: [u8; 32] = std::array::from_fn(|index| 100 + u8::try_from(index).unwrap());
    for known in KNOWN {
        let secret = SecretKey::generate(&bytes::<32>(known.ikm)).unwrap();
        assert_eq!(*secret.to_bytes(), bytes(known.secret));
        let public = secret.public_key();
        assert_eq!(public.to_bytes().0, bytes(known.public));
        assert_eq!(public.to_padded(), bytes(known.padded));
        assert_eq!(secret.sign(&digest, SIGNATURE_SUITE), bytes(known.attested));
        assert_eq!(secret.sign(&digest, POSSESSION_SUITE), bytes(known.possessed));
        let signature = SignatureBytes(bytes(known.attested)).decode().unwrap();
        assert_eq!(signature.to_padded(), bytes(known.attested_padded));
        assert!(signature.signs(&digest, SIGNATURE_SUITE, &public));
        assert!(!signature.signs(&digest, POSSESSION_SUITE, &public));
        assert!(!signature.signs(&[0; 32], SIGNATURE_SUITE, &public));
    }
}

/// Round 1000 of drand quicknet, signed by a network of strangers: min_sig under the suite without proofs of
/// possession, over sha256 of the round number.
#[test]
fn verifies_a_signature_made_elsewhere() {
    let key = PublicKeyBytes(bytes(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451\
         0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
    ));
    let signature = SignatureBytes(bytes(
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
    ));
    let message: [u8; 32] = bytes("f652498d092acd949bad74e40683bf3824fb817980504a0c7e6722cfc5a9c0a3");
    let (key, signature) = (key.decode().unwrap(), signature.decode().unwrap());
    assert!(signature.signs(&message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_", &key));
    assert!(!signature.signs(&message, SIGNATURE_SUITE, &key));
}

/// RFC 9380, appendix J.9.1. The secret key 1 signs with the hash itself.
#[test]
fn hashes_to_the_curve_as_published() {
    let suite = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";
    let mut one = [0; 32];
    one[31] = 1;
    let one = min_sig::SecretKey::from_bytes(&one).unwrap();
    for (message, x, y) in [
        (
            "",
            "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1",
            "08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265",
        ),
        (
            "abc",
            "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903",
            "0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d",
        ),
    ] {
        let padded = Signature(one.sign(message.as_bytes(), suite, &[])).to_padded();
        assert_eq!(hex::encode(&padded[16..64]), x);
        assert_eq!(hex::encode(&padded[80..]), y);
    }
}

#[test]
fn refuses_a_secret_out_of_range() {
    let order = bytes("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
    for secret in [[0; 32], order, [0xff; 32]] {
        assert_eq!(SecretKey::from_bytes(&secret).err(), Some(Error::InvalidSecretKey));
    }
    assert_eq!(SecretKey::generate(&[7; 31]).err(), Some(Error::InvalidSecretKey));
}

#[test]
fn debug_text_of_a_secret_says_nothing() {
    let secret = testing::key(1);
    assert_eq!(format!("{secret:?} {secret:#?}"), "SecretKey(..) SecretKey(..)");
    assert_eq!(*SecretKey::from_bytes(&secret.to_bytes()).unwrap().to_bytes(), *secret.to_bytes());
}

/// Every small x of the right form, until each refusal has been seen.
#[test]
fn refuses_points_off_curve_off_subgroup_and_infinity() {
    let mut details = std::collections::BTreeSet::new();
    for x in 0..=255u8 {
        let mut key = PublicKeyBytes([0; 96]);
        (key.0[0], key.0[95]) = (0x80, x);
        let Err(Error::InvalidPublicKey { detail }) = key.decode() else { panic!("{x}") };
        let mut signature = SignatureBytes([0; 48]);
        (signature.0[0], signature.0[47]) = (0x80, x);
        let Err(Error::InvalidSignaturePoint { detail: of_signature }) = signature.decode() else {
            panic!("{x}")
        };
        details.extend([("key", detail), ("signature", of_signature)]);
    }
    let (mut key, mut signature) = (PublicKeyBytes([0; 96]), SignatureBytes([0; 48]));
    (key.0[0], signature.0[0]) = (0xc0, 0xc0);
    assert_eq!(key.decode(), Err(Error::InvalidPublicKey { detail: "infinity" }));
    assert_eq!(signature.decode(), Err(Error::InvalidSignaturePoint { detail: "infinity" }));
    let expected = ["not in the subgroup", "not on the curve"];
    assert_eq!(
        details,
        expected.iter().flat_map(|detail| [("key", *detail), ("signature", *detail)]).collect()
    );
}

#[test]
fn refuses_other_encodings_of_a_point() {
    // x at and above the field modulus, uncompressed and infinity flags, dirty infinity.
    let modulus =
        "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
    let mut above = SignatureBytes(bytes(modulus));
    above.0[0] |= 0x80;
    let good = SignatureBytes(testing::key(1).sign(&[1; 32], SIGNATURE_SUITE));
    let mut uncompressed = good;
    uncompressed.0[0] &= 0x7f;
    let mut infinite = good;
    infinite.0[0] |= 0x40;
    for signature in [above, uncompressed, infinite, SignatureBytes([0; 48]), SignatureBytes([0xff; 48])] {
        let expected = Error::InvalidSignaturePoint { detail: "not an encoding" };
        assert_eq!(signature.decode(), Err(expected));
    }
    for key in [PublicKeyBytes([0; 96]), PublicKeyBytes([0xff; 96])] {
        assert_eq!(key.decode(), Err(Error::InvalidPublicKey { detail: "not an encoding" }));
    }
}

#[test]
fn padded_signature_has_one_form() {
    let signature = SignatureBytes(testing::key(1).sign(&[1; 32], SIGNATURE_SUITE)).decode().unwrap();
    let padded = signature.to_padded();
    assert_eq!(Signature::from_padded(&padded), Ok(signature));
    for bit in 0..padded.len() * 8 {
        let mut other = padded;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(Signature::from_padded(&other).is_err(), "bit {bit}");
    }
    assert!(Signature::from_padded(&[0; 128]).is_err());
}

#[test]
fn refuses_to_sign_a_malformed_statement() {
    let mut statement = testing::statement(&testing::committee(1));
    statement.data_bytes = 0;
    let refused = testing::key(0).attest(&statement, &DOMAIN, SeatIndex(0));
    assert!(matches!(refused, Err(Error::DataBytesOutOfRange { found: 0, .. })));
}

#[test]
fn sums_that_vanish_are_none() {
    let mut minus_one = bytes::<32>("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
    minus_one[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    let secrets = [one, minus_one].map(|secret| SecretKey::from_bytes(&secret).unwrap());
    let keys = secrets.each_ref().map(SecretKey::public_key);
    let signatures =
        secrets.each_ref().map(|key| SignatureBytes(key.sign(&[1; 32], SIGNATURE_SUITE)).decode().unwrap());
    assert_eq!(PublicKey::sum(&keys, []), None);
    assert_eq!(PublicKey::sum([&keys[0]], [&keys[0]]), None);
    assert_eq!(PublicKey::sum([], []), None);
    assert_eq!(Signature::sum(&signatures), None);
    assert_eq!(Signature::sum([]), None);
    assert_eq!(PublicKey::sum([&keys[0], &keys[1], &keys[0]], []), Some(keys[0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sum_of_keys_is_key_of_sum_of_signatures(seats in prop::collection::vec(0..50u16, 1..8), digest: [u8; 32]) {
        let keys: Vec<_> = seats.iter().map(|seat| testing::key(*seat)).collect();
        let signatures: Vec<_> =
            keys.iter().map(|key| SignatureBytes(key.sign(&digest, SIGNATURE_SUITE)).decode().unwrap()).collect();
        let publics: Vec<_> = keys.iter().map(SecretKey::public_key).collect();
        let (signature, key) = (Signature::sum(&signatures).unwrap(), PublicKey::sum(&publics, []).unwrap());
        prop_assert!(signature.signs(&digest, SIGNATURE_SUITE, &key));
        let other = testing::key(51).public_key();
        let more = PublicKey::sum([&key, &other], []).unwrap();
        prop_assert!(!signature.signs(&digest, SIGNATURE_SUITE, &more));
        prop_assert_eq!(PublicKey::sum([&more], [&other]), Some(key));
        prop_assert_eq!(key.to_bytes().decode(), Ok(key));
        prop_assert_eq!(serde_json::from_value::<PublicKey>(serde_json::to_value(key).unwrap()).unwrap(), key);
    }

    #[test]
    fn decoding_never_panics(half: [[u8; 32]; 4], flags: u8) {
        let mut all = half.concat();
        all[0] = flags;
        drop(PublicKeyBytes(all[..96].try_into().unwrap()).decode());
        drop(SignatureBytes(all[..48].try_into().unwrap()).decode());
        drop(Signature::from_padded(&all[..].try_into().unwrap()));
    }
}
