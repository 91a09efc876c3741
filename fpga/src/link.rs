//! The device's streams and registers over one byte pipe: a socket to a simulation, a serial line to a small board.
//!
//! Promise: what either side sends is bounded before it is buffered; a host that lost its place, or was cut off in the
//! middle of a frame, finds it again with [`Link::reset`](crate::Device::reset) as long as the pipe lives.
//!
//! # Frames
//!
//! A head of 8 bytes, then data for stream frames only. Between frames any number of zero bytes may stand: kind 0 is an
//! idle byte, not a frame.
//!
//! | byte | field |
//! |---|---|
//! | 0 | kind |
//! | 1 | 0 |
//! | 3..2 | register address, little-endian; 0 in other frames |
//! | 7..4 | word, little-endian |
//!
//! | kind | to | frame | word |
//! |---|---|---|---|
//! | 0x01 | device | stream | bytes that follow, 1 to [`STREAM_BYTES_MAX`] |
//! | 0x02 | device | read register | 0 |
//! | 0x03 | device | write register | value |
//! | 0x04 | device | reset | a number |
//! | 0x81 | host | stream | bytes that follow, 1 to [`STREAM_BYTES_MAX`] |
//! | 0x82 | host | register's value | value |
//! | 0x83 | host | register written | 0 |
//! | 0x84 | host | reset done | the number |
//!
//! A reset is [`RESYNC_BYTES`] zero bytes (a frame that was cut off ends inside them) and the frame 0x04 with a number that
//! changes every time. The host then drops everything up to the frame 0x84 with that number. A device side that
//! lost its place looks for eight zero bytes and a frame 0x04.

mod frame;
mod host;
mod pipe;
mod serve;
#[cfg(test)]
mod tests;

pub use frame::{Decoder, Frame, FrameError, RESYNC_BYTES, STREAM_BYTES_MAX};
pub use host::Link;
pub use pipe::Pipe;
pub use serve::{Listener, serve};
