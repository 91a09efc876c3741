//! A device inside this process: the other side of the streams, polled instead of waited for.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::Read;
use std::time::Duration;

use super::Device;
use crate::DeviceError;
use crate::registers::{CONTROL, CONTROL_RESET};

/// The device's side of the streams: a model, or a simulation that advances clock by clock.
pub trait Endpoint: Send + Debug {
    /// Takes bytes from the host; says how many. Fewer than given, even none, when its input is full.
    fn accept(&mut self, bytes: &[u8]) -> usize;

    /// Works for a bounded while and appends what it sends; `false` when it waits for input and will send nothing more
    /// without it.
    fn work(&mut self, output: &mut Vec<u8>) -> bool;

    /// Reads a register.
    ///
    /// # Errors
    /// [`DeviceError::TimedOut`] when the bus does not answer.
    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError>;

    /// Writes a register.
    ///
    /// # Errors
    /// [`DeviceError::TimedOut`] when the bus does not answer.
    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError>;

    /// Back to power-on.
    fn reset(&mut self);
}

/// An [`Endpoint`] as a [`Device`]. A wait ends when the endpoint has nothing left to do: no clock is read, so tests
/// with it do not depend on the machine.
#[derive(Debug)]
pub struct InProcess<E> {
    endpoint: E,
    output: VecDeque<u8>,
    fresh: Vec<u8>,
}

impl<E: Endpoint> InProcess<E> {
    /// Takes an endpoint, as after power-on.
    pub fn new(endpoint: E) -> Self {
        Self { endpoint, output: VecDeque::new(), fresh: Vec::new() }
    }

    /// The endpoint, to look at or to disturb.
    pub fn endpoint(&mut self) -> &mut E {
        &mut self.endpoint
    }

    /// One round of work; `false` when nothing more will come.
    fn work(&mut self) -> bool {
        let busy = self.endpoint.work(&mut self.fresh);
        self.output.extend(self.fresh.drain(..));
        busy
    }
}

impl<E: Endpoint> Device for InProcess<E> {
    fn write_stream(&mut self, bytes: &[u8], _timeout: Duration) -> Result<(), DeviceError> {
        let mut done = 0;
        while done < bytes.len() {
            let taken = self.endpoint.accept(&bytes[done..]);
            done += taken;
            let busy = self.work();
            if taken == 0 && !busy {
                return Err(DeviceError::TimedOut { operation: "write", done, wanted: bytes.len() });
            }
        }
        Ok(())
    }

    fn read_stream(&mut self, bytes: &mut [u8], _timeout: Duration) -> Result<(), DeviceError> {
        while self.output.len() < bytes.len() {
            if !self.work() && self.output.len() < bytes.len() {
                let done = self.output.len();
                return Err(DeviceError::TimedOut { operation: "read", done, wanted: bytes.len() });
            }
        }
        self.output.read_exact(bytes).map_err(DeviceError::io("read"))
    }

    fn reg_read(&mut self, address: u32, _timeout: Duration) -> Result<u32, DeviceError> {
        self.endpoint.reg_read(address)
    }

    fn reg_write(&mut self, address: u32, value: u32, _timeout: Duration) -> Result<(), DeviceError> {
        self.endpoint.reg_write(address, value)?;
        if address == CONTROL && value & CONTROL_RESET != 0 {
            // What had come is from before the reset.
            self.output.clear();
        }
        Ok(())
    }

    fn reset(&mut self, _timeout: Duration) -> Result<(), DeviceError> {
        self.endpoint.reset();
        self.output.clear();
        self.fresh.clear();
        Ok(())
    }
}
