//! Runnable example jobs and producers.
//!
//! | run | shows |
//! |---|---|
//! | `cargo run -p rq-examples --bin hello -- worker --burst` | the smallest program that is an `rq` |
//! | `cargo run -p rq-examples --bin word-count -- worker` | jobs that fetch pages, with shared state and progress |
//! | `cargo run -p rq-examples --bin enqueue -- URL` | an async producer, which waits for its result |
//! | `cargo run -p rq-examples --bin green-fetch -- 1000` | a thousand slow pages fetched at once, in coroutines |
//! | `cargo run -p rq-examples --bin declared` | what all calls of a job share, and code that knows its job |
//! | `cargo run -p rq-examples --bin unique` | one job of many calls, by its id and by its arguments |
//! | `cargo run -p rq-examples --bin limits` | few jobs at once, and few a second |
//! | `cargo run -p rq-examples --bin group` | jobs under one name, and one that runs when all have ended |
//! | `cargo run -p rq-examples --bin cron` | jobs at fixed times, enqueued by a worker |
//! | `cargo run -p rq-examples --bin callbacks` | functions that are called when a job has ended |
//! | `cargo run -p rq-examples --bin exceptions` | a chain of exception handlers |
//! | `cargo run -p rq-examples --bin middleware_timing` | how long jobs take and how they end, by function |
//! | `cargo run -p rq-examples --bin middleware_tenant` | who a job is for, from the producer to the job |
//! | `cargo run -p rq-examples --bin middleware_transaction` | a transaction around each job |
//! | `cargo run -p rq-examples --bin webhook` | webhooks, and a receiver that checks their signatures |
//! | `cargo run -p rq-examples --bin process-trivial` | a Manager, and a process that it replaces now and then |
//! | `cargo run -p rq-examples --bin process-limits` | kinds of processes with limits, one with a log of its own |
//! | `cargo run -p rq-examples --bin list-consumer` | processes that take messages from a list in Redis |
//! | `cargo run -p rq-examples --bin reliable-consumer` | the same, and no message is lost whoever dies |
//! | `cargo xtask demo` | all of it together, on a Redis and pages of its own |

pub mod drain;
pub mod fetch;
pub mod word_count;
