//! The simulation, shared by the thread that serves it and the one that ends it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fpga::{DeviceError, Endpoint};
use rtl_sim::Simulation;

/// A simulation that can be ended between two of its operations.
#[derive(Debug)]
pub(crate) struct Card {
    /// Passed on the way to the simulation: who closes it is next, however often the other comes back.
    door: Mutex<()>,
    simulation: Mutex<Simulation>,
}

impl Card {
    pub(crate) fn new(simulation: Simulation) -> Self {
        Self { door: Mutex::new(()), simulation: Mutex::new(simulation) }
    }

    pub(crate) fn clocks(&self) -> u64 {
        self.enter().clocks()
    }

    /// Ends the waveform and stops the simulation for good, after its operation in work; the clocks since power-on.
    /// Whoever uses it afterwards waits for ever: the process ends next.
    pub(crate) fn end(&self) -> u64 {
        std::mem::forget(self.door.lock().unwrap_or_else(PoisonError::into_inner));
        let mut simulation = self.simulation.lock().unwrap_or_else(PoisonError::into_inner);
        simulation.end_trace();
        simulation.clocks()
    }

    fn enter(&self) -> MutexGuard<'_, Simulation> {
        // A thread that panicked left a design that stands between two clocks: it can still be ended.
        let _passed = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        self.simulation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint for &Card {
    fn accept(&mut self, bytes: &[u8]) -> usize {
        self.enter().accept(bytes)
    }

    fn work(&mut self, output: &mut Vec<u8>) -> bool {
        self.enter().work(output)
    }

    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError> {
        self.enter().reg_read(address)
    }

    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError> {
        self.enter().reg_write(address, value)
    }

    fn reset(&mut self) {
        self.enter().reset();
    }
}
