//! The steps RQ takes in Redis, apart from the connection that carries them: what to send, how to read the answer.
//!
//! The async and the blocking fronts, the workers and the command line all take these, so they cannot drift apart.

#[cfg(feature = "worker")]
pub mod claim;
#[cfg(feature = "worker")]
pub mod cron;
pub mod group;
pub mod job;
#[cfg(feature = "worker")]
pub mod maintenance;
pub mod management;
pub mod outbox;
#[cfg(feature = "worker")]
pub mod permissions;
pub mod queue;
pub mod rate_limit;
pub mod registry;
pub mod roster;
#[cfg(feature = "worker")]
pub mod schedule;
pub mod settlement;
#[cfg(feature = "worker")]
pub mod silent;
pub mod suspension;
#[cfg(feature = "worker")]
pub mod worker;

use redis::{FromRedisValue, RedisResult, Value as Reply};

use crate::error::Error;
#[cfg(feature = "worker")]
use crate::error_class::ErrorClass;
use crate::fields::Fields;
use crate::link::Answers;

pub use crate::execution::Claimed;

/// The most jobs one claim takes, and the most executions one settle ends: larger batches stall others for
/// milliseconds and make slots wait for each other.
pub const BATCH_MAX: usize = 16;

/// The name of the script that Redis knows by `digest`, for tools that read an `EVALSHA` on the wire.
#[cfg(feature = "worker")]
pub fn script_name(digest: &[u8]) -> Option<&'static str> {
    crate::scripts::name_of(digest)
}

/// The answer to the one command of a step.
fn single<T: FromRedisValue>(step: &'static str, answers: Answers) -> Result<T, Error> {
    let [answer] = exactly(step, answers)?;
    read(step, answer)
}

/// The answers to a step of `N` commands.
fn exactly<const N: usize>(step: &'static str, answers: Answers) -> Result<[RedisResult<Reply>; N], Error> {
    answers.try_into().map_err(|answers: Answers| Error::UnexpectedReply {
        step,
        got: format!("{} answers instead of {N}", answers.len()),
    })
}

/// One answer as a `T`.
fn read<T: FromRedisValue>(step: &'static str, answer: RedisResult<Reply>) -> Result<T, Error> {
    let reply = answer?;
    T::from_redis_value(reply).map_err(|error| Error::UnexpectedReply { step, got: error.to_string() })
}

/// The answer to a step's first command, and those to the others, however many.
#[cfg(feature = "worker")]
fn first_of(
    step: &'static str,
    answers: Answers,
) -> Result<(RedisResult<Reply>, impl Iterator<Item = RedisResult<Reply>>), Error> {
    let mut answers = answers.into_iter();
    let first = answers.next().ok_or(Error::UnexpectedReply { step, got: "nothing".to_owned() })?;
    Ok((first, answers))
}

/// The answer to `TIME`, in whole milliseconds, rounded down as the scripts do that write leases and look at them again.
#[cfg(feature = "worker")]
fn read_clock_ms(step: &'static str, answer: RedisResult<Reply>) -> Result<f64, Error> {
    let (now_s, now_us): (f64, f64) = read(step, answer)?;
    Ok(now_s * 1e3 + (now_us / 1e3).floor())
}

/// A set of full keys as the names behind their prefix, sorted: sets come in any order.
fn names_of(step: &'static str, answers: Answers, prefix: &str) -> Result<Vec<String>, Error> {
    let members: Vec<Vec<u8>> = single(step, answers)?;
    let members = members.iter().map(|member| String::from_utf8_lossy(member));
    let mut names: Vec<String> =
        members.filter_map(|member| member.strip_prefix(prefix).map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// A hash, empty where there is none.
fn read_hash(step: &'static str, answer: RedisResult<Reply>) -> Result<Fields, Error> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = read(step, answer)?;
    Ok(pairs.into_iter().collect())
}

/// A job's hash, empty where there is none, and where the key is of another type by now: that is no job's. What the user
/// may not read is an error, and no job that is gone.
#[cfg(feature = "worker")]
fn read_record(step: &'static str, answer: RedisResult<Reply>) -> Result<Fields, Error> {
    match read_hash(step, answer) {
        Err(error) if error.class() == ErrorClass::Fault => Ok(Fields::default()),
        answer => answer,
    }
}
