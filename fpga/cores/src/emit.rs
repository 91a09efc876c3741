//! From circuits to Verilog text.
//!
//! Promise: the same circuit gives the same bytes, on every machine and every time. A name in the text is the path of the
//! circuit's fields, joined by `$`.
//!
//! rust-hdl writes one module for each instance, hundreds of them equal. Here equal modules become one: the first in the
//! text keeps its name and stands for all, registers are called `register_N` by their width. That is done on the text, by
//! whole names, and changes no statement; the simulated Verilog is compared with the circuit after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rust_hdl::prelude::check_all;

use crate::keccak::core::KeccakCore;
use crate::keccak::round::Round;
use crate::prelude::*;
use crate::stream::fifo::Fifo;
use crate::stream::skid::SkidBuffer;
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
    let unnamed = verilog(TOP, &Accelerator::new(0))?;
    let text = verilog(TOP, &Accelerator::new(fpga::packet::checksum(unnamed.as_bytes())))?;
    Ok(Design { name: TOP, text })
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

/// Verilog of a circuit whose ports are connected.
///
/// # Errors
/// [`Error::Circuit`].
pub fn verilog<B: Block>(name: &'static str, circuit: &B) -> Result<String, Error> {
    check_all(circuit).map_err(|problem| Error::Circuit { name, problem: format!("{problem:?}") })?;
    Ok(verilog_unchecked(name, circuit))
}

/// Verilog of a circuit as it stands, without rust-hdl's checks; for circuits that are meant to be wrong.
pub(crate) fn verilog_unchecked<B: Block>(name: &str, circuit: &B) -> String {
    let mut defines = ModuleDefines::default();
    circuit.accept(name, &mut defines);
    merge_equal(&defines.defines())
}

/// The parts that are proved: one Keccak round with absorption, the skid buffer, a queue of two beats.
///
/// # Errors
/// [`Error::Circuit`].
pub fn proved() -> Result<[Design; 3], Error> {
    let mut round = Round::default();
    round.connect_ports();
    round.connect_all();
    let mut skid = SkidBuffer::default();
    skid.clock.connect();
    skid.reset.connect();
    skid.sink.data.connect();
    skid.sink.valid.connect();
    skid.source.ready.connect();
    skid.connect_all();
    let mut fifo = Fifo::<1, 2>::default();
    fifo.clock.connect();
    fifo.reset.connect();
    fifo.sink.data.connect();
    fifo.sink.valid.connect();
    fifo.source.ready.connect();
    fifo.connect_all();
    Ok([
        Design { name: "keccak_round", text: verilog("keccak_round", &round)? },
        Design { name: "skid_buffer", text: verilog("skid_buffer", &skid)? },
        Design { name: "fifo", text: verilog("fifo", &fifo)? },
    ])
}

/// A module: its name, its text before the name, and after it.
#[derive(Debug, Clone)]
struct Module {
    name: String,
    body: String,
}

/// Merges equal modules until nothing changes.
fn merge_equal(text: &str) -> String {
    let mut modules = split(text);
    loop {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for module in &modules {
            let wanted = register_name(&module.body).unwrap_or_else(|| module.name.clone());
            let kept = seen.entry(module.body.clone()).or_insert(wanted);
            if *kept != module.name {
                names.insert(module.name.clone(), kept.clone());
            }
        }
        if names.is_empty() {
            break;
        }
        let mut written = std::collections::BTreeSet::new();
        modules = modules
            .into_iter()
            .map(|module| Module {
                name: names.get(&module.name).cloned().unwrap_or(module.name),
                body: rename(&module.body, &names),
            })
            .filter(|module| written.insert(module.name.clone()))
            .collect();
    }
    let whole: Vec<String> =
        modules.iter().map(|module| format!("module {}{}endmodule\n", module.name, module.body)).collect();
    format!("// Written by fpga-cores; changes belong into the Rust sources.\n\n{}", whole.join("\n"))
}

/// The modules of a text as rust-hdl writes them.
fn split(text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    for part in format!("\n{text}").split("\nmodule ").filter(|part| part.contains("endmodule")) {
        let (head, _) = part.split_once("endmodule").expect("it contains that word");
        let (name, body) = head.split_at(head.find('(').expect("a module has a list of ports"));
        modules.push(Module { name: name.trim().to_owned(), body: tidy(body) });
    }
    modules
}

/// The text without spaces at line ends and without runs of empty lines.
fn tidy(body: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in body.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

/// `register_N` for the text of a register.
fn register_name(body: &str) -> Option<String> {
    let is_register = body.starts_with("(d,q,clock);") && body.contains("always @(posedge clock) q <= d;");
    let width = body.lines().find(|line| line.ends_with(" d;"))?;
    let top = width.split_once('[').and_then(|(_, rest)| rest.split_once(':')).map_or("0", |(top, _)| top);
    let width = top.parse::<u32>().ok()? + 1;
    is_register.then(|| format!("register_{width}"))
}

/// The text with whole names replaced.
fn rename(body: &str, names: &BTreeMap<String, String>) -> String {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '$';
    let mut renamed = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(start) = rest.find(is_name) {
        let (before, tail) = rest.split_at(start);
        let (name, after) = tail.split_at(tail.find(|c| !is_name(c)).unwrap_or(tail.len()));
        renamed.push_str(before);
        renamed.push_str(names.get(name).map_or(name, String::as_str));
        rest = after;
    }
    renamed.push_str(rest);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emitting_twice_gives_the_same_bytes() {
        assert_eq!(accelerator().unwrap(), accelerator().unwrap());
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

    #[test]
    fn another_build_has_another_hash() {
        assert_ne!(verilog(TOP, &Accelerator::new(1)).unwrap(), verilog(TOP, &Accelerator::new(2)).unwrap(),);
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
