//! [`Inbox`]: how a horse receives orders from its worker.

use std::mem;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rq_core::Interrupt;

use crate::frames::{ExecutionFrame, HorseOrder, read};

/// A job to run, and what stops it.
pub(crate) struct Assignment {
    pub(crate) task: ExecutionFrame<'static>,
    pub(crate) interrupt: Arc<Interrupt>,
}

/// How a horse receives orders from its worker.
///
/// The horse itself reads what to run next, so that an order which nobody has read is one that nobody has begun: when
/// the horse is gone, the system resets a socket with bytes unread, and the worker sees that. While a job runs nobody
/// reads, unless that job asks whether it has to end; from then on a thread does. Most jobs never ask, and to start a
/// thread costs about as much as the rest of a small job.
pub(crate) struct Inbox {
    socket: Arc<UnixStream>,
    reader: Arc<Mutex<Reader>>,
}

/// Who reads from the socket.
enum Reader {
    /// The horse itself, which waits for a job.
    Horse,
    /// Nobody: this job runs.
    Nobody(Weak<Interrupt>),
    /// A thread.
    Thread(Receiver<Assignment>),
}

impl Inbox {
    pub(crate) fn new(socket: Arc<UnixStream>) -> Inbox {
        Inbox { socket, reader: Arc::new(Mutex::new(Reader::Horse)) }
    }

    /// Waits for the next job; `None` when there will be none.
    pub(crate) fn next(&self) -> Option<Assignment> {
        // While the horse reads, a thread that an earlier job has left behind finds nothing to listen for.
        let reader = mem::replace(&mut *lock(&self.reader), Reader::Horse);
        let (assignment, reader) = match reader {
            // A thread that reads cannot be taken back, so it reads for all later jobs as well.
            Reader::Thread(assignments) => (assignments.recv().ok()?, Reader::Thread(assignments)),
            Reader::Horse | Reader::Nobody(_) => {
                let assignment = self.read()?;
                let job = Arc::downgrade(&assignment.interrupt);
                (assignment, Reader::Nobody(job))
            }
        };
        *lock(&self.reader) = reader;
        Some(assignment)
    }

    fn read(&self) -> Option<Assignment> {
        loop {
            match read(&mut &*self.socket) {
                Ok(Some(HorseOrder::Run(task))) => return Some(self.assignment(task)),
                // This stop comes late: the job it is for has ended.
                Ok(Some(HorseOrder::Stop)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn assignment(&self, task: ExecutionFrame<'static>) -> Assignment {
        let (socket, reader) = (Arc::clone(&self.socket), Arc::clone(&self.reader));
        let interrupt = Interrupt::listening(task.limit, move || listen(socket, &reader));
        Assignment { task, interrupt: Arc::new(interrupt) }
    }
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread that reads beside the job that runs, because a job has asked whether it has to end; the one that
/// asks may be a thread that an earlier job has left behind. Reads what has come already before it returns.
fn listen(socket: Arc<UnixStream>, reader: &Mutex<Reader>) {
    let mut reader = lock(reader);
    // Either the horse reads, and no job runs, or a thread does so already.
    let Reader::Nobody(job) = &*reader else { return };
    let job = Weak::clone(job);
    // Read here, so that the job which asks learns of a stop that came before it asked.
    while has_come(&socket) {
        read_one(&socket, &job);
    }
    let (sender, assignments) = channel();
    let listener = thread::Builder::new().name("rq-inbox".to_owned());
    if listener.spawn(move || listen_on(&socket, job, &sender)).is_ok() {
        *reader = Reader::Thread(assignments);
    }
}

/// Reads all orders from now on: stops for the job that runs, and the jobs after it.
fn listen_on(socket: &UnixStream, mut job: Weak<Interrupt>, sender: &Sender<Assignment>) {
    loop {
        if let Some(task) = read_one(socket, &job) {
            // Made as soon as the order is read, so that a stop right behind it is not lost.
            let interrupt = Arc::new(Interrupt::new(task.limit));
            job = Arc::downgrade(&interrupt);
            if sender.send(Assignment { task, interrupt }).is_err() {
                return;
            }
        }
    }
}

/// Reads one order: returns a job, stops the one that runs. Ends the process when the worker is gone.
fn read_one(mut socket: &UnixStream, job: &Weak<Interrupt>) -> Option<ExecutionFrame<'static>> {
    match read(&mut socket) {
        Ok(Some(HorseOrder::Run(task))) => return Some(task),
        // A stop that comes late finds a job that has ended.
        Ok(Some(HorseOrder::Stop)) => job.upgrade().iter().for_each(|interrupt| interrupt.stop()),
        Ok(None) | Err(_) => rq_process::end(0),
    }
    None
}

fn has_come(socket: &UnixStream) -> bool {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use rq_core::Interrupted;

    use super::*;
    use crate::frames::{TaskFrame, frame};

    fn task(job_id: &'static str) -> HorseOrder<'static> {
        HorseOrder::Run(ExecutionFrame {
            job_id: job_id.into(),
            x: "x".into(),
            data: std::borrow::Cow::Owned(Vec::new().into()),
            fields: Vec::new(),
            limit: None,
            task: TaskFrame::Job,
        })
    }

    /// A horse's inbox, and the worker's end of it with these orders given.
    fn inbox(orders: &[HorseOrder<'_>]) -> (Inbox, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let bytes: Vec<u8> = orders.iter().flat_map(|order| frame(order).unwrap()).collect();
        io::Write::write_all(&mut &ours, &bytes).unwrap();
        (Inbox::new(Arc::new(theirs)), ours)
    }

    #[test]
    fn a_stop_right_behind_its_job_is_heard_and_one_before_it_is_not() {
        let (inbox, worker) = inbox(&[HorseOrder::Stop, task("stopped"), HorseOrder::Stop]);
        let stopped = inbox.next().unwrap();
        assert_eq!(&*stopped.task.job_id, "stopped");
        // All that has come counts at the first look.
        assert_eq!(stopped.interrupt.check(), Err(Interrupted::JobStopped));
        // A thread reads now.
        let bytes = [HorseOrder::Stop, task("next"), task("last"), HorseOrder::Stop]
            .map(|order| frame(&order).unwrap());
        io::Write::write_all(&mut &worker, &bytes.concat()).unwrap();
        let [next, last] = [inbox.next().unwrap(), inbox.next().unwrap()];
        assert_eq!((&*next.task.job_id, &*last.task.job_id), ("next", "last"));
        assert!(matches!(last.interrupt.sleep(Duration::from_secs(10)), Err(Interrupted::JobStopped)));
        assert!(next.interrupt.check().is_ok());
        // Without its worker a horse ends, which here is the test program.
        mem::forget(worker);
    }

    #[test]
    fn what_nobody_asked_for_is_left_unread_and_late() {
        let (inbox, worker) = inbox(&[task("first"), HorseOrder::Stop, task("second")]);
        let first = inbox.next().unwrap();
        assert!(has_come(&inbox.socket), "the stop waits for the job to ask");
        let second = inbox.next().unwrap();
        assert_eq!((&*first.task.job_id, &*second.task.job_id), ("first", "second"));
        // A thread that the first job has left behind may ask now. What comes is for the second.
        assert!(first.interrupt.check().is_ok());
        io::Write::write_all(&mut &worker, &frame(&HorseOrder::Stop).unwrap()).unwrap();
        assert!(matches!(second.interrupt.sleep(Duration::from_secs(10)), Err(Interrupted::JobStopped)));
        assert!(first.interrupt.check().is_ok());
        mem::forget(worker);
    }
}
