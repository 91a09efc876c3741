//! A [`Hasher`] on a device that may fail at any time.
//!
//! Promise: every call returns the digests that software would return for all messages whose packets a check covers, and
//! returns at all: whatever the device does, one deadline ([`AcceleratorConfig::timeout`]) covers all that a call waits
//! for, and what the device has not answered by then is hashed in software. A device that made one mistake gets no work
//! until a new self-test was good.
//!
//! How: callers cut their messages into packets' worth of items of one length, put them in a bounded queue and wait. One
//! thread owns the device: it merges neighbours of one shape into one packet, keeps as many packets in flight as the
//! device holds replies for, and hands digests back. Callers then compute a sample themselves: at least one
//! digest of each of their requests, and one in [`AcceleratorConfig::recheck_one_in`] on average, at places that the device
//! cannot know. A request that was dropped on the way comes back as such and is hashed on the caller's thread.
//!
//! Bounds: [`QUEUE_REQUESTS_MAX`] requests wait; when the queue is full a caller hashes that part in software, so a slow
//! device slows nobody down below software's speed for long. Small calls ([`AcceleratorConfig::messages_min`]) never leave
//! the processor.
//!
//! What the sample is not: a device that is wrong once in a thousand digests passes a sample of one in 256 three times
//! in four. Who signs what comes out must compute it again, as `dac-node` does, or set `recheck_one_in` to 1.

mod batch;
mod counters;
mod request;
mod session;
mod worker;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use fpga_hash::{
    Digest, FieldElement, Hasher, Work, WorkCounter, check_poseidon_shape, check_prefixed_shape,
};

use crate::deadline::Deadline;
use crate::packet::{Limits, stride};
use crate::{Connect, Fault, FaultKind};
use batch::{Batch, Elements, Messages, Prefixed, Shape};
use counters::FaultCounters;
use request::{Answer, Command, Request};

/// Requests that wait for the device.
pub const QUEUE_REQUESTS_MAX: usize = 64;

/// How an accelerator treats its device.
#[derive(Debug, Clone)]
pub struct AcceleratorConfig {
    /// What hashes when the device does not, and checks it.
    pub software: Arc<dyn Hasher>,
    /// One digest in this many is computed again; 1 computes all.
    pub recheck_one_in: u32,
    /// Calls with fewer messages stay in software: a trip to a device costs more.
    pub messages_min: usize,
    /// Longest that a call waits for the device, for all its packets together. Also the longest for one step of the
    /// device's thread: an attachment with its self-test, a request's way in, a reply's way out.
    pub timeout: Duration,
    /// Pause before a lost device is tried again; doubles with each failure.
    pub reattach_after: Duration,
    /// The longest such pause.
    pub reattach_after_max: Duration,
}

impl Default for AcceleratorConfig {
    fn default() -> Self {
        Self {
            software: fpga_hash::software(),
            recheck_one_in: 256,
            messages_min: 8,
            timeout: Duration::from_secs(2),
            reattach_after: Duration::from_secs(1),
            reattach_after_max: Duration::from_secs(60),
        }
    }
}

/// How the device is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceleratorStatus {
    /// It has work now.
    pub is_attached: bool,
    /// Good self-tests since the start.
    pub attachments: u64,
    /// Faults since the start, every kind.
    pub faults: [(FaultKind, u64); FaultKind::ALL.len()],
}

impl AcceleratorStatus {
    /// Faults of one kind.
    pub fn faults_of(&self, kind: FaultKind) -> u64 {
        self.faults.iter().filter(|(of, _)| *of == kind).map(|(_, count)| count).sum()
    }

    /// Faults of all kinds.
    pub fn fault_count(&self) -> u64 {
        self.faults.iter().map(|(_, count)| count).sum()
    }
}

/// What callers see of the attached device.
#[derive(Debug, Clone, Copy)]
struct Attached {
    limits: Limits,
    /// Number of the attachment: a doubt about an earlier one does not hurt a later one.
    number: u64,
}

/// What the device's thread and the callers share.
#[derive(Debug, Default)]
struct Shared {
    /// Requests are sent under a read lock, so that none enters the queue after a detachment emptied it.
    attached: RwLock<Option<Attached>>,
    attachments: AtomicU64,
    faults: FaultCounters,
}

/// An accelerator: a [`Hasher`] that uses a device while there is a good one.
///
/// The device belongs to one thread; this is the handle to it. Dropping it ends the thread.
#[derive(Debug)]
pub struct Accelerator {
    config: AcceleratorConfig,
    shared: Arc<Shared>,
    queue: SyncSender<Command>,
    work: WorkCounter,
    random: AtomicU64,
}

impl Accelerator {
    /// Starts the device's thread and waits for the first attempt to attach it, no longer than
    /// [`AcceleratorConfig::timeout`]. Without a device, or with a bad one, the accelerator works all the same, in
    /// software, and keeps trying.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<C: Connect>(connect: C, config: AcceleratorConfig) -> std::io::Result<Self> {
        let (queue, commands) = sync_channel(QUEUE_REQUESTS_MAX);
        let (tried, first_attempt) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let deadline = Deadline::after(config.timeout);
        let worker = worker::Worker::new(connect, config.clone(), shared.clone(), commands);
        std::thread::Builder::new().name("hash-device".to_owned()).spawn(move || worker.run(&tried))?;
        // If it died, or still waits for the system, nothing is attached now.
        let _ended = first_attempt.recv_timeout(deadline.timeout());
        let random = AtomicU64::new(RandomState::new().hash_one(0u8));
        Ok(Self { config, shared, queue, work: WorkCounter::default(), random })
    }

    /// How the device is doing.
    pub fn status(&self) -> AcceleratorStatus {
        // Both change under the write lock: who sees an attachment counted sees it open.
        let attached = self.shared.attached.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        AcceleratorStatus {
            is_attached: attached.is_some(),
            attachments: self.shared.attachments.load(Ordering::SeqCst),
            faults: self.shared.faults.snapshot(),
        }
    }

    /// What hashes when the device does not.
    pub fn software(&self) -> &Arc<dyn Hasher> {
        &self.config.software
    }

    /// Detaches the device until its next good self-test: somebody found that it was wrong.
    pub fn distrust(&self) {
        if let Some(attached) = self.attached() {
            self.doubt(attached.number);
        }
    }

    fn attached(&self) -> Option<Attached> {
        *self.shared.attached.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hashes a batch of items of one length, by the device where it can, and fills `digests` in any case. Says how many
    /// the device did.
    fn hash<B: Batch>(&self, batch: &B, digests: &mut [B::Output]) -> usize {
        let software = |items: Range<usize>, digests: &mut [B::Output]| {
            batch.software(items, digests, &*self.config.software);
        };
        let Some((attached, shape)) = self.suitable(batch, digests.len()) else {
            software(0..digests.len(), digests);
            return 0;
        };
        let deadline = Deadline::after(self.config.timeout);
        let items_max = items_max(&attached.limits, &shape);
        let sent: Vec<Option<Receiver<Answer>>> = (0..digests.len())
            .step_by(items_max)
            .map(|start| {
                self.send(batch, &shape, start..digests.len().min(start + items_max), attached.number)
            })
            .collect();
        let mut by_device = 0;
        for ((part, answer), digests) in sent.iter().enumerate().zip(digests.chunks_mut(items_max)) {
            let items = part * items_max..part * items_max + digests.len();
            let answer = answer.as_ref().and_then(|answer| answer.recv_timeout(deadline.timeout()).ok());
            if answer.is_some_and(|answer| self.take(batch, items.clone(), &answer, digests)) {
                by_device += digests.len();
            } else {
                software(items, digests);
            }
        }
        by_device
    }

    /// The device, and how it would be asked; `None` when this batch is software's.
    fn suitable(&self, batch: &impl Batch, items: usize) -> Option<(Attached, Shape)> {
        if items < self.config.messages_min.max(1) {
            return None;
        }
        let attached = self.attached()?;
        let shape = batch.shape(&attached.limits)?;
        (stride(shape.item_bytes) <= u64::from(attached.limits.payload_bytes_max))
            .then_some((attached, shape))
    }

    /// Puts a request in the queue; `None` when it is full or the attachment has gone whose limits the request keeps to.
    fn send(
        &self,
        batch: &impl Batch,
        shape: &Shape,
        items: Range<usize>,
        attachment: u64,
    ) -> Option<Receiver<Answer>> {
        let item_count = u32::try_from(items.len()).expect("bounded by the device's limits");
        let mut payload = Vec::new();
        batch.pack(items, shape, &mut payload);
        let (answer, receiver) = sync_channel(1);
        let request = Request { shape: *shape, item_count, payload, answer };
        let attached = self.shared.attached.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        attached.filter(|attached| attached.number == attachment)?;
        match self.queue.try_send(Command::Request(request)) {
            Ok(()) => Some(receiver),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// Takes an answer if its sample is right; else reports the device.
    fn take<B: Batch>(
        &self,
        batch: &B,
        items: Range<usize>,
        answer: &Answer,
        digests: &mut [B::Output],
    ) -> bool {
        let read: Option<Vec<B::Output>> = answer.digests.iter().map(|digest| B::read(digest)).collect();
        let right = |read: &[B::Output]| {
            self.sample(items.len()).all(|place| {
                let (mut expected, item) = ([read[place]], items.start + place);
                batch.software(item..item + 1, &mut expected, &*self.config.software);
                expected[0] == read[place]
            })
        };
        match read.filter(|read| read.len() == digests.len() && right(read)) {
            Some(read) => {
                digests.copy_from_slice(&read);
                true
            }
            None => {
                self.doubt(answer.attachment);
                false
            }
        }
    }

    /// The places that are checked: every n-th from a random one, at least one.
    fn sample(&self, items: usize) -> impl Iterator<Item = usize> + use<> {
        let random = splitmix(self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
        let below = |bound: usize| usize::try_from(random % bound as u64).expect("below a usize");
        let step = usize::try_from(self.config.recheck_one_in.max(1)).unwrap_or(usize::MAX);
        let first = below(step.min(items));
        (first..items).step_by(step)
    }

    /// A digest of this attachment was wrong: no more work for it. The device's thread counts and detaches.
    fn doubt(&self, attachment: u64) {
        let mut attached = self.shared.attached.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if attached.is_some_and(|attached| attached.number == attachment) {
            *attached = None;
            self.shared.faults.count(&Fault::WrongDigest);
            // When the queue is full the thread sees the closed gate at its next packet.
            let _full = self.queue.try_send(Command::Detach);
        }
    }
}

/// Items that one packet takes, at least one ([`Accelerator::suitable`]).
fn items_max(limits: &Limits, shape: &Shape) -> usize {
    let by_bytes = u64::from(limits.payload_bytes_max).checked_div(stride(shape.item_bytes));
    let items = by_bytes.unwrap_or(u64::MAX).min(limits.item_count_max.into());
    usize::try_from(items).unwrap_or(usize::MAX)
}

/// The output function of splitmix64 (Steele, Lea, Flood 2014).
fn splitmix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Hasher for Accelerator {
    fn engine(&self) -> &'static str {
        "fpga"
    }

    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        assert_eq!(messages.len(), digests.len(), "one digest per message");
        let mut places = digests;
        for run in messages.chunk_by(|a, b| a.len() == b.len()) {
            let (place, rest) = places.split_at_mut(run.len());
            places = rest;
            let hashes = self.hash(&Messages(run), place);
            self.work.count_keccak(hashes, hashes * run[0].len());
        }
    }

    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
        check_prefixed_shape(item_bytes, items.len(), digests.len());
        let whole = items.len() / item_bytes;
        let (items, last) = items.split_at(whole * item_bytes);
        let (digests, last_digest) = digests.split_at_mut(whole);
        if whole > 0 {
            let hashes = self.hash(&Prefixed { prefix, item_bytes, items }, digests);
            self.work.count_keccak(hashes, hashes * (1 + item_bytes));
        }
        if !last.is_empty() {
            self.config.software.keccak256_prefixed(prefix, item_bytes, last, last_digest);
        }
    }

    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        check_poseidon_shape(inputs.len(), width, digests.len());
        let hashes = self.hash(&Elements { width, inputs }, digests);
        self.work.count_poseidon(hashes, width);
    }

    /// What the device has done; software counts its own, samples included.
    fn work(&self) -> Work {
        self.work.snapshot()
    }
}
