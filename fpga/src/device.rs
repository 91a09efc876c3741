//! The seam between the driver and whatever carries its bytes: a card, a simulation, a twin that breaks on purpose.
//!
//! Promise: no operation waits longer than its timeout, and none returns fewer bytes than asked for without an error.
//! After an error other than of [`Device::reset`] the streams are undefined until a reset succeeds; nothing that the
//! device sent before it is read after it.
//!
//! Terms: a [`Device`] is what the driver holds. A [`Connect`] makes one, again after it was lost. An [`Endpoint`] is the
//! other side, in this process: a model or a simulation; [`InProcess`] makes a device of it without a socket.
//!
//! Left out on purpose: DMA rings in mapped memory (AWS F2). They fit the trait; there is no shell to try them on.

mod faulty;
mod in_process;
mod model;
mod name;

use std::fmt::Debug;
use std::time::Duration;

pub use faulty::{FaultPlan, FaultyConnect, FaultyDevice, Injected};
pub use in_process::{Endpoint, InProcess};
pub use model::Model;
pub use name::{DeviceName, NameError};

use crate::DeviceError;

/// A device with two byte streams and 32-bit registers.
pub trait Device: Send + Debug {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`DeviceError`]; some of the bytes may have been sent.
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError>;

    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// [`DeviceError`]; some of the bytes may have been read.
    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError>;

    /// Reads a register of [`crate::registers`].
    ///
    /// # Errors
    /// [`DeviceError`].
    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError>;

    /// Writes a register of [`crate::registers`].
    ///
    /// # Errors
    /// [`DeviceError`].
    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError>;

    /// Resets the device and everything on the way to it.
    ///
    /// # Errors
    /// [`DeviceError`]: the device is lost, only a new one from [`Connect`] may work.
    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError>;
}

impl Device for Box<dyn Device> {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        (**self).write_stream(bytes, timeout)
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        (**self).read_stream(bytes, timeout)
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        (**self).reg_read(address, timeout)
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        (**self).reg_write(address, value, timeout)
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        (**self).reset(timeout)
    }
}

/// Opens a device, as often as it is lost.
pub trait Connect: Send + Debug + 'static {
    /// What it opens.
    type Device: Device;

    /// Opens it. The streams are in an unknown state: the caller resets first.
    ///
    /// # Errors
    /// [`DeviceError`]: not there now; trying again later is right.
    fn connect(&mut self, timeout: Duration) -> Result<Self::Device, DeviceError>;
}
