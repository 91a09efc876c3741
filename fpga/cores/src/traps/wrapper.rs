//! Verilog that a circuit brings along: rust-hdl writes it once for each instance, so two instances define it twice.
//!
//! [`crate::emit`] writes equal texts once and refuses two texts under one name: readers of Verilog take the first or the
//! last of them for both, some without a word.

use rust_hdl::prelude::Wrapper;

use crate::emit::{Design, Error, defines, verilog};
use crate::prelude::*;

/// Takes `a` through a module `brought` that it brings along: the complement, or with `ADDS` the successor.
#[derive(Clone, Debug, Default, LogicBlock)]
struct Brings<const ADDS: bool> {
    a: Signal<In, Word<4>>,
    y: Signal<Out, Word<4>>,
}

impl<const ADDS: bool> Logic for Brings<ADDS> {
    fn update(&mut self) {
        self.y.next = if ADDS { self.a.val() + 1 } else { !self.a.val() };
    }

    fn connect(&mut self) {
        self.y.connect();
    }

    fn hdl(&self) -> Verilog {
        let result = if ADDS { "a + 4'd1" } else { "~a" };
        Verilog::Wrapper(Wrapper {
            code: "brought taken(.a(a), .y(y));".to_owned(),
            cores: format!(
                "module brought(a,y);\n    input wire [3:0] a;\n    output wire [3:0] y;\n    assign y = {result};\n\
                 endmodule\n"
            ),
        })
    }
}

/// Two instances; their texts differ when `ADDS` is true.
#[derive(Clone, Debug, Default, LogicBlock)]
struct BringsTwice<const ADDS: bool> {
    a: Signal<In, Word<4>>,
    b: Signal<In, Word<4>>,
    y: Signal<Out, Word<8>>,
    first: Brings<false>,
    second: Brings<ADDS>,
    upper: Signal<Local, Word<8>>,
    lower: Signal<Local, Word<8>>,
}

impl<const ADDS: bool> Logic for BringsTwice<ADDS> {
    #[hdl_gen]
    fn update(&mut self) {
        self.first.a.next = self.a.val();
        self.second.a.next = self.b.val();
        self.lower.next = self.first.y.val().to_bits::<8>();
        self.upper.next = self.second.y.val().to_bits::<8>();
        self.y.next = self.lower.val() | (self.upper.val() << 4);
    }
}

fn connected<const ADDS: bool>() -> BringsTwice<ADDS> {
    let mut circuit = BringsTwice::default();
    circuit.a.connect();
    circuit.b.connect();
    circuit.connect_all();
    circuit
}

/// Two instances of one core, as they are emitted here: `y` is the complement of `a`, and above it that of `b`.
///
/// # Errors
/// [`Error::Redefined`] if that were wrong.
pub fn one_core_twice() -> Result<Design, Error> {
    let name = "brings_twice";
    Ok(Design { name, text: verilog(name, &connected::<false>())? })
}

/// The same as rust-hdl writes it: no Verilog, because its core is defined twice.
pub fn one_core_twice_as_written() -> String {
    defines("brings_twice", &connected::<false>())
}

/// Two cores of one name.
///
/// # Errors
/// [`Error::Redefined`], always.
pub fn two_cores_of_one_name() -> Result<String, Error> {
    verilog("brings_twice", &connected::<true>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_two_instances_bring_along_is_written_once() {
        assert_eq!(one_core_twice_as_written().matches("module brought(").count(), 2);
        let text = one_core_twice().unwrap().text;
        assert_eq!(text.matches("module brought(").count(), 1, "{text}");
    }

    #[test]
    fn two_cores_of_one_name_are_not_taken_for_one() {
        let refused = two_cores_of_one_name();
        assert!(
            matches!(&refused, Err(Error::Redefined { module, .. }) if module == "brought"),
            "{refused:?}"
        );
    }
}
