//! Names as arguments: which are taken, and what is said of others.

use rq_core::keys::{check_function_name, check_job_id, check_queue_name, check_worker_name};

/// The name of a queue that is about to be written.
pub(crate) fn queue(name: &str) -> Result<String, String> {
    check_queue_name(name).map_err(|error| error.to_string())?;
    Ok(name.to_owned())
}

/// A name or an id that is looked for: any that may be in a Redis, whoever wrote it.
pub(crate) fn existing(name: &str) -> Result<String, String> {
    if name.is_empty() { Err("it must not be empty".to_owned()) } else { Ok(name.to_owned()) }
}

/// The name of a worker that is about to be written. None is no error: RQ takes that for "any".
pub(crate) fn worker(name: &str) -> Result<String, String> {
    if !name.is_empty() {
        check_worker_name(name).map_err(|error| error.to_string())?;
    }
    Ok(name.to_owned())
}

/// The id of a job that is about to be written.
pub(crate) fn job_id(id: &str) -> Result<String, String> {
    check_job_id(id).map_err(|error| error.to_string())?;
    Ok(id.to_owned())
}

/// The id of a job to wait for: one that is there may have been written by an RQ that takes more than we do.
pub(crate) fn dependency(id: &str) -> Result<String, String> {
    if id.contains(',') {
        return Err(format!("'{id}' is no job id; give the option once for each job"));
    }
    if id.is_empty() || id.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("'{id}' is no job id"));
    }
    Ok(id.to_owned())
}

/// The name of a function.
pub(crate) fn function(name: &str) -> Result<String, String> {
    check_function_name(name).map_err(|error| error.to_string())?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_far_as_they_are_ours() {
        for (check, good, bad) in [
            (queue as fn(&str) -> _, vec!["a:b"], vec!["", "a,b"]),
            (existing, vec!["a,b", " "], vec![""]),
            (worker, vec!["", "w.1"], vec!["w\n"]),
            (job_id, vec!["a-1"], vec!["", "a b"]),
            (dependency, vec!["a", "old:id"], vec!["", "a,b", "a b", "a\x1b"]),
            (
                function,
                vec!["f", "tasks.Mail.sénd_2"],
                vec!["", "not a function!", "a..b", "a.", "f()", "2a"],
            ),
        ] {
            for name in good {
                assert_eq!(check(name), Ok(name.to_owned()));
            }
            for name in bad {
                assert!(check(name).is_err(), "{name:?}");
            }
        }
    }
}
