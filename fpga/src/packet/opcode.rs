//! What a device can be asked for.

/// The second byte of a packet's second half-word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The payload comes back as it is.
    Loopback = 1,
    /// Keccak-256 of each item; padding is the device's work.
    Keccak256 = 2,
    /// Keccak-256 of `prefix || item` for each item, the prefix byte in bits 7 to 0 of the flags: a level of an RFC 6962
    /// tree without a copy on the host.
    MerkleKeccak = 3,
    /// Poseidon over BN254 with t = 3: an item is two elements of 32 bytes, big-endian.
    Poseidon3 = 4,
    /// Poseidon over BN254 with t = 9: an item is eight elements of 32 bytes, big-endian.
    Poseidon9 = 5,
    /// Groups of 31 bytes under Poseidon nodes with eight children.
    MerklePoseidon = 6,
}

impl Opcode {
    /// All opcodes, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Loopback,
        Self::Keccak256,
        Self::MerkleKeccak,
        Self::Poseidon3,
        Self::Poseidon9,
        Self::MerklePoseidon,
    ];

    /// The opcode with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|opcode| opcode.number() == number)
    }

    /// Its number in the header.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The one length that its items have, if there is one.
    pub const fn item_bytes(self) -> Option<u32> {
        match self {
            Self::Poseidon3 => Some(2 * 32),
            Self::Poseidon9 => Some(8 * 32),
            _ => None,
        }
    }

    /// Its bit in the capabilities register.
    pub const fn bit(self) -> u8 {
        1 << self.number()
    }
}
