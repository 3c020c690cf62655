//! Steps that look into registries. None of them changes anything, unlike Python's, which clean up as they look.

use crate::entry::Entry;
use crate::error::Error;
use crate::keys::Keys;
use crate::link::{Answers, Step};
use crate::registry_kind::RegistryKind;
use crate::steps::{read, single};

/// How many entries a registry has (`ZCARD`).
pub fn count(keys: &Keys, kind: RegistryKind, queue: &str) -> Step<usize> {
    const NAME: &str = "registry count";
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZCARD").arg(kind.key(keys, queue));
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The entries from `offset` on, at most `count`, lowest score first (`ZRANGE … WITHSCORES`).
pub fn entries(
    keys: &Keys,
    kind: RegistryKind,
    queue: &str,
    offset: usize,
    count: usize,
) -> Step<Vec<Entry>> {
    const NAME: &str = "registry entries";
    let mut pipeline = redis::pipe();
    // Below 0, where `end - 1` might come to, Redis counts from the tail.
    if count == 0 {
        return Step::new(NAME, pipeline, |_| Ok(Vec::new()));
    }
    // Redis counts in 64 bits with sign, from 0, both ends included.
    let end = offset.saturating_add(count).min(i64::MAX as usize);
    pipeline.cmd("ZRANGE").arg(kind.key(keys, queue)).arg(offset.min(i64::MAX as usize)).arg(end - 1);
    pipeline.arg("WITHSCORES");
    Step::new(NAME, pipeline, move |answers| {
        let members: Vec<(Vec<u8>, f64)> = single(NAME, answers)?;
        let read =
            |(member, score): (Vec<u8>, f64)| Entry::read(kind, &String::from_utf8_lossy(&member), score);
        Ok(members.into_iter().map(read).collect())
    })
}

/// The runs of a job that may be in [`RegistryKind::Started`], as its members (`ZRANGE rq:executions:<id>`).
pub fn executions(keys: &Keys, id: &str) -> Step<Vec<String>> {
    const NAME: &str = "executions of a job";
    let mut pipeline = redis::pipe();
    // Python takes off what is over whenever it lists these; here nothing is changed, so some may have ended long
    // ago.
    pipeline.cmd("ZRANGE").arg(keys.executions(id)).arg(0).arg(-1);
    let id = id.to_owned();
    Step::new(NAME, pipeline, move |answers| {
        let xs: Vec<String> = single(NAME, answers)?;
        Ok(xs.into_iter().map(|x| format!("{id}:{x}")).collect())
    })
}

/// The first of `members` that the registry has (`ZSCORE`).
pub fn first_of(keys: &Keys, kind: RegistryKind, queue: &str, members: &[String]) -> Step<Option<Entry>> {
    const NAME: &str = "registry entry";
    let mut pipeline = redis::pipe();
    for member in members {
        pipeline.cmd("ZSCORE").arg(kind.key(keys, queue)).arg(member);
    }
    let members = members.to_vec();
    Step::new(NAME, pipeline, move |answers: Answers| {
        let scores = answers.into_iter().map(|answer| read::<Option<f64>>(NAME, answer));
        let scores = scores.collect::<Result<Vec<_>, Error>>()?;
        let found = members.iter().zip(scores).find_map(|(member, score)| Some((member, score?)));
        Ok(found.map(|(member, score)| Entry::read(kind, member, score)))
    })
}
