//! The Keccak-256 core: three messages in flight, one round of one of them in every clock.
//!
//! # Input
//!
//! Records (see [`super::fill`]) in strict turns: the first record is for slot 0, the next for slot 1, then slot 2, slot 0
//! and so on. A slot that works on a message takes the message's next block from its turn; an idle slot starts a message
//! with it. Who has nothing for a slot passes its turn with one beat; passing in the middle of a message drops the message,
//! no digest comes. Turns are the whole order: no request, no slot number, no way to wait in a circle. The pipeline
//! stands still while the record of the next turn is missing, so whoever waits for digests goes on passing.
//!
//! # Output
//!
//! Four beats for each message, the first eight bytes of the digest first; messages in the order of their last blocks. The
//! pipeline goes on while a digest is read and stands still only if the next one is due.
//!
//! # Cycles
//!
//! A block costs 72 clocks of one slot, so the core takes a block every 24 clocks: turns come after 25, 25 and 22 clocks.
//! A record is filled in 17, so nothing waits when a beat arrives in every clock and a digest is read in 20. A message of
//! `b` blocks (with padding) has left `72 * b + 25` clocks after its first beat.
//!
//! # How it works
//!
//! The three slots rotate through three register ranks: `resting` (between rounds), `carried` with `columns` (the parities
//! of theta) and `mixed` (after pi). The sequencer decides two clocks ahead of the ranks, and its commands travel with them
//! through registers: an enable of five thousand flip-flops is never the end of a logic path. The registers behind
//! `carried_block` and `first_columns` are cleared instead of gated: that costs no table.

use super::fill::Fill;
use super::round::{ChiIota, ColumnParity, ThetaRhoPi, round_constants};
use crate::bench::Clocked;
use crate::prelude::*;

/// The core.
#[derive(Clone, Debug, LogicBlock)]
pub struct KeccakCore {
    /// The clock of everything.
    pub clock: Signal<In, Clock>,
    /// Synchronous: forget all messages; the next record is for slot 0.
    pub reset: Signal<In, Bit>,
    /// A beat is offered.
    pub in_valid: Signal<In, Bit>,
    /// The beat is taken at the next edge.
    pub in_ready: Signal<Out, Bit>,
    /// Eight message bytes, the first in wires 7 to 0.
    pub in_data: Signal<In, Lane>,
    /// With `in_last`: message bytes in `in_data`, 0 to 7.
    pub in_bytes: Signal<In, Word<3>>,
    /// The message ends in this beat.
    pub in_last: Signal<In, Bit>,
    /// The record passes its turn.
    pub in_pass: Signal<In, Bit>,
    /// A beat of a digest is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken at the next edge.
    pub out_ready: Signal<In, Bit>,
    /// Eight bytes of the digest, the first in wires 7 to 0.
    pub out_data: Signal<Out, Lane>,
    /// The fourth beat of a digest.
    pub out_last: Signal<Out, Bit>,
    /// The permutation waits, for a record or for the digest before to be read.
    pub waiting: Signal<Out, Bit>,

    fill: Fill,
    column_parity: ColumnParity,
    theta_rho_pi: ThetaRhoPi,
    chi_iota: ChiIota,
    constants: Table<7, 5>,

    // The ranks.
    resting: [Register<Lane>; 25],
    columns: [Register<Lane>; 5],
    carried: [Register<Lane>; 25],
    carried_block: [Register<Lane>; 17],
    mixed: [Register<Lane>; 25],
    first_columns: [Register<Lane>; 5],

    // The sequencer: rounds and slots rotate.
    rounds: [Register<Word<5>>; 3],
    turn: Register<Bit>,
    active: [Register<Bit>; 3],
    ending: [Register<Bit>; 3],
    finishes: Signal<Local, Bit>,
    round_is_last: Signal<Local, Bit>,
    has_turn: Register<Bit>,
    step: Signal<Local, Bit>,

    // Commands on their way to the ranks.
    step_early: Register<Bit>,
    step_now: Register<Bit>,
    skip_early: Register<Bit>,
    skip_now: Register<Bit>,
    clear_early: Register<Bit>,
    clear_now: Register<Bit>,
    fresh_early: Register<Bit>,
    fresh_now: Register<Bit>,
    consume_early: Register<Bit>,
    consume_now: Register<Bit>,
    capture_early: Register<Bit>,
    capture_now: Register<Bit>,
    constant_early: Register<Word<7>>,
    constant_now: Register<Word<7>>,

    // The digest on its way out.
    digest: [Register<Lane>; 4],
    digest_held: Register<Bit>,
    digest_index: [Register<Bit>; 4],
    selected: [Signal<Local, Lane>; 4],
}

impl Default for KeccakCore {
    fn default() -> Self {
        let mut constants = round_constants().to_vec();
        constants.resize(1 << 5, Word::default());
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            in_data: Signal::default(),
            in_bytes: Signal::default(),
            in_last: Signal::default(),
            in_pass: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            out_data: Signal::default(),
            out_last: Signal::default(),
            waiting: Signal::default(),
            fill: Fill::default(),
            column_parity: ColumnParity::default(),
            theta_rho_pi: ThetaRhoPi::default(),
            chi_iota: ChiIota::default(),
            constants: Table::new(constants),
            resting: Default::default(),
            columns: Default::default(),
            carried: Default::default(),
            carried_block: Default::default(),
            mixed: Default::default(),
            first_columns: Default::default(),
            rounds: Default::default(),
            turn: Register::default(),
            active: Default::default(),
            ending: Default::default(),
            finishes: Signal::default(),
            round_is_last: Signal::default(),
            has_turn: Register::default(),
            step: Signal::default(),
            step_early: Register::default(),
            step_now: Register::default(),
            skip_early: Register::default(),
            skip_now: Register::default(),
            clear_early: Register::default(),
            clear_now: Register::default(),
            fresh_early: Register::default(),
            fresh_now: Register::default(),
            consume_early: Register::default(),
            consume_now: Register::default(),
            capture_early: Register::default(),
            capture_now: Register::default(),
            constant_early: Register::default(),
            constant_now: Register::default(),
            digest: Default::default(),
            digest_held: Register::default(),
            digest_index: Default::default(),
            selected: Default::default(),
        }
    }
}

impl KeccakCore {
    /// A core that is the whole circuit: its inputs are driven from outside.
    pub fn standing_alone() -> Self {
        let mut core = Self::default();
        core.clock.connect();
        core.reset.connect();
        core.in_valid.connect();
        core.in_data.connect();
        core.in_bytes.connect();
        core.in_last.connect();
        core.in_pass.connect();
        core.out_ready.connect();
        core.connect_all();
        core
    }
}

impl Logic for KeccakCore {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            turn,
            has_turn,
            step_early,
            step_now,
            skip_early,
            skip_now,
            fresh_early,
            fresh_now
        );
        dff_setup!(
            self,
            clock,
            consume_early,
            consume_now,
            capture_early,
            capture_now,
            constant_early,
            constant_now
        );
        dff_setup!(self, clock, clear_early, clear_now, digest_held);

        // Input.
        self.fill.clock.next = self.clock.val();
        self.fill.reset.next = self.reset.val();
        self.fill.valid.next = self.in_valid.val();
        self.fill.data.next = self.in_data.val();
        self.fill.bytes.next = self.in_bytes.val();
        self.fill.last.next = self.in_last.val();
        self.fill.pass.next = self.in_pass.val();
        self.fill.consume.next = self.consume_now.q.val();
        self.in_ready.next = self.fill.ready.val();

        // Sequencer. At a turn the record must be there, and room for the digest of the message that ends. Both are seen a
        // clock before the turn: nothing but a turn takes them away, and the turn before is 22 clocks old.
        for i in 0..3 {
            self.rounds[i].clock.next = self.clock.val();
            self.rounds[i].d.next = self.rounds[i].q.val();
            self.active[i].clock.next = self.clock.val();
            self.active[i].d.next = self.active[i].q.val();
            self.ending[i].clock.next = self.clock.val();
            self.ending[i].d.next = self.ending[i].q.val();
        }
        self.finishes.next = self.active[0].q.val() & self.ending[0].q.val();
        self.has_turn.d.next = self.fill.full.val() & !(self.finishes.val() & self.digest_held.q.val());
        self.step.next = !self.turn.q.val() | self.has_turn.q.val();
        self.waiting.next = !self.step.val();
        self.round_is_last.next = self.rounds[0].q.val() == 23;
        self.constants.address.next = self.rounds[0].q.val();
        if self.step.val() {
            self.rounds[0].d.next = self.rounds[1].q.val();
            self.rounds[1].d.next = self.rounds[2].q.val();
            self.rounds[2].d.next = self.rounds[0].q.val() + 1;
            if self.round_is_last.val() {
                self.rounds[2].d.next = 0.into();
            }
            self.turn.d.next = self.round_is_last.val();
            if self.turn.q.val() {
                self.active[0].d.next = self.active[1].q.val();
                self.active[1].d.next = self.active[2].q.val();
                self.active[2].d.next = !self.fill.passes.val();
                self.ending[0].d.next = self.ending[1].q.val();
                self.ending[1].d.next = self.ending[2].q.val();
                self.ending[2].d.next = self.fill.ends.val();
            }
        }

        // Commands.
        self.step_early.d.next = self.step.val();
        self.consume_early.d.next = self.turn.q.val() & self.has_turn.q.val();
        self.skip_early.d.next = !self.turn.q.val() | !self.has_turn.q.val() | self.fill.passes.val();
        self.fresh_early.d.next =
            self.turn.q.val() & self.has_turn.q.val() & (!self.active[0].q.val() | self.ending[0].q.val());
        self.capture_early.d.next = self.turn.q.val() & self.has_turn.q.val() & self.finishes.val();
        // The round before a turn: what follows is a new message, or none.
        self.clear_early.d.next =
            self.round_is_last.val() & (!self.active[0].q.val() | self.ending[0].q.val());
        self.clear_now.d.next = self.clear_early.q.val();
        self.constant_early.d.next = self.constants.data.val();
        self.step_now.d.next = self.step_early.q.val();
        self.consume_now.d.next = self.consume_early.q.val();
        self.skip_now.d.next = self.skip_early.q.val();
        self.fresh_now.d.next = self.fresh_early.q.val();
        self.capture_now.d.next = self.capture_early.q.val();
        self.constant_now.d.next = self.constant_early.q.val();

        // Wires between the ranks.
        for i in 0..25 {
            self.resting[i].clock.next = self.clock.val();
            self.carried[i].clock.next = self.clock.val();
            self.mixed[i].clock.next = self.clock.val();
            self.column_parity.state[i].next = self.resting[i].q.val();
            self.theta_rho_pi.state[i].next = self.carried[i].q.val();
            self.chi_iota.mixed[i].next = self.mixed[i].q.val();
            self.resting[i].d.next = self.resting[i].q.val();
            self.carried[i].d.next = self.carried[i].q.val();
            self.mixed[i].d.next = self.mixed[i].q.val();
        }
        for x in 0..5 {
            self.columns[x].clock.next = self.clock.val();
            self.first_columns[x].clock.next = self.clock.val();
            self.column_parity.block[x].next = self.first_columns[x].q.val();
            self.theta_rho_pi.columns[x].next = self.columns[x].q.val();
            self.columns[x].d.next = self.columns[x].q.val();
        }
        for i in 0..17 {
            self.carried_block[i].clock.next = self.clock.val();
            self.theta_rho_pi.block[i].next = self.carried_block[i].q.val();
        }
        self.column_parity.fresh.next = self.fresh_now.q.val();
        self.chi_iota.clear.next = self.clear_now.q.val();
        self.chi_iota.constant.next = self.constant_now.q.val();

        // One step of all three slots.
        if self.step_now.q.val() {
            for i in 0..25 {
                self.carried[i].d.next = self.resting[i].q.val();
                self.mixed[i].d.next = self.theta_rho_pi.mixed[i].val();
                self.resting[i].d.next = self.chi_iota.state[i].val();
            }
            for x in 0..5 {
                self.columns[x].d.next = self.column_parity.columns[x].val();
            }
        }
        if self.fresh_now.q.val() {
            for i in 0..4 {
                self.carried[i].d.next = 0.into();
            }
        }
        for i in 0..17 {
            self.carried_block[i].d.next = self.fill.lanes[i].val();
            if self.skip_now.q.val() {
                self.carried_block[i].d.next = 0.into();
            }
        }
        for x in 0..5 {
            self.first_columns[x].d.next = self.fill.columns[x].val();
            if self.skip_early.q.val() {
                self.first_columns[x].d.next = 0.into();
            }
        }

        // Output: the digest stands still, the selection moves.
        for i in 0..4 {
            self.digest_index[i].clock.next = self.clock.val();
            self.digest_index[i].d.next = self.digest_index[i].q.val();
            self.digest[i].clock.next = self.clock.val();
            self.digest[i].d.next = self.digest[i].q.val();
            self.selected[i].next = 0.into();
            if self.digest_index[i].q.val() {
                self.selected[i].next = self.digest[i].q.val();
            }
        }
        self.out_valid.next = self.digest_held.q.val();
        self.out_last.next = self.digest_index[3].q.val();
        self.out_data.next =
            self.selected[0].val() | self.selected[1].val() | self.selected[2].val() | self.selected[3].val();
        if self.digest_held.q.val() & self.out_ready.val() {
            for i in 0..4 {
                self.digest_index[i].d.next = self.digest_index[(i + 3) % 4].q.val();
            }
            if self.digest_index[3].q.val() {
                self.digest_held.d.next = false;
            }
        }
        if self.capture_now.q.val() {
            self.digest_held.d.next = true;
            for i in 0..4 {
                self.digest[i].d.next = self.resting[i].q.val();
            }
        }
        if self.reset.val() {
            // Slot 0 is in the round before its turn, which clears it; slots 1 and 2 are where they are then.
            self.rounds[0].d.next = 23.into();
            self.rounds[1].d.next = 15.into();
            self.rounds[2].d.next = 7.into();
            self.turn.d.next = false;
            for i in 0..3 {
                self.active[i].d.next = false;
            }
            self.has_turn.d.next = false;
            self.step_early.d.next = false;
            self.step_now.d.next = false;
            // An empty input that is told to drop its record clears the parities that it collected.
            self.consume_early.d.next = false;
            self.consume_now.d.next = true;
            self.skip_early.d.next = true;
            self.skip_now.d.next = true;
            self.capture_early.d.next = false;
            self.capture_now.d.next = false;
            self.digest_held.d.next = false;
            for i in 1..4 {
                self.digest_index[i].d.next = false;
            }
            self.digest_index[0].d.next = true;
        }
    }
}

impl Clocked for KeccakCore {
    fn clock(&mut self) -> &mut Signal<In, Clock> {
        &mut self.clock
    }
}
