//! The registers of `fpga::registers` behind AXI4-Lite.
//!
//! Writes take address and data together; a write that does not carry all four bytes changes nothing. Every address
//! answers OKAY. Reads answer one clock after their address, writes one clock after both halves are there.

use fpga::packet::VERSION;
use fpga::registers;

use super::CAPABILITIES;
use crate::prelude::*;

/// The register file.
#[derive(Clone, Debug, LogicBlock)]
pub struct RegisterFile {
    /// Rising edge of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous: the reset of the pin, for the bus.
    pub bus_reset: Signal<In, Bit>,
    /// Synchronous: the reset of everything else, for the values.
    pub reset: Signal<In, Bit>,
    /// Write address is offered.
    pub awvalid: Signal<In, Bit>,
    /// Write address is taken.
    pub awready: Signal<Out, Bit>,
    /// Write address.
    pub awaddr: Signal<In, Word<12>>,
    /// Write data is offered.
    pub wvalid: Signal<In, Bit>,
    /// Write data is taken.
    pub wready: Signal<Out, Bit>,
    /// Write data.
    pub wdata: Signal<In, Word<32>>,
    /// Bytes to write.
    pub wstrb: Signal<In, Word<4>>,
    /// Write is done.
    pub bvalid: Signal<Out, Bit>,
    /// The answer is taken.
    pub bready: Signal<In, Bit>,
    /// Read address is offered.
    pub arvalid: Signal<In, Bit>,
    /// Read address is taken.
    pub arready: Signal<Out, Bit>,
    /// Read address.
    pub araddr: Signal<In, Word<12>>,
    /// Read data is offered.
    pub rvalid: Signal<Out, Bit>,
    /// Read data is taken.
    pub rready: Signal<In, Bit>,
    /// Read data.
    pub rdata: Signal<Out, Word<32>>,
    /// One clock long: reset was asked for.
    pub reset_asked: Signal<Out, Bit>,
    /// Sticky errors to set.
    pub errors: Signal<In, Word<6>>,
    /// Words the input takes.
    pub free_words: Signal<In, Word<13>>,
    /// Words at the output.
    pub available_words: Signal<In, Word<14>>,
    /// One clock long: a reply is done.
    pub reply_done: Signal<In, Bit>,
    /// Its items.
    pub items_done: Signal<In, Word<11>>,
    /// Clocks since reset.
    pub now: Signal<Out, Lane>,

    write_held: Register<Bit>,
    read_held: Register<Bit>,
    data: Register<Word<32>>,
    asked: Register<Bit>,
    sticky: Register<Word<6>>,
    clocks: Register<Lane>,
    clocks_high: Register<Word<32>>,
    items: Register<Word<32>>,
    written: Register<Word<32>>,

    at_id: Constant<Word<12>>,
    at_build: Constant<Word<12>>,
    at_capabilities: Constant<Word<12>>,
    at_control: Constant<Word<12>>,
    at_errors: Constant<Word<12>>,
    at_free: Constant<Word<12>>,
    at_available: Constant<Word<12>>,
    at_cycles_low: Constant<Word<12>>,
    at_cycles_high: Constant<Word<12>>,
    at_items: Constant<Word<12>>,
    at_self_test: Constant<Word<12>>,
    id: Constant<Word<32>>,
    build: Constant<Word<32>>,
    capabilities: Constant<Word<32>>,

    writes: Signal<Local, Bit>,
    whole: Signal<Local, Bit>,
    reads: Signal<Local, Bit>,
    settled: Signal<Local, Bit>,
    cleared: Signal<Local, Word<6>>,
    kept: Signal<Local, Word<6>>,
    inverted: Signal<Local, Word<32>>,
}

impl RegisterFile {
    /// The register file of a build; of `build_hash` 24 bits are shown.
    pub fn new(build_hash: u32) -> Self {
        let at = |address: u32| Constant::new(u64::from(address).into());
        let holds = |value: u32| Constant::new(u64::from(value).into());
        Self {
            clock: Signal::default(),
            bus_reset: Signal::default(),
            reset: Signal::default(),
            awvalid: Signal::default(),
            awready: Signal::default(),
            awaddr: Signal::default(),
            wvalid: Signal::default(),
            wready: Signal::default(),
            wdata: Signal::default(),
            wstrb: Signal::default(),
            bvalid: Signal::default(),
            bready: Signal::default(),
            arvalid: Signal::default(),
            arready: Signal::default(),
            araddr: Signal::default(),
            rvalid: Signal::default(),
            rready: Signal::default(),
            rdata: Signal::default(),
            reset_asked: Signal::default(),
            errors: Signal::default(),
            free_words: Signal::default(),
            available_words: Signal::default(),
            reply_done: Signal::default(),
            items_done: Signal::default(),
            now: Signal::default(),
            write_held: Register::default(),
            read_held: Register::default(),
            data: Register::default(),
            asked: Register::default(),
            sticky: Register::default(),
            clocks: Register::default(),
            clocks_high: Register::default(),
            items: Register::default(),
            written: Register::default(),
            at_id: at(registers::ID),
            at_build: at(registers::BUILD),
            at_capabilities: at(registers::CAPABILITIES),
            at_control: at(registers::CONTROL),
            at_errors: at(registers::ERRORS),
            at_free: at(registers::INPUT_FREE),
            at_available: at(registers::OUTPUT_AVAILABLE),
            at_cycles_low: at(registers::CYCLES_LOW),
            at_cycles_high: at(registers::CYCLES_HIGH),
            at_items: at(registers::ITEMS_DONE),
            at_self_test: at(registers::SELF_TEST),
            id: holds(registers::ID_VALUE),
            build: holds(registers::build_value(VERSION, build_hash)),
            capabilities: holds(CAPABILITIES.encode()),
            writes: Signal::default(),
            whole: Signal::default(),
            reads: Signal::default(),
            settled: Signal::default(),
            cleared: Signal::default(),
            kept: Signal::default(),
            inverted: Signal::default(),
        }
    }
}

impl Logic for RegisterFile {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            write_held,
            read_held,
            data,
            asked,
            sticky,
            clocks,
            clocks_high,
            items,
            written
        );

        // Writes.
        self.writes.next = self.awvalid.val() & self.wvalid.val() & !self.write_held.q.val();
        self.awready.next = self.writes.val();
        self.wready.next = self.writes.val();
        // A reset is answered when it is over: what the host sends or reads after the answer is after the reset.
        self.settled.next = !(self.asked.q.val() | self.reset.val());
        self.bvalid.next = self.write_held.q.val() & self.settled.val();
        self.whole.next = self.writes.val() & (self.wstrb.val() == 15);
        if self.bready.val() & self.settled.val() {
            self.write_held.d.next = false;
        }
        if self.writes.val() {
            self.write_held.d.next = true;
        }
        self.asked.d.next = false;
        self.cleared.next = 0.into();
        if self.whole.val() {
            if self.awaddr.val() == self.at_control.val() {
                self.asked.d.next = self.wdata.val().get_bit(0);
            }
            if self.awaddr.val() == self.at_errors.val() {
                self.cleared.next = self.wdata.val().get_bits::<6>(0);
            }
            if self.awaddr.val() == self.at_self_test.val() {
                self.written.d.next = self.wdata.val();
            }
        }
        self.kept.next = !self.cleared.val();
        self.sticky.d.next = (self.sticky.q.val() & self.kept.val()) | self.errors.val();
        self.reset_asked.next = self.asked.q.val();

        // Counters.
        self.clocks.d.next = self.clocks.q.val() + 1;
        self.now.next = self.clocks.q.val();
        if self.reply_done.val() {
            self.items.d.next = self.items.q.val() + self.items_done.val().to_bits::<32>();
        }

        // Reads.
        self.arready.next = !self.read_held.q.val() & self.settled.val();
        self.reads.next = self.arvalid.val() & !self.read_held.q.val() & self.settled.val();
        self.rvalid.next = self.read_held.q.val();
        self.rdata.next = self.data.q.val();
        self.inverted.next = !self.written.q.val();
        if self.rready.val() {
            self.read_held.d.next = false;
        }
        if self.reads.val() {
            self.read_held.d.next = true;
            self.data.d.next = 0.into();
            if self.araddr.val() == self.at_id.val() {
                self.data.d.next = self.id.val();
            }
            if self.araddr.val() == self.at_build.val() {
                self.data.d.next = self.build.val();
            }
            if self.araddr.val() == self.at_capabilities.val() {
                self.data.d.next = self.capabilities.val();
            }
            if self.araddr.val() == self.at_errors.val() {
                self.data.d.next = self.sticky.q.val().to_bits::<32>();
            }
            if self.araddr.val() == self.at_free.val() {
                self.data.d.next = self.free_words.val().to_bits::<32>() << 3;
            }
            if self.araddr.val() == self.at_available.val() {
                self.data.d.next = self.available_words.val().to_bits::<32>() << 3;
            }
            if self.araddr.val() == self.at_cycles_low.val() {
                self.data.d.next = self.clocks.q.val().get_bits::<32>(0);
                self.clocks_high.d.next = self.clocks.q.val().get_bits::<32>(32);
            }
            if self.araddr.val() == self.at_cycles_high.val() {
                self.data.d.next = self.clocks_high.q.val();
            }
            if self.araddr.val() == self.at_items.val() {
                self.data.d.next = self.items.q.val();
            }
            if self.araddr.val() == self.at_self_test.val() {
                self.data.d.next = self.inverted.val();
            }
        }

        if self.reset.val() {
            self.sticky.d.next = 0.into();
            self.clocks.d.next = 0.into();
            self.clocks_high.d.next = 0.into();
            self.items.d.next = 0.into();
            self.written.d.next = 0.into();
        }
        if self.bus_reset.val() {
            self.write_held.d.next = false;
            self.read_held.d.next = false;
            self.asked.d.next = false;
        }
    }
}
