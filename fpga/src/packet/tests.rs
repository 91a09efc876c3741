use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { opcodes: 0b1110, item_count_max: 128, payload_bytes_max: 1 << 18, packets_max: 4 };

/// RFC 3720 appendix B.4.
#[test]
fn checksum_is_castagnolis() {
    assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
    let ascending: Vec<u8> = (0..32).collect();
    assert_eq!(checksum(&ascending), 0x46dd_794e);
    assert_eq!(checksum(&[]), 0);
}

/// Written out by hand from the table in the module's documentation.
#[test]
fn a_request_has_the_documented_bytes() {
    let mut header = Header::request(Opcode::MerkleKeccak, 1, 0x0102_0304_0506_0708, 3, 64);
    header.payload_crc32c = 0xddcc_bbaa;
    let bytes = header.encode();
    assert_eq!(&bytes[..8], b"DACQ\x01\x03\x01\x00");
    assert_eq!(&bytes[8..16], &[8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(&bytes[16..28], &[3, 0, 0, 0, 64, 0, 0, 0, 192, 0, 0, 0]);
    assert_eq!(&bytes[28..40], &[0; 12], "status and cycles");
    assert_eq!(&bytes[40..44], &[0xaa, 0xbb, 0xcc, 0xdd]);
    assert_eq!(&bytes[44..48], &KNOWN_HEADER_CRC32C.to_le_bytes());
    assert_eq!(&bytes[48..], &[0; 16]);
}

/// Of the header above with zeros in the place of the checksum; computed by an independent bitwise CRC.
const KNOWN_HEADER_CRC32C: u32 = 0xc3b4_a372;

#[test]
fn strides_and_fill_are_whole_words_and_blocks() {
    assert_eq!([0, 1, 8, 65, 1025].map(stride), [0, 8, 8, 72, 1032]);
    assert_eq!([0, 1, 64, 65].map(padded), [0, 64, 64, 128]);
    assert_eq!(stride(u32::MAX), 1 << 32);
    assert_eq!(padded(u32::MAX), 1 << 32);
}

#[test]
fn the_first_failing_check_is_the_status() {
    let good = Header::request(Opcode::Keccak256, 0, 7, 4, 65);
    assert!(good.check_request(&LIMITS).is_ok());
    let status = |header: Header| header.check_request(&LIMITS).unwrap_err();
    assert_eq!(status(Header { version: 2, opcode: 99, ..good }), Status::Version);
    assert_eq!(status(Header { opcode: 99, item_count: 0, ..good }), Status::Opcode);
    assert_eq!(status(Header { opcode: 4, ..good }), Status::Opcode, "an opcode that this device lacks");
    for header in [
        Header { item_count: 0, payload_bytes: 0, ..good },
        Header { payload_bytes: good.payload_bytes + 8, ..good },
        Header { flags: 1, ..good },
        Header { status: 1, ..good },
        Header { cycles: 1, ..good },
        Header { reserved: 1 << 127, ..good },
        Header::request(Opcode::Keccak256, 0, 7, 129, 8),
        Header::request(Opcode::Keccak256, 0, 7, 2, 1 << 17 | 1),
        Header::request(Opcode::Loopback, 0, 7, 1, 4097),
        Header { item_count: u32::MAX, item_bytes: u32::MAX, ..good },
    ] {
        assert_eq!(status(header), Status::Shape, "{header:?}");
    }
    assert!(Header::request(Opcode::MerkleKeccak, 255, 7, 4, 64).check_request(&LIMITS).is_ok());
    assert_eq!(status(Header { opcode: 3, flags: 256, ..good }), Status::Shape);
    let all = Limits { opcodes: u8::MAX, ..LIMITS };
    assert!(Header::request(Opcode::Poseidon3, 0, 7, 4, 64).check_request(&all).is_ok());
    assert_eq!(Header::request(Opcode::Poseidon9, 0, 7, 4, 64).check_request(&all), Err(Status::Shape));
}

#[test]
fn status_and_opcode_numbers_round_trip() {
    for (number, status) in (0..).zip(Status::ALL) {
        assert_eq!(Status::from_number(number), Some(status));
        assert_eq!(status.sticky_bit(), if number == 0 { 0 } else { 1 << (number - 1) });
    }
    assert_eq!((Status::from_number(7), Opcode::from_number(0), Opcode::from_number(7)), (None, None, None));
    for opcode in Opcode::ALL {
        assert_eq!(Opcode::from_number(opcode.number()), Some(opcode));
    }
}

#[test]
fn a_reply_passes_the_hosts_checks_and_a_request_does_not() {
    let request = Header::request(Opcode::Keccak256, 0, 9, 3, 100);
    let checked = request.check_request(&LIMITS).unwrap();
    let reply = Header::reply_to(&checked, 77, 5);
    assert_eq!(reply.check_reply(), Ok(Status::Ok));
    assert_eq!((reply.tag, reply.item_count, reply.item_bytes, reply.payload_bytes), (9, 3, 32, 96));
    assert_eq!(request.check_reply(), Err(Error::NotAReply));
    let refused = Header::error_reply_to(&Header { version: 9, ..request }, Status::Version, 1);
    assert_eq!(refused.check_reply(), Ok(Status::Version));
    assert_eq!(Header { version: 3, ..reply }.check_reply(), Err(Error::Version { found: 3 }));
    assert_eq!(Header { status: 7, ..reply }.check_reply(), Err(Error::Status { found: 7 }));
    let shape = |header: Header| matches!(header.check_reply(), Err(Error::Shape { .. }));
    assert!(shape(Header { payload_bytes: 95, ..reply }));
    assert!(shape(Header { reserved: 1, ..reply }));
    assert!(shape(Header { status: 4, ..reply }), "an error reply has no payload");
}

fn any_header() -> impl Strategy<Value = Header> {
    let small = (any::<bool>(), any::<u8>(), any::<u8>(), any::<u16>(), any::<u64>());
    let counts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (small, counts, any::<u64>(), any::<u32>(), any::<u128>()).prop_map(
        |((is_reply, version, opcode, flags, tag), counts, cycles, payload_crc32c, reserved)| {
            let kind = if is_reply { Kind::Reply } else { Kind::Request };
            let (item_count, item_bytes, payload_bytes, status) = counts;
            Header {
                kind,
                version,
                opcode,
                flags,
                tag,
                item_count,
                item_bytes,
                payload_bytes,
                status,
                cycles,
                payload_crc32c,
                reserved,
            }
        },
    )
}

proptest! {
    #[test]
    fn headers_round_trip(header in any_header()) {
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn any_bytes_decode_or_are_refused_and_every_header_has_one_encoding(bytes: [u8; 64]) {
        let mut bytes = bytes;
        bytes[..4].copy_from_slice(&REPLY_MAGIC.to_le_bytes());
        let refused = Header::decode(&bytes).unwrap_err();
        prop_assert!(matches!(refused, Error::HeaderChecksum { .. }), "{}", refused);
        bytes[44..48].fill(0);
        let crc = checksum(&bytes);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        let header = Header::decode(&bytes).unwrap();
        prop_assert_eq!(header.encode(), bytes);
        let _any_answer_but_panic = (header.check_reply(), header.check_request(&LIMITS));
    }

    #[test]
    fn one_wrong_bit_is_found(header in any_header(), bit in 0usize..512) {
        let mut bytes = header.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Header::decode(&bytes).is_err());
    }

    #[test]
    fn accepted_requests_are_within_the_limits(header in any_header(), items in 0u32..200, bytes in 0u32..3000) {
        let request = Header::request(Opcode::Keccak256, 0, header.tag, items, bytes);
        for header in [header, request] {
            if let Ok(checked) = header.check_request(&LIMITS) {
                prop_assert!((1..=128).contains(&checked.item_count));
                prop_assert!(u64::from(checked.item_count) * stride(checked.item_bytes) <= 1 << 18);
                prop_assert_eq!(Header::reply_to(&checked, 0, 0).check_reply(), Ok(Status::Ok));
            }
        }
    }
}
