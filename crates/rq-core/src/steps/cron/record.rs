//! A cron scheduler's record: who it is, which entries it has, and that it lives (docs/wire.md §17).

use std::time::Duration;

use super::{Answers, Error, ErrorClass, Fields, Keys, Reply, Step, Timestamp, read, read_hash, single};

/// How long a record lives without a sign of its scheduler, and a scheduler without a heartbeat is listed: RQ's 120 s.
pub const KEPT: Duration = Duration::from_secs(120);
/// The field that says whose ticks are fired once, whoever else has the same entries. Ours; Python's schedulers lack it.
const SHARES_TICKS: &str = "shares_ticks";

/// A cron scheduler's record.
#[derive(Clone, Debug, PartialEq)]
pub struct CronRecord {
    /// Its name: host, process id and a random part.
    pub name: String,
    /// Where it runs.
    pub hostname: String,
    /// As which process; text, as RQ has it.
    pub pid: String,
    /// Since when, in the `T` form.
    pub created_at: String,
    /// Where its entries come from.
    pub config_file: String,
    /// Its entries, as JSON.
    pub cron_jobs: String,
    /// Whether its ticks are fired once, whoever else has the same entries, as ours are.
    pub shares_ticks: bool,
}

impl CronRecord {
    fn to_fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields.set("name", self.name.as_str());
        fields.set("hostname", self.hostname.as_str());
        fields.set("pid", self.pid.as_str());
        fields.set("created_at", self.created_at.as_str());
        fields.set("config_file", self.config_file.as_str());
        fields.set("cron_jobs", self.cron_jobs.as_str());
        if self.shares_ticks {
            fields.set(SHARES_TICKS, "1");
        }
        fields
    }

    fn from_fields(name: &str, mut fields: Fields) -> CronRecord {
        let mut text = |field: &str| {
            let value = fields.take(field).unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        CronRecord {
            name: name.to_owned(),
            hostname: text("hostname"),
            pid: text("pid"),
            created_at: text("created_at"),
            config_file: text("config_file"),
            cron_jobs: text("cron_jobs"),
            shares_ticks: text(SHARES_TICKS) == "1",
        }
    }
}

/// Writes the record, and that the scheduler lives (`HSET`, `EXPIRE`, `ZADD rq:cron_schedulers`). The answer is Redis' clock
/// (`TIME`), which is asked first.
pub fn save(keys: &Keys, record: &CronRecord, now: Timestamp) -> Step<Timestamp> {
    const NAME: &str = "cron record";
    let mut pipeline = redis::pipe();
    let key = keys.cron_scheduler(&record.name);
    pipeline.cmd("TIME");
    pipeline.cmd("HSET").arg(&key);
    for (field, value) in record.to_fields().iter() {
        pipeline.arg(field).arg(value);
    }
    pipeline.cmd("EXPIRE").arg(&key).arg(KEPT.as_secs());
    // Last: who is listed has a record.
    pipeline.cmd("ZADD").arg(keys.cron_schedulers()).arg(now.epoch_text()).arg(&record.name);
    Step::new(NAME, pipeline, |answers| read_saved(NAME, answers))
}

fn read_saved(step: &'static str, answers: Answers) -> Result<Timestamp, Error> {
    let [time, set, expire, add] = super::super::exactly(step, answers)?;
    for answer in [set, expire, add] {
        read::<Reply>(step, answer)?;
    }
    let (now_s, now_us): (i64, i64) = read(step, time)?;
    Ok(Timestamp::from_epoch_us(now_s * 1_000_000 + now_us))
}

/// The scheduler's end (`ZREM`). Its record stays until it expires, as Python's does.
pub fn death(keys: &Keys, name: &str) -> Step<bool> {
    const NAME: &str = "cron death";
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZREM").arg(keys.cron_schedulers()).arg(name);
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// The names of the schedulers, Python's among them, whose last heartbeat is no older than [`KEPT`] at `now` (`ZRANGEBYSCORE`):
/// nothing is pruned.
pub fn living(keys: &Keys, now: Timestamp) -> Step<Vec<String>> {
    const NAME: &str = "cron schedulers";
    let mut pipeline = redis::pipe();
    let since = now.before(KEPT).epoch_text();
    pipeline.cmd("ZRANGEBYSCORE").arg(keys.cron_schedulers()).arg(since).arg("+inf");
    Step::new(NAME, pipeline, |answers| {
        let names: Vec<Vec<u8>> = single(NAME, answers)?;
        Ok(names.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()).collect())
    })
}

/// The records of these schedulers (`HGETALL`); those are left out that have none.
pub fn records(keys: &Keys, names: &[String]) -> Step<Vec<CronRecord>> {
    const NAME: &str = "cron records";
    let mut pipeline = redis::pipe();
    for name in names {
        pipeline.cmd("HGETALL").arg(keys.cron_scheduler(name));
    }
    let names = names.to_vec();
    Step::new(NAME, pipeline, move |answers: Answers| {
        let mut records = Vec::new();
        for (name, answer) in names.iter().zip(answers) {
            match read_hash(NAME, answer) {
                Ok(fields) if fields.is_empty() => {}
                Ok(fields) => records.push(CronRecord::from_fields(name, fields)),
                // A key of another type is nobody's record.
                Err(error) if error.class() == ErrorClass::Fault => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    })
}
