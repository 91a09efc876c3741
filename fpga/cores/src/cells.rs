//! The cells every core is built from: a register, a block of memory with one write and one read port, a table of constants.
//!
//! Registers start at zero when the configuration is loaded and have no reset of their own: a core that needs one writes
//! `if reset { d = 0 }` last in its update, and the synthesizer turns that into the flip-flop's own synchronous reset. What
//! a memory holds before its first write is undefined; the simulation starts it with a pattern that no test expects.

use rust_hdl::prelude::*;

use crate::word::Word;

/// A register: `q` takes `d` at every rising edge of `clock`.
#[derive(Clone, Debug, LogicBlock)]
pub struct Register<T: Synth> {
    /// The value to take.
    pub d: Signal<In, T>,
    /// The value held.
    pub q: Signal<Out, T>,
    /// Rising edge takes.
    pub clock: Signal<In, Clock>,
}

impl<T: Synth> Default for Register<T> {
    fn default() -> Self {
        Self { d: Signal::default(), q: Signal::default(), clock: Signal::default() }
    }
}

impl<T: Synth> Logic for Register<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self.d.val();
        }
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    fn hdl(&self) -> Verilog {
        Verilog::Custom(format!("initial q = {};\nalways @(posedge clock) q <= d;\n", T::default().verilog()))
    }

    fn timing(&self) -> Vec<TimingInfo> {
        vec![TimingInfo {
            name: "register".into(),
            clock: "clock".into(),
            inputs: vec!["d".into()],
            outputs: vec!["q".into()],
        }]
    }
}

/// `2^A` words of `D` wires; a read gives its word one clock later, and the old word when the same address is written.
///
/// `read_data` holds its value while `read_enable` is low, so that a stalled pipeline needs no copy of it.
#[derive(Clone, Debug, LogicBlock)]
pub struct Memory<const D: usize, const A: usize> {
    /// Rising edge reads and writes.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub read_address: Signal<In, Word<A>>,
    /// Read at the next edge.
    pub read_enable: Signal<In, Bit>,
    /// The word read last.
    pub read_data: Signal<Out, Word<D>>,
    /// Word to write.
    pub write_address: Signal<In, Word<A>>,
    /// Value to write.
    pub write_data: Signal<In, Word<D>>,
    /// Write at the next edge.
    pub write_enable: Signal<In, Bit>,
    _words: Vec<Word<D>>,
}

impl<const D: usize, const A: usize> Default for Memory<D, A> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            read_address: Signal::default(),
            read_enable: Signal::default(),
            read_data: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            write_enable: Signal::default(),
            _words: vec![Word::new(0xa5c3_5a3c_96e1_7b2d); 1 << A],
        }
    }
}

/// The cell a word addresses.
fn cell<const A: usize>(address: Word<A>) -> usize {
    usize::try_from(address.value())
        .expect("an address is narrower than usize, or the memory could not be allocated")
}

impl<const D: usize, const A: usize> Logic for Memory<D, A> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            if self.read_enable.val() {
                self.read_data.next = self._words[cell(self.read_address.val())];
            }
            if self.write_enable.val() {
                self._words[cell(self.write_address.val())] = self.write_data.val();
            }
        }
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        Verilog::Custom(format!(
            "reg [{}:0] words [0:{}];\ninitial read_data = 0;\n\
             always @(posedge clock) begin\n   if (read_enable) read_data <= words[read_address];\n   \
             if (write_enable) words[write_address] <= write_data;\nend\n",
            D - 1,
            (1 << A) - 1
        ))
    }

    fn timing(&self) -> Vec<TimingInfo> {
        let inputs = ["read_address", "read_enable", "write_address", "write_data", "write_enable"];
        vec![TimingInfo {
            name: "memory".into(),
            clock: "clock".into(),
            inputs: inputs.map(String::from).to_vec(),
            outputs: vec!["read_data".into()],
        }]
    }
}

/// A table of constants: `data` follows `address` in the same clock; an address past the table's end gives zero.
#[derive(Clone, Debug, LogicBlock)]
pub struct Table<const D: usize, const A: usize> {
    /// Entry to read.
    pub address: Signal<In, Word<A>>,
    /// The entry.
    pub data: Signal<Out, Word<D>>,
    _entries: Vec<Word<D>>,
}

impl<const D: usize, const A: usize> Table<D, A> {
    /// A table of these entries, the first at address 0.
    ///
    /// # Panics
    /// When there are more entries than addresses.
    pub fn new(entries: Vec<Word<D>>) -> Self {
        assert!(entries.len() <= 1 << A, "{} entries exceed {} addresses", entries.len(), 1 << A);
        Self { address: Signal::default(), data: Signal::default(), _entries: entries }
    }
}

impl<const D: usize, const A: usize> Logic for Table<D, A> {
    fn update(&mut self) {
        self.data.next = self._entries.get(cell(self.address.val())).copied().unwrap_or_default();
    }

    fn connect(&mut self) {
        self.data.connect();
    }

    fn hdl(&self) -> Verilog {
        let entry = |(address, value): (usize, &Word<D>)| {
            format!("      {A}'d{address}: data = {};\n", value.verilog())
        };
        let entries: String = self._entries.iter().enumerate().map(entry).collect();
        Verilog::Custom(format!(
            "always @(*) case (address)\n{entries}      default: data = 0;\n   endcase\n"
        ))
    }
}
