//! How many coroutines the system lets a process have.

use std::fs;
use std::sync::OnceLock;

use rq_worker::{LaunchError, Options};

/// How many memory maps a coroutine's stack is: the guard, the page that `may` looks at, and the stack.
const MAPS_OF_ONE: usize = 3;
/// How many memory maps are left for all else that comes later: threads, the heap, what jobs load.
const MAPS_SPARED: usize = 1_000;
/// How many memory maps there may be where `/proc` does not say: Linux's default.
const MAPS_MAX_USUAL: usize = 65_530;

/// How many jobs run at once by default. A Redis settles some thousand jobs a second, so that this is enough for jobs
/// that wait a tenth of a second; together they need some 20 MB.
pub const CONCURRENCY_DEFAULT: usize = 1_000;

/// How many memory maps the process had before its first stack.
static MAPS_BEFORE: OnceLock<usize> = OnceLock::new();

/// How many jobs run at once, beside so many `others` of this process.
pub(crate) fn slots(options: &Options, others: usize) -> Result<usize, LaunchError> {
    let maps_max = number("/proc/sys/vm/max_map_count").unwrap_or(MAPS_MAX_USUAL);
    // Counted once, before the first stack: later the maps of stacks would be counted twice, here and as `others`.
    let maps = MAPS_BEFORE.get_or_init(maps_now) + others * MAPS_OF_ONE;
    let max = maps_max.saturating_sub(maps + MAPS_SPARED) / MAPS_OF_ONE;
    match options.concurrency {
        // Refused at the start: without a map left, `may` panics when a job's coroutine is spawned.
        Some(asked) if asked > max => {
            let wanted = asked * MAPS_OF_ONE + maps + MAPS_SPARED;
            Err(LaunchError::Refused(format!(
                "a concurrency of {asked} is not possible: each coroutine takes {MAPS_OF_ONE} memory maps, and \
                 vm.max_map_count = {maps_max} leaves room for {max}; choose 1 to {max}, or raise it: \
                 sysctl -w vm.max_map_count={wanted}"
            )))
        }
        _ => options.slots(max, |_cores| CONCURRENCY_DEFAULT),
    }
}

fn maps_now() -> usize {
    fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

fn number(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(concurrency: Option<usize>, others: usize) -> Result<usize, LaunchError> {
        let mut options = Options::default();
        options.concurrency = concurrency;
        slots(&options, others)
    }

    #[test]
    fn what_the_system_allows_is_told() {
        assert_eq!(with(None, 0).unwrap(), CONCURRENCY_DEFAULT);
        assert_eq!(with(Some(10_000), 0).unwrap(), 10_000);
        assert!(with(Some(0), 0).is_err());
        let refusal = with(Some(10_000_000), 0).unwrap_err().to_string();
        assert!(refusal.contains("sysctl -w vm.max_map_count=300"), "{refusal}");
    }

    #[test]
    fn what_others_may_need_is_theirs() {
        assert!(with(Some(10_000), 10_000_000).is_err());
        assert_eq!(with(Some(10_000), 10).unwrap(), 10_000);
    }
}
