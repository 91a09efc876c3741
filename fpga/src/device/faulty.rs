//! A device that breaks on purpose, reproducibly from a seed: the twin that the driver is tested against.
//!
//! Each reply of the device behind it draws from the plan; what is drawn happens to that reply. The plan outlives the
//! device: after a fault the driver opens a new one with the same plan.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Connect, Device, Endpoint, InProcess};
use crate::DeviceError;
use crate::packet::{HEADER_BYTES, Header, Opcode, checksum};

/// What happens to a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// It never comes.
    Timeout,
    /// The wait for it times out; it comes afterwards, even after a reset.
    Late,
    /// It breaks off in the middle, and the device is gone.
    ShortRead,
    /// It comes twice.
    Twice,
    /// One bit of every digest is wrong, all checksums are right. A loopback is spared: it carries no digests.
    WrongDigest,
    /// One bit of one digest is wrong, all checksums are right: a fault that a sample can miss.
    OneWrongDigest,
    /// One bit of the header is wrong.
    CorruptHeader,
    /// One bit of the payload is wrong.
    CorruptPayload,
    /// The device is gone.
    Dead,
}

impl Injected {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Late,
        Self::ShortRead,
        Self::Twice,
        Self::WrongDigest,
        Self::OneWrongDigest,
        Self::CorruptHeader,
        Self::CorruptPayload,
        Self::Dead,
    ];
}

/// When what happens. Shared by the devices of one [`FaultyConnect`].
#[derive(Debug)]
pub struct FaultPlan {
    kinds: Vec<Injected>,
    one_in: u64,
    random: Mutex<u64>,
    is_active: AtomicBool,
    injected: AtomicU64,
    injected_max: u64,
    spared: AtomicU64,
    late: Mutex<Vec<u8>>,
}

impl FaultPlan {
    /// One reply in `one_in` gets one of `kinds`, both drawn from `seed`. Nothing happens before [`FaultPlan::start`].
    ///
    /// # Panics
    /// When there is no kind or `one_in` is zero.
    pub fn new(seed: u64, one_in: u64, kinds: &[Injected]) -> Arc<Self> {
        Arc::new(Self::limited(seed, one_in, kinds, u64::MAX))
    }

    /// The same with at most `injected_max` faults, after which the device is sound.
    ///
    /// # Panics
    /// As [`FaultPlan::new`].
    pub fn limited(seed: u64, one_in: u64, kinds: &[Injected], injected_max: u64) -> Self {
        assert!(!kinds.is_empty() && one_in > 0, "a plan has something to do");
        Self {
            kinds: kinds.to_vec(),
            one_in,
            random: Mutex::new(seed),
            is_active: AtomicBool::new(false),
            injected: AtomicU64::new(0),
            injected_max,
            spared: AtomicU64::new(0),
            late: Mutex::default(),
        }
    }

    /// From now on replies are at risk, but for the next `replies`: a self-test's, for instance.
    pub fn start_after(&self, replies: u64) {
        self.spared.store(replies, Ordering::SeqCst);
        self.start();
    }

    /// From now on replies are at risk.
    pub fn start(&self) {
        self.is_active.store(true, Ordering::SeqCst);
    }

    /// From now on replies are safe.
    pub fn stop(&self) {
        self.is_active.store(false, Ordering::SeqCst);
    }

    /// Faults so far.
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::SeqCst)
    }

    fn draw(&self) -> Option<Injected> {
        if !self.is_active.load(Ordering::SeqCst) {
            return None;
        }
        let less = |spared: u64| spared.checked_sub(1);
        let is_spared = self.spared.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        if is_spared || self.injected() >= self.injected_max || !self.next().is_multiple_of(self.one_in) {
            return None;
        }
        self.injected.fetch_add(1, Ordering::SeqCst);
        let kinds = self.kinds.len() as u64;
        let kind = usize::try_from(self.next() % kinds).expect("below the number of kinds");
        Some(self.kinds[kind])
    }

    /// splitmix64 (Steele, Lea, Flood 2014).
    fn next(&self) -> u64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Opens [`FaultyDevice`]s around the devices of another [`Connect`].
#[derive(Debug)]
pub struct FaultyConnect<C> {
    inner: C,
    plan: Arc<FaultPlan>,
}

impl<C: Connect> FaultyConnect<C> {
    /// Devices of `inner` under `plan`.
    pub fn new(inner: C, plan: Arc<FaultPlan>) -> Self {
        Self { inner, plan }
    }
}

impl<C: Connect> Connect for FaultyConnect<C> {
    type Device = FaultyDevice<C::Device>;

    fn connect(&mut self, timeout: Duration) -> Result<Self::Device, DeviceError> {
        Ok(FaultyDevice::new(self.inner.connect(timeout)?, self.plan.clone()))
    }
}

/// A device whose replies meet a [`FaultPlan`].
#[derive(Debug)]
pub struct FaultyDevice<D> {
    inner: D,
    plan: Arc<FaultPlan>,
    output: VecDeque<u8>,
    is_dead: bool,
}

impl<D: Device> FaultyDevice<D> {
    /// A device under a plan.
    pub fn new(inner: D, plan: Arc<FaultPlan>) -> Self {
        Self { inner, plan, output: VecDeque::new(), is_dead: false }
    }

    fn alive(&self, operation: &'static str) -> Result<(), DeviceError> {
        if self.is_dead { Err(DeviceError::Closed { operation }) } else { Ok(()) }
    }

    fn take_late(&mut self) {
        let late = std::mem::take(&mut *self.plan.late.lock().unwrap_or_else(PoisonError::into_inner));
        self.output.extend(late);
    }

    /// Takes the next whole reply from the device behind and does to it what the plan says.
    fn pull(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        let mut header = [0; HEADER_BYTES];
        self.inner.read_stream(&mut header, timeout)?;
        let decoded = Header::decode(&header).expect("the device behind is sound");
        let payload_bytes = usize::try_from(decoded.padded_payload_bytes()).expect("replies are small");
        let mut payload = vec![0; payload_bytes];
        self.inner.read_stream(&mut payload, timeout)?;
        let lost = DeviceError::TimedOut { operation: "read", done: 0, wanted: HEADER_BYTES };
        match self.plan.draw() {
            None => {}
            Some(Injected::Timeout) => return Err(lost),
            Some(Injected::Late) => {
                let mut late = self.plan.late.lock().unwrap_or_else(PoisonError::into_inner);
                late.extend([header.as_slice(), &payload].concat());
                return Err(lost);
            }
            Some(Injected::ShortRead) => {
                self.is_dead = true;
                self.output.extend(&header[..HEADER_BYTES / 2]);
                return Ok(());
            }
            Some(Injected::Twice) => self.output.extend(header.iter().chain(&payload)),
            Some(kind @ (Injected::WrongDigest | Injected::OneWrongDigest)) => {
                let is_loopback = decoded.opcode == Opcode::Loopback.number();
                let digests = if is_loopback { 0 } else { decoded.item_count as usize };
                let chosen =
                    usize::try_from(self.plan.next() % digests.max(1) as u64).expect("below a usize");
                for (number, digest) in payload.chunks_mut(32).take(digests).enumerate() {
                    digest[0] ^= u8::from(kind == Injected::WrongDigest || number == chosen);
                }
                header = Header { payload_crc32c: checksum(&payload), ..decoded }.encode();
            }
            Some(Injected::CorruptHeader) => header[17] ^= 0x10,
            Some(Injected::CorruptPayload) => {
                if let Some(byte) = payload.last_mut() {
                    *byte ^= 0x80;
                }
            }
            Some(Injected::Dead) => self.is_dead = true,
        }
        self.output.extend(header.iter().chain(&payload));
        self.alive("read")
    }
}

impl<D: Device> Device for FaultyDevice<D> {
    fn write_stream(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DeviceError> {
        self.alive("write")?;
        self.inner.write_stream(bytes, timeout)
    }

    fn read_stream(&mut self, bytes: &mut [u8], timeout: Duration) -> Result<(), DeviceError> {
        self.take_late();
        while self.output.len() < bytes.len() {
            self.alive("read")?;
            self.pull(timeout)?;
        }
        self.output.read_exact(bytes).map_err(DeviceError::io("read"))
    }

    fn reg_read(&mut self, address: u32, timeout: Duration) -> Result<u32, DeviceError> {
        self.alive("read a register")?;
        self.inner.reg_read(address, timeout)
    }

    fn reg_write(&mut self, address: u32, value: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.alive("write a register")?;
        self.inner.reg_write(address, value, timeout)
    }

    fn reset(&mut self, timeout: Duration) -> Result<(), DeviceError> {
        self.alive("reset")?;
        self.output.clear();
        self.inner.reset(timeout)
    }
}

/// An endpoint that breaks on purpose, to be served on a socket. What kills the device ([`Injected::Dead`],
/// [`Injected::ShortRead`]) makes it silent here: a socket is closed by killing its process. A late reply comes behind the
/// next reset, when the host has given up.
impl<E: Endpoint> Endpoint for FaultyDevice<InProcess<E>> {
    fn accept(&mut self, bytes: &[u8]) -> usize {
        match self.inner.write_stream(bytes, Duration::ZERO) {
            Ok(()) => bytes.len(),
            Err(_) => 0,
        }
    }

    fn work(&mut self, output: &mut Vec<u8>) -> bool {
        if self.is_dead {
            return false;
        }
        let pulled = self.pull(Duration::ZERO);
        output.extend(self.output.drain(..));
        pulled.is_ok()
    }

    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError> {
        self.inner.reg_read(address, Duration::ZERO)
    }

    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError> {
        self.inner.reg_write(address, value, Duration::ZERO)
    }

    fn reset(&mut self) {
        self.output.clear();
        // Never fails in this process.
        let _reset = self.inner.reset(Duration::ZERO);
        self.take_late();
    }
}
