//! A byte pipe with deadlines: a socket or a serial line, never blocking longer than it was told.

use std::fs::OpenOptions;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::DeviceError;
use crate::deadline::Deadline;

/// Bits a second of a serial line (demonstrations only).
const SERIAL_BITS_PER_SECOND: u32 = 3_000_000;

/// Between two attempts at a socket whose listener has no room.
const CONNECT_PERIOD: Duration = Duration::from_millis(1);

/// One open pipe. Closed when dropped.
#[derive(Debug)]
pub struct Pipe(OwnedFd);

impl Pipe {
    /// Connects to `HOST:PORT`, trying its addresses one after the other. The timeout is for all of them; the system looks
    /// the name up in its own time before that.
    ///
    /// # Errors
    /// [`DeviceError::Io`]; [`DeviceError::TimedOut`] when nobody answers.
    pub fn tcp(place: &str, timeout: Duration) -> Result<Self, DeviceError> {
        let addresses = place.to_socket_addrs().map_err(DeviceError::io("resolve"))?;
        Self::tcp_to(addresses, Deadline::after(timeout))
    }

    /// Connects to the first address that takes the connection.
    pub(super) fn tcp_to(
        addresses: impl Iterator<Item = SocketAddr>,
        deadline: Deadline,
    ) -> Result<Self, DeviceError> {
        let operation = "connect";
        let timed_out = DeviceError::TimedOut { operation, done: 0, wanted: 0 };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let Some(left) = deadline.left() else { return Err(timed_out) };
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Self::of_tcp(stream).map_err(DeviceError::io(operation)),
                Err(error) => last = error,
            }
        }
        if last.kind() == io::ErrorKind::TimedOut {
            Err(timed_out)
        } else {
            Err(DeviceError::io(operation)(last))
        }
    }

    /// Takes an open connection.
    ///
    /// # Errors
    /// What the system said.
    pub fn of_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self(stream.into()))
    }

    /// Connects to a socket in the file system.
    ///
    /// # Errors
    /// [`DeviceError::Io`]; [`DeviceError::TimedOut`] when its listener takes nobody.
    pub fn unix(path: &Path, timeout: Duration) -> Result<Self, DeviceError> {
        let failed = |errno: Errno| DeviceError::Io { operation: "connect", source: errno.into() };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        let deadline = Deadline::after(timeout);
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Ok(Self(socket)),
                Err(Errno::INTR) => {}
                // The listener's queue is full. Nothing tells when it is not.
                Err(Errno::AGAIN) if deadline.left().is_some() => std::thread::sleep(CONNECT_PERIOD),
                Err(Errno::AGAIN) => {
                    return Err(DeviceError::TimedOut { operation: "connect", done: 0, wanted: 0 });
                }
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    /// Takes an open connection.
    ///
    /// # Errors
    /// What the system said.
    pub fn of_unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(stream.into()))
    }

    /// Opens a serial line, raw: 8 bits, no parity, no flow control, no echo.
    ///
    /// # Errors
    /// [`DeviceError::Io`].
    pub fn serial(path: &Path) -> Result<Self, DeviceError> {
        let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
        let flags = i32::try_from(flags).expect("these flags are below 2^31");
        let line = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let line = line.map_err(DeviceError::io("open"))?;
        set_raw(&line)
            .map_err(|errno| DeviceError::Io { operation: "set up the line", source: errno.into() })?;
        Ok(Self(line.into()))
    }

    /// Takes an open descriptor, the other end of a serial line for instance.
    ///
    /// # Errors
    /// What the system said.
    pub fn of_file(file: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&file, true)?;
        Ok(Self(file))
    }

    /// Reads what is there, at least one byte.
    pub(crate) fn read(&self, bytes: &mut [u8], deadline: Deadline) -> Result<usize, DeviceError> {
        let operation = "read";
        loop {
            match rustix::io::read(&self.0, &mut *bytes) {
                Ok(0) => return Err(DeviceError::Closed { operation }),
                Ok(count) => return Ok(count),
                Err(errno) => self.after(errno, operation, PollFlags::IN, deadline)?,
            }
        }
    }

    /// Reads what is there now; `None` when nothing is.
    pub(crate) fn read_now(&self, bytes: &mut [u8]) -> Result<Option<usize>, DeviceError> {
        let operation = "read";
        match rustix::io::read(&self.0, bytes) {
            Ok(0) => Err(DeviceError::Closed { operation }),
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(failed(errno, operation)),
        }
    }

    /// Writes what fits now; 0 when nothing does.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> Result<usize, DeviceError> {
        match rustix::io::write(&self.0, bytes) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(errno) => Err(failed(errno, "write")),
        }
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&self, bytes: &[u8], deadline: Deadline) -> Result<(), DeviceError> {
        let (operation, mut done) = ("write", 0);
        while done < bytes.len() {
            match rustix::io::write(&self.0, &bytes[done..]) {
                Ok(count) => done += count,
                Err(errno) => self.after(errno, operation, PollFlags::OUT, deadline)?,
            }
        }
        Ok(())
    }

    /// Waits until bytes can be read if `to_read`, or written if `to_write`, or the other end hangs up.
    pub(crate) fn wait(&self, to_read: bool, to_write: bool) -> Result<(), DeviceError> {
        let read = if to_read { PollFlags::IN } else { PollFlags::empty() };
        let write = if to_write { PollFlags::OUT } else { PollFlags::empty() };
        let flags = read | write;
        let mut ready = [PollFd::from_borrowed_fd(self.0.as_fd(), flags)];
        match poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(failed(errno, "wait")),
        }
    }

    /// What an error number means: wait and try again, or give up.
    fn after(
        &self,
        errno: Errno,
        operation: &'static str,
        flags: PollFlags,
        deadline: Deadline,
    ) -> Result<(), DeviceError> {
        match errno {
            Errno::INTR => return Ok(()),
            Errno::AGAIN => {}
            errno => return Err(failed(errno, operation)),
        }
        let timed_out = DeviceError::TimedOut { operation, done: 0, wanted: 1 };
        let Some(left) = deadline.left() else { return Err(timed_out) };
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut ready = [PollFd::from_borrowed_fd(self.0.as_fd(), flags)];
        match poll(&mut ready, Some(&left)) {
            Ok(0) => Err(timed_out),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(failed(errno, operation)),
        }
    }
}

fn set_raw(line: impl AsFd) -> rustix::io::Result<()> {
    let mut settings = tcgetattr(&line)?;
    settings.make_raw();
    settings.set_speed(SERIAL_BITS_PER_SECOND)?;
    tcsetattr(&line, OptionalActions::Now, &settings)
}

fn failed(errno: Errno, operation: &'static str) -> DeviceError {
    match errno {
        // EIO is how a terminal says that its other end hung up.
        Errno::PIPE | Errno::CONNRESET | Errno::IO => DeviceError::Closed { operation },
        errno => DeviceError::Io { operation, source: errno.into() },
    }
}
