//! What callers and the device's thread say to each other.

use std::sync::mpsc::SyncSender;

use fpga_hash::Digest;

use super::batch::Shape;

/// To the device's thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Hash this.
    Request(Request),
    /// A caller found a wrong digest and closed the gate.
    Detach,
}

/// Items of one caller, at most a packet's worth. Dropping it tells the caller to hash in software.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) shape: Shape,
    pub(super) item_count: u32,
    /// Whole strides, without the fill to 64 bytes.
    pub(super) payload: Vec<u8>,
    pub(super) answer: SyncSender<Answer>,
}

/// The digests of a request, in order.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) digests: Vec<Digest>,
    /// Which attachment made them.
    pub(super) attachment: u64,
}
