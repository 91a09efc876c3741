//! The output side of the top: whole replies leave memory, header first.
//!
//! Two banks are offered in turn. A word is read one clock before it leaves; the address stands still with the stream.

use crate::prelude::*;
use crate::stream::Source;

/// Sends replies.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Sender {
    /// Rising edge of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous.
    pub reset: Signal<In, Bit>,
    /// One clock long: the next bank is whole.
    pub done: Signal<In, Bit>,
    /// Its payload words, a multiple of 8.
    pub words: Signal<In, Word<13>>,
    /// Both banks hold replies.
    pub blocked: Signal<Out, Bit>,
    /// A word leaves the accelerator, not only this block, at the next edge.
    pub left: Signal<In, Bit>,
    /// Words of whole replies that have not left the accelerator.
    pub available: Signal<Out, Word<14>>,
    /// Word of a header or payload to read, the bank in the top wire.
    pub read_address: Signal<Out, Word<13>>,
    /// Read at the next edge.
    pub read_enable: Signal<Out, Bit>,
    /// Word of the header read last.
    pub header_data: Signal<In, Lane>,
    /// Word of the payload read last.
    pub payload_data: Signal<In, Lane>,
    /// Replies leave.
    pub source: Source,

    // Lengths of the reply that leaves and of the one behind it.
    banks_full: Register<Word<2>>,
    length: Register<Word<13>>,
    next_length: Register<Word<13>>,
    bank: Register<Bit>,
    in_payload: Register<Bit>,
    position: Register<Word<13>>,
    unsent: Register<Word<14>>,
    held: Register<Bit>,
    held_payload: Register<Bit>,
    moves: Signal<Local, Bit>,
    reads: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    words_total: Signal<Local, Word<14>>,
    position_next: Signal<Local, Word<13>>,
}

impl Logic for Sender {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, banks_full, length, next_length, bank, in_payload, position, unsent, held);
        dff_setup!(self, clock, held_payload);

        self.moves.next = !self.held.q.val() | self.source.ready.val();
        self.reads.next = self.moves.val() & self.banks_full.q.val().any();
        self.position_next.next = self.position.q.val() + 1;
        self.ends.next = false;
        self.read_address.next = self.position.q.val();
        if self.bank.q.val() {
            self.read_address.next = self.read_address.val() | 4096;
        }
        self.read_enable.next = self.reads.val();
        if self.moves.val() {
            self.held.d.next = self.reads.val();
            self.held_payload.d.next = self.in_payload.q.val();
        }
        if self.reads.val() {
            self.position.d.next = self.position_next.val();
            if self.in_payload.q.val() {
                self.ends.next = self.position_next.val() == self.length.q.val();
            } else if self.position.q.val() == 7 {
                self.position.d.next = 0.into();
                self.in_payload.d.next = true;
                self.ends.next = self.length.q.val() == 0;
            }
            if self.ends.val() {
                self.position.d.next = 0.into();
                self.in_payload.d.next = false;
                self.bank.d.next = !self.bank.q.val();
                self.length.d.next = self.next_length.q.val();
                self.banks_full.d.next = self.banks_full.q.val() - 1;
            }
        }
        if self.done.val() {
            self.next_length.d.next = self.words.val();
            if (self.banks_full.q.val() == 0) | ((self.banks_full.q.val() == 1) & self.ends.val()) {
                self.length.d.next = self.words.val();
            }
            if !self.ends.val() {
                self.banks_full.d.next = self.banks_full.q.val() + 1;
            } else {
                self.banks_full.d.next = self.banks_full.q.val();
            }
        }
        self.blocked.next = self.banks_full.q.val() == 2;

        self.source.valid.next = self.held.q.val();
        self.source.data.next = self.header_data.val();
        if self.held_payload.q.val() {
            self.source.data.next = self.payload_data.val();
        }

        // What waits in the skid buffer behind this block can be read, so it counts.
        self.words_total.next = self.words.val().to_bits::<14>();
        self.words_total.next = self.words_total.val() + 8;
        if !self.done.val() {
            self.words_total.next = 0.into();
        }
        self.unsent.d.next = self.unsent.q.val() + self.words_total.val();
        if self.left.val() {
            self.unsent.d.next = self.unsent.q.val() + self.words_total.val() - 1;
        }
        self.available.next = self.unsent.q.val();

        if self.reset.val() {
            self.banks_full.d.next = 0.into();
            self.bank.d.next = false;
            self.in_payload.d.next = false;
            self.position.d.next = 0.into();
            self.unsent.d.next = 0.into();
            self.held.d.next = false;
        }
    }
}
