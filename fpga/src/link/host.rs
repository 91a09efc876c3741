//! The host's side of a link: a [`Device`] over a pipe.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::time::Duration;

use super::frame::{Decoder, Frame, RESYNC_BYTES};
use super::pipe::Pipe;
use crate::deadline::Deadline;
use crate::{Device, DeviceError};

/// Stream bytes that are kept while a register's value is waited for. More is a device that nobody asked.
const BUFFERED_BYTES_MAX: usize = 4 << 20;

/// A device at the other end of a pipe.
#[derive(Debug)]
pub struct Link {
    pipe: Pipe,
    decoder: Decoder,
    output: VecDeque<u8>,
    frames: Vec<u8>,
    resets: u32,
}

impl Link {
    /// A device at the other end; reset it first.
    pub fn new(pipe: Pipe) -> Self {
        // An answer to a reset of an earlier connection over the same line must not pass for ours.
        let start = RandomState::new().hash_one(0u8).to_le_bytes();
        let resets = u32::from_le_bytes([start[0], start[1], start[2], start[3]]);
        Self { pipe, decoder: Decoder::of_device(), output: VecDeque::new(), frames: Vec::new(), resets }
    }

    /// Waits for bytes and hands them to the decoder.
    fn receive(&mut self, deadline: Deadline) -> Result<(), DeviceError> {
        let mut bytes = [0; 1 << 14];
        let count = self.pipe.read(&mut bytes, deadline)?;
        self.decoder.push(&bytes[..count]);
        Ok(())
    }

    /// Waits for a frame that is not of the stream; what is of the stream is kept.
    fn answer(&mut self, deadline: Deadline) -> Result<Frame, DeviceError> {
        loop {
            match self.decoder.next_frame().map_err(link)? {
                Some(Frame::Stream(bytes)) => self.keep(bytes)?,
                Some(frame) => return Ok(frame),
                None => self.receive(deadline)?,
            }
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Result<(), DeviceError> {
        if self.output.len() + bytes.len() > BUFFERED_BYTES_MAX {
            let detail = format!("more than {BUFFERED_BYTES_MAX} bytes that were not read");
            return Err(DeviceError::Link { detail });
        }
        self.output.extend(bytes);
        Ok(())
    }

    /// Sends bytes that are no frames.
    #[cfg(test)]
    pub(super) fn disturb(&mut self, bytes: &[u8]) {
        self.try_disturb(bytes, Duration::from_secs(10)).unwrap();
    }

    /// The same, with an end.
    #[cfg(test)]
    pub(super) fn try_disturb(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        self.pipe.write(bytes, Deadline::after(timeout))
    }

    fn send(&mut self, frame: &Frame, deadline: Deadline) -> Result<(), DeviceError> {
        self.frames.clear();
        frame.encode(false, &mut self.frames);
        self.pipe.write(&self.frames, deadline)
    }
}

impl Device for Link {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        self.frames.clear();
        Frame::encode_stream(bytes, false, &mut self.frames);
        self.pipe.write(&self.frames, Deadline::after(timeout))
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Deadline::after(timeout);
        while self.output.len() < bytes.len() {
            match self.decoder.next_frame().map_err(link)? {
                Some(Frame::Stream(data)) => self.keep(data)?,
                Some(frame) => return Err(unexpected(&frame, "stream bytes")),
                None => self.receive(deadline).map_err(|error| match error {
                    DeviceError::TimedOut { operation, .. } => {
                        DeviceError::TimedOut { operation, done: self.output.len(), wanted: bytes.len() }
                    }
                    error => error,
                })?,
            }
        }
        self.output.read_exact(bytes).map_err(DeviceError::io("read"))
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        let (deadline, address) = (Deadline::after(timeout), short(address)?);
        self.send(&Frame::Read { address, value: 0 }, deadline)?;
        match self.answer(deadline)? {
            Frame::Read { address: answered, value } if answered == address => Ok(value),
            frame => Err(unexpected(&frame, "a register's value")),
        }
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        let (deadline, address) = (Deadline::after(timeout), short(address)?);
        self.send(&Frame::Write { address, value }, deadline)?;
        match self.answer(deadline)? {
            Frame::Write { address: answered, .. } if answered == address => Ok(()),
            frame => Err(unexpected(&frame, "a register's write")),
        }
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Deadline::after(timeout);
        self.resets = self.resets.wrapping_add(1);
        let number = self.resets;
        self.frames.clear();
        self.frames.resize(RESYNC_BYTES, 0);
        Frame::Reset { number }.encode(false, &mut self.frames);
        self.pipe.write(&self.frames, deadline)?;
        self.output.clear();
        while !self.decoder.seek_reset_done(number) {
            self.receive(deadline)?;
        }
        Ok(())
    }
}

fn short(address: u32) -> Result<u16, DeviceError> {
    u16::try_from(address)
        .map_err(|_| DeviceError::Link { detail: format!("register address 0x{address:x} is above 0xffff") })
}

fn link(error: super::FrameError) -> DeviceError {
    DeviceError::Link { detail: error.to_string() }
}

fn unexpected(frame: &Frame, wanted: &str) -> DeviceError {
    let kind = match frame {
        Frame::Stream(_) => "stream bytes",
        Frame::Read { .. } => "a register's value",
        Frame::Write { .. } => "a register's write",
        Frame::Reset { .. } => "a reset",
    };
    DeviceError::Link { detail: format!("{kind} came where {wanted} belongs") }
}
