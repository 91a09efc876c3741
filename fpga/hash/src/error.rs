//! What a caller of this crate can get wrong.

/// Why a value or an engine was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 32 bytes that are not the canonical encoding of a field element.
    #[error(
        "0x{} is not below the order of the BN254 scalar field 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001",
        hex(value)
    )]
    NotInField {
        /// The refused bytes, big-endian.
        value: [u8; 32],
    },
    /// No engine has this name.
    #[error("no hash engine is called {name:?}; this build has {}", known.join(", "))]
    UnknownEngine {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// The engine exists, but this CPU lacks an instruction set that it needs.
    #[error("hash engine {engine} needs CPU features {needs}, which this CPU does not report")]
    EngineNotSupported {
        /// The engine asked for.
        engine: &'static str,
        /// Its instruction sets, as `/proc/cpuinfo` spells them.
        needs: &'static str,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
