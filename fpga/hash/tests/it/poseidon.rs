//! Poseidon on every engine against `light-poseidon`, `poseidon-rs` and the definition; elements at their edges.

use fpga_hash::permutation::Parameters;
use fpga_hash::{Error, FieldElement, Hasher};
use proptest::prelude::*;

use crate::peers::{PoseidonRs, engines, light_poseidon, random_elements, random_inputs};

const MODULUS: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d, 0x28,
    0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];

fn poseidon(engine: &dyn Hasher, inputs: &[FieldElement], width: usize) -> Vec<FieldElement> {
    let mut digests = vec![FieldElement::ZERO; inputs.len() / width];
    engine.poseidon(inputs, width, &mut digests);
    digests
}

/// 0, 1, r - 1, and numbers whose 52-bit or 64-bit limbs are all ones or all zero.
fn edge_elements() -> Vec<FieldElement> {
    let mut largest = MODULUS;
    largest[31] = 0;
    let mut edges =
        vec![FieldElement::ZERO, FieldElement::ONE, FieldElement::from_be_bytes(&largest).expect("r - 1")];
    for limb_bits in [52, 64] {
        for pattern in 0..32_u32 {
            let mut bytes = [0; 32];
            for bit in (0..253).filter(|bit| pattern >> (bit / limb_bits) & 1 == 1) {
                bytes[31 - bit / 8] |= 1 << (bit % 8);
            }
            edges.push(FieldElement::from_be_bytes(&bytes).expect("253 bits fit"));
        }
    }
    edges
}

#[test]
fn circomlib_known_answers_on_every_engine() {
    let ascending: Vec<FieldElement> = (1..=16).map(FieldElement::from).collect();
    // circomlibjs test/poseidon.js; 16 inputs: the known answer in poseidon-rs.
    let answers = [
        (2, "0x115cc0f5e7d690413df64c6b9662e9cf2a3617f2743245519e19607a4417189a"),
        (16, "0x16159a551cbb66108281a48099fff949ae08afd7f1f2ec06de2ffb96b919b765"),
    ];
    for (width, answer) in answers {
        for engine in engines() {
            let digest = poseidon(&*engine, &ascending[..width], width)[0];
            assert_eq!(format!("{digest:?}"), answer, "{}", engine.engine());
        }
    }
}

#[test]
fn random_inputs_at_the_protocols_widths_equal_light_poseidon() {
    for width in [2, 8] {
        let inputs = random_elements(width * random_inputs());
        let expected: Vec<FieldElement> = inputs.chunks_exact(width).map(light_poseidon).collect();
        for engine in engines() {
            assert!(poseidon(&*engine, &inputs, width) == expected, "{width} inputs on {}", engine.engine());
        }
    }
}

#[test]
fn every_width_equals_poseidon_rs_at_every_count() {
    let theirs = PoseidonRs::new();
    for width in 1..=16 {
        let inputs = random_elements(width * 35);
        let expected: Vec<FieldElement> =
            inputs.chunks_exact(width).map(|inputs| theirs.hash(inputs)).collect();
        for engine in engines() {
            // 35 = two groups of eight twice, and three alone; and every smaller rest.
            for count in (0..18).chain([35]) {
                let digests = poseidon(&*engine, &inputs[..count * width], width);
                assert_eq!(digests, expected[..count], "{count} of {width} inputs on {}", engine.engine());
            }
        }
    }
}

#[test]
fn edge_elements_equal_the_definition() {
    let edges = edge_elements();
    for width in [1, 2, 8, 16] {
        let parameters = Parameters::of_width(width + 1);
        // Each edge in each place, among its neighbours; then each edge alone.
        let rotated = (0..edges.len()).flat_map(|at| (0..width).map(move |i| (at + i * (at % 3)) % 67));
        let inputs: Vec<FieldElement> = rotated.map(|at| edges[at]).collect();
        let expected: Vec<FieldElement> =
            inputs.chunks_exact(width).map(|inputs| parameters.hash(inputs)).collect();
        for engine in engines() {
            assert_eq!(poseidon(&*engine, &inputs, width), expected, "{width} inputs on {}", engine.engine());
        }
    }
}

#[test]
fn refuses_the_modulus_and_everything_above() {
    for (top, bottom) in [(0x30, 0x01), (0x30, 0x02), (0x31, 0x01), (0xff, 0xff)] {
        let mut bytes = MODULUS;
        (bytes[0], bytes[31]) = (top, bottom);
        assert_eq!(FieldElement::from_be_bytes(&bytes), Err(Error::NotInField { value: bytes }));
    }
    assert!(FieldElement::from_be_bytes(&[0xff; 32]).is_err());
    let message = FieldElement::from_be_bytes(&MODULUS).expect_err("r is refused").to_string();
    assert!(
        message
            .starts_with("0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001 is not below")
    );
}

#[test]
fn work_counts_hashes_and_bytes() {
    // Other tests count on the same engines, so only a lower bound holds.
    for engine in engines() {
        let before = engine.work();
        poseidon(&*engine, &random_elements(6), 2);
        engine.keccak256_prefixed(0, 64, &[1; 100], &mut [[0; 32]; 2]);
        let after = engine.work();
        assert!(after.poseidon_hashes >= before.poseidon_hashes + 3);
        assert!(after.poseidon_bytes >= before.poseidon_bytes + 192);
        assert!(after.keccak_hashes >= before.keccak_hashes + 2);
        assert!(after.keccak_bytes >= before.keccak_bytes + 102);
    }
}

#[test]
#[should_panic(expected = "poseidon takes 1 to 16 inputs")]
fn seventeen_inputs_are_a_bug_of_the_caller() {
    poseidon(&*engines()[0], &random_elements(17), 17);
}

proptest! {
    #[test]
    fn bytes_survive_the_field(bytes in any::<[u8; 31]>()) {
        let mut padded = [0; 32];
        padded[1..].copy_from_slice(&bytes);
        let element = FieldElement::from_bytes31(&bytes);
        prop_assert_eq!(element.to_be_bytes(), padded);
        prop_assert_eq!(FieldElement::from_be_bytes(&padded), Ok(element));
    }

    #[test]
    fn field_laws(seeds in any::<[u64; 3]>()) {
        let [a, b, c] = seeds.map(|seed| FieldElement::from(seed).power(&[seed | 1, 3, 0, 0]));
        prop_assert_eq!((a + b) * c, a * c + b * c);
        prop_assert_eq!(a - b + b, a);
        prop_assert_eq!(a + -a, FieldElement::ZERO);
        if let Some(inverse) = a.inverse() {
            prop_assert_eq!(a * inverse, FieldElement::ONE);
        }
    }
}
