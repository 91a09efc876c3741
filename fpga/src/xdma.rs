//! A card behind AMD's XDMA driver: `/dev/xdmaN_h2c_0`, `/dev/xdmaN_c2h_0` and `/dev/xdmaN_user`.
//!
//! Promise: no byte is lost at a timeout. The driver's own reads and writes block and drop data when they give up, so
//! this one asks the device first ([`INPUT_FREE`], [`OUTPUT_AVAILABLE`]) and moves only what moves at once.
//!
//! The driver's calls know no deadline, and a card that fell off its bus holds them for the driver's own, ten seconds. So
//! the files belong to a thread, and a call that does not come back in time is left to it: the card is lost then, and
//! opened anew.
//!
//! Registers are read and written at their offset in the `user` file: the driver makes each four-byte access one
//! AXI4-Lite transaction. No memory is mapped. Not tried on a card; the tests put files in the place of the devices.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::registers::{CONTROL, CONTROL_RESET, INPUT_FREE, OUTPUT_AVAILABLE};
use crate::{Device, DeviceError};

/// Between two looks at a register.
const POLL_PERIOD: Duration = Duration::from_micros(20);

/// Most bytes of one transfer.
const TRANSFER_BYTES_MAX: usize = 1 << 16;

/// The card's files.
struct Files {
    to_card: File,
    from_card: File,
    user: File,
}

type Work = Box<dyn FnOnce(&mut Files) + Send>;

/// An open card.
pub struct Xdma {
    /// To the thread that owns the files; it ends with this.
    work: SyncSender<Work>,
    /// A call has not come back: its thread is not asked again.
    is_lost: bool,
}

impl fmt::Debug for Xdma {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Xdma").field("is_lost", &self.is_lost).finish_non_exhaustive()
    }
}

impl Files {
    fn open(directory: &Path, card: u16) -> Result<Self, DeviceError> {
        let open = |file: &str, read: bool, write: bool| {
            let path = directory.join(format!("xdma{card}_{file}"));
            OpenOptions::new().read(read).write(write).open(path).map_err(DeviceError::io("open"))
        };
        Ok(Self {
            to_card: open("h2c_0", false, true)?,
            from_card: open("c2h_0", true, false)?,
            user: open("user", true, true)?,
        })
    }
}

impl Xdma {
    /// Opens card number `card`.
    ///
    /// # Errors
    /// [`DeviceError::Io`]; [`DeviceError::TimedOut`].
    pub fn open(card: u16, timeout: Duration) -> Result<Self, DeviceError> {
        Self::open_in(Path::new("/dev"), card, timeout)
    }

    /// Opens the card's files in another directory.
    ///
    /// # Errors
    /// [`DeviceError::Io`]; [`DeviceError::TimedOut`].
    pub fn open_in(directory: &Path, card: u16, timeout: Duration) -> Result<Self, DeviceError> {
        let (work, works) = sync_channel::<Work>(1);
        let (opened, is_open) = sync_channel(1);
        let directory = directory.to_owned();
        let serve = move || match Files::open(&directory, card) {
            Ok(mut files) => {
                // Nobody waits any more: nobody will send work either.
                let _late = opened.send(Ok(()));
                works.into_iter().for_each(|work| work(&mut files));
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("xdma".to_owned());
        thread.spawn(serve).map_err(DeviceError::io("start a thread"))?;
        in_time("open", &is_open, Deadline::after(timeout))??;
        Ok(Self { work, is_lost: false })
    }

    /// Runs a call of the driver on the thread of the files.
    fn run<T: Send + 'static>(
        &mut self,
        operation: &'static str,
        deadline: Deadline,
        call: impl FnOnce(&mut Files) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, DeviceError> {
        if self.is_lost {
            return Err(DeviceError::Closed { operation });
        }
        let (done, result) = sync_channel(1);
        let work: Work = Box::new(move |files| drop(done.send(call(files))));
        self.work.try_send(work).map_err(|_| DeviceError::Closed { operation })?;
        let result = in_time(operation, &result, deadline);
        self.is_lost = result.is_err();
        result?.map_err(DeviceError::io(operation))
    }

    fn register(&mut self, address: u32, deadline: Deadline) -> Result<u32, DeviceError> {
        self.run("read a register", deadline, move |files| {
            let mut bytes = [0; 4];
            files.user.read_exact_at(&mut bytes, address.into())?;
            Ok(u32::from_le_bytes(bytes))
        })
    }

    fn set_register(&mut self, address: u32, value: u32, deadline: Deadline) -> Result<(), DeviceError> {
        let bytes = value.to_le_bytes();
        self.run("write a register", deadline, move |files| files.user.write_all_at(&bytes, address.into()))
    }

    /// Waits until a register counts at least 8 bytes; at most the `wanted` of them, whole words.
    fn movable(&mut self, address: u32, wanted: usize, deadline: Deadline) -> Result<usize, DeviceError> {
        loop {
            let count = usize::try_from(self.register(address, deadline)?).unwrap_or(usize::MAX);
            let movable = if count >= wanted { wanted } else { count / 8 * 8 };
            if movable > 0 {
                return Ok(movable.min(TRANSFER_BYTES_MAX));
            }
            if deadline.left().is_none() {
                return Err(DeviceError::TimedOut { operation: "transfer", done: 0, wanted });
            }
            std::thread::sleep(POLL_PERIOD);
        }
    }
}

/// What the thread says, if it says it before the deadline.
fn in_time<T>(operation: &'static str, said: &Receiver<T>, deadline: Deadline) -> Result<T, DeviceError> {
    said.recv_timeout(deadline.timeout()).map_err(|error| match error {
        RecvTimeoutError::Timeout => DeviceError::TimedOut { operation, done: 0, wanted: 0 },
        RecvTimeoutError::Disconnected => DeviceError::Closed { operation },
    })
}

impl Device for Xdma {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Deadline::after(timeout);
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.movable(INPUT_FREE, rest.len(), deadline)?;
            let (now, later) = rest.split_at(count);
            let now = now.to_vec();
            self.run("write", deadline, move |files| files.to_card.write_all(&now))?;
            rest = later;
        }
        Ok(())
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Deadline::after(timeout);
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.movable(OUTPUT_AVAILABLE, rest.len(), deadline)?;
            let (now, later) = rest.split_at_mut(count);
            let read = self.run("read", deadline, move |files| {
                let mut bytes = vec![0; count];
                files.from_card.read_exact(&mut bytes).map(|()| bytes)
            })?;
            now.copy_from_slice(&read);
            rest = later;
        }
        Ok(())
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        self.register(address, Deadline::after(timeout))
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.set_register(address, value, Deadline::after(timeout))
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        self.set_register(CONTROL, CONTROL_RESET, Deadline::after(timeout))
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode};

    use super::*;
    use crate::deadline::returning;

    /// Long for a file, short for a wait.
    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A directory with the three files; what the card sends lies there from the start.
    fn card(free: u32, available: u32, output: &[u8]) -> (tempfile::TempDir, Xdma) {
        let directory = tempfile::tempdir().unwrap();
        let mut registers = [0; 64];
        registers[INPUT_FREE as usize..][..4].copy_from_slice(&free.to_le_bytes());
        registers[OUTPUT_AVAILABLE as usize..][..4].copy_from_slice(&available.to_le_bytes());
        std::fs::write(directory.path().join("xdma3_user"), registers).unwrap();
        std::fs::write(directory.path().join("xdma3_c2h_0"), output).unwrap();
        std::fs::write(directory.path().join("xdma3_h2c_0"), []).unwrap();
        let xdma = Xdma::open_in(directory.path(), 3, LONG).unwrap();
        (directory, xdma)
    }

    #[test]
    fn streams_move_in_the_parts_that_the_registers_allow() {
        let sent: Vec<u8> = (0..=255).collect();
        let (directory, mut xdma) = card(24, 40, &sent);
        xdma.write_stream(&sent, LONG).unwrap();
        assert_eq!(std::fs::read(directory.path().join("xdma3_h2c_0")).unwrap(), sent);
        let mut received = [0; 256];
        xdma.read_stream(&mut received, LONG).unwrap();
        assert_eq!(received.as_slice(), sent);
    }

    #[test]
    fn a_full_input_and_an_empty_output_time_out_without_moving_a_byte() {
        let is_timeout =
            |result: Result<(), DeviceError>| matches!(result, Err(DeviceError::TimedOut { .. }));
        // One card for each: a deadline may pass in the middle of a look at a register, which loses the card.
        let (directory, mut xdma) = card(7, 7, &[1; 64]);
        assert!(is_timeout(xdma.write_stream(&[0; 64], SHORT)));
        let (_reading, mut reader) = card(7, 7, &[1; 64]);
        assert!(is_timeout(reader.read_stream(&mut [0; 64], SHORT)));
        assert_eq!(std::fs::read(directory.path().join("xdma3_h2c_0")).unwrap(), []);
    }

    #[test]
    fn registers_are_little_endian_words_at_their_offset_and_reset_is_one_of_them() {
        let (directory, mut xdma) = card(1, 2, &[]);
        xdma.reg_write(0x30, 0x0102_0304, LONG).unwrap();
        assert_eq!(xdma.reg_read(0x30, LONG).unwrap(), 0x0102_0304);
        xdma.reset(LONG).unwrap();
        let registers = std::fs::read(directory.path().join("xdma3_user")).unwrap();
        assert_eq!(&registers[0x30..0x34], &[4, 3, 2, 1]);
        assert_eq!(&registers[0x0c..0x10], &[1, 0, 0, 0]);
    }

    /// A driver whose reads never return: a pipe that nobody writes.
    #[test]
    fn a_call_that_does_not_return_loses_the_card_and_not_the_caller() {
        let (directory, xdma) = card(24, 40, &[]);
        drop(xdma);
        let pipe = directory.path().join("xdma3_c2h_0");
        std::fs::remove_file(&pipe).unwrap();
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Opening it waits for somebody who writes, too.
        let path = directory.path().to_owned();
        let opened = returning(move || Xdma::open_in(&path, 3, SHORT));
        assert!(matches!(opened, Err(DeviceError::TimedOut { .. })), "{opened:?}");
        let _writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let mut xdma = Xdma::open_in(directory.path(), 3, LONG).unwrap();
        let (read, reset) = returning(move || (xdma.read_stream(&mut [0; 40], SHORT), xdma.reset(LONG)));
        assert!(matches!(read, Err(DeviceError::TimedOut { .. })), "{read:?}");
        assert!(matches!(reset, Err(DeviceError::Closed { .. })), "{reset:?}");
    }

    /// A driver whose writes never return: a pipe that is full.
    #[test]
    fn a_write_that_does_not_return_loses_the_card_and_not_the_caller() {
        let (directory, xdma) = card(1 << 20, 0, &[]);
        drop(xdma);
        let pipe = directory.path().join("xdma3_h2c_0");
        std::fs::remove_file(&pipe).unwrap();
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let mut xdma = Xdma::open_in(directory.path(), 3, LONG).unwrap();
        // More than a pipe holds, in transfers that the register allows.
        let written = returning(move || xdma.write_stream(&vec![0; 1 << 20], SHORT));
        assert!(matches!(written, Err(DeviceError::TimedOut { .. })), "{written:?}");
    }

    #[test]
    fn a_missing_card_is_an_error_not_a_panic() {
        assert!(matches!(Xdma::open_in(Path::new("/nonexistent"), 0, LONG), Err(DeviceError::Io { .. })));
    }
}
