//! A running design.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use fpga::registers::{CONTROL, CONTROL_RESET};
use fpga::{DeviceError, Endpoint};
use libloading::{Library as Loaded, Symbol};

use crate::{Error, Library};

/// Bytes that wait in front of the design's input.
const INPUT_BYTES_MAX: usize = 1 << 16;

/// Words taken from the design in one run.
const OUTPUT_WORDS: usize = 1 << 12;

/// Clocks of one run: short, so that a server looks at its socket often.
const RUN_CLOCKS: u64 = 1 << 14;

/// A run without input ends after so many clocks in which nothing came.
const QUIET_CLOCKS: u64 = 256;

/// After so many clocks without a word in either direction nothing more will come. The longest silence of a working design
/// is its largest request: 1,024 short messages, 24 clocks each.
const IDLE_CLOCKS: u64 = 1 << 15;

/// Clocks in which a register must answer, those not counted in which the host stalls.
const REGISTER_CLOCKS: u64 = 1000;

/// How often the host's side stalls, in 256ths of the clocks, on the streams and on each channel of the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stalls {
    /// Seed of both.
    pub seed: u64,
    /// The host offers no word; no register's address and no data for it.
    pub input: u8,
    /// The host takes no word; no register's answer.
    pub output: u8,
}

/// How a simulation runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimulationConfig {
    /// Stalls of the host's side.
    pub stalls: Stalls,
    /// Where the waveform goes; the library must have been built with [`crate::Trace::Fst`].
    pub trace: Option<PathBuf>,
}

type New = unsafe extern "C" fn(u64, u32, u32, *const c_char) -> *mut c_void;
type Run =
    unsafe extern "C" fn(*mut c_void, *const u8, usize, *mut u8, usize, u64, u64, *mut usize, *mut usize);
type Read = unsafe extern "C" fn(*mut c_void, u32, u64, *mut u32) -> c_int;
type Write = unsafe extern "C" fn(*mut c_void, u32, u32, u64) -> c_int;

/// A design at work. It stands still unless it is told to run.
pub struct Simulation {
    handle: *mut c_void,
    /// Keeps the code in memory: every call goes through it.
    library: Loaded,
    input: Vec<u8>,
    output: Vec<u8>,
    idle_clocks: u64,
}

// SAFETY: the handle is used by one thread at a time (every method but `clocks`, which only reads, takes `&mut self`), and
// the design has a Verilator context of its own, which no thread-local state belongs to.
unsafe impl Send for Simulation {}

impl fmt::Debug for Simulation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulation").field("clocks", &self.clocks()).finish_non_exhaustive()
    }
}

impl Simulation {
    /// Starts a design: power-on, then reset.
    ///
    /// # Errors
    /// [`Error::Load`]; [`Error::NoTrace`] when a waveform is wanted of a library without; [`Error::Io`] when its file
    /// cannot be written.
    pub fn start(library: &Library, config: &SimulationConfig) -> Result<Self, Error> {
        if let Some(trace) = &config.trace {
            // Verilator would go on without a file.
            File::options()
                .create(true)
                .append(true)
                .open(trace)
                .map_err(|source| Error::Io { path: trace.clone(), source })?;
        }
        let path = library.path().to_owned();
        let load = |source| Error::Load { path: path.clone(), source };
        // SAFETY: the file was built by `Library::build` from our shim and Verilator's output, and has no initialisers
        // with conditions of their own.
        let library = unsafe { Loaded::new(&path) }.map_err(load)?;
        let trace = config.trace.as_ref().map(|trace| CString::new(trace.as_os_str().as_encoded_bytes()));
        let trace =
            trace.transpose().map_err(|error| Error::Io { path: path.clone(), source: error.into() })?;
        let trace_pointer = trace.as_ref().map_or(std::ptr::null(), |trace| trace.as_ptr());
        let Stalls { seed, input, output } = config.stalls;
        let handle = {
            // SAFETY: the shim declares exactly this signature.
            let new: Symbol<'_, New> = unsafe { library.get(b"rtl_sim_new\0") }.map_err(load)?;
            // SAFETY: the path is null or a string that lives until the call returns.
            unsafe { new(seed, input.into(), output.into(), trace_pointer) }
        };
        if handle.is_null() {
            return Err(Error::NoTrace);
        }
        Ok(Self { handle, library, input: Vec::new(), output: vec![0; 8 * OUTPUT_WORDS], idle_clocks: 0 })
    }

    /// Clocks since power-on.
    pub fn clocks(&self) -> u64 {
        // SAFETY: the shim declares exactly this signature, and the handle is alive.
        unsafe { self.symbol::<unsafe extern "C" fn(*mut c_void) -> u64>(b"rtl_sim_clocks\0")(self.handle) }
    }

    /// Ends the waveform and its file, if there is one. The design goes on without.
    pub fn end_trace(&mut self) {
        // SAFETY: the shim declares exactly this signature, and the handle is alive.
        unsafe { self.symbol::<unsafe extern "C" fn(*mut c_void)>(b"rtl_sim_end_trace\0")(self.handle) }
    }

    /// A function of the shim.
    ///
    /// # Safety
    /// `T` is the type that the shim gives the function.
    unsafe fn symbol<T>(&self, name: &[u8]) -> Symbol<'_, T> {
        // SAFETY: the caller names the right type.
        unsafe { self.library.get(name) }.expect("a library of ours has all functions of the shim")
    }

    /// Runs a while; the words that went in and came out.
    fn run(&mut self, output: &mut Vec<u8>) -> (usize, usize) {
        let (mut taken, mut came) = (0, 0);
        let words = self.input.len() / 8;
        // SAFETY: the shim declares exactly this signature.
        let run = *unsafe { self.symbol::<Run>(b"rtl_sim_run\0") };
        // SAFETY: both buffers hold as many words as they are said to, and the handle is alive.
        unsafe {
            run(
                self.handle,
                self.input.as_ptr(),
                words,
                self.output.as_mut_ptr(),
                OUTPUT_WORDS,
                RUN_CLOCKS,
                QUIET_CLOCKS,
                &mut taken,
                &mut came,
            );
        }
        self.input.drain(..8 * taken);
        output.extend_from_slice(&self.output[..8 * came]);
        (taken, came)
    }
}

impl Endpoint for Simulation {
    fn accept(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(INPUT_BYTES_MAX - self.input.len());
        self.input.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn work(&mut self, output: &mut Vec<u8>) -> bool {
        let has_input = self.input.len() >= 8;
        if !has_input && self.idle_clocks >= IDLE_CLOCKS {
            return false;
        }
        let before = self.clocks();
        let (taken, came) = self.run(output);
        self.idle_clocks = match taken + came {
            0 => self.idle_clocks + (self.clocks() - before),
            _ => 0,
        };
        self.idle_clocks < IDLE_CLOCKS
    }

    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError> {
        let mut value = 0;
        // SAFETY: the shim declares exactly this signature.
        let read = unsafe { self.symbol::<Read>(b"rtl_sim_read\0") };
        // SAFETY: the value lives until the call returns, and the handle is alive.
        let result = unsafe { read(self.handle, address, REGISTER_CLOCKS, &mut value) };
        self.idle_clocks = 0;
        answered(result, "read a register").map(|()| value)
    }

    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError> {
        if address == CONTROL && value & CONTROL_RESET != 0 {
            // What the card's queue in front of the design would lose, too, and the word that it offers.
            self.input.clear();
            // SAFETY: the shim declares exactly this signature, and the handle is alive.
            unsafe { self.symbol::<unsafe extern "C" fn(*mut c_void)>(b"rtl_sim_withdraw\0")(self.handle) }
        }
        // SAFETY: the shim declares exactly this signature.
        let write = unsafe { self.symbol::<Write>(b"rtl_sim_write\0") };
        // SAFETY: the handle is alive.
        let result = unsafe { write(self.handle, address, value, REGISTER_CLOCKS) };
        self.idle_clocks = 0;
        answered(result, "write a register")
    }

    fn reset(&mut self) {
        // SAFETY: the shim declares exactly this signature, and the handle is alive.
        unsafe { self.symbol::<unsafe extern "C" fn(*mut c_void)>(b"rtl_sim_reset\0")(self.handle) }
        self.input.clear();
        self.idle_clocks = 0;
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // SAFETY: the shim declares exactly this signature, and nobody uses the handle afterwards.
        unsafe { self.symbol::<unsafe extern "C" fn(*mut c_void)>(b"rtl_sim_free\0")(self.handle) }
    }
}

/// What the shim says of a register.
fn answered(result: c_int, operation: &'static str) -> Result<(), DeviceError> {
    match result {
        0 => Ok(()),
        1 => Err(DeviceError::TimedOut { operation, done: 0, wanted: 4 }),
        3 => Err(DeviceError::Link {
            detail: format!("{operation}: an answer that was not due, or did not stay until it was taken"),
        }),
        _ => Err(DeviceError::Link { detail: format!("{operation}: the bus answers with an error") }),
    }
}
