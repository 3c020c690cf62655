//! What could be had at best: the same effect without what makes it safe, or without a worker.

pub(crate) mod bare_enqueue;
pub(crate) mod bare_forks;
pub(crate) mod bare_scripts;
pub(crate) mod bare_wake_up;
pub(crate) mod bare_writes;
