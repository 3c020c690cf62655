//! `rq cron` and `rq worker --with-cron`: each tick once, whoever has the entry.
//!
//! | file | holds |
//! |---|---|
//! | `cron/rig.rs` | two schedulers that are stopped and killed, in a time that runs faster |

mod rig;
