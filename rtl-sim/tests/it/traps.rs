//! Where rust-hdl's simulation and its Verilog differ: text that means something else, and text that is no Verilog.

use fpga_cores::traps::language::{broken, whole};
use fpga_cores::traps::{cases, looped, wrapper};
use rtl_sim::{Design, Error, Library, Parts, Trace};

use crate::parts::library;

/// `y` of a module for every input.
fn results(module: &str) -> Vec<u64> {
    let mut parts = Parts::start(library()).unwrap();
    let [a, b, y] = ["a", "b", "y"].map(|name| parts.port(module, name));
    let mut result = |input: u64| {
        parts.set(a, input & 15);
        parts.set(b, input >> 4);
        parts.settle();
        parts.get(y)
    };
    (0..256).map(&mut result).collect()
}

/// The wrong forms show that the comparison sees the trap.
#[test]
fn safe_forms_are_the_same_in_verilog_and_traps_are_not() {
    for case in cases() {
        let rust: Vec<u64> = case.results.iter().map(|result| result.value()).collect();
        let differ = rust.iter().zip(results(case.design.name)).filter(|(rust, verilog)| **rust != *verilog);
        let differ = differ.count();
        assert_eq!(differ == 0, case.agrees, "{}: {differ} of 256 results differ", case.name);
    }
}

#[test]
fn a_core_that_two_instances_bring_along_works_in_both() {
    let module = wrapper::one_core_twice().unwrap().name;
    let complements: Vec<u64> = (0..256_u64).map(|input| !input & 255).collect();
    assert_eq!(results(module), complements);
}

/// What Verilator says of a text, not of the C++ around it.
fn refusal(name: &str, text: String, directory: &std::path::Path) -> String {
    let design = Design { name: name.to_owned(), text };
    match Library::build(&design, Trace::Without, directory) {
        Err(Error::Build { output, .. }) => output,
        built => panic!("{built:?}"),
    }
}

#[test]
fn text_that_is_no_verilog_is_refused_before_it_is_simulated() {
    let directory = tempfile::tempdir().unwrap();
    // The right form passes Verilator, and fails later: it has not the ports of the device.
    let right = refusal("trap", whole(), directory.path());
    assert!(!right.contains("%Error: top.v"), "{right}");
    for (name, text) in broken() {
        let said = refusal("trap", text, directory.path());
        assert!(said.contains("top.v:"), "{name}: {said}");
        assert!(said.contains("%Error"), "{name}: {said}");
    }
}

#[test]
fn a_loop_of_logic_is_refused_before_it_is_simulated() {
    let directory = tempfile::tempdir().unwrap();
    let said = refusal("looped", looped(), directory.path());
    assert!(said.contains("UNOPTFLAT") && said.contains("round$"), "{said}");
}
