//! How many coroutines the system lets a process have.

use std::fs;

use rq_worker::{LaunchError, Options};

/// How many memory maps a coroutine's stack is: the guard, the page that `may` looks at, and the stack.
const MAPS_OF_ONE: usize = 3;
/// How many memory maps are left for all else, which comes later: threads, the heap, what jobs load.
const MAPS_SPARED: usize = 1_000;
/// How many memory maps there may be where the system does not tell: what Linux allows unless told.
const MAPS_MAX_USUAL: usize = 65_530;

/// How many jobs run at once unless told. A Redis settles some thousand jobs a second, so that this is enough for jobs
/// that wait a tenth of a second; and what they need together, some 20 MB, is no surprise to anybody.
pub const CONCURRENCY_DEFAULT: usize = 1_000;

/// How many jobs run at once.
pub(crate) fn slots(options: &Options) -> Result<usize, LaunchError> {
    let maps_max = number("/proc/sys/vm/max_map_count").unwrap_or(MAPS_MAX_USUAL);
    let maps = fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    let max = maps_max.saturating_sub(maps + MAPS_SPARED) / MAPS_OF_ONE;
    match options.concurrency {
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

fn number(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_allows_is_told() {
        let with = |concurrency| {
            let mut options = Options::default();
            options.concurrency = concurrency;
            slots(&options)
        };
        assert_eq!(with(None).unwrap(), CONCURRENCY_DEFAULT);
        assert_eq!(with(Some(10_000)).unwrap(), 10_000);
        assert!(with(Some(0)).is_err());
        let refusal = with(Some(10_000_000)).unwrap_err().to_string();
        assert!(refusal.contains("sysctl -w vm.max_map_count=300"), "{refusal}");
    }
}
