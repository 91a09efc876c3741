use proptest::prelude::*;

use super::*;
use crate::testing::{attestation, committee};

#[test]
fn verifies_in_its_own_seat_only() {
    let committee = committee(4);
    let attestation = attestation(&committee, 2);
    let checked = attestation.verify(&committee).unwrap();
    assert_eq!((checked.seat(), checked.batch_id()), (SeatIndex(2), attestation.batch_id));
    assert_eq!(checked.signature().to_bytes(), attestation.signature);
    assert_eq!(Attestation::from(checked), attestation);
    for seat in [0, 1, 3].map(SeatIndex) {
        let refused = Attestation { seat, ..attestation }.verify(&committee);
        assert_eq!(refused, Err(Error::FalseAttestation { seat }));
    }
    let seat = SeatIndex(4);
    let refused = Attestation { seat, ..attestation }.verify(&committee);
    assert_eq!(refused, Err(Error::UnknownSeat { seat, members: 4 }));
}

#[test]
fn any_flipped_bit_is_refused() {
    let committee = committee(4);
    let bytes = attestation(&committee, 2).encode();
    assert_eq!(bytes.len(), 82);
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let refused =
            Attestation::decode_strict(&other).and_then(|attestation| attestation.verify(&committee));
        assert!(refused.is_err(), "bit {bit}");
    }
}

proptest! {
    #[test]
    fn decoding_takes_82_bytes_and_no_others(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        match Attestation::decode_strict(&bytes) {
            Ok(attestation) => prop_assert_eq!(attestation.encode(), bytes),
            Err(error) => {
                prop_assert_ne!(bytes.len(), 82);
                prop_assert!(error.is_peer_fault());
            }
        }
    }

    #[test]
    fn scale_gives_it_back(id: [u8; 32], seat: u16, half: [[u8; 24]; 2]) {
        let signature = SignatureBytes(half.concat().try_into().unwrap());
        let attestation = Attestation { batch_id: BatchId(id), seat: SeatIndex(seat), signature };
        prop_assert_eq!(Attestation::decode_strict(&attestation.encode()), Ok(attestation));
        let json = serde_json::to_string(&attestation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Attestation>(&json).unwrap(), attestation);
    }
}
