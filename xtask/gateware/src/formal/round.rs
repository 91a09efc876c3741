//! The proof about the Keccak round: emitted text and FIPS 202 text give the same state, whatever goes in.
//!
//! One question about the whole round is too much for a SAT solver: it meets sums of 33 bits in two orders. So the proof
//! has three steps, each about the whole rounds and all their inputs, and each may use the one before it:
//!
//! 1. [`Step::Columns`]: theta's column parities are equal, for every state, block and `fresh`.
//! 2. [`Step::Mixed`]: where the parities are equal, the states after pi are equal.
//! 3. [`Step::After`]: where the states after pi are equal, the states after the round are equal, for every round number;
//!    with `clear`, lanes 0 to 3 are, and all others are zero.
//!
//! A fresh start in the core takes two rounds: the one before clears lanes 4 to 24, the next leaves out lanes 0 to 3. So
//! with `fresh` the emitted round gets a state that is zero in lanes 4 to 24, which is what step 3 proves of every round
//! that was told to clear, and any lanes 0 to 3; FIPS 202's gets the whole state and starts from zero.
//!
//! What a step assumes, the step before it has proved for all inputs; together they say what one question would have
//! said. In each step faults of one bit are planted in the emitted text, and that step must refute them.

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
            Self::Columns => "column parities equal FIPS 202's for every state and block, fresh or not",
            Self::Mixed => {
                "theta, rho and pi equal FIPS 202's for every state and block with equal parities, fresh or not"
            }
            Self::After => {
                "chi and iota equal FIPS 202's for every state after pi and every round, cleared or not"
            }
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

    /// Pieces of the emitted text that occur once, each with one wrong bit in its place: in the round, in its fresh start.
    fn faults(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Columns => [
                ("state$7 ^ state$12", "state$7 ^ (state$12 & 64'hfffffffffff7ffff)"),
                ("first$3 = 32'h0;", "first$3 = state$3 & 64'h200000000;"),
            ],
            Self::Mixed => [
                ("theta$7 = absorbed$7", "theta$7 = 64'h10 ^ absorbed$7"),
                ("carried$2 = 32'h0;", "carried$2 = state$2 & 64'h8000000000000000;"),
            ],
            Self::After => [
                ("inverted$13 & mixed$14", "inverted$13 & mixed$14 & 64'hffffffffffbfffff"),
                ("state$24 = 32'h0;", "state$24 = state$24 & 64'h1;"),
            ],
        }
    }
}

/// Every step holds for the emitted round, and refutes its fault.
pub(super) fn prove(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    write(
        dir,
        "keccak_round_fips202.v",
        include_str!("../../../../fpga/cores/verilog/keccak_round_fips202.v"),
    )?;
    write(dir, "round_sides.v", &sides())?;
    let round = emit::keccak_round()?;
    round.write(dir)?;
    for step in Step::ALL {
        for (number, (whole, fault)) in step.faults().into_iter().enumerate() {
            if round.text.matches(whole).count() != 1 {
                bail!("the fault {fault} has no place in the round");
            }
            let faulty = format!("keccak_round_faulty_{}{number}", step.name());
            write(dir, &format!("{faulty}.v"), &round.text.replace(whole, fault))?;
            decided(tools, dir, &faulty, step, Verdict::Refuted)?;
        }
        decided(tools, dir, round.name, step, Verdict::Holds)?;
    }
    Ok(())
}

fn decided(tools: &Tools, dir: &Path, file: &str, step: Step, wanted: Verdict) -> anyhow::Result<()> {
    let verdict = decide(tools, dir, &script(file, step), &format!("{file}.{}.log", step.name()), SAT)?;
    expect(&format!("{file}: {}", step.claim()), wanted, verdict)
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

/// The two sides with equal ports. A number of 24 or more is no round: both give zero there. Each side gets and gives what
/// a fresh start and a clearing round mean for it.
fn sides() -> String {
    let side = |name: &str, before: &str, cleared: &str| {
        format!(
            "module {name}(input [1599:0] state, input [1087:0] block, input fresh, input clear, input [4:0] number, \
             output [1599:0] after);\n    wire [1599:0] before = {before};\n    wire [1599:0] result;\n    \
             assign after = number < 24 ? {cleared} : 0;\n"
        )
    };
    let lanes = |port: &str, wire: &str, count: usize| -> String {
        (0..count).map(|i| format!("        .{port}${i}({wire}[{}:{}]),\n", 64 * i + 63, 64 * i)).collect()
    };
    format!(
        "{}    keccak_round_fips202 fips(.before(before), .block(block), .fresh(fresh), .ir(number), .after(result));\n\
         endmodule\n{}    keccak_round round(\n{}{}{}        .fresh(fresh), .clear(clear), .number(number));\nendmodule\n",
        side("standard", "state", "(clear ? {1344'd0, result[255:0]} : result)"),
        side("emitted", "(fresh ? {1344'd0, state[255:0]} : state)", "result"),
        lanes("state", "before", 25),
        lanes("block", "block", 17),
        lanes("after", "result", 25),
    )
}
