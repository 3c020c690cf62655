//! [`SingleThreaded`]: the proof that a process may fork.

use std::io;
use std::time::Duration;

use nix::unistd::gettid;

use crate::listing::threads;

/// Proof that this process has one thread. Code that starts threads must have given it away before.
#[derive(Debug)]
pub struct SingleThreaded(());

impl SingleThreaded {
    /// Counts the threads.
    ///
    /// # Errors
    /// If there are more threads; it names them.
    pub fn make_sure() -> io::Result<SingleThreaded> {
        match threads()? {
            1 => Ok(SingleThreaded(())),
            count => {
                let others = described(count, other_threads());
                Err(io::Error::other(format!(
                    "a process that forks must have one thread, and this one has {others}"
                )))
            }
        }
    }

    /// [`make_sure`](SingleThreaded::make_sure), with some patience for threads that have been joined: the system counts them
    /// a moment longer.
    pub fn make_sure_soon() -> io::Result<SingleThreaded> {
        for _ in 0..LOOKS_MAX {
            if threads()? == 1 {
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        SingleThreaded::make_sure()
    }
}

/// How often, and how far apart, threads are counted that may just have ended.
const LOOKS_MAX: usize = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How many threads are named.
const NAMED_MAX: usize = 5;

/// What the threads of this process beside this one are called.
fn other_threads() -> Vec<String> {
    let own = gettid().to_string();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = threads.filter(|thread| *thread.file_name() != *own);
    let names = others.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

fn described(count: u64, mut others: Vec<String>) -> String {
    others.truncate(NAMED_MAX);
    format!("{count}: besides its first {}", others.join(", "))
}
