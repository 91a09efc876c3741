use proptest::prelude::*;

use super::*;
use crate::testing::{EPOCH, any_statement, certificate, committee};
use crate::{Address, CommitteeHash, Epoch, Thresholds};

fn signers(members: u16, seats: impl IntoIterator<Item = u16>) -> Signers {
    Signers::from_seats(members, seats.into_iter().map(SeatIndex)).unwrap()
}

#[test]
fn verifies_with_the_committee_alone() {
    for (members, seats) in [(1, 0..1), (4, 1..4), (7, 0..7), (7, 2..7), (32, 5..27)] {
        let committee = committee(members);
        let certificate = certificate(&committee, seats.clone());
        let bytes = certificate.encode();
        let checked = Certificate::decode_strict(&bytes).unwrap().verify(&committee).unwrap();
        assert_eq!(checked.signers(), seats.map(SeatIndex).collect::<Vec<_>>());
        assert_eq!(checked.batch_id(), certificate.statement.digest(committee.domain()));
        assert_eq!((checked.certificate(), checked.statement()), (&certificate, &certificate.statement));
        assert_eq!(checked.into_certificate(), certificate);
    }
}

#[test]
fn largest_form_has_the_documented_length() {
    let bytes = certificate(&committee(256), 0..256).encode();
    assert_eq!(bytes.len(), CERTIFICATE_BYTES_MAX);
}

/// One bit at a time over the whole SCALE form: none is without meaning.
#[test]
fn any_flipped_bit_is_refused() {
    let committee = committee(7);
    let bytes = certificate(&committee, 1..6).encode();
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let refused =
            Certificate::decode_strict(&other).and_then(|certificate| certificate.verify(&committee));
        assert!(refused.is_err(), "bit {bit}");
    }
}

#[test]
fn refuses_every_mismatch_with_the_committee() {
    let committee = committee(7);
    let good = certificate(&committee, 0..5);
    let hash = committee.hash();
    let with = |statement| Certificate { statement, ..good.clone() };
    let cases = [
        (Certificate { chain_id: 1, ..good.clone() }, Error::ChainIdMismatch { expected: 31337, found: 1 }),
        (
            Certificate { registry: Address::ZERO, ..good.clone() },
            Error::RegistryMismatch { expected: Address([0xab; 20]), found: Address::ZERO },
        ),
        (
            with(Statement { epoch: Epoch(4), ..good.statement }),
            Error::EpochMismatch { expected: EPOCH, found: Epoch(4) },
        ),
        (
            with(Statement { committee_hash: CommitteeHash([0; 32]), ..good.statement }),
            Error::CommitteeHashMismatch { expected: hash, found: CommitteeHash([0; 32]) },
        ),
        (
            with(Statement { retain_until: 1, ..good.statement }),
            Error::HotAfterRetain { hot_until: good.statement.hot_until, retain_until: 1 },
        ),
        (
            Certificate { signers: signers(9, 0..5), ..good.clone() },
            Error::BitmapLength { bytes_expected: 1, bytes_found: 2 },
        ),
        (
            Certificate { signers: signers(8, 0..8), ..good.clone() },
            Error::UnknownSeat { seat: SeatIndex(7), members: 7 },
        ),
        (
            Certificate { signers: signers(7, 0..4), ..good.clone() },
            Error::BelowQuorum {
                signers: (0..4).map(SeatIndex).collect(),
                missing: (4..7).map(SeatIndex).collect(),
                quorum: 5,
            },
        ),
        (
            Certificate { signature: SignatureBytes::ZERO, ..good.clone() },
            Error::InvalidSignaturePoint { detail: "not an encoding" },
        ),
        (Certificate { signers: signers(7, 1..6), ..good.clone() }, Error::FalseCertificate),
        (Certificate { signers: signers(7, 0..7), ..good.clone() }, Error::FalseCertificate),
        (with(Statement { data_bytes: 12346, ..good.statement }), Error::FalseCertificate),
    ];
    for (certificate, expected) in cases {
        assert_eq!(certificate.verify(&committee), Err(expected));
    }
    assert!(good.verify(&committee).is_ok());
}

/// The same members under a lower quorum are another committee: its hash is in what they signed.
#[test]
fn refuses_the_committee_with_another_quorum() {
    let strict = committee(7);
    let lax = Thresholds::new(7, 3, 3).unwrap();
    let lax = Committee::new(EPOCH, *strict.domain(), lax, strict.members().to_vec()).unwrap();
    let refused = certificate(&strict, 0..5).verify(&lax);
    assert!(matches!(refused, Err(Error::CommitteeHashMismatch { .. })));
}

#[test]
fn refuses_trailing_and_missing_bytes() {
    let bytes = certificate(&committee(4), 0..3).encode();
    assert_eq!(bytes.len(), 28 + 192 + 2 + 48);
    for length in 0..bytes.len() {
        assert!(Certificate::decode_strict(&bytes[..length]).unwrap_err().is_peer_fault());
    }
    for byte in [0, 1, 0xff] {
        assert!(Certificate::decode_strict(&[bytes.as_slice(), &[byte]].concat()).is_err());
    }
    // The same bitmap with a length in two bytes.
    let long = [&bytes[..220], &[0x05, 0x00], &bytes[221..]].concat();
    assert!(Certificate::decode_strict(&long).is_err());
    // A length of 1 GiB asks for memory before the bytes are there.
    let huge = [&bytes[..220], &[0x02, 0x00, 0x00, 0x00], &bytes[221..]].concat();
    let error = Certificate::decode_strict(&huge).unwrap_err();
    assert!(error.to_string().starts_with("malformed certificate"), "{error}");
}

#[test]
fn json_gives_it_back_and_refuses_more() {
    let certificate = certificate(&committee(4), 0..3);
    let json = certificate.to_json();
    assert_eq!(Certificate::from_json(&json), Ok(certificate));
    assert!(json.contains("\"signers\":\"0x07\""), "{json}");
    for (from, to) in
        [("{", "{\"quorum\":3,"), ("0x07", "0x00"), ("0x07", "0x"), ("\"epoch\":3", "\"epoch\":-3")]
    {
        assert_ne!(json.replacen(from, to, 1), json);
        assert!(Certificate::from_json(&json.replacen(from, to, 1)).is_err(), "{from} {to}");
    }
}

/// Any certificate of the right form, whatever it says.
fn any_certificate() -> impl Strategy<Value = Certificate> {
    let bitmap = prop::collection::vec(any::<u8>(), 1..=32);
    let bitmap = bitmap.prop_filter_map("no bit", |bytes| Signers::from_bytes(&bytes).ok());
    (any_statement(), bitmap, any::<[[u8; 24]; 2]>()).prop_map(|((domain, statement), signers, halves)| {
        Certificate {
            chain_id: domain.chain_id,
            registry: domain.registry,
            statement,
            signers,
            signature: SignatureBytes(halves.concat().try_into().unwrap()),
        }
    })
}

proptest! {
    #[test]
    fn both_forms_give_it_back(certificate in any_certificate()) {
        let bytes = certificate.encode();
        prop_assert!(bytes.len() <= CERTIFICATE_BYTES_MAX);
        prop_assert_eq!(Certificate::decode_strict(&bytes), Ok(certificate.clone()));
        prop_assert_eq!(Certificate::from_json(&certificate.to_json()), Ok(certificate));
    }

    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(
        certificate in any_certificate(),
        at in any::<prop::sample::Index>(),
        replace in prop::collection::vec(any::<u8>(), 0..6),
        cut in 0..6usize,
    ) {
        let mut bytes = certificate.encode();
        // Around the length of the bitmap more often than anywhere else.
        let at = if replace.len() % 2 == 0 { 219 + at.index(3) } else { at.index(bytes.len()) };
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, replace);
        if let Ok(decoded) = Certificate::decode_strict(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(decoded) = Certificate::decode_strict(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }
}
