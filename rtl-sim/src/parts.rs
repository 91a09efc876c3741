//! Modules smaller than the device under Verilator: several side by side in one library, each with its ports.
//!
//! Nothing is driven here but what a caller sets: the clock is a port as any other.

use std::ffi::c_void;
use std::fmt;
use std::path::Path;

use fpga_cores::emit::{self, Design as Emitted};
use libloading::{Library as Loaded, Symbol};

use crate::build::Around;
use crate::{Design, Error, Library, Trace};

const SHIM: &str = include_str!("../shim/parts.cpp");

/// The module around the parts.
const TOP: &str = "parts";

/// Some modules, translated and compiled.
#[derive(Debug, Clone)]
pub struct PartsLibrary {
    library: Library,
    ports: Vec<Named>,
}

/// A port of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    module: &'static str,
    name: String,
    is_input: bool,
    width: usize,
}

/// The place of a port among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(u32);

impl PartsLibrary {
    /// Builds modules of different names, or takes what an earlier call built of the same texts.
    ///
    /// # Errors
    /// As [`Library::build`]; [`Error::Emit`] when two texts cannot be together.
    ///
    /// # Panics
    /// When a text is not as `fpga-cores` writes it, or has a port of more than 64 wires.
    pub fn build(parts: &[Emitted], directory: &Path) -> Result<Self, Error> {
        let ports: Vec<Named> = parts.iter().flat_map(ports).collect();
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        let text = emit::together(TOP, &texts).map_err(Error::Emit)? + &side_by_side(parts, &ports);
        let list = |is_input| -> String {
            let listed = ports.iter().enumerate().filter(|(_, port)| port.is_input == is_input);
            listed.map(|(number, _)| format!(" X({number})")).collect()
        };
        let shim = format!("#define INPUTS(X){}\n#define OUTPUTS(X){}\n\n{SHIM}", list(true), list(false));
        let design = Design { name: TOP.to_owned(), text };
        let around = Around { design: &design, shim: &shim, trace: Trace::Without, is_device: false };
        Ok(Self { library: Library::build_around(&around, directory)?, ports })
    }
}

/// What a module's text says of its ports.
fn ports(part: &Emitted) -> Vec<Named> {
    let head = format!("module {}(", part.name);
    let (_, body) = part.text.split_once(&head).expect("the text holds its top");
    let body = body.split("endmodule").next().unwrap_or(body);
    let declared = |line: &str| {
        let mut words = line.trim().strip_suffix(';')?.split_whitespace();
        let is_input = match (words.next()?, words.next()?) {
            ("input", "wire") => true,
            ("output", "reg" | "wire") => false,
            _ => return None,
        };
        let first = words.next()?;
        let (width, name) = match first.strip_prefix('[').and_then(|range| range.strip_suffix(":0]")) {
            Some(top) => (top.parse::<usize>().ok()? + 1, words.next()?),
            None => (1, first),
        };
        assert!(width <= 64, "port {name} of {} has {width} wires", part.name);
        Some(Named { module: part.name, name: name.to_owned(), is_input, width })
    };
    body.lines().filter_map(declared).collect()
}

/// A module with all ports of all parts, `p0` and so on: plain names for the C++.
fn side_by_side(parts: &[Emitted], ports: &[Named]) -> String {
    let declared = |(number, port): (usize, &Named)| {
        let way = if port.is_input { "input" } else { "output" };
        format!("    {way} wire [{}:0] p{number}", port.width - 1)
    };
    let declared: Vec<String> = ports.iter().enumerate().map(declared).collect();
    let instance = |part: &Emitted| {
        let own = ports.iter().enumerate().filter(|(_, port)| port.module == part.name);
        let connected: Vec<String> = own.map(|(number, port)| format!(".{}(p{number})", port.name)).collect();
        format!("    {0} part_{0}({1});\n", part.name, connected.join(", "))
    };
    let instances: String = parts.iter().map(instance).collect();
    format!("\nmodule {TOP}(\n{}\n);\n{instances}endmodule\n", declared.join(",\n"))
}

/// The modules at work, as after power-on. Nothing is reset, no clock has passed.
pub struct Parts<'a> {
    handle: *mut c_void,
    /// The shim's functions live in it.
    loaded: Loaded,
    calls: Calls,
    ports: &'a [Named],
}

type Set = unsafe extern "C" fn(*mut c_void, u32, u64);
type Get = unsafe extern "C" fn(*mut c_void, u32) -> u64;
type Settle = unsafe extern "C" fn(*mut c_void);

/// Valid as long as the library they come from is loaded.
#[derive(Clone, Copy)]
struct Calls {
    set: Set,
    get: Get,
    settle: Settle,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Parts").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl<'a> Parts<'a> {
    /// Starts them.
    ///
    /// # Errors
    /// [`Error::Load`].
    pub fn start(library: &'a PartsLibrary) -> Result<Self, Error> {
        let path = library.library.path().to_owned();
        let failed = |source| Error::Load { path: path.clone(), source };
        // SAFETY: the file was built by `Library::build_around` from our shim and Verilator's output, and has no
        // initialisers with conditions of their own.
        let loaded = unsafe { Loaded::new(&path) }.map_err(failed)?;
        // SAFETY: the shim declares exactly these signatures.
        let (new, calls) = unsafe {
            let new: Symbol<'_, unsafe extern "C" fn() -> *mut c_void> =
                loaded.get(b"rtl_sim_parts_new\0").map_err(failed)?;
            let set: Symbol<'_, Set> = loaded.get(b"rtl_sim_parts_set\0").map_err(failed)?;
            let get: Symbol<'_, Get> = loaded.get(b"rtl_sim_parts_get\0").map_err(failed)?;
            let settle: Symbol<'_, Settle> = loaded.get(b"rtl_sim_parts_settle\0").map_err(failed)?;
            (*new, Calls { set: *set, get: *get, settle: *settle })
        };
        // SAFETY: the shim declares exactly this signature, and its library stays loaded as long as this value lives.
        let handle = unsafe { new() };
        Ok(Self { handle, loaded, calls, ports: &library.ports })
    }

    /// A port by its module and its name in the Verilog.
    ///
    /// # Panics
    /// When there is none.
    pub fn port(&self, module: &str, name: &str) -> Port {
        let number = self.ports.iter().position(|port| port.module == module && port.name == name);
        let number = number.unwrap_or_else(|| panic!("{module} has no port {name}"));
        Port(u32::try_from(number).expect("ports are few"))
    }

    /// Drives an input; seen by the modules when they settle.
    ///
    /// # Panics
    /// When it is none, or the value does not fit it.
    pub fn set(&mut self, port: Port, value: u64) {
        let named = &self.ports[port.0 as usize];
        assert!(named.is_input && value >> (named.width - 1) <= 1, "{value:#x} for {named:?}");
        // SAFETY: the handle is alive.
        unsafe { (self.calls.set)(self.handle, port.0, value) }
    }

    /// An output as it was when the modules settled.
    ///
    /// # Panics
    /// When it is none.
    pub fn get(&self, port: Port) -> u64 {
        let named = &self.ports[port.0 as usize];
        assert!(!named.is_input, "{named:?} is an input");
        // SAFETY: the handle is alive.
        unsafe { (self.calls.get)(self.handle, port.0) }
    }

    /// Lets everything settle, registers included where a clock rose.
    pub fn settle(&mut self) {
        // SAFETY: the handle is alive.
        unsafe { (self.calls.settle)(self.handle) }
    }
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        // SAFETY: the shim declares exactly this signature, and nobody uses the handle afterwards.
        unsafe {
            let free = self.loaded.get::<unsafe extern "C" fn(*mut c_void)>(b"rtl_sim_parts_free\0");
            free.expect("a library of ours has all functions of the shim")(self.handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_top_alone() {
        let text = "module outer(a$b,y);\n    input wire  [63:0] a$b;\n    output reg  y;\n    reg  [3:0] l;\nendmodule\n\
                    module inner(z);\n    input wire  z;\nendmodule\n";
        let found = ports(&Emitted { name: "outer", text: text.to_owned() });
        let port =
            |name: &str, is_input, width| Named { module: "outer", name: name.to_owned(), is_input, width };
        assert_eq!(found, [port("a$b", true, 64), port("y", false, 1)]);
    }
}
