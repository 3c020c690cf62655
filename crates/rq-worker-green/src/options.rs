//! [`GreenOptions`]: what can be decided about coroutines alone.

use rq_worker::{ExecutorOption, ExecutorOptions, number};

/// How large the stack of a job is by default, in kB: twice what enqueuing over a first connection takes, which is the
/// deepest call of rq-core. Code that is not optimised needs four times as much.
pub const JOB_STACK_KB_DEFAULT: usize = if cfg!(debug_assertions) { 1024 } else { 256 };
/// The least it may be: enough for a job to begin.
pub const JOB_STACK_KB_MIN: usize = 64;
/// The most it may be: no job needs more.
pub const JOB_STACK_KB_MAX: usize = 1 << 20;

/// What can be decided about coroutines alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "options decide nothing until a worker has them"]
pub struct GreenOptions {
    /// How large the stack of a job is, in kB: [256](JOB_STACK_KB_DEFAULT), four times that in a debug build. A part
    /// that is never used costs nothing. All coroutines of a process have stacks of one size.
    pub job_stack_kb: usize,
}

impl GreenOptions {
    /// How large the stack of a job is, in kB.
    pub fn job_stack_kb(mut self, kilobytes: usize) -> GreenOptions {
        self.job_stack_kb = kilobytes;
        self
    }
}

impl Default for GreenOptions {
    fn default() -> GreenOptions {
        GreenOptions { job_stack_kb: JOB_STACK_KB_DEFAULT }
    }
}

impl ExecutorOptions for GreenOptions {
    const ALL: &'static [ExecutorOption<GreenOptions>] = &[ExecutorOption {
        name: "job-stack",
        value_name: "KB",
        help: "How many kilobytes of stack a job has [default: 256; 1024 in a debug build]",
        set: |options, text| {
            options.job_stack_kb = stack_kb(text)?;
            Ok(())
        },
    }];
}

fn stack_kb(text: &str) -> Result<usize, String> {
    match number::count_in_memory(text)? {
        kilobytes @ JOB_STACK_KB_MIN..=JOB_STACK_KB_MAX => Ok(kilobytes),
        _ => Err(format!("it must be from {JOB_STACK_KB_MIN} to {JOB_STACK_KB_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_bounds() {
        assert_eq!(stack_kb("64"), Ok(64));
        assert!(stack_kb("63").is_err() && stack_kb("1048577").is_err());
    }
}
