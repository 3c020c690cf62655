//! What `rq manager` and `rq worker-pool` have of their own around `rq-manager`.
//!
//! | file | holds |
//! |---|---|
//! | `manager/config.rs`, `entry.rs`, `options.rs` | the file of `rq manager`: its `[manager]`, its `[[worker]]`s, their options |
//! | `manager/program.rs` | the program that workers are, and the command that starts one |
//! | `manager/supervise.rs` | a Manager that runs, with its log |
//! | `manager/socket.rs` | where it takes orders |
//! | `manager/backlog.rs`, `watch.rs` | how many workers a backlog needs, and who looks at it |

pub(crate) mod backlog;
pub(crate) mod config;
mod entry;
mod options;
pub(crate) mod program;
pub(crate) mod socket;
pub(crate) mod supervise;
pub(crate) mod watch;
