//! [`want`]: what the system is short of, and what can be done about it.

use std::io;

use nix::errno::Errno;
use rq_core::Want;

/// Why an execution did not begin, where the system refused something: `what` says what could not be done.
pub fn want(what: &str, error: &io::Error) -> Want {
    let way_on = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => {
            "; raise this process's limit on open files (ulimit -n, LimitNOFILE=), or lower --concurrency"
        }
        Some(Errno::ENFILE) => "; raise the system's limit on open files (fs.file-max)",
        Some(Errno::EAGAIN) => {
            "; raise the limit on processes and threads (ulimit -u, TasksMax=, pids.max), or lower --concurrency"
        }
        Some(Errno::ENOMEM) => "; memory, or room for its maps, is short: lower --concurrency",
        _ => "",
    };
    Want::new(format!("{what}: {error}{way_on}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_names_what_is_short_and_the_way_on() {
        let told = |errno: Errno| want("no process could be had", &io::Error::from(errno)).to_string();
        for (errno, part) in [
            (Errno::EMFILE, "ulimit -n"),
            (Errno::ENFILE, "fs.file-max"),
            (Errno::EAGAIN, "TasksMax="),
            (Errno::ENOMEM, "memory"),
        ] {
            assert!(told(errno).starts_with("no process could be had: "), "{}", told(errno));
            assert!(told(errno).contains(part), "{}", told(errno));
        }
        assert_eq!(told(Errno::EPIPE), "no process could be had: Broken pipe (os error 32)");
    }
}
