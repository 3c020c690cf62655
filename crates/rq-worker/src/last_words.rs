//! [`last_words`]: what a process says at its end, read or not.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a process that ends waits for somebody to read what it says: one that reads at all does so at once.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Calls `say`, which prints why this process ends, and has written out what the process has printed so far; returns
/// after half a second where nobody reads that. What is left to do then is to end the process.
pub fn last_words(say: impl FnOnce() + Send + 'static) {
    // Printed without a line end, it waits for the end of the process, and would then hold that up. While a thread waits
    // with it, the end of the process passes it over.
    let flush = || drop(io::stdout().flush());
    let words: [Box<dyn FnOnce() + Send>; 2] = [Box::new(say), Box::new(flush)];
    let (unsaid, said) = mpsc::channel::<()>();
    for say in words {
        let say = Arc::new(Mutex::new(Some(say)));
        let (unsaid, said_there) = (unsaid.clone(), Arc::clone(&say));
        let spawned = thread::Builder::new().spawn(move || {
            speak(&said_there);
            drop(unsaid);
        });
        // The system may allow no thread, which may be just what is to be said.
        if spawned.is_err() && somebody_reads() {
            speak(&say);
        }
    }
    drop(unsaid);
    // It ends with the last sender.
    let _ = said.recv_timeout(WAIT_MAX);
}

type Words = Mutex<Option<Box<dyn FnOnce() + Send>>>;

fn speak(words: &Words) {
    let words = words.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(say) = words {
        say();
    }
}

/// Whether both outputs take something at once.
fn somebody_reads() -> bool {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let mut outputs = [stdout.as_fd(), stderr.as_fd()].map(|output| PollFd::new(output, PollFlags::POLLOUT));
    poll(&mut outputs, PollTimeout::ZERO) == Ok(2)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_said_at_once_is_waited_for() {
        let (said, heard) = mpsc::channel();
        last_words(move || said.send("why").unwrap());
        assert_eq!(heard.try_recv(), Ok("why"));
    }

    #[test]
    fn nobody_waits_for_what_nobody_reads() {
        let began = Instant::now();
        last_words(thread::park);
        assert!((WAIT_MAX..10 * WAIT_MAX).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
