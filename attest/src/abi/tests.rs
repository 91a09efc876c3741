use alloy_sol_types::SolValue;
use proptest::prelude::*;

use super::*;
use crate::testing::{any_statement, certificate, committee};
use crate::{SeatIndex, SignatureBytes};

mod sol {
    alloy_sol_types::sol! {
        struct Statement {
            bytes32 rollupId;
            uint64 epoch;
            bytes32 committeeHash;
            uint64 dataBytes;
            bytes32 dataHash;
            bytes32 dataRoot;
            bytes32 shardsRoot;
            uint64 hotUntil;
            uint64 retainUntil;
        }

        struct Certificate {
            uint64 chainId;
            address registry;
            Statement statement;
            uint256 signers;
            bytes signature;
        }
    }
}

/// The same certificate as alloy encodes it.
fn other_encoding(certificate: &Certificate) -> Vec<u8> {
    let statement = &certificate.statement;
    let statement = sol::Statement {
        rollupId: statement.rollup_id.0.into(),
        epoch: statement.epoch.0,
        committeeHash: statement.committee_hash.0.into(),
        dataBytes: statement.data_bytes,
        dataHash: statement.data_hash.0.into(),
        dataRoot: statement.data_root.0.into(),
        shardsRoot: statement.shards_root.0.into(),
        hotUntil: statement.hot_until,
        retainUntil: statement.retain_until,
    };
    let certificate = sol::Certificate {
        chainId: certificate.chain_id,
        registry: certificate.registry.0.into(),
        statement,
        signers: alloy_primitives::U256::from_le_slice(certificate.signers.as_bytes()),
        signature: certificate.signature.decode().unwrap().to_padded().to_vec().into(),
    };
    certificate.abi_encode_params()
}

#[test]
fn agrees_with_another_encoder_for_every_size() {
    for members in [1, 7, 8, 9, 32, 256] {
        let certificate = certificate(&committee(members), 0..members);
        let bytes = certificate.to_abi().unwrap();
        assert_eq!(bytes.len(), CERTIFICATE_ABI_BYTES);
        assert_eq!(bytes, other_encoding(&certificate));
        assert_eq!(Certificate::from_abi(&bytes, members), Ok(certificate));
    }
}

/// Every bit is either refused or means something else.
#[test]
fn no_two_byte_strings_are_one_certificate() {
    let certificate = certificate(&committee(7), 0..5);
    let bytes = certificate.to_abi().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(decoded) = Certificate::from_abi(&other, 7) {
            assert_ne!(decoded, certificate);
            assert_eq!(decoded.to_abi().unwrap(), other, "bit {bit}");
        }
    }
    for length in [0, 1, bytes.len() - 1] {
        assert!(Certificate::from_abi(&bytes[..length], 7).is_err());
    }
    assert!(Certificate::from_abi(&[bytes.as_slice(), &[0; 32]].concat(), 7).is_err());
}

#[test]
fn members_bound_the_bitmap() {
    let certificate = certificate(&committee(16), 5..16);
    let bytes = certificate.to_abi().unwrap();
    assert_eq!(Certificate::from_abi(&bytes, 16), Ok(certificate));
    for members in [0, 1, 8] {
        let error = Certificate::from_abi(&bytes, members).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("malformed ABI certificate: a signer beyond {members} members")
        );
    }
}

#[test]
fn a_signature_that_is_no_point_is_not_written() {
    let mut certificate = certificate(&committee(1), [0]);
    certificate.signature = SignatureBytes::ZERO;
    assert_eq!(certificate.to_abi(), Err(Error::InvalidSignaturePoint { detail: "not an encoding" }));
}

proptest! {
    #[test]
    fn agrees_with_another_encoder_for_any_statement(
        (domain, statement) in any_statement(),
        seats in prop::collection::vec(0..256u16, 1..40),
    ) {
        let signed = certificate(&committee(1), [0]);
        let signers = Signers::from_seats(256, seats.into_iter().map(SeatIndex)).unwrap();
        let (chain_id, registry) = (domain.chain_id, domain.registry);
        let certificate = Certificate { chain_id, registry, statement, signers, signature: signed.signature };
        let bytes = certificate.to_abi().unwrap();
        prop_assert_eq!(&bytes, &other_encoding(&certificate));
        prop_assert_eq!(Certificate::from_abi(&bytes, 256), Ok(certificate));
    }

    #[test]
    fn reading_never_panics(words in prop::collection::vec(any::<[u8; 32]>(), 18), members: u16) {
        drop(Certificate::from_abi(&words.concat(), members));
    }
}
