//! Keccak-256 on every engine against `tiny-keccak`, and the published answers.

use fpga_hash::{Digest, Keccak256, keccak256};
use proptest::prelude::*;

use crate::peers::{engines, random_bytes, random_inputs, tiny_keccak256};

/// "", "abc" and a message of 1,600 bits, from the Keccak team's and Ethereum's published answers.
#[test]
fn known_answers() {
    let answers: [(&[u8], &str); 3] = [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (&[0xa3; 200], "3a57666b048777f2c953dc4456f45a2588e1cb6f2da760122d530ac2ce607d4a"),
    ];
    for (message, answer) in answers {
        let hex = |digest: Digest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(keccak256(message)), answer);
        for engine in engines() {
            let mut digests = [[0; 32]; 8];
            engine.keccak256(&[message; 8], &mut digests);
            digests.into_iter().for_each(|digest| assert_eq!(hex(digest), answer, "{}", engine.engine()));
        }
    }
}

#[test]
fn every_length_to_1000_on_every_engine() {
    let bytes = random_bytes(8 * 1001);
    for length in 0..=1000 {
        // Nine messages: a full group of eight, and one more.
        let messages: Vec<&[u8]> = (0..9).map(|lane| &bytes[lane * 101..][..length]).collect();
        let expected: Vec<Digest> = messages.iter().map(|message| tiny_keccak256(message)).collect();
        for engine in engines() {
            let mut digests = [[0; 32]; 9];
            engine.keccak256(&messages, &mut digests);
            assert_eq!(digests.as_slice(), expected, "{length} bytes on {}", engine.engine());
        }
    }
}

#[test]
fn every_item_size_to_300_with_prefix_on_every_engine() {
    let bytes = random_bytes(300 * 11);
    for item_bytes in 1..=300 {
        // Ten whole items and a shorter one where that exists.
        let items = &bytes[..item_bytes * 10 + item_bytes / 2];
        let message = |item: &[u8]| tiny_keccak256(&[&[0xfe], item].concat());
        let expected: Vec<Digest> = items.chunks(item_bytes).map(message).collect();
        for engine in engines() {
            let mut digests = vec![[0; 32]; expected.len()];
            engine.keccak256_prefixed(0xfe, item_bytes, items, &mut digests);
            assert_eq!(digests, expected, "items of {item_bytes} bytes on {}", engine.engine());
        }
    }
}

#[test]
fn random_messages_of_mixed_lengths_on_every_engine() {
    let bytes = random_bytes(3000);
    let lengths = random_bytes(2 * random_inputs());
    let messages: Vec<&[u8]> = lengths
        .as_chunks::<2>()
        .0
        .iter()
        // Runs of one length, broken now and then, at many alignments.
        .map(|&[a, b]| &bytes[usize::from(b)..][..if a < 200 { 300 } else { usize::from(a) * 5 }])
        .collect();
    for engine in engines() {
        let mut digests = vec![[0; 32]; messages.len()];
        engine.keccak256(&messages, &mut digests);
        for (message, digest) in messages.iter().zip(&digests) {
            assert_eq!(*digest, tiny_keccak256(message), "{} bytes on {}", message.len(), engine.engine());
        }
    }
}

#[test]
fn no_message_is_no_digest() {
    for engine in engines() {
        engine.keccak256(&[], &mut []);
        engine.keccak256_prefixed(0, 64, &[], &mut []);
        engine.poseidon(&[], 2, &mut []);
    }
}

#[test]
#[should_panic(expected = "one digest per item")]
fn a_missing_digest_is_a_bug_of_the_caller() {
    engines()[0].keccak256_prefixed(0, 64, &[0; 65], &mut [[0; 32]]);
}

proptest! {
    #[test]
    fn a_message_in_parts_is_the_message(message in proptest::collection::vec(any::<u8>(), 0..900), cut in any::<usize>()) {
        let (first, second) = message.split_at(cut % (message.len() + 1));
        let mut state = Keccak256::new();
        state.update(first);
        state.update(second);
        prop_assert_eq!(state.finalize(), tiny_keccak256(&message));
    }
}
