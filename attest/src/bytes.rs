//! Byte strings with a meaning: each digest, key and signature has its own type, so that none stands in for another.
//!
//! Every type here is `N` bytes, no more: nothing is checked beyond the length. Text form is `0x` and lower-case hex
//! of exactly `2 N` digits (upper case is read too); serde uses the text form, SCALE the bare bytes without a length.
//! Left out on purpose: the EIP-55 check sum of addresses, which other tools read and write in their own ways.

use crate::Error;

/// Decodes `0x` and exactly `2 * bytes.len()` hex digits into `bytes`.
fn decode_hex(what: &'static str, text: &str, bytes: &mut [u8]) -> Result<(), Error> {
    let malformed =
        Error::MalformedHex { what, bytes_expected: bytes.len(), characters_found: text.chars().count() };
    let Some(digits) = text.strip_prefix("0x") else { return Err(malformed) };
    hex::decode_to_slice(digits, bytes).map_err(|_| malformed)
}

/// Declares a newtype over `[u8; N]` with the text, serde and SCALE forms of this module.
macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, parity_scale_codec::Encode, parity_scale_codec::Decode,
        )]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $bytes;
            /// All bytes zero.
            pub const ZERO: Self = Self([0; $bytes]);

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> Result<Self, $crate::Error> {
                let mut bytes = [0; $bytes];
                $crate::bytes::decode_hex(stringify!($name), text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::bytes::deserialize_text(deserializer)
            }
        }
    };
}

/// Reads a value from its text form, borrowed or owned.
fn deserialize_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err = Error>,
    D: serde::Deserializer<'de>,
{
    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

byte_string! {
    /// The EIP-712 digest of a statement; names a batch together with who may read it and how long.
    BatchId, 32
}
byte_string! {
    /// The rollup a batch belongs to. Chosen at registration, opaque here.
    RollupId, 32
}
byte_string! {
    /// keccak256 of the batch.
    DataHash, 32
}
byte_string! {
    /// Poseidon root of the batch and its length, a BN254 scalar as big-endian bytes.
    DataRoot, 32
}
byte_string! {
    /// Keccak Merkle root over the coded pieces of the batch.
    ShardsRoot, 32
}
byte_string! {
    /// Binds epoch, thresholds and every public key in seat order.
    CommitteeHash, 32
}
byte_string! {
    /// The EIP-712 digest of a [`Submission`](crate::Submission).
    SubmissionDigest, 32
}
byte_string! {
    /// The digest a proof of possession signs.
    PossessionDigest, 32
}
byte_string! {
    /// The EIP-712 domain separator.
    DomainSeparator, 32
}
byte_string! {
    /// An Ethereum address: the last 20 bytes of keccak256 of a secp256k1 key, or of a contract.
    Address, 20
}
byte_string! {
    /// A compressed G2 point that nobody has checked; [`decode`](PublicKeyBytes::decode) makes a key of it.
    PublicKeyBytes, 96
}
byte_string! {
    /// A compressed G1 point that nobody has checked; [`decode`](SignatureBytes::decode) makes a signature of it.
    SignatureBytes, 48
}
byte_string! {
    /// A compressed G1 point said to sign a [`PossessionDigest`];
    /// [`verify`](ProofOfPossession::verify) checks point and signature.
    ProofOfPossession, 48
}
byte_string! {
    /// A secp256k1 signature over a [`SubmissionDigest`]: `r`, `s` (32 big-endian bytes each), `v`.
    SubmissionSignature, 65
}

/// Position of a member in its committee, from 0.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct SeatIndex(pub u16);

/// Number of a committee in the order of their rule.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl std::fmt::Display for SeatIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_has_one_length_and_a_prefix() {
        let text = format!("0x{}", "ab".repeat(20));
        assert_eq!(text.parse::<Address>(), Ok(Address([0xab; 20])));
        assert_eq!(text.to_uppercase().replacen("0X", "0x", 1).parse::<Address>(), Ok(Address([0xab; 20])));
        for bad in ["", "0x", &text[2..], &text[..41], &format!("{text}ab"), &text.replace("ab", "ag")] {
            let characters_found = bad.len();
            let expected = Error::MalformedHex { what: "Address", bytes_expected: 20, characters_found };
            assert_eq!(bad.parse::<Address>(), Err(expected));
        }
        assert!("0x\u{e9}\u{e9}".parse::<Address>().is_err());
    }

    proptest! {
        #[test]
        fn text_json_and_scale_give_the_bytes_back(bytes: [u8; 32]) {
            use parity_scale_codec::{DecodeAll, Encode};
            let id = BatchId(bytes);
            prop_assert_eq!(id.to_string().parse::<BatchId>(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(&json, &format!("\"{id}\""));
            prop_assert_eq!(serde_json::from_str::<BatchId>(&json).unwrap(), id);
            prop_assert_eq!(serde_json::from_value::<BatchId>(json.trim_matches('"').into()).unwrap(), id);
            prop_assert_eq!(id.encode(), bytes.to_vec());
            prop_assert_eq!(BatchId::decode_all(&mut &bytes[..]).unwrap(), id);
        }
    }
}
