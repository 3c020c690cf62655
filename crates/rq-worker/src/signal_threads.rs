//! [`start_signal_threads`]: threads that take signals, so that none interrupts a job.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many there are: a worker handles three signals, and its first thread takes one.
const THREADS: usize = 2;
/// They do nothing.
const STACK_BYTES: usize = 64 << 10;

static STARTED: Mutex<usize> = Mutex::new(0);

/// Starts, once a process, the threads that take signals in the place of those that jobs run on. An executor whose jobs run
/// on threads of its worker's process calls it before it starts these.
///
/// A system call that a job waits in may fail of a signal, whatever the handler asks for (signal(7)); and a thread that
/// blocks signals hands that on to the programs that its job starts. Linux gives a signal to a process's first thread, where
/// a worker waits for it. While that has one signal, which it needs a moment to take, another is given to the next thread
/// that is there: so these come before those of jobs.
pub fn start_signal_threads() -> io::Result<()> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    while *started < THREADS {
        let thread = thread::Builder::new().name("rq-signals".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(|| {
            loop {
                thread::park();
            }
        })?;
        *started += 1;
    }
    Ok(())
}
