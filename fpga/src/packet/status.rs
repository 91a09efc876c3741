//! How a request ended.

/// The status of a reply; every value but [`Status::Ok`] is also a sticky error bit of the device.
///
/// The order is the order of the checks: the first that fails is reported. [`Status::Magic`] and
/// [`Status::HeaderChecksum`] are never seen in a reply, because a device that has lost the framing sends none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// The magic is not a request's. Sticky only; the device swallows its input until reset.
    Magic = 1,
    /// The header's checksum is wrong. Sticky only; the device swallows its input until reset.
    HeaderChecksum = 2,
    /// Not this version.
    Version = 3,
    /// The device does not know the opcode.
    Opcode = 4,
    /// Counts outside the limits or not consistent; flags, status, cycles or reserved bytes that must be zero.
    Shape = 5,
    /// The payload's checksum is wrong.
    PayloadChecksum = 6,
}

impl Status {
    /// All values, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Magic,
        Self::HeaderChecksum,
        Self::Version,
        Self::Opcode,
        Self::Shape,
        Self::PayloadChecksum,
    ];

    /// The status with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }

    /// Its number in the header.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its bit in the sticky error register: bit `number - 1`, none for [`Status::Ok`].
    pub const fn sticky_bit(self) -> u32 {
        match self.number() {
            0 => 0,
            number => 1 << (number - 1),
        }
    }
}
