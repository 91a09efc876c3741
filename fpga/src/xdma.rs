//! A card behind AMD's XDMA driver: `/dev/xdmaN_h2c_0`, `/dev/xdmaN_c2h_0` and `/dev/xdmaN_user`.
//!
//! Promise: no byte is lost at a timeout. The driver's own reads and writes block and drop data when they give up, so
//! this one asks the device first ([`INPUT_FREE`], [`OUTPUT_AVAILABLE`]) and moves only what moves at once.
//!
//! Registers are read and written at their offset in the `user` file: the driver makes each four-byte access one
//! AXI4-Lite transaction. No memory is mapped. Not tried on a card; the tests put files in the place of the devices.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::registers::{CONTROL, CONTROL_RESET, INPUT_FREE, OUTPUT_AVAILABLE};
use crate::{Device, DeviceError};

/// Between two looks at a register.
const POLL_PERIOD: Duration = Duration::from_micros(20);

/// Most bytes of one transfer.
const TRANSFER_BYTES_MAX: usize = 1 << 16;

/// An open card.
#[derive(Debug)]
pub struct Xdma {
    to_card: File,
    from_card: File,
    user: File,
}

impl Xdma {
    /// Opens card number `card`.
    ///
    /// # Errors
    /// [`DeviceError::Io`].
    pub fn open(card: u16) -> Result<Self, DeviceError> {
        Self::open_in(Path::new("/dev"), card)
    }

    /// Opens the card's files in another directory.
    ///
    /// # Errors
    /// [`DeviceError::Io`].
    pub fn open_in(directory: &Path, card: u16) -> Result<Self, DeviceError> {
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

    fn register(&self, address: u32) -> Result<u32, DeviceError> {
        let mut bytes = [0; 4];
        self.user.read_exact_at(&mut bytes, address.into()).map_err(DeviceError::io("read a register"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn set_register(&self, address: u32, value: u32) -> Result<(), DeviceError> {
        let bytes = value.to_le_bytes();
        self.user.write_all_at(&bytes, address.into()).map_err(DeviceError::io("write a register"))
    }

    /// Waits until a register counts at least 8 bytes; at most the `wanted` of them, whole words.
    fn movable(&self, address: u32, wanted: usize, deadline: Deadline) -> Result<usize, DeviceError> {
        loop {
            let count = usize::try_from(self.register(address)?).unwrap_or(usize::MAX);
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

impl Device for Xdma {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        let deadline = Deadline::after(timeout);
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.movable(INPUT_FREE, rest.len(), deadline)?;
            let (now, later) = rest.split_at(count);
            self.to_card.write_all(now).map_err(DeviceError::io("write"))?;
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
            self.from_card.read_exact(now).map_err(DeviceError::io("read"))?;
            rest = later;
        }
        Ok(())
    }

    fn reg_read(&mut self, address: u32, _timeout: Duration) -> Result<u32, DeviceError> {
        self.register(address)
    }

    fn reg_write(&mut self, address: u32, value: u32, _timeout: Duration) -> Result<(), DeviceError> {
        self.set_register(address, value)
    }

    fn reset(&mut self, _timeout: Duration) -> Result<(), DeviceError> {
        self.set_register(CONTROL, CONTROL_RESET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    /// A directory with the three files; what the card sends lies there from the start.
    fn card(free: u32, available: u32, output: &[u8]) -> (tempfile::TempDir, Xdma) {
        let directory = tempfile::tempdir().unwrap();
        let mut registers = [0; 64];
        registers[INPUT_FREE as usize..][..4].copy_from_slice(&free.to_le_bytes());
        registers[OUTPUT_AVAILABLE as usize..][..4].copy_from_slice(&available.to_le_bytes());
        std::fs::write(directory.path().join("xdma3_user"), registers).unwrap();
        std::fs::write(directory.path().join("xdma3_c2h_0"), output).unwrap();
        std::fs::write(directory.path().join("xdma3_h2c_0"), []).unwrap();
        let xdma = Xdma::open_in(directory.path(), 3).unwrap();
        (directory, xdma)
    }

    #[test]
    fn streams_move_in_the_parts_that_the_registers_allow() {
        let sent: Vec<u8> = (0..=255).collect();
        let (directory, mut xdma) = card(24, 40, &sent);
        xdma.write_stream(&sent, SHORT).unwrap();
        assert_eq!(std::fs::read(directory.path().join("xdma3_h2c_0")).unwrap(), sent);
        let mut received = [0; 256];
        xdma.read_stream(&mut received, SHORT).unwrap();
        assert_eq!(received.as_slice(), sent);
    }

    #[test]
    fn a_full_input_and_an_empty_output_time_out_without_moving_a_byte() {
        let (directory, mut xdma) = card(7, 7, &[1; 64]);
        let is_timeout =
            |result: Result<(), DeviceError>| matches!(result, Err(DeviceError::TimedOut { .. }));
        assert!(is_timeout(xdma.write_stream(&[0; 64], SHORT)));
        assert!(is_timeout(xdma.read_stream(&mut [0; 64], SHORT)));
        assert_eq!(std::fs::read(directory.path().join("xdma3_h2c_0")).unwrap(), []);
    }

    #[test]
    fn registers_are_little_endian_words_at_their_offset_and_reset_is_one_of_them() {
        let (directory, mut xdma) = card(1, 2, &[]);
        xdma.reg_write(0x30, 0x0102_0304, SHORT).unwrap();
        assert_eq!(xdma.reg_read(0x30, SHORT).unwrap(), 0x0102_0304);
        xdma.reset(SHORT).unwrap();
        let registers = std::fs::read(directory.path().join("xdma3_user")).unwrap();
        assert_eq!(&registers[0x30..0x34], &[4, 3, 2, 1]);
        assert_eq!(&registers[0x0c..0x10], &[1, 0, 0, 0]);
    }

    #[test]
    fn a_missing_card_is_an_error_not_a_panic() {
        assert!(matches!(Xdma::open_in(Path::new("/nonexistent"), 0), Err(DeviceError::Io { .. })));
    }
}
