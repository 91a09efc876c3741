//! EIP-712 and the Solidity ABI, as far as this protocol needs them: static fields of one 32-byte word each.
//!
//! Terms: a *word* is 32 bytes; numbers are big-endian and right-aligned in it, `bytes32` fills it. The domain is
//! PROTOCOL section 4. Left out on purpose: nested structs, arrays and dynamic fields; no message here has them.
//!
//! Source: EIP-712, <https://eips.ethereum.org/EIPS/eip-712>; contract ABI specification of Solidity.

use std::sync::LazyLock;

use sha3::Digest;

use crate::{Address, DomainSeparator};

/// Bytes of an ABI word.
pub(crate) const WORD: usize = 32;

/// keccak256 of `bytes`.
pub(crate) fn keccak256(bytes: &[u8]) -> [u8; 32] {
    sha3::Keccak256::digest(bytes).into()
}

/// keccak256 of a text that is in every digest, computed once.
pub(crate) type HashOfText = LazyLock<[u8; WORD]>;

/// `abi.encode` of static values, a word at a time.
#[derive(Debug, Default)]
pub(crate) struct Words(pub(crate) Vec<u8>);

impl Words {
    /// A struct's members after its type hash: the input of `hashStruct`.
    pub(crate) fn of_type(type_hash: &HashOfText) -> Self {
        Self::default().bytes32(type_hash)
    }

    pub(crate) fn bytes32(mut self, word: &[u8; WORD]) -> Self {
        self.0.extend_from_slice(word);
        self
    }

    pub(crate) fn number(self, value: u64) -> Self {
        self.right_aligned(&value.to_be_bytes())
    }

    pub(crate) fn address(self, address: Address) -> Self {
        self.right_aligned(&address.0)
    }

    pub(crate) fn keccak256(self) -> [u8; 32] {
        keccak256(&self.0)
    }

    fn right_aligned(self, bytes: &[u8]) -> Self {
        let mut word = [0; WORD];
        word[WORD - bytes.len()..].copy_from_slice(bytes);
        self.bytes32(&word)
    }
}

/// Where signatures count: one chain and one committee registry.
///
/// A committee without L1 has the zero registry and takes any `chain_id` from its file.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// EIP-155 chain id; EIP-712 gives it 256 bits, this protocol 64.
    pub chain_id: u64,
    /// The committee registry, `verifyingContract` of the domain.
    pub registry: Address,
}

impl Domain {
    /// The EIP-712 type of a domain.
    pub const TYPE: &str =
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    /// `name` of every domain here.
    pub const NAME: &str = "Validium DAC";
    /// `version` of every domain here; another protocol version has another.
    pub const VERSION: &str = "1";

    /// The EIP-712 domain separator. Costs one Keccak call of 160 bytes.
    pub fn separator(&self) -> DomainSeparator {
        static TYPE: HashOfText = LazyLock::new(|| keccak256(Domain::TYPE.as_bytes()));
        static NAME: HashOfText = LazyLock::new(|| keccak256(Domain::NAME.as_bytes()));
        static VERSION: HashOfText = LazyLock::new(|| keccak256(Domain::VERSION.as_bytes()));
        let words = Words::of_type(&TYPE)
            .bytes32(&NAME)
            .bytes32(&VERSION)
            .number(self.chain_id)
            .address(self.registry);
        DomainSeparator(words.keccak256())
    }

    /// `keccak256(0x19 0x01 || separator || hashStruct)`.
    pub(crate) fn digest(&self, struct_hash: &[u8; 32]) -> [u8; 32] {
        let mut bytes = vec![0x19, 0x01];
        bytes.extend_from_slice(&self.separator().0);
        bytes.extend_from_slice(struct_hash);
        keccak256(&bytes)
    }
}
