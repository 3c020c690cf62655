//! Steps that look at rate limits. None of them changes anything.

use crate::keys::Keys;
use crate::link::Step;
#[cfg(feature = "worker")]
use crate::steps::read;
use crate::steps::single;

/// The keys of all that are in use, sorted (`SMEMBERS rq:rl-keys`). Those that are not UTF-8 are left out.
pub fn keys(keys: &Keys) -> Step<Vec<String>> {
    const NAME: &str = "rate limits";
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.rate_limits());
    Step::new(NAME, pipeline, |answers| {
        let members: Vec<Vec<u8>> = single(NAME, answers)?;
        let mut found: Vec<String> =
            members.into_iter().filter_map(|member| String::from_utf8(member).ok()).collect();
        found.sort();
        Ok(found)
    })
}

/// How many slots it has (`HGET`); `None` where it has none, or no number of them.
pub fn slots(keys: &Keys, key: &str) -> Step<Option<u64>> {
    const NAME: &str = "slots of a rate limit";
    let mut pipeline = redis::pipe();
    pipeline.cmd("HGET").arg(keys.rate_limit(key)).arg("concurrency");
    Step::new(NAME, pipeline, |answers| {
        let number: Option<Vec<u8>> = single(NAME, answers)?;
        Ok(number.and_then(|number| String::from_utf8_lossy(&number).parse().ok()))
    })
}

/// How a rate limit is used.
#[cfg(feature = "worker")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many slots it has; `None` where that cannot be read.
    pub slots: Option<u64>,
    /// How many jobs have one.
    pub held: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// How each of `limits` is used (`HMGET`, `ZCARD`).
#[cfg(feature = "worker")]
pub fn usage(keys: &Keys, limits: &[String]) -> Step<Vec<Usage>> {
    const NAME: &str = "usage of rate limits";
    let mut pipeline = redis::pipe();
    for key in limits {
        pipeline.cmd("HMGET").arg(keys.rate_limit(key)).arg("concurrency");
        pipeline.cmd("ZCARD").arg(keys.rate_limit_allowed(key));
        pipeline.cmd("ZCARD").arg(keys.rate_limit_waiting(key));
    }
    Step::new(NAME, pipeline, |answers| {
        let mut answers = answers.into_iter();
        let mut usages = Vec::new();
        while let (Some(slots), Some(held), Some(waiting)) = (answers.next(), answers.next(), answers.next())
        {
            let slots: Vec<Option<Vec<u8>>> = read(NAME, slots)?;
            let slots = slots.into_iter().flatten().next();
            let slots = slots.and_then(|slots| String::from_utf8_lossy(&slots).parse().ok());
            usages.push(Usage { slots, held: read(NAME, held)?, waiting: read(NAME, waiting)? });
        }
        Ok(usages)
    })
}

/// The members of one of its sets, lowest score first (`ZRANGE`).
pub fn ids(set: &str) -> Step<Vec<String>> {
    const NAME: &str = "jobs of a rate limit";
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZRANGE").arg(set).arg(0).arg(-1);
    Step::new(NAME, pipeline, |answers| {
        let ids: Vec<Vec<u8>> = single(NAME, answers)?;
        Ok(ids.into_iter().map(|id| String::from_utf8_lossy(&id).into_owned()).collect())
    })
}

/// How many members one of its sets has (`ZCARD`).
pub fn count(set: &str) -> Step<usize> {
    const NAME: &str = "count jobs of a rate limit";
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZCARD").arg(set);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}
