//! Reader threads: reads block, so handlers hand them over through a bounded queue.
//!
//! A thread takes all waiting questions about single keys of one store and answers them by one read: one snapshot, one
//! manifest, one check of coverage, one text of the token. So the more wait, the less each one costs.
//!
//! A question that finds no read under way is answered where it was asked, as long as reads are quick: on a machine that has little to do,
//! most of what a get costs is that one thread waits until another one has woken up. Such a read cannot see that its client has gone, so
//! it has little time; what is not answered by then is handed over as any other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use rufous_core::{Error, Result};
use tokio::sync::oneshot;

use crate::clients::{Share, own_place};
use crate::problem::Problem;

/// Questions about single keys that one read answers at most.
pub(crate) const AT_ONCE: usize = 512;
/// A read that takes no longer may keep the thread that has the connections.
const QUICK: Duration = Duration::from_millis(1);
/// After one that took too long for that nobody tries again for so long.
const REST: Duration = Duration::from_millis(250);

/// A question about one key that waits.
pub(crate) struct Get<T> {
    pub(crate) question: T,
    pub(crate) deadline: Instant,
}

/// Tells a read that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    /// What a read looks at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Cancels when the handler that waits is dropped: the client went away, or its time was over.
pub(crate) struct CancelOnDrop(Option<Cancel>);

impl CancelOnDrop {
    pub(crate) fn new(cancel: Cancel) -> Self {
        Self(Some(cancel))
    }
    /// The answer is there: nothing is cancelled.
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}

type Task = Box<dyn FnOnce() + Send>;

enum Turn {
    /// Those of a lane that wait.
    Lane(usize),
    Task(Task),
}

struct Waiting<T> {
    lanes: Vec<VecDeque<Get<T>>>,
    /// A lane is in here once while something waits in it.
    turns: VecDeque<Turn>,
    closed: bool,
}

struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    wake: Condvar,
    most: usize,
    depth: AtomicUsize,
    /// Threads that wait for work.
    idle: AtomicUsize,
    /// Reads under way for those who wait in lanes.
    reads: AtomicUsize,
    /// The last of them was.
    quick: AtomicBool,
    /// Until then, in milliseconds since the beginning, no question is answered where it is asked.
    rests_until: AtomicU64,
    began: Instant,
}

/// Answers a question on the thread that asks; what it cannot answer soon comes back.
type Here<T> = Box<dyn Fn(usize, Get<T>) -> Option<Get<T>> + Send + Sync>;

/// A read under way, for those who wait in a lane.
struct Reading<'a, T> {
    of: &'a Queue<T>,
    began: Instant,
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        self.of.quick.store(self.began.elapsed() <= QUICK, Ordering::Relaxed);
        self.of.reads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Queue<T> {
    /// What is changed under the lock cannot fail half-way, so a poisoned one guards a whole state.
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Milliseconds since the beginning.
    fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
    /// Begins a read.
    fn read(&self) -> Reading<'_, T> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Reading {
            of: self,
            began: Instant::now(),
        }
    }
    /// Begins one on a thread of the runtime, if none is under way, none waits, they are quick, and the runtime has other threads: one that
    /// proves slow after all holds up nobody else.
    fn read_here(&self) -> Option<Reading<'_, T>> {
        let alone = self.quick.load(Ordering::Relaxed) && self.depth.load(Ordering::Relaxed) == 0;
        let others = || tokio::runtime::Handle::try_current().is_ok_and(|runtime| runtime.metrics().num_workers() > 1);
        if !alone || self.age() < self.rests_until.load(Ordering::Relaxed) || !others() {
            return None;
        }
        let first = self.reads.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        first.ok().map(|_| Reading {
            of: self,
            began: Instant::now(),
        })
    }
    fn enter(&self) -> Result<(), Problem> {
        if self.depth.fetch_add(1, Ordering::Relaxed) < self.most {
            return Ok(());
        }
        self.depth.fetch_sub(1, Ordering::Relaxed);
        Err(Problem::busy(format!("{} reads wait already", self.most)))
    }
    fn put(&self, add: impl FnOnce(&mut Waiting<T>)) -> Result<(), Problem> {
        self.enter()?;
        let mut waiting = self.lock();
        if waiting.closed {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Err(Problem::ending());
        }
        add(&mut waiting);
        let idle = self.idle.load(Ordering::Relaxed) > 0;
        drop(waiting);
        if idle {
            self.wake.notify_one();
        }
        Ok(())
    }
}

/// Threads with a queue. Dropping it waits for the reads under way.
pub(crate) struct Pool<T: Send + 'static> {
    queue: Arc<Queue<T>>,
    here: Option<Here<T>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    panics: Counter,
    /// What one client has of the queue.
    share: Option<Share>,
}

impl<T: Send + 'static> Pool<T> {
    /// `answer` is called with a lane and what waited in it, the expired and the abandoned too.
    pub(crate) fn new(
        name: &str,
        threads: usize,
        most: usize,
        lanes: usize,
        panics: &Counter,
        answer: impl Fn(usize, Vec<Get<T>>) + Send + Sync + Clone + 'static,
    ) -> Result<Self> {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Waiting {
                lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
                turns: VecDeque::new(),
                closed: false,
            }),
            wake: Condvar::new(),
            most,
            depth: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            quick: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
            began: Instant::now(),
        });
        let pool = Self {
            queue,
            here: None,
            threads: Mutex::default(),
            panics: panics.clone(),
            share: None,
        };
        for n in 0..threads.max(1) {
            let (queue, answer) = (pool.queue.clone(), answer.clone());
            let thread = std::thread::Builder::new()
                .name(format!("rufous-{name}-{n}"))
                .spawn(move || work(&queue, &answer))
                .map_err(|e| Error::try_again(format!("a reader thread cannot start: {e}")).caused_by(e))?;
            pool.lock_threads().push(thread);
        }
        Ok(pool)
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins no read any more, and waits for those under way, unless one of them asks.
    pub(crate) fn end(&self) {
        let mut waiting = self.queue.lock();
        waiting.closed = true;
        let turns = std::mem::take(&mut waiting.turns);
        let lanes: Vec<_> = waiting.lanes.iter_mut().map(std::mem::take).collect();
        drop(waiting);
        // Their handlers are told by the end of the channel.
        drop((turns, lanes));
        self.queue.wake.notify_all();
        let threads = std::mem::take(&mut *self.lock_threads());
        let own = std::thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            // A panic in it was answered where it happened.
            let _ = thread.join();
        }
    }

    /// The same, of which one client has no more than its share.
    pub(crate) fn shared(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// The same, which answers questions on the threads that ask while reads are quick, one at a time.
    pub(crate) fn here(mut self, answer: impl Fn(usize, Get<T>) -> Option<Get<T>> + Send + Sync + 'static) -> Self {
        self.here = Some(Box::new(answer));
        self
    }

    /// Hands a question about one key over, or answers it at once.
    pub(crate) fn ask(&self, lane: usize, mut get: Get<T>) -> Result<(), Problem> {
        if let Some(here) = &self.here
            && let Some(reading) = self.queue.read_here()
        {
            let left = here(lane, get);
            drop(reading);
            match left {
                None => return Ok(()),
                Some(left) => {
                    let until = self.queue.age().saturating_add(REST.as_millis() as u64);
                    self.queue.rests_until.store(until, Ordering::Relaxed);
                    get = left;
                }
            }
        }
        self.queue.put(|waiting| {
            let Some(of_lane) = waiting.lanes.get_mut(lane) else {
                return;
            };
            of_lane.push_back(get);
            if of_lane.len() == 1 {
                waiting.turns.push_back(Turn::Lane(lane));
            }
        })
    }

    /// Runs a read of another kind and waits for it until the deadline; one that nobody waits for any more is not begun, and is
    /// told so by `cancel` when it has.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        deadline: Instant,
        cancel: &Cancel,
        read: impl FnOnce() -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        let (reply, answer) = oneshot::channel();
        let dropped = CancelOnDrop::new(cancel.clone());
        let panics = self.panics.clone();
        let own = self.share.map_or(Ok(None), own_place)?;
        let task = move || {
            // It waits no more.
            drop(own);
            if reply.is_closed() {
                return;
            }
            let found = if Instant::now() < deadline {
                caught(&panics, read)
            } else {
                Err(waited())
            };
            // Who asked may be gone.
            let _ = reply.send(found);
        };
        self.queue
            .put(|waiting| waiting.turns.push_back(Turn::Task(Box::new(task))))?;
        let found = answered(deadline, answer).await;
        if found.is_ok() {
            dropped.done();
        }
        found
    }

    /// Runs a read that answers by itself, unless it is cancelled before.
    pub(crate) fn start(&self, cancelled: Cancel, read: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
        let panics = self.panics.clone();
        let own = self.share.map_or(Ok(None), own_place)?;
        let task = move || {
            drop(own);
            if !cancelled.is_cancelled() {
                // What it would have answered ends with it.
                let _ = caught(&panics, || {
                    read();
                    Ok(())
                });
            }
        };
        self.queue
            .put(|waiting| waiting.turns.push_back(Turn::Task(Box::new(task))))
    }

    /// How many wait.
    pub(crate) fn depth(&self) -> usize {
        self.queue.depth.load(Ordering::Relaxed)
    }
}

/// Waits for an answer until the deadline.
pub(crate) async fn answered<R>(
    deadline: Instant,
    answer: oneshot::Receiver<Result<R, Problem>>,
) -> Result<R, Problem> {
    match tokio::time::timeout_at(deadline.into(), answer).await {
        Ok(Ok(found)) => found,
        // The pool ended with the question in its queue.
        Ok(Err(_)) => Err(Problem::ending()),
        Err(_) => Err(Problem::late("the read took longer than a request may")),
    }
}

pub(crate) fn waited() -> Problem {
    Problem::late("the read waited in the queue for longer than a request may take, and was not begun")
}

/// Runs a read. One that panics is a mistake of ours: counted, logged, and answered.
pub(crate) fn caught<R>(panics: &Counter, read: impl FnOnce() -> Result<R, Problem>) -> Result<R, Problem> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        panics.inc();
        tracing::error!(panic = text, "a read panicked");
        Err(Problem::bug(format!("a read panicked: {text}")))
    })
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(it does not say why)")
}

fn work<T>(queue: &Queue<T>, answer: &dyn Fn(usize, Vec<Get<T>>)) {
    let mut waiting = queue.lock();
    loop {
        match waiting.turns.pop_front() {
            Some(Turn::Lane(lane)) => {
                let mut taken = Vec::new();
                if let Some(of_lane) = waiting.lanes.get_mut(lane) {
                    taken.extend(of_lane.drain(..of_lane.len().min(AT_ONCE)));
                    if !of_lane.is_empty() {
                        waiting.turns.push_back(Turn::Lane(lane));
                    }
                }
                let more = !waiting.turns.is_empty();
                drop(waiting);
                queue.depth.fetch_sub(taken.len(), Ordering::Relaxed);
                if more {
                    queue.wake.notify_one();
                }
                {
                    let _reading = queue.read();
                    answer(lane, taken);
                }
                waiting = queue.lock();
            }
            Some(Turn::Task(task)) => {
                drop(waiting);
                queue.depth.fetch_sub(1, Ordering::Relaxed);
                task();
                waiting = queue.lock();
            }
            None if waiting.closed => return,
            None => {
                queue.idle.fetch_add(1, Ordering::Relaxed);
                waiting = queue.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                queue.idle.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl<T: Send + 'static> Drop for Pool<T> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// What waits while a read is under way is answered by the next one at once, lane by lane.
    #[test]
    fn what_waits_is_taken_at_once() {
        let (seen, taken) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let pool = Pool::new(
            "test",
            1,
            100,
            2,
            &Counter::default(),
            move |lane, gets: Vec<Get<u32>>| {
                let questions: Vec<u32> = gets.into_iter().map(|g| g.question).collect();
                seen.send((lane, questions)).unwrap();
                let _ = gate.lock().unwrap().recv();
            },
        )
        .unwrap();
        let ask = |lane, question| {
            pool.ask(
                lane,
                Get {
                    question,
                    deadline: later(),
                },
            )
        };
        ask(0, 1).unwrap();
        assert_eq!(taken.recv().unwrap(), (0, vec![1]));
        for (lane, n) in [(1, 2), (0, 3), (1, 4), (0, 5)] {
            ask(lane, n).unwrap();
        }
        drop(go);
        assert_eq!(taken.recv().unwrap(), (1, vec![2, 4]));
        assert_eq!(taken.recv().unwrap(), (0, vec![3, 5]));
        assert_eq!(pool.depth(), 0);
    }

    /// Once reads are quick a question that finds none under way is answered where it was asked, on a runtime that has other threads. What
    /// is not answered there soon is handed over, and for a while everything is.
    #[test]
    fn quick_reads_are_done_where_they_are_asked() {
        for (workers, expected) in [(1, [false; 5]), (2, [false, true, true, false, false])] {
            let (seen, answered) = mpsc::channel();
            let there = seen.clone();
            let pool = Pool::new(
                "test",
                1,
                100,
                1,
                &Counter::default(),
                move |_, _: Vec<Get<Duration>>| {
                    there.send(false).unwrap();
                },
            );
            let pool = Arc::new(pool.unwrap().here(move |_, get| {
                std::thread::sleep(get.question);
                if get.question.is_zero() {
                    seen.send(true).unwrap();
                    return None;
                }
                Some(get)
            }));
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers)
                .build()
                .unwrap();
            let mut here = Vec::new();
            for question in [0, 0, 0, 20, 0].map(Duration::from_millis) {
                let asking = pool.clone();
                let deadline = later();
                let ask = async move { asking.ask(0, Get { question, deadline }) };
                runtime.block_on(runtime.spawn(ask)).unwrap().unwrap();
                here.push(answered.recv().unwrap());
                // The thread of the pool says how long it took after it has answered.
                while pool.queue.reads.load(Ordering::Relaxed) > 0 {
                    std::thread::yield_now();
                }
            }
            assert_eq!(here, expected, "{workers} threads");
        }
    }

    /// While a read is under way, here or there, the next question waits in the queue.
    #[test]
    fn one_read_at_a_time_is_done_where_it_is_asked() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (there, taken) = mpsc::channel();
        let pool = Pool::new("test", 1, 100, 1, &Counter::default(), move |_, _: Vec<Get<()>>| {
            there.send(()).unwrap();
        });
        let pool = pool.unwrap().here(move |_, _| {
            let _ = gate.lock().unwrap().recv();
            None
        });
        pool.queue.quick.store(true, Ordering::Relaxed);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let ask = || {
            let _runtime = runtime.enter();
            let deadline = later();
            pool.ask(0, Get { question: (), deadline }).unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(ask);
            while pool.queue.reads.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            ask();
            taken.recv().unwrap();
            drop(go);
        });
    }

    /// A full queue refuses at once, and what was refused takes no place.
    #[test]
    fn a_full_queue_refuses() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (began, begun) = mpsc::channel();
        let pool = Pool::new("test", 1, 3, 1, &Counter::default(), move |_, _: Vec<Get<u32>>| {
            began.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
        })
        .unwrap();
        let ask = || {
            pool.ask(
                0,
                Get {
                    question: 0,
                    deadline: later(),
                },
            )
        };
        ask().unwrap();
        begun.recv().unwrap();
        for _ in 0..3 {
            ask().unwrap();
        }
        for _ in 0..2 {
            assert_eq!(ask().unwrap_err().status(), 503);
        }
        assert_eq!(pool.depth(), 3);
        drop(go);
    }

    /// A read whose time is over while it waits is not begun; one that panics is answered; one that nobody waits for is told.
    #[tokio::test]
    async fn late_reads_are_not_begun_and_panics_are_answered() {
        let pool = Pool::new("test", 1, 10, 0, &Counter::default(), |_, _: Vec<Get<()>>| {}).unwrap();
        let past = Instant::now();
        let e = pool
            .run(past, &Cancel::default(), || -> Result<(), _> { panic!("it was begun") })
            .await
            .unwrap_err();
        assert_eq!(e.status(), 503);
        let e = pool
            .run(later(), &Cancel::default(), || -> Result<(), _> {
                panic!("so it goes")
            })
            .await
            .unwrap_err();
        assert_eq!(e.status(), 500);
        assert!(format!("{e:?}").contains("so it goes"), "{e:?}");
        let (told, cancelled) = mpsc::channel();
        let soon = Instant::now() + Duration::from_millis(50);
        let cancel = Cancel::default();
        let seen = cancel.clone();
        let e = pool.run(soon, &cancel, move || {
            while !seen.is_cancelled() {
                std::thread::yield_now();
            }
            told.send(()).unwrap();
            Ok(())
        });
        assert_eq!(e.await.unwrap_err().status(), 503);
        cancelled.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
