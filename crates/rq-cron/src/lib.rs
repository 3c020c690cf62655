//! Jobs at fixed times: what they are, when they are due, and who enqueues them, once.
//!
//! A [`Cron`] holds [`Entry`]s; each is a call, a queue and a [`Schedule`].

mod catch_up;
mod cron;
mod entry;
mod overlap;
mod schedule;

pub use catch_up::CatchUp;
pub use cron::Cron;
pub use entry::Entry;
pub use overlap::Overlap;
pub use schedule::Schedule;
