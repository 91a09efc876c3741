//! What must hold for any bytes at every decoder that meets the network, a disk or a hash device.
//!
//! Promise: each body takes any input, does not panic, keeps its memory in proportion to its input, and asserts what its
//! decoder promises. The same bodies run under libFuzzer (`cargo xtask fuzz`, targets of three lines in `tests/fuzz`)
//! and, in every test run, over the committed corpus and a bounded number of seeded mutations of it.
//!
//! Files: one per family of decoders, `corpus.rs` (inputs to begin with), `mutate.rs` (the driver without libFuzzer).

mod corpus;
mod device;
mod disk;
mod http;
mod mutate;
mod text;
mod wire;

pub use corpus::{corpus_folder, made};
pub use device::{link, packet};
pub use disk::segments;
pub use http::http_request;
pub use mutate::{Finding, mutate};
pub use text::{committee_file, node_config};
pub use wire::{certificate, frame_stream, gossip, message, piece};

/// One decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the libFuzzer target, and of its folder in the corpus.
    pub name: &'static str,
    /// The body. Panics when a promise is broken.
    pub body: fn(&[u8]),
    /// How many inputs of this one cost as much as a hundred of the cheapest.
    pub inputs_per_hundred: u32,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "message", body: message, inputs_per_hundred: 100 },
    Target { name: "frame_stream", body: frame_stream, inputs_per_hundred: 100 },
    Target { name: "gossip", body: gossip, inputs_per_hundred: 100 },
    Target { name: "piece", body: piece, inputs_per_hundred: 100 },
    Target { name: "certificate", body: certificate, inputs_per_hundred: 100 },
    Target { name: "committee_file", body: committee_file, inputs_per_hundred: 50 },
    Target { name: "node_config", body: node_config, inputs_per_hundred: 50 },
    Target { name: "http_request", body: http_request, inputs_per_hundred: 20 },
    Target { name: "segments", body: segments, inputs_per_hundred: 4 },
    Target { name: "link", body: link, inputs_per_hundred: 50 },
    Target { name: "packet", body: packet, inputs_per_hundred: 50 },
];
