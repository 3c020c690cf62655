//! The smallest program that is an `rq`.

use std::process::ExitCode;

use rq_core::{handlers, job};

/// Greets somebody.
#[job("hello.greet")]
fn greet(name: String) -> rq_core::Result<String> {
    Ok(format!("Hello, {name}!"))
}

fn main() -> ExitCode {
    rq_cli::main(handlers![greet])
}
