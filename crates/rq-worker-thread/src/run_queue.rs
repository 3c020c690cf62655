//! [`RunQueue`]: where tasks wait until a thread takes them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tasks that wait for a thread. Whichever thread is free first takes the oldest.
///
/// To wake a thread costs more than a small job. So no more threads are on their way at once than the machine has
/// processors; a thread that takes a task and leaves others wakes the next thread. Long jobs have all their threads
/// after a few such steps; the first few threads do small jobs one after the other, and need not sleep in between. No
/// thread spins while it waits: it would take the processor from Redis.
pub(crate) struct RunQueue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    on_their_way_max: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// How many threads sleep, those that were woken and have not arrived included.
    idle: usize,
    /// How many threads were woken and have not arrived.
    on_their_way: usize,
    closed: bool,
}

impl<T> RunQueue<T> {
    pub(crate) fn new() -> RunQueue<T> {
        let state = State { waiting: VecDeque::new(), idle: 0, on_their_way: 0, closed: false };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        RunQueue { state: Mutex::new(state), filled: Condvar::new(), on_their_way_max: processors }
    }

    /// Adds an item at the end.
    pub(crate) fn put(&self, item: T) {
        let mut state = self.lock();
        state.waiting.push_back(item);
        self.call_one(state);
    }

    /// Takes the item that has waited longest; waits for one where there is none. `None` once the run queue is closed.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            // Even with items left: a worker that is given up begins no more jobs.
            if state.closed {
                return None;
            }
            // Looked for after each wake: another thread may have been faster, and a wait may end without a call.
            if let Some(item) = state.waiting.pop_front() {
                self.call_one(state);
                return Some(item);
            }
            state.idle += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            // A thread that wakes without a call is counted as if it had been called: at worst another is called for
            // it.
            state.on_their_way = state.on_their_way.saturating_sub(1);
        }
    }

    /// Ends every wait. Items that are left are dropped with the run queue.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        // Those that run find it closed when they come back.
        self.filled.notify_all();
    }

    /// Wakes a thread, if there is an item for one more; after the lock is released, which that thread takes first of
    /// all.
    fn call_one(&self, mut state: MutexGuard<'_, State<T>>) {
        // Those on their way still count as idle, and must not be called twice.
        let asleep = state.idle - state.on_their_way.min(state.idle);
        if !state.waiting.is_empty() && asleep > 0 && state.on_their_way < self.on_their_way_max {
            state.on_their_way += 1;
            drop(state);
            self.filled.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::sync::{Arc, Barrier};
    use std::thread;
    use std::time::Duration;

    use super::*;

    const THREADS: usize = 32;
    const LONGEST: Duration = Duration::from_secs(20);

    #[test]
    fn every_item_is_taken_once() {
        const ITEMS: usize = 20_000;
        let run_queue = Arc::new(RunQueue::new());
        let (sender, told) = mpsc::channel();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (run_queue, sender) = (Arc::clone(&run_queue), sender.clone());
                thread::spawn(move || {
                    while let Some(item) = run_queue.take() {
                        sender.send(item).unwrap();
                    }
                })
            })
            .collect();
        (0..ITEMS).for_each(|item| run_queue.put(item));
        let mut taken: Vec<usize> = (0..ITEMS).map(|_| told.recv_timeout(LONGEST).unwrap()).collect();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..ITEMS));
        run_queue.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// Each waits for all others: none may be left lying while a thread sleeps.
    #[test]
    fn as_many_run_at_once_as_there_are_threads() {
        let run_queue = Arc::new(RunQueue::<Arc<Barrier>>::new());
        let (sender, told) = mpsc::channel();
        for _ in 0..THREADS {
            let (run_queue, sender) = (Arc::clone(&run_queue), sender.clone());
            thread::spawn(move || {
                while let Some(barrier) = run_queue.take() {
                    barrier.wait();
                    let _ = sender.send(());
                }
            });
        }
        for _ in 0..50 {
            let barrier = Arc::new(Barrier::new(THREADS));
            (0..THREADS).for_each(|_| run_queue.put(Arc::clone(&barrier)));
            (0..THREADS).for_each(|_| told.recv_timeout(LONGEST).unwrap());
        }
        run_queue.close();
    }
}
