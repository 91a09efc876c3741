use parity_scale_codec::DecodeAll;
use proptest::prelude::*;

use super::*;
use crate::testing::committee;

#[test]
fn bit_i_is_member_i_least_significant_first() {
    let signers = Signers::from_seats(12, [0, 9, 3, 11].map(SeatIndex)).unwrap();
    assert_eq!(signers.as_bytes(), [0b0000_1001, 0b0000_1010]);
    assert_eq!(signers.count(), 4);
    assert_eq!(signers.seats(&committee(12)), Ok([0, 3, 9, 11].map(SeatIndex).to_vec()));
    assert_eq!(signers.encode(), [8, 0b0000_1001, 0b0000_1010]);
    assert_eq!(serde_json::to_string(&signers).unwrap(), "\"0x090a\"");
    assert_eq!(format!("{signers:?}"), "Signers(0x090a)");
}

#[test]
fn refuses_seats_that_do_not_exist() {
    let refused = Signers::from_seats(7, [SeatIndex(7)]);
    assert_eq!(refused, Err(Error::UnknownSeat { seat: SeatIndex(7), members: 7 }));
    assert!(matches!(Signers::from_seats(7, []), Err(Error::MalformedEncoding { what: "bitmap", .. })));
    assert!(Signers::from_seats(257, [SeatIndex(0)]).is_err());
    assert_eq!(Signers::from_seats(256, [SeatIndex(255)]).unwrap().as_bytes()[31], 0x80);
}

#[test]
fn refuses_a_bitmap_of_another_width() {
    let committee = committee(7);
    for bytes in [vec![1, 0], vec![1; 32]] {
        let expected = Error::BitmapLength { bytes_expected: 1, bytes_found: bytes.len() };
        assert_eq!(Signers::from_bytes(&bytes).unwrap().seats(&committee), Err(expected));
    }
    let spare = Signers::from_bytes(&[0xff]).unwrap();
    assert_eq!(spare.seats(&committee), Err(Error::UnknownSeat { seat: SeatIndex(7), members: 7 }));
}

#[test]
fn refuses_long_forms_of_a_length_and_empty_bitmaps() {
    let accepted: [u8; 2] = [0x04, 0x01];
    assert!(Signers::decode_all(&mut &accepted[..]).is_ok());
    let refused: [&[u8]; 8] = [
        &[0x00],                                     // no byte
        &[0x04, 0x00],                               // no bit
        &[0x05, 0x00, 0x01],                         // length 1 in two bytes
        &[0x06, 0x00, 0x00, 0x00, 0x01],             // length 1 in four
        &[0x03, 0x01, 0x00, 0x00, 0x00, 0x01],       // length 1 in five
        &[0x08, 0x01],                               // shorter than it says
        &[0x04, 0x01, 0x00],                         // longer than it says
        &[0x03, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01], // 4 GiB
    ];
    for bytes in refused {
        assert!(Signers::decode_all(&mut &bytes[..]).is_err(), "{bytes:?}");
    }
    let mut long = vec![33 << 2];
    long.extend([1; 33]);
    assert!(Signers::decode_all(&mut &long[..]).is_err());
    long[0] = 32 << 2;
    assert!(Signers::decode_all(&mut &long[..33]).is_ok());
}

#[test]
fn refuses_other_text() {
    for text in [
        "\"\"",
        "\"0x\"",
        "\"0x00\"",
        "\"01\"",
        "\"0x1\"",
        "\"0xzz\"",
        "1",
        &format!("\"0x{}\"", "01".repeat(33)),
    ] {
        assert!(serde_json::from_str::<Signers>(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40), length: u8) {
        let mut framed = vec![length << 2];
        framed.extend_from_slice(&bytes);
        for bytes in [&bytes, &framed] {
            if let Ok(signers) = Signers::decode_all(&mut &bytes[..]) {
                prop_assert_eq!(&signers.encode(), bytes);
                let json = serde_json::to_string(&signers).unwrap();
                prop_assert_eq!(serde_json::from_str::<Signers>(&json).unwrap(), signers);
            }
        }
    }
}
