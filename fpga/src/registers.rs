//! The device's registers, 32 bits each, on AXI4-Lite.
//!
//! Promise: a read has no effect, with one exception: [`CYCLES_LOW`] latches [`CYCLES_HIGH`]. Addresses that are not
//! listed read as 0 and ignore writes, with an OKAY response: a wrong address is the driver's bug and must not hang a bus.
//!
//! | address | register | access | what it holds |
//! |---|---|---|---|
//! | 0x00 | [`ID`] | read | [`ID_VALUE`] |
//! | 0x04 | [`BUILD`] | read | bits 7..0 packet version, bits 31..8 build hash |
//! | 0x08 | [`CAPABILITIES`] | read | [`Capabilities`] |
//! | 0x0c | [`CONTROL`] | write | bit 0: reset; clears itself |
//! | 0x10 | [`ERRORS`] | read, write 1 to clear | one bit for each error of [`crate::packet::Status`] |
//! | 0x14 | [`INPUT_FREE`] | read | bytes that the input takes now without waiting |
//! | 0x18 | [`OUTPUT_AVAILABLE`] | read | bytes that can be read now without waiting |
//! | 0x20 | [`CYCLES_LOW`] | read | clocks since reset, bits 31..0; latches the upper half |
//! | 0x24 | [`CYCLES_HIGH`] | read | bits 63..32 as latched |
//! | 0x28 | [`ITEMS_DONE`] | read | items answered with [`crate::packet::Status::Ok`] since reset, modulo 2^32 |
//! | 0x30 | [`SELF_TEST`] | read, write | reads as the complement of what was written last, of 0 after reset |
//!
//! Reset by [`CONTROL_RESET`] is the reset of the pin: queues empty, a request in work forgotten, every register back to
//! its value at power-on, and no byte of the time before on the output.

use crate::packet::Limits;

/// Who is there.
pub const ID: u32 = 0x00;
/// Packet version and build.
pub const BUILD: u32 = 0x04;
/// What it can do.
pub const CAPABILITIES: u32 = 0x08;
/// Reset.
pub const CONTROL: u32 = 0x0c;
/// Sticky errors.
pub const ERRORS: u32 = 0x10;
/// Room in the input, in bytes.
pub const INPUT_FREE: u32 = 0x14;
/// Bytes ready at the output.
pub const OUTPUT_AVAILABLE: u32 = 0x18;
/// Clocks, low half.
pub const CYCLES_LOW: u32 = 0x20;
/// Clocks, high half.
pub const CYCLES_HIGH: u32 = 0x24;
/// Items answered.
pub const ITEMS_DONE: u32 = 0x28;
/// The complement of what was written: shows that address, data and byte order survive the way to the device.
pub const SELF_TEST: u32 = 0x30;

/// What [`ID`] reads as, "DACH".
pub const ID_VALUE: u32 = u32::from_le_bytes(*b"DACH");

/// The bit of [`CONTROL`] that resets.
pub const CONTROL_RESET: u32 = 1;

/// The fields of [`CAPABILITIES`].
///
/// | bits | field |
/// |---|---|
/// | 7..0 | bit n set: opcode n is known |
/// | 15..8 | binary logarithm of the most items of a request |
/// | 23..16 | binary logarithm of the most payload bytes of a request |
/// | 31..24 | replies kept unread while requests are still taken |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Bit n set: opcode n is known.
    pub opcodes: u8,
    /// Binary logarithm of the most items.
    pub item_count_max_log2: u8,
    /// Binary logarithm of the most payload bytes.
    pub payload_bytes_max_log2: u8,
    /// Unread replies.
    pub packets_max: u8,
}

impl Capabilities {
    /// The register's value.
    pub const fn encode(self) -> u32 {
        u32::from_le_bytes([
            self.opcodes,
            self.item_count_max_log2,
            self.payload_bytes_max_log2,
            self.packets_max,
        ])
    }

    /// From the register's value; any value has a meaning here, [`Capabilities::limits`] judges it.
    pub const fn decode(value: u32) -> Self {
        let [opcodes, item_count_max_log2, payload_bytes_max_log2, packets_max] = value.to_le_bytes();
        Self { opcodes, item_count_max_log2, payload_bytes_max_log2, packets_max }
    }

    /// The limits in plain numbers; `None` when they make no sense: at most 2^24 items and 2^28 bytes, at least one item,
    /// 64 bytes and one packet.
    pub fn limits(self) -> Option<Limits> {
        let Self { opcodes, item_count_max_log2, payload_bytes_max_log2, packets_max } = self;
        let holds =
            item_count_max_log2 <= 24 && (6..=28).contains(&payload_bytes_max_log2) && packets_max > 0;
        holds.then(|| Limits {
            opcodes,
            item_count_max: 1 << item_count_max_log2,
            payload_bytes_max: 1 << payload_bytes_max_log2,
            packets_max: packets_max.into(),
        })
    }
}

/// The value of [`BUILD`]; `build_hash` is cut to its lower 24 bits.
pub const fn build_value(version: u8, build_hash: u32) -> u32 {
    (build_hash << 8) | version as u32
}

#[cfg(test)]
mod tests;
