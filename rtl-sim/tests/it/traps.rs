//! What rust-hdl writes without a word though it is no Verilog: building a simulation of it fails.

use fpga_cores::traps::language::{broken, whole};
use rtl_sim::{Design, Error, Library, Trace};

/// What Verilator says of a text, not of the C++ around it.
fn refusal(text: String, directory: &std::path::Path) -> String {
    let design = Design { name: "trap".to_owned(), text };
    match Library::build(&design, Trace::Without, directory) {
        Err(Error::Build { output, .. }) => output,
        built => panic!("{built:?}"),
    }
}

#[test]
fn text_that_is_no_verilog_is_refused_before_it_is_simulated() {
    let directory = tempfile::tempdir().unwrap();
    // The right form passes Verilator, and fails later: it has not the ports of the device.
    let right = refusal(whole(), directory.path());
    assert!(!right.contains("%Error: top.v"), "{right}");
    for (name, text) in broken() {
        let said = refusal(text, directory.path());
        assert!(said.contains("top.v:"), "{name}: {said}");
        assert!(said.contains("%Error"), "{name}: {said}");
    }
}
