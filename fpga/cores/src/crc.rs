//! CRC-32C (Castagnoli, RFC 3720 section 12.1) of a stream, eight bytes a clock.
//!
//! The register holds the complement of the usual remainder: it starts at zero, and what it holds is the checksum.

use crate::bench::Clocked;
use crate::prelude::*;

/// The reflected polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Checksum of the beats taken since the last `clear`.
#[derive(Clone, Debug, LogicBlock)]
pub struct Crc32c {
    /// Rising edge takes.
    pub clock: Signal<In, Clock>,
    /// Start over; wins over `enable`.
    pub clear: Signal<In, Bit>,
    /// Take `data`.
    pub enable: Signal<In, Bit>,
    /// Eight bytes, the first in wires 7 to 0.
    pub data: Signal<In, Lane>,
    /// Checksum of everything taken.
    pub checksum: Signal<Out, Word<32>>,
    held: Register<Word<32>>,
    masks: [Constant<Lane>; 32],
    remainder: Signal<Local, Word<32>>,
    folded: Signal<Local, Lane>,
    next: Signal<Local, Word<32>>,
    complement: Signal<Local, Word<32>>,
}

/// For each bit of the new remainder the bits of `data ^ remainder` that enter it.
fn masks() -> [Lane; 32] {
    let mut masks = [0_u64; 32];
    for input in 0..64 {
        let mut register = 1_u64 << input;
        for _ in 0..64 {
            register =
                if register & 1 == 1 { (register >> 1) ^ u64::from(POLYNOMIAL) } else { register >> 1 };
        }
        for (output, mask) in masks.iter_mut().enumerate() {
            *mask |= ((register >> output) & 1) << input;
        }
    }
    masks.map(Lane::new)
}

impl Default for Crc32c {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            enable: Signal::default(),
            data: Signal::default(),
            checksum: Signal::default(),
            held: Register::default(),
            masks: masks().map(Constant::new),
            remainder: Signal::default(),
            folded: Signal::default(),
            next: Signal::default(),
            complement: Signal::default(),
        }
    }
}

impl Logic for Crc32c {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held);
        self.remainder.next = !self.held.q.val();
        self.folded.next = self.remainder.val().to_bits::<64>();
        self.folded.next = self.folded.val() ^ self.data.val();
        self.next.next = 0.into();
        for i in 0..32 {
            self.next.next = self.next.val().replace_bit(i, (self.folded.val() & self.masks[i].val()).xor());
        }
        self.complement.next = !self.next.val();
        if self.enable.val() {
            self.held.d.next = self.complement.val();
        }
        if self.clear.val() {
            self.held.d.next = 0.into();
        }
        self.checksum.next = self.held.q.val();
    }
}

impl Clocked for Crc32c {
    fn clock(&mut self) -> &mut Signal<In, Clock> {
        &mut self.clock
    }
}
