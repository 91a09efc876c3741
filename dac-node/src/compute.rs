//! The threads that hash, code and verify; nothing else does.
//!
//! Promise: work starts in the order it was given. Work is bounded by whoever gives it: pieces by their senders'
//! credits, stripes and batches by the engine's limits. Members of one process share one pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// A pool of compute threads. Clones share it.
#[derive(Clone, Debug)]
pub struct ComputePool {
    pool: Arc<rayon::ThreadPool>,
    signature_nanos: Arc<AtomicU64>,
}

impl ComputePool {
    /// A pool of `threads` threads; 0 means one for each processor.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(threads: usize) -> Result<ComputePool, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()?;
        Ok(ComputePool { pool: Arc::new(pool), signature_nanos: Arc::default() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` when a thread is free.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        self.pool.spawn_fifo(work);
    }

    /// Runs work on signatures, which is counted apart from hashing and coding.
    pub fn spawn_signature(&self, work: impl FnOnce() + Send + 'static) {
        let nanos = self.signature_nanos.clone();
        self.pool.spawn_fifo(move || {
            let before = thread_cpu_time();
            work();
            let spent = thread_cpu_time().saturating_sub(before);
            nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        });
    }

    /// Runs `work` and hands its result back; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn_fifo(move || {
            // Nobody waits any more: the result is not needed.
            let _unwanted = sender.send(work());
        });
        receiver.await.ok()
    }

    /// Processor time that hashing and coding took since the pool was made. Asks every thread, so it waits for the work
    /// they are at.
    pub fn hashing_and_coding_cpu_time(&self) -> Duration {
        let all: Duration = self.pool.broadcast(|_| thread_cpu_time()).into_iter().sum();
        all.saturating_sub(Duration::from_nanos(self.signature_nanos.load(Ordering::Relaxed)))
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
