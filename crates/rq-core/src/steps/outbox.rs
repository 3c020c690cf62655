//! Steps on the outbox: what is to be done outside of Redis because an execution has ended, once each or at least once
//! (docs/design/outbox.md).
//!
//! The scripts that end an execution write the entries (part `post`). Workers look for entries that are due, take them,
//! and deliver them or put them off.

use std::borrow::Cow;

#[cfg(feature = "worker")]
use std::time::Duration;

#[cfg(feature = "worker")]
use crate::error::Error;
#[cfg(feature = "worker")]
use crate::keys::Keys;
#[cfg(feature = "worker")]
use crate::link::{Answers, Step};
#[cfg(feature = "worker")]
use crate::scripts;
#[cfg(feature = "worker")]
use crate::steps::{BATCH_MAX, first_of, read, read_clock_ms, single};

/// A part of the outbox: workers look into those alone whose entries they can deliver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutBox {
    /// Requests to be sent; any worker can.
    Webhooks,
    /// Calls of the callback of this name.
    #[cfg(feature = "worker")]
    Callbacks(String),
}

impl OutBox {
    /// Its name in its key.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            OutBox::Webhooks => Cow::Borrowed("webhooks"),
            #[cfg(feature = "worker")]
            OutBox::Callbacks(name) => Cow::Owned(format!("callbacks:{name}")),
        }
    }

    /// What becomes of an entry whose taker does not deliver it in time: a request may be sent twice, a callback is called
    /// at most once.
    #[cfg(feature = "worker")]
    fn if_undelivered(&self) -> &'static str {
        match self {
            OutBox::Webhooks => "again",
            OutBox::Callbacks(_) => "once",
        }
    }
}

/// The most bytes of an entry that are written, or read.
#[cfg(feature = "worker")]
pub const POST_BYTES_MAX: usize = 8 << 20;

/// What a settlement writes into the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where it waits.
    pub to: OutBox,
    /// What is to be done.
    pub body: String,
}

/// An entry that was taken.
#[cfg(feature = "worker")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where it was.
    pub from: OutBox,
    /// Its name there.
    pub name: Vec<u8>,
    /// By which take; delivering it says so.
    pub token: String,
    /// How often it was taken, this time included.
    pub attempt: u32,
    /// What is to be done.
    pub body: String,
}

/// What a take found of one entry.
#[cfg(feature = "worker")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is not due, or somebody else's.
    Nothing,
    /// It is not there.
    Gone,
    /// It is this worker's.
    Taken(Taken),
    /// Whoever took it has not delivered it, and it is not to be done twice: this is its body, and it is gone.
    GivenUp(String),
}

/// The name of the `k`th entry, from 0, of the settlement of an execution.
#[cfg(feature = "worker")]
pub fn entry_name(execution: &crate::ExecutionId, k: usize) -> String {
    format!("{execution}:{}", k + 1)
}

/// Whether there is anything in these boxes (`EXISTS`), and the time of Redis' clock, in ms since 1970.
#[cfg(feature = "worker")]
pub fn any(keys: &Keys, boxes: &[OutBox]) -> Step<(bool, f64)> {
    const NAME: &str = "look for an outbox";
    let mut pipeline = redis::pipe();
    pipeline.cmd("EXISTS").arg(boxes.iter().map(|out| keys.outbox(&out.name())).collect::<Vec<_>>());
    pipeline.cmd("TIME");
    Step::new(NAME, pipeline, |answers: Answers| {
        let (count, mut rest) = first_of(NAME, answers)?;
        let clock = rest.next().ok_or(Error::UnexpectedReply { step: NAME, got: "one answer".to_owned() })?;
        Ok((read::<u64>(NAME, count)? > 0, read_clock_ms(NAME, clock)?))
    })
}

/// The names of the entries of each box that are due at `now_ms`, the first [`BATCH_MAX`] (`ZRANGEBYSCORE`).
#[cfg(feature = "worker")]
pub fn due(keys: &Keys, boxes: &[OutBox], now_ms: f64) -> Step<Vec<Vec<Vec<u8>>>> {
    const NAME: &str = "look into the outbox";
    let mut pipeline = redis::pipe();
    for out in boxes {
        pipeline.cmd("ZRANGEBYSCORE").arg(keys.outbox(&out.name())).arg("-inf").arg(format!("{now_ms:.0}"));
        pipeline.arg("LIMIT").arg(0).arg(BATCH_MAX);
    }
    Step::new(NAME, pipeline, |answers: Answers| {
        // A box that is no sorted set has nothing for anybody.
        let names = |answer| read::<Vec<Vec<u8>>>(NAME, answer).unwrap_or_default();
        Ok(answers.into_iter().map(names).collect())
    })
}

/// Takes entries of a box that are due, [`BATCH_MAX`] at most, for so long.
#[cfg(feature = "worker")]
pub fn take(keys: &Keys, from: &OutBox, names: &[impl AsRef<[u8]>], hold: Duration) -> Step<Vec<Take>> {
    const NAME: &str = "take from the outbox";
    assert!(names.len() <= BATCH_MAX, "the caller cuts entries into batches");
    let token = uuid::Uuid::new_v4().simple().to_string();
    let mut cmd = scripts::TAKE.invoke(&[keys.outbox(&from.name())]);
    cmd.arg(keys.prefix()).arg(&token).arg(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX));
    cmd.arg(from.if_undelivered());
    for name in names {
        cmd.arg(name.as_ref());
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    let from = from.clone();
    let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_ref().to_vec()).collect();
    Step::new(NAME, pipeline, move |answers| {
        let found: Vec<(i64, u32, Vec<u8>)> = single(NAME, answers)?;
        let found = found.into_iter().map(|(code, attempt, body)| {
            // What is no text is nothing that we wrote, and is found out when it is read.
            (code, attempt, String::from_utf8_lossy(&body).into_owned())
        });
        let takes = names.iter().zip(found).map(|(name, (code, attempt, body))| match code {
            1 => Take::Taken(Taken {
                from: from.clone(),
                name: name.clone(),
                token: token.clone(),
                attempt,
                body,
            }),
            2 => Take::GivenUp(body),
            3 => Take::Gone,
            _ => Take::Nothing,
        });
        Ok(takes.collect())
    })
}

/// Ends an entry that was taken; or, with `again_in`, has it due again then.
#[cfg(feature = "worker")]
pub fn deliver(keys: &Keys, taken: &Taken, again_in: Option<Duration>) -> Step<bool> {
    const NAME: &str = "deliver from the outbox";
    let mut cmd = scripts::DELIVER.invoke(&[keys.outbox(&taken.from.name())]);
    cmd.arg(keys.prefix()).arg(&taken.name).arg(&taken.token);
    cmd.arg(again_in.map(|pause| pause.as_millis().to_string()).unwrap_or_default());
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    Step::new(NAME, pipeline, |answers| Ok(single::<i64>(NAME, answers)? == 1))
}
