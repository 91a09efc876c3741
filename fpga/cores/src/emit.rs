//! From circuits to Verilog text.
//!
//! Promise: the same circuit gives the same bytes, on every machine and every time. A name in the text is the path of the
//! circuit's fields, joined by `$`.
//!
//! rust-hdl writes one module for each instance, hundreds of them equal. Here equal modules become one; the simulated
//! Verilog is compared with the circuit after that.

mod merge;

use std::path::{Path, PathBuf};

use fpga::{packet::VERSION, registers};
use rust_hdl::prelude::check_all;

use crate::keccak::core::KeccakCore;
use crate::keccak::round::Round;
use crate::prelude::*;
use crate::stream::Pipe;
use crate::top::Accelerator;

/// Name of the top module.
pub const TOP: &str = "accelerator";

/// Name of the Keccak core's module when it is emitted alone.
pub const KECCAK_CORE: &str = "keccak_core";

/// Why no Verilog was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// rust-hdl's own checks refuse the circuit.
    #[error("{name} is no whole circuit: {problem}")]
    Circuit {
        /// The top module.
        name: &'static str,
        /// What rust-hdl says.
        problem: String,
    },
    /// Two modules have one name.
    #[error("{name} would define module {module} twice, with different texts")]
    Redefined {
        /// The top module.
        name: &'static str,
        /// The name that both have.
        module: String,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file or its folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// One Verilog text with a top module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// The top module; the file is called the same.
    pub name: &'static str,
    /// Everything, top and cells.
    pub text: String,
}

/// The packet top. Its build hash is the CRC-32C of its own text with a build hash of zero, cut to 24 bits.
///
/// # Errors
/// [`Error::Circuit`].
pub fn accelerator() -> Result<Design, Error> {
    // Elaborated once, and named in its text: rust-hdl takes more than a second to write it.
    let unnamed = verilog(TOP, &Accelerator::new(0))?;
    let build = fpga::packet::checksum(unnamed.as_bytes());
    let line = |build| format!("localparam  build = 32'h{:x};", registers::build_value(VERSION, build));
    if unnamed.matches(&line(0)).count() != 1 {
        return Err(Error::Circuit { name: TOP, problem: format!("not once in it: {}", line(0)) });
    }
    Ok(Design { name: TOP, text: unnamed.replace(&line(0), &line(build)) })
}

/// The Keccak core alone, as it is measured.
///
/// # Errors
/// [`Error::Circuit`].
pub fn keccak_core() -> Result<Design, Error> {
    Ok(Design { name: KECCAK_CORE, text: verilog(KECCAK_CORE, &KeccakCore::standing_alone())? })
}

/// The registers around the Keccak core that its clock is measured with; uses the module of [`keccak_core`].
pub fn keccak_measured() -> Design {
    Design { name: "keccak_measured", text: include_str!("../verilog/keccak_measured.v").to_owned() }
}

/// Writes every design into `dir`, which is made if it is missing; gives the paths.
///
/// # Errors
/// [`Error::Circuit`], [`Error::File`].
pub fn emit_rtl(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    std::fs::create_dir_all(dir).map_err(|source| Error::File { path: dir.to_owned(), source })?;
    [accelerator()?, keccak_core()?].into_iter().map(|design| design.write(dir)).collect()
}

impl Design {
    /// Writes the text as `name.v`; gives the path.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, dir: &Path) -> Result<PathBuf, Error> {
        let path = dir.join(self.name).with_extension("v");
        match std::fs::write(&path, &self.text) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::File { path, source }),
        }
    }
}

/// One Keccak round with absorption, without registers: the part that is proved.
///
/// # Errors
/// [`Error::Circuit`].
pub fn keccak_round() -> Result<Design, Error> {
    let mut round = Round::default();
    round.connect_ports();
    round.connect_all();
    Ok(Design { name: "keccak_round", text: verilog("keccak_round", &round)? })
}

/// A block between two streams as a design of its own.
///
/// # Errors
/// [`Error::Circuit`].
pub fn pipe<P: Pipe + Default>(name: &'static str) -> Result<Design, Error> {
    let mut pipe = P::default();
    pipe.connect_inputs();
    pipe.connect_all();
    Ok(Design { name, text: verilog(name, &pipe)? })
}

/// Texts with tops of different names as one text, in which each module is once.
///
/// # Errors
/// [`Error::Redefined`].
pub fn together(name: &'static str, texts: &[&str]) -> Result<String, Error> {
    merge::together(texts).map_err(|module| Error::Redefined { name, module })
}

/// Verilog of a circuit whose ports are connected.
///
/// # Errors
/// [`Error::Circuit`], [`Error::Redefined`].
pub fn verilog<B: Block>(name: &'static str, circuit: &B) -> Result<String, Error> {
    check_all(circuit).map_err(|problem| Error::Circuit { name, problem: format!("{problem:?}") })?;
    merge::merge_equal(&defines(name, circuit)).map_err(|module| Error::Redefined { name, module })
}

/// Verilog of a circuit as it stands, without rust-hdl's checks; for circuits that are meant to be wrong.
pub(crate) fn verilog_unchecked<B: Block>(name: &str, circuit: &B) -> String {
    merge::merge_equal(&defines(name, circuit)).expect("these circuits bring no text along")
}

/// What rust-hdl writes.
pub(crate) fn defines<B: Block>(name: &str, circuit: &B) -> String {
    let mut defines = ModuleDefines::default();
    circuit.accept(name, &mut defines);
    defines.defines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emitting_twice_gives_the_same_bytes() {
        let unnamed = verilog(TOP, &Accelerator::new(0)).unwrap();
        let named = verilog(TOP, &Accelerator::new(fpga::packet::checksum(unnamed.as_bytes()))).unwrap();
        assert_ne!(named, unnamed);
        assert_eq!(accelerator().unwrap().text, named, "the circuit that shows its own hash");
        assert_eq!(keccak_core().unwrap(), keccak_core().unwrap());
    }

    #[test]
    fn the_top_has_flat_ports_and_every_module_is_defined_once() {
        let text = accelerator().unwrap().text;
        assert!(
            text.contains(
                "module accelerator(clk,rst,s_axis_tdata,s_axis_tvalid,s_axis_tready,m_axis_tdata,"
            )
        );
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("module "))
            .map(|line| line.split('(').next().unwrap().to_owned())
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count < 60, "equal modules were not merged: {count}");
    }

    /// A register that nobody drives.
    #[derive(Clone, Debug, Default, LogicBlock)]
    struct Open {
        clock: Signal<In, Clock>,
        value: Signal<Out, Bit>,
        register: Register<Bit>,
    }

    impl Logic for Open {
        #[hdl_gen]
        fn update(&mut self) {
            self.register.clock.next = self.clock.val();
            self.value.next = self.register.q.val();
        }
    }

    #[test]
    fn a_circuit_with_an_open_input_is_refused() {
        let mut open = Open::default();
        open.clock.connect();
        open.connect_all();
        assert!(matches!(verilog("open", &open), Err(Error::Circuit { .. })));
    }
}
