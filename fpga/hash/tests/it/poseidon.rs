//! Poseidon on every engine.

use crate::peers::light_poseidon;
use fpga_hash::{FieldElement, software_by_name, software_names};

#[test]
fn every_engine_equals_light_poseidon_at_every_width_it_has() {
    for name in software_names() {
        let Ok(hasher) = software_by_name(name) else { continue };
        for width in 1..=12 {
            let count = 37;
            let inputs: Vec<FieldElement> = (0..count * width)
                .map(|i| FieldElement::from(i as u64 * 77 + 1).power(&[1234567 + i as u64, 5, 6, 0]))
                .collect();
            let mut digests = vec![FieldElement::ZERO; count];
            hasher.poseidon(&inputs, width, &mut digests);
            for (m, d) in inputs.chunks(width).zip(&digests) {
                assert_eq!(light_poseidon(m), *d, "{name} {width}");
            }
        }
    }
}
