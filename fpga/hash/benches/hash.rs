//! `cargo bench -p fpga-hash --features bench`: every engine beside every peer; see [`fpga_hash::bench`].

use fpga_hash::bench::{Rate, Row};

fn main() {
    for row in fpga_hash::bench::run() {
        println!("{}", line(&row));
    }
}

fn line(row: &Row) -> String {
    let (value, unit, scale) = match row.rate {
        Rate::HashesPerSecond(value) => (value, "k hashes/s", 1e3),
        Rate::BytesPerSecond(value) => (value, "MB/s", 1e6),
    };
    let bound =
        row.bound.map_or_else(String::new, |bound| format!(", {:.0} % of its bound", 100.0 * value / bound));
    format!(
        "{:28} {:20} {:9.1} {unit}, {:.2} times {} ({:.1}){bound}",
        row.work,
        row.engine,
        value / scale,
        row.ratio,
        row.peer,
        row.peer_value / scale
    )
}
