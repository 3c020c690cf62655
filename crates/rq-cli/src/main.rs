//! The stock `rq`: it has no jobs of its own, and runs those of a program named by `--app`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rq_cli::main(rq_cli::Handlers::new())
}
