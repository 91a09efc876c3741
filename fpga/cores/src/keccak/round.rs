//! One round of Keccak-f\[1600\] (FIPS 202, section 3.2) as three blocks of logic, one for each register stage of the core.
//!
//! Lane `(x, y)` of FIPS 202 is number `x + 5 * y` here; bit `z` is wire `z`. The XOR of a message block into the state is
//! folded into the first two blocks, where the four-input tables of the smaller FPGAs have an input left: the column
//! parities of the block enter [`ColumnParity`], its lanes enter [`ThetaRhoPi`]. A message starts from the zero state: lanes 4 to
//! 24 are cleared by the last chi of the message before, where the tables have an input left too; lanes 0 to 3 hold a digest
//! then and are left out of the next first stage instead.

use crate::prelude::*;

/// Lanes of the state.
pub const LANES: usize = 25;
/// Lanes of a block of Keccak-256: 136 bytes.
pub const RATE_LANES: usize = 17;
/// Rounds of a permutation.
pub const ROUNDS: usize = 24;

/// Rotation of each lane in rho, `offsets[x + 5 * y]` (FIPS 202, algorithm 2).
pub fn rotations() -> [u32; LANES] {
    let mut offsets = [0; LANES];
    let (mut x, mut y) = (1, 0);
    for t in 0..24_u32 {
        offsets[x + 5 * y] = ((t + 1) * (t + 2) / 2) % 64;
        (x, y) = (y, (2 * x + 3 * y) % 5);
    }
    offsets
}

/// Bits 0, 1, 3, 7, 15, 31 and 63 of the round constant, lowest first: the only bits that are ever set (FIPS 202, algorithm 5).
pub fn round_constants() -> [Word<7>; ROUNDS] {
    let mut register = 1_u16;
    [(); ROUNDS].map(|()| {
        let mut constant = Word::default();
        for bit in 0..7 {
            constant = constant.replace_bit(bit, register & 1 == 1);
            register <<= 1;
            if register & 0x100 != 0 {
                register ^= 0x171;
            }
        }
        constant
    })
}

/// First stage: the parity of each column, with the parities of a block to absorb.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct ColumnParity {
    /// The state between two rounds.
    pub state: [Signal<In, Lane>; 25],
    /// Parities of the block to absorb, zero for none.
    pub block: [Signal<In, Lane>; 5],
    /// Leave lanes 0 to 3 out: the block is the first of a message.
    pub fresh: Signal<In, Bit>,
    /// Parity of column `x`.
    pub columns: [Signal<Out, Lane>; 5],
    first: [Signal<Local, Lane>; 5],
}

impl Logic for ColumnParity {
    #[hdl_gen]
    fn update(&mut self) {
        for x in 0..4 {
            self.first[x].next = self.state[x].val();
            if self.fresh.val() {
                self.first[x].next = 0.into();
            }
        }
        self.first[4].next = self.state[4].val();
        for x in 0..5 {
            self.columns[x].next = self.state[x + 5].val()
                ^ self.state[x + 10].val()
                ^ self.state[x + 15].val()
                ^ self.state[x + 20].val()
                ^ self.first[x].val()
                ^ self.block[x].val();
        }
    }
}

/// Second stage: theta's addition of the parities, the block's addition, then rho and pi, which are wires.
#[derive(Clone, Debug, LogicBlock)]
pub struct ThetaRhoPi {
    /// The state whose parities `columns` holds.
    pub state: [Signal<In, Lane>; 25],
    /// The block to absorb, zero for none.
    pub block: [Signal<In, Lane>; 17],
    /// Parities of the state with the block.
    pub columns: [Signal<In, Lane>; 5],
    /// The state after pi.
    pub mixed: [Signal<Out, Lane>; 25],
    rotated: [Signal<Local, Lane>; 5],
    absorbed: [Signal<Local, Lane>; 25],
    theta: [Signal<Local, Lane>; 25],
    left: [Constant<Word<7>>; 25],
    right: [Constant<Word<7>>; 25],
}

impl Default for ThetaRhoPi {
    fn default() -> Self {
        Self {
            state: Default::default(),
            block: Default::default(),
            columns: Default::default(),
            mixed: Default::default(),
            rotated: Default::default(),
            absorbed: Default::default(),
            theta: Default::default(),
            left: rotations().map(|offset| Constant::new(u64::from(offset).into())),
            right: rotations().map(|offset| Constant::new(u64::from(64 - offset).into())),
        }
    }
}

impl Logic for ThetaRhoPi {
    #[hdl_gen]
    fn update(&mut self) {
        for x in 0..5 {
            self.rotated[x].next = (self.columns[x].val() << 1) | (self.columns[x].val() >> 63);
        }
        for i in 0..17 {
            self.absorbed[i].next = self.state[i].val() ^ self.block[i].val();
        }
        for i in 17..25 {
            self.absorbed[i].next = self.state[i].val();
        }
        for x in 0..5 {
            for y in 0..5 {
                self.theta[x + 5 * y].next = self.absorbed[x + 5 * y].val()
                    ^ self.columns[(x + 4) % 5].val()
                    ^ self.rotated[(x + 1) % 5].val();
            }
        }
        for x in 0..5 {
            for y in 0..5 {
                self.mixed[y + 5 * ((2 * x + 3 * y) % 5)].next = (self.theta[x + 5 * y].val()
                    << self.left[x + 5 * y].val())
                    | (self.theta[x + 5 * y].val() >> self.right[x + 5 * y].val());
            }
        }
    }
}

/// Third stage: chi, and iota with the seven bits of [`round_constants`].
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct ChiIota {
    /// The state after pi.
    pub mixed: [Signal<In, Lane>; 25],
    /// Clear lanes 4 to 24: a new message follows.
    pub clear: Signal<In, Bit>,
    /// The round's constant.
    pub constant: Signal<In, Word<7>>,
    /// The state after the round.
    pub state: [Signal<Out, Lane>; 25],
    inverted: [Signal<Local, Lane>; 25],
    spread: Signal<Local, Lane>,
}

impl Logic for ChiIota {
    #[hdl_gen]
    fn update(&mut self) {
        self.spread.next = self.constant.val().get_bits::<1>(0).to_bits::<64>()
            | (self.constant.val().get_bits::<1>(1).to_bits::<64>() << 1)
            | (self.constant.val().get_bits::<1>(2).to_bits::<64>() << 3)
            | (self.constant.val().get_bits::<1>(3).to_bits::<64>() << 7)
            | (self.constant.val().get_bits::<1>(4).to_bits::<64>() << 15)
            | (self.constant.val().get_bits::<1>(5).to_bits::<64>() << 31)
            | (self.constant.val().get_bits::<1>(6).to_bits::<64>() << 63);
        for i in 0..25 {
            self.inverted[i].next = !self.mixed[i].val();
        }
        for x in 0..5 {
            for y in 0..5 {
                self.state[x + 5 * y].next = self.mixed[x + 5 * y].val()
                    ^ (self.inverted[(x + 1) % 5 + 5 * y].val() & self.mixed[(x + 2) % 5 + 5 * y].val());
            }
        }
        self.state[0].next =
            self.mixed[0].val() ^ (self.inverted[1].val() & self.mixed[2].val()) ^ self.spread.val();
        if self.clear.val() {
            for i in 4..25 {
                self.state[i].next = 0.into();
            }
        }
    }
}

/// The three stages and the table of constants without registers: what three steps of the core do with a slot, as one block
/// to prove.
///
/// A fresh start is the core's: the round before was told to `clear`, and `fresh` leaves out lanes 0 to 3, which it kept.
#[derive(Clone, Debug, LogicBlock)]
pub struct Round {
    /// The state before.
    pub state: [Signal<In, Lane>; 25],
    /// The block to absorb before the round.
    pub block: [Signal<In, Lane>; 17],
    /// Start from the zero state; lanes 4 to 24 of `state` must be zero.
    pub fresh: Signal<In, Bit>,
    /// A new message follows: clear lanes 4 to 24 of the state after.
    pub clear: Signal<In, Bit>,
    /// Number of the round, below 24.
    pub number: Signal<In, Word<5>>,
    /// The state after.
    pub after: [Signal<Out, Lane>; 25],
    column_parity: ColumnParity,
    theta_rho_pi: ThetaRhoPi,
    chi_iota: ChiIota,
    constants: Table<7, 5>,
    carried: [Signal<Local, Lane>; 25],
}

impl Default for Round {
    fn default() -> Self {
        Self {
            state: Default::default(),
            block: Default::default(),
            fresh: Signal::default(),
            clear: Signal::default(),
            number: Signal::default(),
            after: Default::default(),
            column_parity: ColumnParity::default(),
            theta_rho_pi: ThetaRhoPi::default(),
            chi_iota: ChiIota::default(),
            constants: Table::new(round_constants().to_vec()),
            carried: Default::default(),
        }
    }
}

impl Round {
    /// Tells the checks of rust-hdl that the inputs are driven from outside.
    pub fn connect_ports(&mut self) {
        self.state.iter_mut().chain(&mut self.block).for_each(Logic::connect);
        self.fresh.connect();
        self.clear.connect();
        self.number.connect();
    }
}

impl Logic for Round {
    #[hdl_gen]
    fn update(&mut self) {
        for x in 0..2 {
            self.column_parity.block[x].next = self.block[x].val()
                ^ self.block[x + 5].val()
                ^ self.block[x + 10].val()
                ^ self.block[x + 15].val();
        }
        for x in 2..5 {
            self.column_parity.block[x].next =
                self.block[x].val() ^ self.block[x + 5].val() ^ self.block[x + 10].val();
        }
        for i in 0..25 {
            self.carried[i].next = self.state[i].val();
            self.column_parity.state[i].next = self.state[i].val();
            self.chi_iota.mixed[i].next = self.theta_rho_pi.mixed[i].val();
            self.after[i].next = self.chi_iota.state[i].val();
        }
        if self.fresh.val() {
            for i in 0..4 {
                self.carried[i].next = 0.into();
            }
        }
        for i in 0..25 {
            self.theta_rho_pi.state[i].next = self.carried[i].val();
        }
        for i in 0..17 {
            self.theta_rho_pi.block[i].next = self.block[i].val();
        }
        for x in 0..5 {
            self.theta_rho_pi.columns[x].next = self.column_parity.columns[x].val();
        }
        self.column_parity.fresh.next = self.fresh.val();
        self.chi_iota.clear.next = self.clear.val();
        self.constants.address.next = self.number.val();
        self.chi_iota.constant.next = self.constants.data.val();
    }
}
