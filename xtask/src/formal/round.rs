//! The proof about the Keccak round: emitted text and FIPS 202 text give the same state, whatever goes in.
//!
//! One question about the whole round is too much for a SAT solver: it meets sums of 33 bits in two orders. So the proof
//! has three steps, each about the whole rounds and all their inputs, and each may use the one before it:
//!
//! 1. [`Step::Columns`]: theta's column parities are equal, for every state, block and `fresh`.
//! 2. [`Step::Mixed`]: where the parities are equal, the states after pi are equal.
//! 3. [`Step::After`]: where the states after pi are equal, the states after the round are equal, for every round number.
//!
//! What a step assumes, the step before it has proved for all inputs; together they say what one question would have
//! said. In each step a fault of one bit is planted in the emitted text, and that step must refute it.

use std::path::Path;

use anyhow::bail;
use fpga_cores::emit;

use super::{SAT, Verdict, decide, expect, write};
use crate::tools::Tools;

/// One lemma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Columns,
    Mixed,
    After,
}

impl Step {
    const ALL: [Self; 3] = [Self::Columns, Self::Mixed, Self::After];

    fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Mixed => "mixed",
            Self::After => "after",
        }
    }

    fn claim(self) -> &'static str {
        match self {
            Self::Columns => "column parities equal FIPS 202's for every state and block",
            Self::Mixed => "theta, rho and pi equal FIPS 202's for every state and block with equal parities",
            Self::After => "chi and iota equal FIPS 202's for every state after pi and every round",
        }
    }

    /// What is compared: wires that both sides have.
    fn wires(self) -> Vec<String> {
        match self {
            Self::Columns => (0..5).map(|x| format!("columns{x}")).collect(),
            Self::Mixed => (0..25).map(|lane| format!("mixed{lane}")).collect(),
            Self::After => vec!["after".to_owned()],
        }
    }

    fn assumes(self) -> Vec<String> {
        match self {
            Self::Columns => Vec::new(),
            Self::Mixed => Self::Columns.wires(),
            Self::After => Self::Mixed.wires(),
        }
    }

    /// A piece of the emitted text that occurs once, and one wrong bit in its place.
    fn fault(self) -> (&'static str, &'static str) {
        match self {
            Self::Columns => ("state$7 ^ state$12", "state$7 ^ (state$12 & 64'hfffffffffff7ffff)"),
            Self::Mixed => ("theta$7 = absorbed$7", "theta$7 = 64'h10 ^ absorbed$7"),
            Self::After => ("inverted$13 & mixed$14", "inverted$13 & mixed$14 & 64'hffffffffffbfffff"),
        }
    }
}

/// Every step holds for the emitted round, and refutes its fault.
pub(super) fn prove(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    write(dir, "keccak_round_fips202.v", include_str!("../../../fpga/cores/verilog/keccak_round_fips202.v"))?;
    write(dir, "round_sides.v", &sides())?;
    let [round, ..] = emit::proved()?;
    round.write(dir)?;
    for step in Step::ALL {
        let (whole, fault) = step.fault();
        if round.text.matches(whole).count() != 1 {
            bail!("the fault {fault} has no place in the round");
        }
        let faulty = format!("keccak_round_faulty_{}", step.name());
        write(dir, &format!("{faulty}.v"), &round.text.replace(whole, fault))?;
        for (file, wanted) in [(faulty.as_str(), Verdict::Refuted), (round.name, Verdict::Holds)] {
            let verdict =
                decide(tools, dir, &script(file, step), &format!("{file}.{}.log", step.name()), SAT)?;
            expect(&format!("{file}: {}", step.claim()), wanted, verdict)?;
        }
    }
    Ok(())
}

/// Both rounds with the same ports, side by side; the wires in between get the same names and become outputs.
fn script(file: &str, step: Step) -> String {
    let (mut standard, mut emitted) = (String::new(), String::new());
    for x in 0..5 {
        standard += &format!("rename fips.gx[{x}].c columns{x}; ");
        emitted += &format!("rename round.column_parity.columns${x} columns{x}; ");
        for y in 0..5 {
            let lane = x + 5 * y;
            standard += &format!("rename fips.hx[{x}].hy[{y}].pi mixed{lane}; ");
            emitted += &format!("rename round.theta_rho_pi.mixed${lane} mixed{lane}; ");
        }
    }
    let pairs = |option: &str, wires: Vec<String>| -> String {
        wires.iter().map(|wire| format!(" {option} gold_{wire} gate_{wire}")).collect()
    };
    let question = pairs("-set", step.assumes()) + &pairs("-prove", step.wires());
    format!(
        "read_verilog {file}.v keccak_round_fips202.v round_sides.v; proc -norom; hierarchy; flatten standard emitted; \
         delete keccak_round*; cd standard; {standard}cd ..; cd emitted; {emitted}cd ..; expose */columns? */mixed*; \
         miter -equiv -flatten -make_outputs standard emitted miter; hierarchy -top miter; opt_clean; \
         sat{question} miter"
    )
}

/// The two sides with equal ports. A number of 24 or more is no round: both give zero there.
fn sides() -> String {
    let ports = "(input [1599:0] state, input [1087:0] block, input fresh, input [4:0] number, output [1599:0] after);\n    \
                 wire [1599:0] result;\n    assign after = number < 24 ? result : 0;\n";
    let lanes = |port: &str, wire: &str, count: usize| -> String {
        (0..count).map(|i| format!("        .{port}${i}({wire}[{}:{}]),\n", 64 * i + 63, 64 * i)).collect()
    };
    format!(
        "module standard{ports}    keccak_round_fips202 fips(.before(state), .block(block), .fresh(fresh), .ir(number), \
         .after(result));\nendmodule\nmodule emitted{ports}    keccak_round round(\n{}{}{}        \
         .fresh(fresh), .number(number));\nendmodule\n",
        lanes("state", "state", 25),
        lanes("block", "block", 17),
        lanes("after", "result", 25),
    )
}
