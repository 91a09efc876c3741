//! The accelerator: packets in, digests out, registers beside.
//!
//! Ports are flat and named as AXI wants them: `clk`, `rst` (synchronous, active high), `s_axis_*` (requests), `m_axis_*`
//! (replies), `s_axil_*` (registers). Packets are those of `fpga::packet`, registers those of `fpga::registers`.
//!
//! Four parts work at the same time: the receiver reads one request while the worker hashes the one before and the sender
//! sends the one before that; payloads and replies have two banks each. So four requests are taken while no reply is read.

pub mod feeder;
pub mod receiver;
pub mod register_file;
pub mod sender;
pub mod worker;

use fpga::packet::Opcode;
use fpga::registers::Capabilities;

use crate::bench::Clocked;
use crate::prelude::*;
use crate::stream::skid::SkidBuffer;
use receiver::Receiver;
use register_file::RegisterFile;
use sender::Sender;
use worker::Worker;

/// Opcodes that this gateware knows, bit n for opcode n.
pub const OPCODES: u8 = Opcode::Loopback.bit() | Opcode::Keccak256.bit() | Opcode::MerkleKeccak.bit();

/// What the capabilities register says. The sizes are those of the memories: 32 KiB for a payload and for 1,024 digests.
pub const CAPABILITIES: Capabilities =
    Capabilities { opcodes: OPCODES, item_count_max_log2: 10, payload_bytes_max_log2: 15, packets_max: 4 };

/// Most items of a request.
pub const ITEM_COUNT_MAX: u32 = 1 << CAPABILITIES.item_count_max_log2;

/// Most payload bytes of a request; a reply never has more.
pub const PAYLOAD_BYTES_MAX: u32 = 1 << CAPABILITIES.payload_bytes_max_log2;

/// The top of the design.
#[derive(Clone, Debug, LogicBlock)]
pub struct Accelerator {
    /// The one clock.
    pub clk: Signal<In, Clock>,
    /// Synchronous reset, active high.
    pub rst: Signal<In, Bit>,
    /// Requests: eight bytes, the first in wires 7 to 0.
    pub s_axis_tdata: Signal<In, Lane>,
    /// Requests: offered.
    pub s_axis_tvalid: Signal<In, Bit>,
    /// Requests: taken.
    pub s_axis_tready: Signal<Out, Bit>,
    /// Replies: eight bytes, the first in wires 7 to 0.
    pub m_axis_tdata: Signal<Out, Lane>,
    /// Replies: offered.
    pub m_axis_tvalid: Signal<Out, Bit>,
    /// Replies: taken.
    pub m_axis_tready: Signal<In, Bit>,
    /// Registers: write address offered.
    pub s_axil_awvalid: Signal<In, Bit>,
    /// Registers: write address taken.
    pub s_axil_awready: Signal<Out, Bit>,
    /// Registers: write address.
    pub s_axil_awaddr: Signal<In, Word<12>>,
    /// Registers: write data offered.
    pub s_axil_wvalid: Signal<In, Bit>,
    /// Registers: write data taken.
    pub s_axil_wready: Signal<Out, Bit>,
    /// Registers: write data.
    pub s_axil_wdata: Signal<In, Word<32>>,
    /// Registers: bytes to write.
    pub s_axil_wstrb: Signal<In, Word<4>>,
    /// Registers: write answered.
    pub s_axil_bvalid: Signal<Out, Bit>,
    /// Registers: write's answer taken.
    pub s_axil_bready: Signal<In, Bit>,
    /// Registers: always OKAY.
    pub s_axil_bresp: Signal<Out, Word<2>>,
    /// Registers: read address offered.
    pub s_axil_arvalid: Signal<In, Bit>,
    /// Registers: read address taken.
    pub s_axil_arready: Signal<Out, Bit>,
    /// Registers: read address.
    pub s_axil_araddr: Signal<In, Word<12>>,
    /// Registers: read data offered.
    pub s_axil_rvalid: Signal<Out, Bit>,
    /// Registers: read data taken.
    pub s_axil_rready: Signal<In, Bit>,
    /// Registers: read data.
    pub s_axil_rdata: Signal<Out, Word<32>>,
    /// Registers: always OKAY.
    pub s_axil_rresp: Signal<Out, Word<2>>,

    entry: SkidBuffer,
    receiver: Receiver,
    requests: Memory<64, 13>,
    worker: Worker,
    replies: Memory<64, 13>,
    headers: Memory<64, 4>,
    sender: Sender,
    leaving: SkidBuffer,
    registers: RegisterFile,
    resetting: Register<Bit>,
    header_address: Signal<Local, Word<4>>,
}

impl Accelerator {
    /// The accelerator of a build; of `build_hash` 24 bits are shown by its register.
    pub fn new(build_hash: u32) -> Self {
        let mut top = Self {
            clk: Signal::default(),
            rst: Signal::default(),
            s_axis_tdata: Signal::default(),
            s_axis_tvalid: Signal::default(),
            s_axis_tready: Signal::default(),
            m_axis_tdata: Signal::default(),
            m_axis_tvalid: Signal::default(),
            m_axis_tready: Signal::default(),
            s_axil_awvalid: Signal::default(),
            s_axil_awready: Signal::default(),
            s_axil_awaddr: Signal::default(),
            s_axil_wvalid: Signal::default(),
            s_axil_wready: Signal::default(),
            s_axil_wdata: Signal::default(),
            s_axil_wstrb: Signal::default(),
            s_axil_bvalid: Signal::default(),
            s_axil_bready: Signal::default(),
            s_axil_bresp: Signal::default(),
            s_axil_arvalid: Signal::default(),
            s_axil_arready: Signal::default(),
            s_axil_araddr: Signal::default(),
            s_axil_rvalid: Signal::default(),
            s_axil_rready: Signal::default(),
            s_axil_rdata: Signal::default(),
            s_axil_rresp: Signal::default(),
            entry: SkidBuffer::default(),
            receiver: Receiver::default(),
            requests: Memory::default(),
            worker: Worker::default(),
            replies: Memory::default(),
            headers: Memory::default(),
            sender: Sender::default(),
            leaving: SkidBuffer::default(),
            registers: RegisterFile::new(build_hash),
            resetting: Register::default(),
            header_address: Signal::default(),
        };
        top.connect_ports();
        top.connect_all();
        top
    }

    /// Tells the checks of rust-hdl that the inputs are driven from outside.
    fn connect_ports(&mut self) {
        self.clk.connect();
        self.rst.connect();
        self.s_axis_tdata.connect();
        self.s_axis_tvalid.connect();
        self.m_axis_tready.connect();
        self.s_axil_awvalid.connect();
        self.s_axil_awaddr.connect();
        self.s_axil_wvalid.connect();
        self.s_axil_wdata.connect();
        self.s_axil_wstrb.connect();
        self.s_axil_bready.connect();
        self.s_axil_arvalid.connect();
        self.s_axil_araddr.connect();
        self.s_axil_rready.connect();
    }
}

impl Logic for Accelerator {
    #[hdl_gen]
    fn update(&mut self) {
        self.resetting.clock.next = self.clk.val();
        self.entry.clock.next = self.clk.val();
        self.receiver.clock.next = self.clk.val();
        self.requests.clock.next = self.clk.val();
        self.worker.clock.next = self.clk.val();
        self.replies.clock.next = self.clk.val();
        self.headers.clock.next = self.clk.val();
        self.sender.clock.next = self.clk.val();
        self.leaving.clock.next = self.clk.val();
        self.registers.clock.next = self.clk.val();

        self.resetting.d.next = self.rst.val() | self.registers.reset_asked.val();
        self.entry.reset.next = self.resetting.q.val();
        self.receiver.reset.next = self.resetting.q.val();
        self.worker.reset.next = self.resetting.q.val();
        self.sender.reset.next = self.resetting.q.val();
        self.leaving.reset.next = self.resetting.q.val();
        self.registers.reset.next = self.resetting.q.val();
        self.registers.bus_reset.next = self.rst.val();

        // Requests.
        self.entry.sink.data.next = self.s_axis_tdata.val();
        self.entry.sink.valid.next = self.s_axis_tvalid.val();
        self.s_axis_tready.next = self.entry.sink.ready.val();
        self.receiver.sink.data.next = self.entry.source.data.val();
        self.receiver.sink.valid.next = self.entry.source.valid.val();
        self.entry.source.ready.next = self.receiver.sink.ready.val();
        self.receiver.now.next = self.registers.now.val();
        self.receiver.taken.next = self.worker.request_taken.val();
        self.requests.write_address.next = self.receiver.write_address.val();
        self.requests.write_data.next = self.receiver.write_data.val();
        self.requests.write_enable.next = self.receiver.write_enable.val();
        self.requests.read_address.next = self.worker.read_address.val();
        self.requests.read_enable.next = self.worker.read_enable.val();

        // Work.
        self.worker.now.next = self.registers.now.val();
        self.worker.request_valid.next = self.receiver.valid.val();
        self.worker.request_bank.next = self.receiver.bank.val();
        self.worker.opcode.next = self.receiver.opcode.val();
        self.worker.flags.next = self.receiver.flags.val();
        self.worker.tag.next = self.receiver.tag.val();
        self.worker.item_count.next = self.receiver.item_count.val();
        self.worker.item_bytes.next = self.receiver.item_bytes.val();
        self.worker.stride_words.next = self.receiver.stride_words.val();
        self.worker.payload_bytes.next = self.receiver.payload_bytes.val();
        self.worker.status.next = self.receiver.status.val();
        self.worker.started.next = self.receiver.started.val();
        self.worker.read_data.next = self.requests.read_data.val();
        self.worker.reply_blocked.next = self.sender.blocked.val();

        // Replies.
        self.replies.write_address.next = self.worker.write_address.val();
        self.replies.write_data.next = self.worker.write_data.val();
        self.replies.write_enable.next = self.worker.write_enable.val();
        self.headers.write_address.next = self.worker.header_address.val();
        self.headers.write_data.next = self.worker.write_data.val();
        self.headers.write_enable.next = self.worker.header_enable.val();
        self.replies.read_address.next = self.sender.read_address.val();
        self.replies.read_enable.next = self.sender.read_enable.val();
        self.header_address.next = self.sender.read_address.val().get_bits::<3>(0).to_bits::<4>();
        if self.sender.read_address.val().get_bit(12) {
            self.header_address.next = self.header_address.val() | 8;
        }
        self.headers.read_address.next = self.header_address.val();
        self.headers.read_enable.next = self.sender.read_enable.val();
        self.sender.done.next = self.worker.reply_done.val();
        self.sender.words.next = self.worker.reply_words.val();
        self.sender.header_data.next = self.headers.read_data.val();
        self.sender.payload_data.next = self.replies.read_data.val();
        self.leaving.sink.data.next = self.sender.source.data.val();
        self.leaving.sink.valid.next = self.sender.source.valid.val();
        self.sender.source.ready.next = self.leaving.sink.ready.val();
        self.m_axis_tdata.next = self.leaving.source.data.val();
        self.m_axis_tvalid.next = self.leaving.source.valid.val();
        self.leaving.source.ready.next = self.m_axis_tready.val();
        self.sender.left.next = self.leaving.source.valid.val() & self.m_axis_tready.val();

        // Registers.
        self.registers.errors.next = self.receiver.errors.val();
        self.registers.free_words.next = self.receiver.free_words.val();
        self.registers.available_words.next = self.sender.available.val();
        self.registers.reply_done.next = self.worker.reply_done.val();
        self.registers.items_done.next = self.worker.items_done.val();
        self.registers.awvalid.next = self.s_axil_awvalid.val();
        self.s_axil_awready.next = self.registers.awready.val();
        self.registers.awaddr.next = self.s_axil_awaddr.val();
        self.registers.wvalid.next = self.s_axil_wvalid.val();
        self.s_axil_wready.next = self.registers.wready.val();
        self.registers.wdata.next = self.s_axil_wdata.val();
        self.registers.wstrb.next = self.s_axil_wstrb.val();
        self.s_axil_bvalid.next = self.registers.bvalid.val();
        self.registers.bready.next = self.s_axil_bready.val();
        self.s_axil_bresp.next = 0.into();
        self.registers.arvalid.next = self.s_axil_arvalid.val();
        self.s_axil_arready.next = self.registers.arready.val();
        self.registers.araddr.next = self.s_axil_araddr.val();
        self.s_axil_rvalid.next = self.registers.rvalid.val();
        self.registers.rready.next = self.s_axil_rready.val();
        self.s_axil_rdata.next = self.registers.rdata.val();
        self.s_axil_rresp.next = 0.into();
    }
}

impl Clocked for Accelerator {
    fn clock(&mut self) -> &mut Signal<In, Clock> {
        &mut self.clk
    }
}
