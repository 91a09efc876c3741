use super::*;

/// A few elements without structure, a function of `seed`.
fn elements(seed: u64, count: usize) -> Vec<FieldElement> {
    let mut state = FieldElement::from(seed + 3);
    let step = |_| {
        state = state * state + FieldElement::from(seed ^ 0x5bd1_e995);
        state
    };
    (0..count + 8).map(step).skip(8).collect()
}

#[test]
fn schedule_equals_the_definition_at_every_width_and_montgomery_factor() {
    // 256: scalar; 260: five limbs of 52 bits; 255: fifteen digits of 17 bits, as the hardware row has them.
    for (width, bits) in (2..=STATE_WIDTH_MAX).flat_map(|width| [(width, 256), (width, 260), (width, 255)]) {
        let schedule = Schedule::derive(width, bits);
        let inverse = FieldElement::from(2).power(&[u64::from(bits), 0, 0, 0]).inverse().expect("not zero");
        for seed in 0..3 {
            let inputs = elements(seed, width - 1);
            let expected = Parameters::of_width(width).hash(&inputs);
            assert_eq!(schedule.hash(&inputs, inverse), expected, "t = {width}, R = 2^{bits}");
        }
    }
}

#[test]
fn costs_are_the_ones_the_readme_states() {
    let cost = |width| Schedule::derive(width, 256).cost();
    assert_eq!(cost(3), Cost { products: 511, squares: 160, reductions: 319 });
    assert_eq!(cost(9), Cost { products: 1942, squares: 268, reductions: 529 });
}
