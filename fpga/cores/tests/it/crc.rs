//! The checksum of packets, word by word.

use fpga_cores::bench::{settle, tick};
use fpga_cores::crc::Crc32c;
use fpga_cores::prelude::*;

proptest::proptest! {
    #[test]
    fn is_the_checksum_of_the_packet_codec(words: [u64; 9]) {
        let mut crc = Crc32c::default();
        crc.connect_all();
        for (n, word) in words.iter().enumerate() {
            settle(&mut crc);
            let bytes: Vec<u8> = words[..n].iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(crc.checksum.val().value(), u64::from(fpga::packet::checksum(&bytes)));
            crc.data.next = (*word).into();
            crc.enable.next = true;
            settle(&mut crc);
            tick(&mut crc);
        }
    }
}
