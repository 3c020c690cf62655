//! Trees of processes, of which nothing may be left.

fn main() {}
