//! [`Pool`]: the executor.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rq_core::{Ended, Execution, ExecutionId, Executor, Stop, Want};
use rq_worker::{Jobs, LaunchError, Program, RETURN_GRACE, Watch, start_signal_threads, want};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::run_queue::RunQueue;
use crate::task::{Shared, Task};

/// How often the pool looks for overdue jobs, while any runs.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// A pool of threads that runs one job each.
///
/// Run queue and channel hold at most one entry for each slot and stuck thread, as the dispatcher starts nothing
/// without a free slot.
pub(crate) struct Pool {
    slots: usize,
    shared: Arc<Shared>,
    tasks: Arc<RunQueue<Task>>,
    events: UnboundedReceiver<PoolEvent>,
    sender: UnboundedSender<PoolEvent>,
    watched: HashMap<ExecutionId, Watched>,
    /// When the pool looks for overdue jobs next.
    look_at: Instant,
    /// Executions that no thread could be had for.
    unbegun: VecDeque<(ExecutionId, Want)>,
    stuck: usize,
    threads_started: usize,
    /// How many threads serve the run queue, at most one a slot: each has at most one job that is watched.
    threads: usize,
}

struct Watched {
    watch: Arc<Watch>,
    /// When the pool gives the thread up, once it was asked to kill the job.
    killed_at: Option<Instant>,
}

/// What a thread reports to the pool.
enum PoolEvent {
    /// A job ended.
    Ended(ExecutionId, Result<Ended, Want>),
    /// A job returned after its thread was given up; the thread has ended.
    Returned,
}

impl Pool {
    /// Runs the program's preloads in this thread, and starts the threads of the pool.
    pub(crate) fn start(program: Program, slots: usize) -> Result<Pool, LaunchError> {
        let (jobs, preloads) = Jobs::of(program)?;
        // Before there is a thread: what a preload makes is there for the first job of each.
        preloads.run()?;
        start_signal_threads()?;
        let (sender, events) = unbounded_channel();
        let mut pool = Pool {
            slots,
            shared: Arc::new(Shared { jobs }),
            tasks: Arc::new(RunQueue::new()),
            events,
            sender,
            watched: HashMap::new(),
            look_at: Instant::now(),
            unbegun: VecDeque::new(),
            stuck: 0,
            threads_started: 0,
            threads: 0,
        };
        let started = (0..slots).try_for_each(|_| pool.start_thread());
        // Those that are missing are tried again when a job needs one; a worker without any refuses to start.
        if pool.threads > 0 { Ok(pool) } else { Ok(started.map(|()| pool)?) }
    }

    fn start_thread(&mut self) -> io::Result<()> {
        self.threads_started += 1;
        let (shared, tasks, sender) =
            (Arc::clone(&self.shared), Arc::clone(&self.tasks), self.sender.clone());
        let thread = thread::Builder::new().name(format!("rq-job-{}", self.threads_started));
        thread.spawn(move || work(&shared, &tasks, &sender))?;
        self.threads += 1;
        Ok(())
    }

    /// Gives up one thread whose job should have ended, if there is one.
    fn give_up_overdue(&mut self) -> Option<(ExecutionId, Ended)> {
        let now = Instant::now();
        // One at a time: the executor reports one end a call, and is asked again at once. A job that returned just now is
        // none of them: its end is on its way through the channel.
        let give_up = |(id, watched): (&ExecutionId, &Watched)| {
            let failure = watched.watch.give_up_if_due(watched.killed_at, now)?;
            let (ran, called_back) = (watched.watch.ran(), watched.watch.has_called_back());
            Some((id.clone(), Ended { outcome: Err(failure), ran, called_back }))
        };
        let (id, ended) = self.watched.iter().find_map(give_up)?;
        self.watched.remove(&id);
        // The slot counts as free from now on, so another thread has to serve it: the next job that needs one has it
        // started.
        self.stuck += 1;
        self.threads -= 1;
        Some((id, ended))
    }

    /// How many threads may be stuck before a fresh process is the better choice.
    fn stuck_max(&self) -> usize {
        // With one slot a single stuck job would end the worker, though its thread can be replaced.
        self.slots.max(2)
    }
}

#[async_trait]
impl Executor for Pool {
    fn slots(&self) -> usize {
        self.slots
    }

    fn start(&mut self, execution: Execution) {
        // A thread that was given up, or could not be had before, is missing.
        if self.watched.len() >= self.threads
            && let Err(error) = self.start_thread()
        {
            let want = want("no thread could be had for a job", &error);
            return self.unbegun.push_back((execution.id, want));
        }
        let watch = Arc::new(Watch::new(execution.limit));
        let watched = Watched { watch: Arc::clone(&watch), killed_at: None };
        self.watched.insert(execution.id.clone(), watched);
        self.tasks.put(Task { execution, watch });
    }

    fn stop(&mut self, id: &ExecutionId, how: Stop) {
        let Some(watched) = self.watched.get_mut(id) else { return };
        watched.watch.stop();
        if how == Stop::Kill {
            // The first request counts: a second one does not prolong the grace.
            watched.killed_at.get_or_insert_with(|| Instant::now() + RETURN_GRACE);
        }
    }

    fn has_called_back(&self, id: &ExecutionId) -> bool {
        self.watched.get(id).is_some_and(|watched| watched.watch.has_called_back())
    }

    async fn ended(&mut self) -> (ExecutionId, Result<Ended, Want>) {
        loop {
            if let Some((id, want)) = self.unbegun.pop_front() {
                return (id, Err(want));
            }
            // Also while ends come without a pause, which `select!` below takes first.
            if self.look_at <= Instant::now() {
                // The time of the next look is left: there may be more that are overdue.
                if let Some((id, ended)) = self.give_up_overdue() {
                    return (id, Ok(ended));
                }
                self.look_at = Instant::now() + LOOK_PAUSE;
            }
            let nothing_to_watch = self.watched.is_empty();
            tokio::select! {
                biased;
                events = self.events.recv() => match events {
                    Some(PoolEvent::Ended(id, ended)) => {
                        self.watched.remove(&id);
                        return (id, ended);
                    }
                    // Its thread has ended, and another one serves the slot.
                    Some(PoolEvent::Returned) => self.stuck -= 1,
                    None => unreachable!("the pool itself holds a sender"),
                },
                () = tokio::time::sleep_until(self.look_at.into()), if !nothing_to_watch => {}
            }
        }
    }

    fn exhausted(&self) -> Option<String> {
        let stuck = self.stuck;
        (stuck >= self.stuck_max()).then(|| match stuck {
            1 => "a thread is stuck in a job that ignores its time limit".to_owned(),
            _ => format!("{stuck} threads are stuck in jobs that ignore their time limits"),
        })
    }
}

impl Drop for Pool {
    /// What still runs when a worker is given up in the middle is asked to end: its jobs are others' soon.
    fn drop(&mut self) {
        self.watched.values().for_each(|watched| watched.watch.stop());
        self.tasks.close();
    }
}

/// What a thread does: one job after the other, until the pool is gone or gives it up.
fn work(shared: &Shared, tasks: &RunQueue<Task>, sender: &UnboundedSender<PoolEvent>) {
    while let Some(task) = tasks.take() {
        let ended = task.run(shared);
        // Who takes this flag tells the end: the thread, or the pool that has given it up.
        let in_time = task.watch.returned();
        let events = if in_time { PoolEvent::Ended(task.execution.id, ended) } else { PoolEvent::Returned };
        // A thread that was given up must not go on: another one serves its slot by now.
        if sender.send(events).is_err() || !in_time {
            return;
        }
    }
}
