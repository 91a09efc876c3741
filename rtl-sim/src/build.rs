//! From Verilog to a shared library.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::Error;

const SHIM: &str = include_str!("../shim/shim.cpp");

/// Lines of a failed command that are shown.
const SHOWN_LINES: usize = 40;

/// Whether a library can write waveforms; one that can is slower even when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// It cannot.
    Without,
    /// It can, as FST (GTKWave's format).
    Fst,
}

/// A design, translated and compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    path: PathBuf,
}

/// Verilog and the name of its top module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// The top module.
    pub name: String,
    /// All modules.
    pub text: String,
}

impl Design {
    /// The device's top, as `fpga-cores` emits it.
    ///
    /// # Errors
    /// [`Error::Emit`].
    pub fn accelerator() -> Result<Self, Error> {
        let design = fpga_cores::emit::accelerator().map_err(Error::Emit)?;
        Ok(Self { name: design.name.to_owned(), text: design.text })
    }
}

/// Where libraries are kept by default: `rtl-sim` in the target directory.
pub fn default_directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")).join("rtl-sim")
}

impl Library {
    /// Builds a design, or takes what an earlier call built from the same text. Takes up to a
    /// minute; processes that want the same library wait for the first.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], [`Error::Build`], [`Error::Io`].
    pub fn build(design: &Design, trace: Trace, directory: &Path) -> Result<Self, Error> {
        Self::build_around(&Around { design, shim: SHIM, trace, is_device: true }, directory)
    }

    pub(crate) fn build_around(around: &Around<'_>, directory: &Path) -> Result<Self, Error> {
        let version = run(Command::new("verilator").arg("--version"))?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let Around { design, shim, trace, is_device } = around;
        let options = format!("{trace:?} {is_device} {PROCESSOR} {}", design.name);
        let name = name(&[&design.text, shim, &version, &options]);
        create(directory)?;
        let library = Self { path: directory.join(format!("{name}.so")) };
        let lock = directory.join(format!("{name}.lock"));
        let locked = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held_until_built = locked.map_err(|source| Error::Io { path: lock, source })?;
        if !library.path.exists() {
            let work = directory.join(&name);
            compile(around, &work)?;
            // The last step, so that an interrupted build leaves no library.
            rename(&work.join("libtop.so"), &library.path)?;
            remove(&work)?;
        }
        Ok(library)
    }

    /// What [`Library::build`] made earlier, by the path it gave: writing the design out takes seconds where nothing is
    /// optimised. A file that is no such library is refused when a simulation starts on it.
    pub fn built(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The shared library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The packets' CRC is 64 parities of 64 bits a clock: one instruction each instead of ten, on every x86-64 since 2009.
const PROCESSOR: &str = if cfg!(target_arch = "x86_64") { "-mpopcnt" } else { "" };

/// A design and the C++ that drives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) design: &'a Design,
    pub(crate) shim: &'a str,
    pub(crate) trace: Trace,
    /// The device, not parts. It runs for long, and no module in it may look as if its outputs led back to its inputs; two
    /// parts that only hand on `ready` and `valid` may.
    pub(crate) is_device: bool,
}

fn compile(around: &Around<'_>, work: &Path) -> Result<(), Error> {
    let Around { design, shim, trace, is_device } = *around;
    let optimised = if is_device { "-O3" } else { "-O1" };
    if work.exists() {
        remove(work)?;
    }
    create(work)?;
    write(&work.join("top.v"), &design.text)?;
    write(&work.join("shim.cpp"), shim)?;
    let mut verilator = Command::new("verilator");
    verilator.current_dir(work).args(["--cc", "--exe", "--build", "-j", "2", "-O3", "--x-assign", "fast"]);
    verilator.args(["--x-initial", "fast", "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style"]);
    if is_device {
        // A loop of logic, which rust-hdl does not see where it goes through an array.
        verilator.arg("-Werror-UNOPTFLAT");
    }
    verilator.args(["--top-module", &design.name, "--prefix", "Vtop", "--Mdir", "obj", "-o", "../libtop.so"]);
    let is_traced = u8::from(trace == Trace::Fst);
    verilator.args(["-CFLAGS", &format!("-std=c++20 -fPIC {PROCESSOR} -DRTL_SIM_TRACE={is_traced}")]);
    verilator.args(["-LDFLAGS", "-shared", "-MAKEFLAGS"]);
    verilator.arg(format!("OPT_FAST={optimised} OPT_SLOW=-O1 OPT_GLOBAL=-O2"));
    if trace == Trace::Fst {
        verilator.arg("--trace-fst");
    }
    run(verilator.args(["top.v", "shim.cpp"])).map(|_output| ())
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<Output, Error> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            Error::ToolMissing { tool: command.get_program().to_string_lossy().into_owned() }
        }
        _ => Error::Io { path: command.get_program().into(), source },
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    // Verilator runs these two itself.
    for tool in ["make", "g++"] {
        if text.contains(&format!("{tool}: not found")) || text.contains(&format!("{tool}: No such file")) {
            return Err(Error::ToolMissing { tool: tool.to_owned() });
        }
    }
    let skipped = text.lines().count().saturating_sub(SHOWN_LINES);
    let output = text.lines().skip(skipped).collect::<Vec<_>>().join("\n");
    Err(Error::Build { command: shown, output })
}

/// A file name from what the library depends on: CRC-32C of each part and its length.
fn name(parts: &[&str]) -> String {
    let part = |part: &&str| format!("{:08x}{:x}", crc32c::crc32c(part.as_bytes()), part.len());
    format!("top-{}", parts.iter().map(part).collect::<Vec<_>>().join("-"))
}

fn create(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Io { path: path.into(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::Io { path: path.into(), source })
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::Io { path: from.into(), source })
}

fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_dir_all(path).map_err(|source| Error::Io { path: path.into(), source })
}
