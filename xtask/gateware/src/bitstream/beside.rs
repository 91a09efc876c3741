//! Somebody else's core in the same flow: same synthesis, registers around it in the same way, same target, same seeds.
//!
//! Its Verilog is read from a folder and written together into `beside.v`, under `target`; this repository holds none of
//! it. Its ports are read from its netlist. How many bits a block has and how many clocks apart blocks can be is in its
//! source, for a person to read, and comes by options.
//!
//! A core for another rate is compared by arithmetic too: its clock and clocks per permutation with blocks of 1088 bits.
//! That is in its favour, because wider blocks would cost it tables and, at its input, clocks.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{Measured, RATE_BITS, Source, clocks, json_in, synthesize};
use crate::tools::Tools;

/// What a clock input may be called.
const CLOCK_NAMES: [&str; 4] = ["clk", "clock", "clk_i", "i_clk"];

/// Where the other core is, and what its source says about its speed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Beside {
    /// Folder with the Verilog files (*.v) of another Keccak core, measured in the same flow and reported beside ours
    #[arg(long, value_name = "DIR", requires_all = ["beside_top", "beside_rate", "beside_clocks"])]
    beside: Option<PathBuf>,
    /// Its top module; its clock is called clk, clock, clk_i or i_clk
    #[arg(long, value_name = "MODULE", requires = "beside")]
    beside_top: Option<String>,
    /// What the report calls it; its top module's name if nothing is said
    #[arg(long, value_name = "NAME", requires = "beside")]
    beside_name: Option<String>,
    /// Bits of the block that it absorbs with each permutation
    #[arg(long, value_name = "BITS", requires = "beside", value_parser = clap::value_parser!(u32).range(1..=1600))]
    beside_rate: Option<u32>,
    /// Clocks from one block to the next in full flow
    #[arg(long, value_name = "CLOCKS", requires = "beside", value_parser = clap::value_parser!(u32).range(1..))]
    beside_clocks: Option<u32>,
    /// Placements of it; as many as of ours if nothing is said. A core far below the target takes long for each
    #[arg(long, value_name = "SEEDS", requires = "beside", value_parser = clap::value_parser!(u32).range(1..))]
    beside_seeds: Option<u32>,
}

/// The same, whole.
struct Core<'a> {
    folder: &'a Path,
    top: &'a str,
    name: &'a str,
    rate_bits: u32,
    clocks_per_block: u32,
    seeds: Option<u32>,
}

/// A port of a netlist.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Port {
    name: String,
    is_input: bool,
    bits: usize,
}

impl Beside {
    /// Refuses what would fail only after the long work on our own designs.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(core) = self.core()? {
            together(core.folder)?;
        }
        Ok(())
    }

    fn core(&self) -> anyhow::Result<Option<Core<'_>>> {
        let Self { beside, beside_top, beside_name, beside_rate, beside_clocks, beside_seeds } = self;
        let Some(folder) = beside else { return Ok(None) };
        let (Some(top), &Some(rate_bits), &Some(clocks_per_block)) = (beside_top, beside_rate, beside_clocks)
        else {
            bail!("--beside needs --beside-top, --beside-rate and --beside-clocks");
        };
        if !is_identifier(top) {
            bail!("--beside-top {top:?} is no name of a module");
        }
        let name = beside_name.as_ref().unwrap_or(top);
        Ok(Some(Core { folder, top, name, rate_bits, clocks_per_block, seeds: *beside_seeds }))
    }
}

/// Measures the other core; `None` when no option names one.
pub(super) fn measure(
    tools: &Tools,
    dir: &Path,
    seeds: u32,
    options: &Beside,
) -> anyhow::Result<Option<Value>> {
    let Some(core) = options.core()? else { return Ok(None) };
    let Core { folder, top, name, rate_bits, clocks_per_block, seeds: own_seeds } = core;
    let seeds = own_seeds.unwrap_or(seeds);
    write(dir, "beside.v", &together(folder)?)?;
    let area = synthesize(tools, dir, &Source { stem: "beside", files: &["beside"], top })?;
    let ports = ports(&json_in(&dir.join("beside.json"))?, top)?;
    write(dir, "beside_measured.v", &registers_around(top, &ports)?)?;
    let files = ["beside", "beside_measured"];
    let around = Source { stem: "beside_measured", files: &files, top: "beside_measured" };
    let measured = Measured { area, clocks: clocks(tools, dir, name, &around, seeds)? };
    let own = measured.throughput(rate_bits.into(), clocks_per_block.into())?;
    let converted = measured.throughput(RATE_BITS, clocks_per_block.into())?;
    println!("{name}: {}", measured.line(own, rate_bits.into()));
    println!(
        "{name}, by arithmetic as if a block had 1088 bits: {:.2} Gbit/s, {:.2} Gbit/s per thousand LUT4",
        converted.gbit_per_s, converted.gbit_per_s_per_klut4
    );
    let mut value = measured.value(own);
    value["name"] = json!(name);
    value["rate_bits"] = json!(rate_bits);
    value["clocks_per_block"] = json!(clocks_per_block);
    value["by_arithmetic_at_rate_1088"] = json!({
        "gbit_per_s": converted.gbit_per_s, "gbit_per_s_per_klut4": converted.gbit_per_s_per_klut4,
    });
    Ok(Some(value))
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// All Verilog of a folder, in the order of the files' names.
fn together(folder: &Path) -> anyhow::Result<String> {
    let unreadable = || format!("cannot read {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().with_context(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "v"));
    paths.sort();
    if paths.is_empty() {
        bail!("{} holds no Verilog file (*.v)", folder.display());
    }
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(paths.iter().map(read).collect::<anyhow::Result<Vec<String>>>()?.join("\n"))
}

/// The ports of a module in a netlist of yosys.
fn ports(netlist: &Value, top: &str) -> anyhow::Result<Vec<Port>> {
    let Some(ports) = netlist["modules"][top]["ports"].as_object() else {
        bail!("the netlist holds no module {top}");
    };
    let port = |(name, port): (&String, &Value)| {
        if !is_identifier(name) {
            bail!("port {name:?} of {top} is no plain name");
        }
        match (port["direction"].as_str(), port["bits"].as_array()) {
            (Some(way @ ("input" | "output")), Some(bits)) => {
                Ok(Port { name: name.clone(), is_input: way == "input", bits: bits.len() })
            }
            _ => bail!("port {name} of {top} is neither input nor output"),
        }
    };
    ports.iter().map(port).collect()
}

/// The core between a chain of registers and registers that are folded into one pin: what `keccak_measured.v` is to ours.
fn registers_around(top: &str, ports: &[Port]) -> anyhow::Result<String> {
    let is_clock = |port: &Port| port.is_input && CLOCK_NAMES.contains(&port.name.as_str());
    let [clock] = ports.iter().filter(|port| is_clock(port)).collect::<Vec<_>>()[..] else {
        bail!("{top} must have one clock, called {}", CLOCK_NAMES.join(" or "));
    };
    let (mut inputs, mut outputs) = (0, 0);
    let mut connected = vec![format!(".{}(clk)", clock.name)];
    for port in ports.iter().filter(|port| !is_clock(port)) {
        let (bus, used) = if port.is_input { ("entering", &mut inputs) } else { ("result", &mut outputs) };
        connected.push(format!(".{}({bus}[{}:{used}])", port.name, *used + port.bits - 1));
        *used += port.bits;
    }
    if inputs < 2 || outputs < 2 {
        bail!("{top} has {inputs} bits of inputs beside its clock and {outputs} of outputs: no Keccak core");
    }
    let (first, last) = (inputs - 1, outputs - 1);
    Ok(format!(
        "module beside_measured(input wire clk, input wire serial_in, output reg serial_out);\n    \
         reg [{first}:0] entering;\n    reg [{last}:0] leaving;\n    reg [{last}:0] folded;\n    \
         wire [{last}:0] result;\n    always @(posedge clk) begin\n        \
         entering <= {{entering[{}:0], serial_in}};\n        leaving <= result;\n        \
         folded <= {{1'b0, folded[{last}:1]}} ^ leaving;\n        serial_out <= folded[0];\n    end\n    \
         {top} core({});\nendmodule\n",
        first - 1,
        connected.join(", ")
    ))
}

/// Whether a text can stand in Verilog and in a script of yosys as a name.
fn is_identifier(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netlist() -> Value {
        let port = |direction: &str, bits: usize| json!({"direction": direction, "bits": vec![2; bits]});
        let ports = json!({
            "clk": port("input", 1), "in": port("input", 64), "last": port("input", 1),
            "out": port("output", 512), "ready": port("output", 1),
        });
        json!({"modules": {"keccak": {"ports": ports}}})
    }

    #[test]
    fn every_port_but_the_clock_is_between_registers() {
        let ports = ports(&netlist(), "keccak").unwrap();
        let text = registers_around("keccak", &ports).unwrap();
        let core = "keccak core(.clk(clk), .in(entering[63:0]), .last(entering[64:64]), .out(result[511:0]), \
                    .ready(result[512:512]));";
        assert!(text.contains(core), "{text}");
        assert!(text.contains("entering <= {entering[63:0], serial_in};"), "{text}");
        assert!(text.contains("reg [512:0] leaving;") && text.contains("folded[512:1]"), "{text}");
    }

    #[test]
    fn a_core_that_cannot_be_measured_is_refused() {
        assert!(ports(&netlist(), "other").is_err());
        let mut strange = netlist();
        strange["modules"]["keccak"]["ports"]["in"]["direction"] = json!("inout");
        assert!(ports(&strange, "keccak").is_err());
        let port = |name: &str, is_input, bits| Port { name: name.to_owned(), is_input, bits };
        let no_clock = [port("in", true, 64), port("out", false, 512)];
        assert!(registers_around("keccak", &no_clock).is_err());
        let two_clocks = [port("clk", true, 1), port("clock", true, 1), port("out", false, 512)];
        assert!(registers_around("keccak", &two_clocks).is_err());
        assert!(registers_around("keccak", &[port("clk", true, 1), port("in", true, 64)]).is_err());
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_and_only_its_verilog() {
        let folder = tempfile::tempdir().unwrap();
        assert!(together(folder.path()).is_err(), "an empty folder");
        for (name, text) in [("b.v", "second"), ("a.v", "first"), ("c.txt", "no Verilog")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(together(folder.path()).unwrap(), "first\nsecond");
        assert!(together(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn names_that_are_commands_are_refused() {
        for name in ["", "1core", "keccak; exec -- rm", "a b", "\\escaped"] {
            assert!(!is_identifier(name), "{name:?}");
        }
        assert!(is_identifier("keccak_2"));
    }
}
