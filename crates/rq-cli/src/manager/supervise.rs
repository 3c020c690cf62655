//! [`supervise`]: a Manager runs, with its log.

use std::cell::RefCell;
use std::rc::Rc;

use rq_manager::Manager;

use crate::log::Log;
use crate::refusal::Refusal;

/// Runs a Manager until it is asked to stop. It forks first: the threads that write the log are started behind that, and
/// then `begin` is called.
pub(crate) fn supervise(manager: Manager, log: Log, begin: impl FnOnce() + 'static) -> Result<(), Refusal> {
    let threads = Rc::new(RefCell::new(None));
    let started = Rc::clone(&threads);
    let manager = manager.on_begin(move || {
        *started.borrow_mut() = Some(log.start_threads());
        begin();
    });
    let ended = manager.start();
    // What was logged comes before the reason.
    drop(threads.take());
    ended.map_err(|error| Refusal::Failed(error.to_string()))
}
