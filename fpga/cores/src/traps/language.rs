//! What the language refuses, or takes and then cannot write.
//!
//! Some of it does not compile: the examples in this file's source are compiled by `cargo test --doc`, which expects
//! that, each beside a form that differs in that one thing and compiles. Some of it compiles and gives text that is no
//! Verilog ([`broken`]): whoever reads it must refuse it, and `rtl-sim`'s tests show that Verilator does. One thing
//! panics while the text is written.

use rust_hdl::prelude::bit_cast;

use crate::emit::verilog_unchecked;
use crate::prelude::*;

/// A circuit with `a` and `b` of four wires, `y` of eight, and more signals. `rust_hdl`'s own `Bits`: [`Word`] offers
/// some of this not at all.
macro_rules! circuit {
    ($name:ident, { $($field:tt)* }, $($update:tt)*) => {
        #[derive(Clone, Debug, Default, LogicBlock)]
        struct $name {
            a: Signal<In, Bits<4>>,
            b: Signal<In, Bits<4>>,
            y: Signal<Out, Bits<8>>,
            $($field)*
        }

        impl Logic for $name {
            $($update)*
        }

        impl $name {
            fn text() -> String {
                let mut circuit = Self::default();
                circuit.a.connect();
                circuit.b.connect();
                circuit.connect_all();
                verilog_unchecked("trap", &circuit)
            }
        }
    };
}

circuit!(
    SlicesASignal,
    {},
    #[hdl_gen]
    fn update(&mut self) {
        self.y.next = bit_cast::<8, 2>(self.a.val().get_bits::<2>(1));
    }
);

circuit!(
    SlicesAnExpression,
    {},
    #[hdl_gen]
    fn update(&mut self) {
        self.y.next = bit_cast::<8, 2>((self.a.val() ^ self.b.val()).get_bits::<2>(1));
    }
);

const MASK: u64 = 5;

circuit!(
    NamesAConstant,
    {},
    #[hdl_gen]
    fn update(&mut self) {
        self.y.next = bit_cast::<8, 4>(self.a.val()) & MASK;
    }
);

circuit!(
    MatchesHexadecimal,
    {},
    #[hdl_gen]
    fn update(&mut self) {
        self.y.next = 0.into();
        match self.a.val().index() {
            0x0A => self.y.next = 1.into(),
            _ => self.y.next = 2.into(),
        }
    }
);

circuit!(
    SelectsFromOneWire,
    { one: Signal<Local, Bits<1>>, },
    #[hdl_gen]
    fn update(&mut self) {
        self.one.next = self.a.val().get_bits::<1>(0);
        self.y.next = 0.into();
        if self.one.val().get_bit(0) {
            self.y.next = 1.into();
        }
    }
);

circuit!(
    HasTwoDimensions,
    { square: [[Signal<Local, Bits<4>>; 2]; 2], },
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..2 {
            for j in 0..2 {
                self.square[i][j].next = self.a.val();
            }
        }
        self.y.next = bit_cast::<8, 4>(self.square[1][0].val());
    }
);

circuit!(
    NamesASignalByAKeyword,
    { byte: Signal<Local, Bits<4>>, },
    #[hdl_gen]
    fn update(&mut self) {
        self.byte.next = self.a.val();
        self.y.next = bit_cast::<8, 4>(self.byte.val());
    }
);

/// A number of the type in an expression.
#[derive(Clone, Debug, Default, LogicBlock)]
struct NamesItsNumber<const N: usize> {
    a: Signal<In, Bits<4>>,
    y: Signal<Out, Bits<8>>,
}

impl<const N: usize> Logic for NamesItsNumber<N> {
    #[hdl_gen]
    fn update(&mut self) {
        self.y.next = bit_cast::<8, 2>(self.a.val().get_bits::<2>(N));
    }
}

/// A circuit of the same shape that is written as it should be.
pub fn whole() -> String {
    SlicesASignal::text()
}

/// Circuits that rust-hdl writes without a word, as text that is no Verilog; the top is `trap`.
pub fn broken() -> [(&'static str, String); 7] {
    let mut number = NamesItsNumber::<1>::default();
    number.a.connect();
    number.connect_all();
    [
        ("a slice of an expression", SlicesAnExpression::text()),
        ("the name of a constant", NamesAConstant::text()),
        ("a hexadecimal number to match", MatchesHexadecimal::text()),
        ("a selection from one wire", SelectsFromOneWire::text()),
        ("an array of arrays", HasTwoDimensions::text()),
        ("a keyword of SystemVerilog as a name", NamesASignalByAKeyword::text()),
        ("the number of a generic type", verilog_unchecked("trap", &number)),
    ]
}

/// An example that must compile, or must not, for the tests of the documentation.
macro_rules! example {
    ($name:ident, $kind:literal, $body:literal) => {
        #[cfg(doctest)]
        #[doc = concat!(
            "```", $kind, "\n",
            "use fpga_cores::prelude::*;\n",
            "use rust_hdl::prelude::*;\n",
            "#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]\n",
            "struct Pair { left: Bits<4>, right: Bits<4> }\n",
            "#[derive(Clone, Debug, Default, LogicBlock)]\n",
            "struct Trap {\n    a: Signal<In, Bits<8>>,\n    y: Signal<Out, Bits<8>>,\n",
            "    l: [Signal<Local, Bits<2>>; 4],\n    p: Signal<Local, Pair>,\n    q: Signal<Local, Pair>,\n}\n",
            "impl Logic for Trap {\n    #[hdl_gen]\n    fn update(&mut self) {\n", $body, "\n    }\n}\n```"
        )]
        pub struct $name;
    };
}

example!(AssignsPlainly, "no_run", "self.y.next = self.a.val() + 1;");
example!(BindsALet, "compile_fail", "let next = self.a.val() + 1; self.y.next = next;");
example!(AddsInPlace, "compile_fail", "self.y.next += self.a.val();");
example!(CallsAFunction, "compile_fail", "self.y.next = std::convert::identity(self.a.val());");
example!(
    UsesIfAsAnExpression,
    "compile_fail",
    "self.y.next = if self.a.val().any() { 1.into() } else { 2.into() };"
);
example!(TakesAStruct, "no_run", "self.p.next = self.q.val();");
example!(BuildsAStruct, "compile_fail", "self.p.next = Pair { left: 1.into(), right: 2.into() };");
example!(Branches, "no_run", "self.y.next = 2.into(); if self.a.val().any() { self.y.next = 1.into(); }");
example!(Loops, "no_run", "for i in 0..4 { self.l[i].next = self.a.val().get_bits::<2>(2); }");
example!(Iterates, "compile_fail", "for l in self.l.iter_mut() { l.next = self.a.val().get_bits::<2>(2); }");
example!(CastsOutsideALoop, "no_run", "self.l[0].next = bit_cast::<2, 8>(self.a.val());");
example!(
    CastsInALoop,
    "compile_fail",
    "for i in 0..4 { self.l[i].next = bit_cast::<2, 8>(self.a.val() >> i); }"
);

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    circuit!(
        IndexesByASignal,
        { lanes: [Signal<Local, Bits<4>>; 4], },
        #[hdl_gen]
        fn update(&mut self) {
            for i in 0..4 {
                self.lanes[i].next = self.a.val();
            }
            self.y.next = bit_cast::<8, 4>(self.lanes[self.b.val().index() & 3].val());
        }
    );

    #[test]
    fn an_index_that_is_a_signal_panics_while_it_is_written() {
        assert!(catch_unwind(IndexesByASignal::text).is_err());
    }

    #[test]
    fn the_broken_ones_are_written_without_a_word() {
        assert!(broken().iter().all(|(_, text)| text.contains("module trap") && text.contains("endmodule")));
        assert!(whole().contains("y = ((a["), "{}", whole());
    }
}
