//! Small circuits whose Rust simulation and whose Verilog differ, each beside the way it is written here instead.
//!
//! rust-hdl writes operators as they stand, without parentheses, and Verilog computes in the width of the context. So the
//! same line can mean two things, silently. Every circuit here is simulated for all 256 inputs, and the emitted one must
//! give the same, or another result where it is meant to be wrong, which shows that the comparison sees the trap: under
//! Verilator in the tests of `rtl-sim`, and by yosys in `cargo xtask formal`. What the language refuses, and what it takes
//! and cannot write, is in [`language`].

pub mod language;
pub mod wrapper;

use crate::cells::Table;
use crate::emit::{Design, verilog, verilog_unchecked};
use crate::prelude::*;

/// One circuit with ports `a`, `b` and `y`, and what it gives in Rust.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is.
    pub name: &'static str,
    /// Whether Rust and Verilog agree.
    pub agrees: bool,
    /// The emitted circuit.
    pub design: Design,
    /// `y` in Rust for every input; the index is `b` above `a`, four wires each.
    pub results: Vec<Word<8>>,
}

impl Case {
    /// The results as a module `table_of_results` with ports `address` and `data`.
    pub fn table(&self) -> String {
        let mut table = Table::<8, 8>::new(self.results.clone());
        table.address.connect();
        table.connect_all();
        verilog_unchecked("table_of_results", &table)
    }
}

/// A circuit from two small words to one.
macro_rules! circuit {
    ($name:ident, $($update:tt)*) => {
        #[derive(Clone, Debug, Default, LogicBlock)]
        struct $name {
            a: Signal<In, Word<4>>,
            b: Signal<In, Word<4>>,
            y: Signal<Out, Word<8>>,
            flag: Signal<Local, Bit>,
            narrow: Signal<Local, Word<4>>,
        }

        impl Logic for $name {
            $($update)*
        }

        impl Inputs for $name {
            fn inputs(&mut self) -> (&mut Signal<In, Word<4>>, &mut Signal<In, Word<4>>) {
                (&mut self.a, &mut self.b)
            }

            fn result(&self) -> Word<8> {
                self.y.val()
            }
        }
    };
}

/// What the table is made through.
trait Inputs: Block + Default {
    fn inputs(&mut self) -> (&mut Signal<In, Word<4>>, &mut Signal<In, Word<4>>);
    fn result(&self) -> Word<8>;
}

circuit!(
    ComparesBare,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = self.a.val() & self.b.val() == self.b.val();
        self.y.next = self.flag.val().into();
    }
);

circuit!(
    ComparesInParentheses,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = (self.a.val() & self.b.val()) == self.b.val();
        self.y.next = self.flag.val().into();
    }
);

circuit!(
    WidensASum,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = false;
        self.y.next = (self.a.val() + self.b.val()).to_bits::<8>();
    }
);

circuit!(
    WidensAWrappedSum,
    #[hdl_gen]
    fn update(&mut self) {
        self.flag.next = false;
        self.narrow.next = self.a.val() + self.b.val();
        self.y.next = self.narrow.val().to_bits::<8>();
    }
);

circuit!(
    WidensAComplement,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = false;
        self.y.next = (!self.a.val()).to_bits::<8>();
    }
);

circuit!(
    WidensAHeldComplement,
    #[hdl_gen]
    fn update(&mut self) {
        self.flag.next = false;
        self.narrow.next = !self.a.val();
        self.y.next = self.narrow.val().to_bits::<8>();
    }
);

circuit!(
    ComparesASum,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = (self.a.val() + 1) == self.b.val();
        self.y.next = self.flag.val().into();
    }
);

circuit!(
    ComparesAWrappedSum,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = self.a.val() + 1;
        self.flag.next = self.narrow.val() == self.b.val();
        self.y.next = self.flag.val().into();
    }
);

circuit!(
    ComparesAComplement,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = 0.into();
        self.flag.next = !self.a.val() == 10;
        self.y.next = self.flag.val().into();
    }
);

circuit!(
    ComparesAHeldComplement,
    #[hdl_gen]
    fn update(&mut self) {
        self.narrow.next = !self.a.val();
        self.flag.next = self.narrow.val() == 10;
        self.y.next = self.flag.val().into();
    }
);

/// Two locals of an array that wait for each other: rust-hdl's own check does not see it.
#[derive(Clone, Debug, Default, LogicBlock)]
struct Loop {
    a: Signal<In, Word<4>>,
    b: Signal<In, Word<4>>,
    y: Signal<Out, Word<8>>,
    round: [Signal<Local, Word<4>>; 2],
}

impl Logic for Loop {
    #[hdl_gen]
    fn update(&mut self) {
        self.round[0].next = self.round[1].val() ^ self.a.val();
        self.round[1].next = self.round[0].val() ^ self.b.val();
        self.y.next = self.round[1].val().to_bits::<8>();
    }
}

/// Every trap with its safe form.
pub fn cases() -> Vec<Case> {
    vec![
        case::<ComparesBare>("a comparison without parentheses", "compares_bare", false),
        case::<ComparesInParentheses>("a comparison with parentheses", "compares_in_parentheses", true),
        case::<WidensASum>("a sum that is widened", "widens_a_sum", false),
        case::<WidensAWrappedSum>("a sum that is held, then widened", "widens_a_wrapped_sum", true),
        case::<WidensAComplement>("a complement that is widened", "widens_a_complement", false),
        case::<WidensAHeldComplement>(
            "a complement that is held, then widened",
            "widens_a_held_complement",
            true,
        ),
        case::<ComparesASum>("a sum that is compared", "compares_a_sum", false),
        case::<ComparesAWrappedSum>("a sum that is held, then compared", "compares_a_wrapped_sum", true),
        case::<ComparesAComplement>(
            "a complement that is compared with a number",
            "compares_a_complement",
            false,
        ),
        case::<ComparesAHeldComplement>(
            "a complement that is held, then compared",
            "compares_a_held_complement",
            true,
        ),
    ]
}

/// Verilog of a circuit with a loop of logic, as `looped`; rust-hdl's check passes it.
///
/// # Panics
/// When the check does not.
pub fn looped() -> String {
    let mut circuit = Loop::default();
    circuit.a.connect();
    circuit.b.connect();
    circuit.connect_all();
    verilog("looped", &circuit).expect("rust-hdl sees no loop through an array")
}

fn case<C: Inputs>(name: &'static str, module: &'static str, agrees: bool) -> Case {
    let mut circuit = C::default();
    circuit.inputs().0.connect();
    circuit.inputs().1.connect();
    circuit.connect_all();
    let mut results = Vec::with_capacity(256);
    for input in 0..256_u64 {
        circuit.inputs().0.next = (input & 15).into();
        circuit.inputs().1.next = (input >> 4).into();
        assert!(simulate(&mut circuit, 10), "a circuit without registers settles");
        results.push(circuit.result());
    }
    let design = Design { name: module, text: verilog_unchecked(module, &circuit) };
    Case { name, agrees, design, results }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_stands_beside_its_safe_form() {
        let cases = cases();
        assert_eq!(cases.iter().filter(|case| case.agrees).count() * 2, cases.len());
        assert!(looped().contains("round$0"));
    }
}
