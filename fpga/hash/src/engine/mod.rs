//! The software engines and the choice between them.
//!
//! | name | Keccak-256 | Poseidon |
//! |---|---|---|
//! | `software-avx512ifma` | eight messages side by side | eight hashes per group, two groups in turns, 52-bit limbs |
//! | `software-avx2` | four messages side by side | as `software-adx` where that runs, else as scalar |
//! | `software-adx` | as scalar | one hash, 64-bit limbs, products in assembly |
//! | `software-scalar` | one message, assembly of `keccak-asm` | one hash, 64-bit limbs, plain Rust |
//!
//! An engine is built only after the CPU reported its instruction sets, so no undetected instruction ever runs.

#[cfg(target_arch = "x86_64")]
mod adx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(feature = "bench")]
mod bounds;
mod program;
mod scalar;
mod sponge;

#[cfg(feature = "bench")]
pub(crate) use bounds::{Bounds, bounds};
use std::sync::{Arc, OnceLock};

use crate::{Error, Hasher};

/// A name, the instruction sets it needs, and the engine itself when this CPU has them.
struct Entry {
    name: &'static str,
    needs: &'static str,
    engine: Option<Arc<dyn Hasher>>,
}

impl Entry {
    fn new(name: &'static str, needs: &'static str, engine: Option<impl Hasher + 'static>) -> Self {
        Self { name, needs, engine: engine.map(|engine| Arc::new(engine) as _) }
    }
}

/// All engines, fastest first. Built once, so that each engine counts its work in one place.
fn engines() -> &'static [Entry] {
    static ENGINES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENGINES.get_or_init(|| {
        vec![
            #[cfg(target_arch = "x86_64")]
            Entry::new(avx512::NAME, avx512::NEEDS, avx512::Avx512::detect()),
            #[cfg(target_arch = "x86_64")]
            Entry::new(avx2::NAME, avx2::NEEDS, avx2::Avx2::detect()),
            #[cfg(target_arch = "x86_64")]
            Entry::new(scalar::NAME_ADX, scalar::NEEDS_ADX, scalar::Scalar::adx()),
            Entry::new(scalar::NAME, "", Some(scalar::Scalar::portable())),
        ]
    })
}

/// The fastest engine of this CPU. Every call returns the same engine.
pub fn software() -> Arc<dyn Hasher> {
    let best = engines().iter().find_map(|entry| entry.engine.clone());
    best.expect("the scalar engine needs no instruction set")
}

/// The names that [`software_by_name`] knows, fastest first, whether this CPU runs them or not.
pub fn software_names() -> Vec<&'static str> {
    engines().iter().map(|entry| entry.name).collect()
}

/// One engine by its name, for tests, benches and an operator who wants to compare.
///
/// # Errors
/// [`Error::UnknownEngine`]; [`Error::EngineNotSupported`] when this CPU lacks its instruction sets.
pub fn software_by_name(name: &str) -> Result<Arc<dyn Hasher>, Error> {
    let unknown = || Error::UnknownEngine { name: name.to_owned(), known: software_names() };
    let entry = engines().iter().find(|entry| entry.name == name).ok_or_else(unknown)?;
    entry.engine.clone().ok_or(Error::EngineNotSupported { engine: entry.name, needs: entry.needs })
}
