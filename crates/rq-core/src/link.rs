//! [`Link`] and [`BlockingLink`]: the only places that talk to the Redis client library.
//!
//! A [`Step`] says what to send and how to read the answer; the two links run steps, one for tokio and one without it.
//! Neither sends a step again that is not safe to send twice.
//!
//! A link owns its connection and replaces it: when it breaks, when an answer does not come in time, and when an answer
//! says that this is not the place any more, such as `READONLY` (`error_class.rs`). Each new connection begins with the
//! URL, so that a name is looked up anew.
//!
//! | file | holds |
//! |---|---|
//! | `link/step.rs` | [`Step`], and what a link does about an attempt to run one |
//! | `link/asynchronous.rs` | [`Link`] |
//! | `link/blocking.rs` | [`BlockingLink`] |
//! | `link/place.rs` | where Redis is, of which each connection is made |
//! | `link/nodes.rs` | the nodes of a cluster, in the order to try them |
//! | `link/sentinels.rs` | the sentinels that know where the master is |
//! | `link/tls.rs` | how a connection is secured |
//! | `link/reconnecting.rs` | when the next attempt to connect may be made |
//! | `link/backoff.rs` | pauses that grow, with jitter |
//! | `link/limit.rs` | work that is given up after a time |

mod asynchronous;
mod backoff;
mod blocking;
mod limit;
mod nodes;
mod place;
mod reconnecting;
mod sentinels;
mod step;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

pub use asynchronous::Link;
pub use backoff::Backoff;
pub use blocking::BlockingLink;
pub(crate) use blocking::limit_answers;
pub use limit::within;
pub use step::{Answers, Step};

#[cfg(feature = "worker")]
pub use crate::error_class::spoils_connection;

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the 5 s after which Redis calls a script slow.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
