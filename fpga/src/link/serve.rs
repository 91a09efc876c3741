//! The device's side of a link: an [`Endpoint`] behind a socket.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::frame::{Decoder, Frame};
use super::pipe::Pipe;
use crate::device::DeviceName;
use crate::{DeviceError, Endpoint};

/// Bytes on the way to the host above which the endpoint stands still, as a card does whose host does not read.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Bytes read from the pipe at once.
const INPUT_BYTES_MAX: usize = 1 << 16;

/// Bytes of queued frames above which the pipe is not read while the endpoint works. When it does not, everything but a
/// reset is dropped: only that can help it.
const QUEUED_BYTES_MAX: usize = 4 << 20;

/// Where hosts connect.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A socket in the file system, removed when dropped.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// What the system said; `InvalidInput` for a name that is no socket.
    pub fn bind(name: &DeviceName) -> io::Result<Self> {
        match name {
            DeviceName::Tcp(place) => TcpListener::bind(place).map(Self::Tcp),
            DeviceName::Unix(path) => Ok(Self::Unix(bind_unix(path)?, path.clone())),
            DeviceName::Xdma(_) | DeviceName::Serial(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no socket")))
            }
        }
    }

    /// What a host writes to connect here.
    ///
    /// # Errors
    /// What the system said.
    pub fn name(&self) -> io::Result<DeviceName> {
        Ok(match self {
            Self::Tcp(listener) => DeviceName::Tcp(listener.local_addr()?.to_string()),
            Self::Unix(_, path) => DeviceName::Unix(path.clone()),
        })
    }

    /// Waits for the next host.
    ///
    /// # Errors
    /// What the system said.
    pub fn accept(&self) -> io::Result<Pipe> {
        match self {
            Self::Tcp(listener) => Pipe::of_tcp(listener.accept()?.0),
            Self::Unix(listener, _) => Pipe::of_unix(listener.accept()?.0),
        }
    }
}

/// Takes the place of a listener that was killed and left its socket behind; not of one that lives.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            match UnixStream::connect(path) {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {}
                _ => return Err(error),
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It may be gone already.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Serves one host until it goes. The endpoint stays as the host left it; the next host resets it.
///
/// # Errors
/// [`DeviceError`] of the pipe; a host that hangs up is none.
pub fn serve(pipe: &Pipe, endpoint: &mut impl Endpoint) -> Result<(), DeviceError> {
    match (Server { pipe, endpoint, decoder: Decoder::of_host(), state: State::default() }).run() {
        Err(DeviceError::Closed { .. }) => Ok(()),
        ended => ended,
    }
}

#[derive(Default)]
struct State {
    /// Frames whose turn has not come.
    frames: VecDeque<Frame>,
    /// Bytes in them.
    queued_bytes: usize,
    /// Bytes for the endpoint.
    input: Vec<u8>,
    /// Frames for the host.
    output: Vec<u8>,
    /// The last reset, not yet among them.
    reset_done: Option<u32>,
    /// Scratch.
    fresh: Vec<u8>,
}

struct Server<'a, E> {
    pipe: &'a Pipe,
    endpoint: &'a mut E,
    decoder: Decoder,
    state: State,
}

impl<E: Endpoint> Server<'_, E> {
    fn run(mut self) -> Result<(), DeviceError> {
        let mut bytes = vec![0; INPUT_BYTES_MAX];
        let mut is_stuck = false;
        loop {
            let mut came = false;
            if (!self.is_queue_full() || is_stuck)
                && let Some(count) = self.pipe.read_now(&mut bytes)?
            {
                if is_stuck {
                    self.decoder.lose();
                }
                self.decoder.push(&bytes[..count]);
                self.take_frames();
                came = true;
            }
            let mut moved = self.carry_out()?;
            moved |= self.work();
            let sent = self.pipe.write_now(&self.state.output)?;
            self.state.output.drain(..sent);
            moved |= sent > 0;
            // The host reads, the endpoint has input, and nothing moves: nothing ever will.
            is_stuck = self.is_queue_full() && !moved && !self.is_output_full();
            if !came && !moved {
                self.pipe.wait(!self.is_queue_full() || is_stuck, !self.state.output.is_empty())?;
            }
        }
    }

    /// Queues the frames that are here. A reset does not queue: it must reach an endpoint that takes nothing any more.
    fn take_frames(&mut self) {
        while let Some(frame) = self.decoder.next_frame_or_reset() {
            match frame {
                Frame::Reset { number } => self.reset(number),
                frame => {
                    self.state.queued_bytes += bytes_of(&frame);
                    self.state.frames.push_back(frame);
                }
            }
        }
    }

    /// What the host has not got yet is from before the reset; it drops it by the number. Of many resets the last is
    /// answered: a host waits for no other.
    fn reset(&mut self, number: u32) {
        self.endpoint.reset();
        let output = std::mem::take(&mut self.state.output);
        self.state = State { output, reset_done: Some(number), ..State::default() };
    }

    fn is_queue_full(&self) -> bool {
        self.state.queued_bytes >= QUEUED_BYTES_MAX
    }

    fn is_output_full(&self) -> bool {
        self.state.output.len() > OUTPUT_BYTES_MAX
    }

    /// Carries out queued frames in their order; a register waits until the stream before it is taken. Nothing is
    /// answered while the host does not read.
    fn carry_out(&mut self) -> Result<bool, DeviceError> {
        if self.is_output_full() {
            return Ok(false);
        }
        let mut any = false;
        if let Some(number) = self.state.reset_done.take() {
            Frame::Reset { number }.encode(true, &mut self.state.output);
            any = true;
        }
        while self.state.input.is_empty()
            && !self.is_output_full()
            && let Some(frame) = self.state.frames.pop_front()
        {
            self.state.queued_bytes -= bytes_of(&frame);
            any = true;
            let answer = match frame {
                Frame::Stream(bytes) => {
                    let taken = self.endpoint.accept(&bytes);
                    self.state.input.extend_from_slice(&bytes[taken..]);
                    continue;
                }
                Frame::Read { address, .. } => {
                    Frame::Read { address, value: self.endpoint.reg_read(address.into())? }
                }
                Frame::Write { address, value } => {
                    self.endpoint.reg_write(address.into(), value)?;
                    Frame::Write { address, value: 0 }
                }
                Frame::Reset { .. } => unreachable!("a reset is not queued"),
            };
            answer.encode(true, &mut self.state.output);
        }
        Ok(any)
    }

    /// Lets the endpoint work; `true` when anything moved.
    fn work(&mut self) -> bool {
        let taken = if self.state.input.is_empty() { 0 } else { self.endpoint.accept(&self.state.input) };
        self.state.input.drain(..taken);
        if self.is_output_full() {
            return taken > 0;
        }
        let busy = self.endpoint.work(&mut self.state.fresh);
        Frame::encode_stream(&self.state.fresh, true, &mut self.state.output);
        self.state.fresh.clear();
        busy || taken > 0
    }
}

/// What a queued frame counts for.
fn bytes_of(frame: &Frame) -> usize {
    match frame {
        Frame::Stream(bytes) => bytes.len(),
        _ => size_of::<Frame>(),
    }
}
