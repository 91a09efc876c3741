//! Frames and their bytes.

/// Most stream bytes in one frame.
pub const STREAM_BYTES_MAX: usize = 4096;

/// Zero bytes before a reset: the longest frame and eight more.
pub const RESYNC_BYTES: usize = HEAD_BYTES + STREAM_BYTES_MAX + HEAD_BYTES;

/// Bytes of a frame without its data.
pub(super) const HEAD_BYTES: usize = 8;

/// Bit 7 of the kind: the frame goes to the host.
const TO_HOST: u8 = 0x80;
const STREAM: u8 = 1;
const READ: u8 = 2;
const WRITE: u8 = 3;
const RESET: u8 = 4;

/// One frame, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes of a stream.
    Stream(Vec<u8>),
    /// Read a register; its value.
    Read {
        /// The register.
        address: u16,
        /// 0 in a request.
        value: u32,
    },
    /// Write a register; done.
    Write {
        /// The register.
        address: u16,
        /// 0 in an answer.
        value: u32,
    },
    /// Reset; done.
    Reset {
        /// Names the reset.
        number: u32,
    },
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{head:02x?} begins no frame")]
pub struct FrameError {
    /// The first eight bytes.
    pub head: [u8; 8],
}

impl Frame {
    /// Appends the frame's bytes.
    ///
    /// # Panics
    /// When a stream frame has no bytes or more than [`STREAM_BYTES_MAX`].
    pub fn encode(&self, to_host: bool, bytes: &mut Vec<u8>) {
        let (kind, address, word) = match self {
            Self::Stream(data) => {
                assert!(
                    (1..=STREAM_BYTES_MAX).contains(&data.len()),
                    "a stream frame of {} bytes",
                    data.len()
                );
                (STREAM, 0, u32::try_from(data.len()).expect("checked against the most"))
            }
            Self::Read { address, value } => (READ, *address, *value),
            Self::Write { address, value } => (WRITE, *address, *value),
            Self::Reset { number } => (RESET, 0, *number),
        };
        bytes.extend([kind | if to_host { TO_HOST } else { 0 }, 0]);
        bytes.extend(address.to_le_bytes());
        bytes.extend(word.to_le_bytes());
        if let Self::Stream(data) = self {
            bytes.extend_from_slice(data);
        }
    }

    /// Appends stream frames that carry all of `data`.
    pub(super) fn encode_stream(data: &[u8], to_host: bool, bytes: &mut Vec<u8>) {
        for part in data.chunks(STREAM_BYTES_MAX) {
            Self::Stream(part.to_vec()).encode(to_host, bytes);
        }
    }
}

/// Turns the bytes of a pipe into frames; holds at most what it was given and has not handed out.
#[derive(Debug)]
pub struct Decoder {
    from_host: bool,
    bytes: Vec<u8>,
    start: usize,
    /// Bytes came that are no frame: nothing is one until a reset.
    is_lost: bool,
}

impl Decoder {
    /// A decoder of frames to the device.
    pub fn of_host() -> Self {
        Self { from_host: true, bytes: Vec::new(), start: 0, is_lost: false }
    }

    /// A decoder of frames to the host.
    pub fn of_device() -> Self {
        Self { from_host: false, ..Self::of_host() }
    }

    /// Takes bytes from the pipe.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that were not handed out yet.
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`], again at every call until [`Decoder::seek_reset`] finds the way back.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let pending = &self.bytes[self.start..];
        let idle = pending.iter().take_while(|byte| **byte == 0).count();
        self.start += idle;
        let pending = &pending[idle..];
        let Some(head) = pending.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let refused = FrameError { head: *head };
        let (kind, address, word) = fields(head);
        if (kind & TO_HOST == 0) != self.from_host || head[1] != 0 {
            return Err(refused);
        }
        let (frame, taken) = match kind & !TO_HOST {
            STREAM => {
                let length =
                    usize::try_from(word).ok().filter(|length| (1..=STREAM_BYTES_MAX).contains(length));
                let length = length.filter(|_| address == 0).ok_or(refused)?;
                let Some(data) = pending.get(HEAD_BYTES..HEAD_BYTES + length) else { return Ok(None) };
                (Frame::Stream(data.to_vec()), HEAD_BYTES + length)
            }
            READ if !self.from_host || word == 0 => (Frame::Read { address, value: word }, HEAD_BYTES),
            WRITE if self.from_host || word == 0 => (Frame::Write { address, value: word }, HEAD_BYTES),
            RESET if address == 0 => (Frame::Reset { number: word }, HEAD_BYTES),
            _ => return Err(refused),
        };
        self.start += taken;
        Ok(Some(frame))
    }

    /// The next whole frame of a host, or `None` when more bytes are needed. After bytes that are no frame, the next is a
    /// reset; what is between is dropped.
    pub fn next_frame_or_reset(&mut self) -> Option<Frame> {
        loop {
            if self.is_lost && !self.seek_reset() {
                return None;
            }
            // The reset's frame may still be cut off behind its mark: the place is found.
            self.is_lost = false;
            match self.next_frame() {
                Ok(frame) => return frame,
                Err(_) => self.is_lost = true,
            }
        }
    }

    /// Drops everything up to the host's next reset.
    pub fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Drops everything up to a reset frame of the host, and says whether there was one: the frame is next.
    pub fn seek_reset(&mut self) -> bool {
        let mark = [0, 0, 0, 0, 0, 0, 0, 0, RESET, 0, 0, 0];
        self.seek(&mark, mark.len() - 4)
    }

    /// Drops everything up to and with the answer to the reset `number`, and says whether it was there.
    pub(super) fn seek_reset_done(&mut self, number: u32) -> bool {
        let mut mark = Vec::new();
        Frame::Reset { number }.encode(true, &mut mark);
        self.seek(&mark, mark.len())
    }

    /// Drops everything before `mark` and `inside` bytes of it; without it, all but what may be its beginning.
    fn seek(&mut self, mark: &[u8], inside: usize) -> bool {
        let pending = &self.bytes[self.start..];
        if let Some(at) = pending.windows(mark.len()).position(|window| window == mark) {
            self.start += at + inside;
            return true;
        }
        self.start += pending.len().saturating_sub(mark.len() - 1);
        false
    }
}

fn fields(head: &[u8; HEAD_BYTES]) -> (u8, u16, u32) {
    let [kind, _, low, high, word @ ..] = *head;
    (kind, u16::from_le_bytes([low, high]), u32::from_le_bytes(word))
}
