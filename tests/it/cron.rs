//! `rq cron` and `rq worker --with-cron`: each tick once, whoever has the entry.
//!
//! | file | holds |
//! |---|---|
//! | `cron/process.rs` | the program: its log, its files, what is done to its entries |
//! | `cron/shared.rs` | several schedulers, workers that have a cron, missed and overlapping ticks |
//! | `cron/python.rs` | beside Python's |
//! | `cron/rig.rs` | two schedulers that are stopped and killed, in a time that runs faster |

mod process;
mod python;
mod rig;
mod shared;
