//! The threads that hash, code and verify; nothing else does.
//!
//! Promise: heavy work starts in the order of turns: what came first. A batch has one turn for all of it, so a later one
//! does not make it wait. What is short and keeps others waiting has threads of its own: the check of the piece that this
//! member pushes on, its signature, the aggregation of a quorum. Where processors are short, heavy work gives way a little
//! (`nice` 1) to these, to the network and to the store. Work is bounded by whoever gives it: pieces by their senders'
//! credits, stripes and batches by the engine's limits. Members of one process share one pool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use rustix::process::nice;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// A pool of compute threads. Clones share it.
#[derive(Clone, Debug)]
pub struct ComputePool {
    heavy: Arc<ThreadPool>,
    line: Arc<Line>,
    short: Arc<ThreadPool>,
    signature_nanos: Arc<AtomicU64>,
}

/// A place in the line of a pool; what an earlier one gives runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(u64);

/// Heavy work that has no thread yet. Work of one turn is in the order it was given.
#[derive(Default)]
struct Line {
    jobs: Mutex<BTreeMap<(Turn, u64), Job>>,
    newest: AtomicU64,
}

type Job = Box<dyn FnOnce() + Send>;

impl Line {
    fn next_number(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("jobs", &self.jobs.lock().len()).finish_non_exhaustive()
    }
}

impl ComputePool {
    /// A pool of `threads` threads of each sort; 0 means one for each processor.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(threads: usize) -> Result<ComputePool, ThreadPoolBuildError> {
        Ok(ComputePool {
            heavy: Arc::new(pool("compute", threads, true)?),
            line: Arc::default(),
            short: Arc::new(pool("short", threads, false)?),
            signature_nanos: Arc::default(),
        })
    }

    /// Threads for heavy work.
    pub fn threads(&self) -> usize {
        self.heavy.current_num_threads()
    }

    /// A turn after all that were taken before.
    pub fn turn(&self) -> Turn {
        Turn(self.line.next_number())
    }

    /// Runs heavy work when a thread is free and no earlier turn has work.
    pub fn spawn(&self, turn: Turn, work: impl FnOnce() + Send + 'static) {
        self.line.jobs.lock().insert((turn, self.line.next_number()), Box::new(work));
        let line = self.line.clone();
        // As many threads come as there are jobs, each for the first in line.
        self.heavy.spawn_fifo(move || {
            let first = line.jobs.lock().pop_first();
            if let Some((_, job)) = first {
                job();
            }
        });
    }

    /// Runs work that is short and keeps others waiting, in the order it is given.
    pub fn spawn_short(&self, work: impl FnOnce() + Send + 'static) {
        self.short.spawn_fifo(work);
    }

    /// The work, on signatures, counted apart from hashing and coding wherever it runs.
    pub fn on_signatures(&self, work: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        let nanos = self.signature_nanos.clone();
        move || {
            let before = thread_cpu_time();
            work();
            let spent = thread_cpu_time().saturating_sub(before);
            nanos.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Runs heavy `work` in a turn of its own and hands its result back; `None` when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.run_in(self.turn(), work).await
    }

    /// Like [`ComputePool::run`], in a turn that was taken before.
    pub async fn run_in<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(turn, move || {
            // Nobody waits any more: the result is not needed.
            let _unwanted = sender.send(work());
        });
        receiver.await.ok()
    }

    /// Processor time that hashing and coding took since the pool was made. Asks every thread, so it waits for the work
    /// they are at.
    pub fn hashing_and_coding_cpu_time(&self) -> Duration {
        let of = |pool: &ThreadPool| -> Duration { pool.broadcast(|_| thread_cpu_time()).into_iter().sum() };
        let signatures = Duration::from_nanos(self.signature_nanos.load(Ordering::Relaxed));
        (of(&self.heavy) + of(&self.short)).saturating_sub(signatures)
    }
}

fn pool(name: &'static str, threads: usize, gives_way: bool) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |index| format!("{name}-{index}"))
        .start_handler(move |_| {
            if gives_way {
                // On Linux of this thread alone. To be less than others is always allowed.
                let _allowed = nice(1);
            }
        })
        // The hook has said where, and whoever waits is told that there is no answer.
        .panic_handler(|_| tracing::error!("work on a compute thread panicked"))
        .build()
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn an_earlier_turn_comes_before_a_later_one() {
        let pool = ComputePool::new(1).unwrap();
        let (open, gate) = mpsc::sync_channel::<()>(1);
        pool.spawn(pool.turn(), move || gate.recv().unwrap());
        let (earlier, later) = (pool.turn(), pool.turn());
        let (sender, order) = mpsc::sync_channel(4);
        let say = |what: &'static str| {
            let sender = sender.clone();
            move || sender.send(what).unwrap()
        };
        pool.spawn(later, say("third"));
        pool.spawn(earlier, say("first"));
        pool.spawn(later, say("fourth"));
        pool.spawn(earlier, say("second"));
        open.send(()).unwrap();
        let seen: Vec<_> = order.iter().take(4).collect();
        assert_eq!(seen, ["first", "second", "third", "fourth"]);
    }

    #[test]
    fn what_is_short_does_not_wait_for_what_is_heavy() {
        let pool = ComputePool::new(1).unwrap();
        let (open, gate) = mpsc::sync_channel::<()>(1);
        pool.spawn(pool.turn(), move || gate.recv().unwrap());
        let (sender, order) = mpsc::sync_channel(2);
        let signed = sender.clone();
        pool.spawn_short(pool.on_signatures(move || signed.send("signature").unwrap()));
        pool.spawn_short(move || sender.send("check").unwrap());
        assert_eq!(order.iter().take(2).collect::<Vec<_>>(), ["signature", "check"]);
        open.send(()).unwrap();
    }

    #[test]
    fn heavy_work_gives_way_to_what_is_short() {
        let pool = ComputePool::new(1).unwrap();
        let (sender, niceness) = mpsc::sync_channel(1);
        let say = || {
            let sender = sender.clone();
            move || sender.send(getpriority_process(None).unwrap()).unwrap()
        };
        pool.spawn(pool.turn(), say());
        let heavy = niceness.recv().unwrap();
        pool.spawn_short(say());
        let short = niceness.recv().unwrap();
        let own = getpriority_process(None).unwrap();
        assert_eq!((heavy, short), ((own + 1).min(19), own));
    }

    #[tokio::test]
    async fn work_that_panics_answers_nothing_and_the_next_runs() {
        let pool = ComputePool::new(1).unwrap();
        assert_eq!(pool.run(|| panic!("planted")).await, None::<()>);
        assert_eq!(pool.run(|| 7).await, Some(7));
    }
}
