//! The device's side of a link: an [`Endpoint`] behind a socket.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::frame::{Decoder, Frame};
use super::pipe::Pipe;
use crate::device::DeviceName;
use crate::{DeviceError, Endpoint};

/// Bytes on the way to the host above which the endpoint stands still, as a card does whose host does not read.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Bytes of the host that are taken before the endpoint has worked on those before.
const INPUT_BYTES_MAX: usize = 1 << 16;

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
            DeviceName::Unix(path) => Ok(Self::Unix(UnixListener::bind(path)?, path.clone())),
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
    /// Bytes for the endpoint.
    input: Vec<u8>,
    /// Frames for the host.
    output: Vec<u8>,
    /// Scratch.
    fresh: Vec<u8>,
    /// The host's frames make no sense: nothing is taken until a reset.
    is_lost: bool,
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
        loop {
            let mut progress = false;
            if self.state.input.len() + self.decoder.pending_bytes() < INPUT_BYTES_MAX
                && let Some(count) = self.pipe.read_now(&mut bytes)?
            {
                self.decoder.push(&bytes[..count]);
                progress = true;
            }
            progress |= self.take_frames()?;
            progress |= self.work();
            let sent = self.pipe.write_now(&self.state.output)?;
            self.state.output.drain(..sent);
            progress |= sent > 0;
            if !progress {
                self.pipe.wait(!self.state.output.is_empty())?;
            }
        }
    }

    /// Carries out the frames that are here, in their order; a register waits until the stream before it is taken.
    fn take_frames(&mut self) -> Result<bool, DeviceError> {
        let mut any = false;
        while self.state.input.is_empty() {
            if self.state.is_lost && !self.decoder.seek_reset() {
                return Ok(any);
            }
            match self.decoder.next_frame() {
                Ok(None) => return Ok(any),
                Ok(Some(frame)) => self.carry_out(frame)?,
                Err(_) => self.state.is_lost = true,
            }
            any = true;
        }
        Ok(any)
    }

    fn carry_out(&mut self, frame: Frame) -> Result<(), DeviceError> {
        let answer = match frame {
            Frame::Stream(bytes) => {
                let taken = self.endpoint.accept(&bytes);
                self.state.input.extend_from_slice(&bytes[taken..]);
                return Ok(());
            }
            Frame::Read { address, .. } => {
                Frame::Read { address, value: self.endpoint.reg_read(address.into())? }
            }
            Frame::Write { address, value } => {
                self.endpoint.reg_write(address.into(), value)?;
                Frame::Write { address, value: 0 }
            }
            Frame::Reset { number } => {
                self.endpoint.reset();
                self.state.is_lost = false;
                // What the host has not got yet is from before the reset; it drops it, and a cut frame, by the number.
                Frame::Reset { number }
            }
        };
        answer.encode(true, &mut self.state.output);
        Ok(())
    }

    /// Lets the endpoint work; `true` when anything moved.
    fn work(&mut self) -> bool {
        let taken = if self.state.input.is_empty() { 0 } else { self.endpoint.accept(&self.state.input) };
        self.state.input.drain(..taken);
        if self.state.output.len() > OUTPUT_BYTES_MAX {
            return taken > 0;
        }
        let busy = self.endpoint.work(&mut self.state.fresh);
        Frame::encode_stream(&self.state.fresh, true, &mut self.state.output);
        self.state.fresh.clear();
        busy || taken > 0
    }
}
