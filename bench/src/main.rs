//! `rq-bench`: measures whole systems. `cargo xtask bench` runs it.

fn main() {}
