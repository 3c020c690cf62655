//! [`CronScheduler`]: enqueues what is due, once, whoever else has the same entries.
//!
//! It looks at its entries, sends the ticks that are due, and sleeps until the next one is, or until its next heartbeat. What
//! is decided about each entry is in Redis alone (`tick.lua`); what it remembers of that may be old, and is then corrected
//! by the answers.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::link::{Backoff, Link, Step, within};
use rq_core::steps::cron::record::{CronRecord, death, living, records, save};
use rq_core::steps::cron::{TICKS_MAX, Tick, announce, tick};
use rq_core::{Codec, Error, ErrorClass, Keys, Timestamp};
use tokio::sync::watch;

use crate::clock::{Clock, RedisClock};
use crate::cron::CheckedCron;
use crate::event::{CronEvent, CronObserver};
use crate::log::CronLog;
use crate::record::{described, names_in};
use crate::tracked::{After, Tracked};

/// How often a scheduler writes that it lives, at least, and looks at what others do: RQ's 60 s.
pub const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long nobody may have upheld a schedule until another one may have the entry: two heartbeats, and half of one.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(150);
/// The pauses between two attempts at what Redis does not take.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
/// How often an outage is told of.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// From when on its end is told.
const OUTAGE_MIN: Duration = Duration::from_secs(1);
/// How long a step may take that is under way when it is stopped.
const LAST_STEP_LIMIT: Duration = Duration::from_secs(1);
/// How long ticks are sent as they were planned, while Redis takes nothing: then they are planned anew, as others are due by then.
const PLAN_KEPT: Duration = Duration::from_secs(1);
/// How long its end may take: who stops it waits.
const DEATH_LIMIT: Duration = Duration::from_secs(2);

/// Enqueues what is due, once, whoever else has the same entries.
///
/// Its ticks may be shared with any number of others, in other processes and on other hosts. It carries on through outages of
/// Redis; what was due meanwhile is made up for as the entries say.
///
/// ```no_run
/// use rq_core::{Call, secs};
/// use rq_cron::{Cron, CronScheduler};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let cron = Cron::new().every(secs(60), Call::<()>::to("accounts.sync")).check()?;
/// let scheduler = CronScheduler::connect("redis://localhost/", &cron).await?;
/// scheduler.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a scheduler does nothing until it is run"]
pub struct CronScheduler {
    keys: Keys,
    link: Link,
    name: String,
    hostname: String,
    config_file: String,
    codec: Codec,
    entries: Vec<Tracked>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn CronObserver>,
    created_at: Timestamp,
    heartbeat_at: Option<Timestamp>,
    /// When the last one was, whatever becomes of Redis' clock.
    beat: Instant,
    is_stopping: watch::Receiver<bool>,
    /// Since when Redis takes nothing, if it is so.
    outage: Option<Outage>,
    /// The schedulers of Python, and their entries, that were told of.
    strangers: Option<(Vec<String>, Vec<String>)>,
}

impl CronScheduler {
    /// A scheduler of these entries on the Redis at `url`, a [`RedisUrl`](rq_core::RedisUrl), with the prefix of keys that
    /// `RQ_KEY_PREFIX` says. It logs to `tracing`, and goes by the clock of Redis.
    ///
    /// # Errors
    /// If Redis cannot be reached, the prefix cannot be one, or the call of an entry cannot be written.
    pub async fn connect(url: &str, cron: &CheckedCron) -> Result<CronScheduler, Error> {
        CronScheduler::new(cron, Link::open(url).await?, Keys::from_env()?)
    }

    /// A scheduler of these entries, which logs to `tracing` and goes by the clock of Redis.
    ///
    /// # Errors
    /// If the call of an entry cannot be written.
    pub fn new(cron: &CheckedCron, link: Link, keys: Keys) -> Result<CronScheduler, Error> {
        // RQ's is always pickle, whatever `-S` says; the codec of a call has precedence.
        let codec = Codec::Pickle;
        let entries = cron.entries().iter().map(|entry| Tracked::new(entry.clone(), codec));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        link.follow_cluster(&keys);
        let hostname = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
        let hostname = hostname.unwrap_or_else(|_| "unknown".to_owned());
        let random = uuid::Uuid::new_v4().simple().to_string();
        Ok(CronScheduler {
            name: format!("{hostname}:{}:{}", std::process::id(), &random[..6]),
            keys,
            link,
            hostname,
            config_file: String::new(),
            codec,
            entries,
            clock: Arc::new(RedisClock::new()),
            observer: Arc::new(CronLog),
            created_at: Timestamp::now(),
            heartbeat_at: None,
            beat: Instant::now(),
            is_stopping: watch::channel(false).1,
            outage: None,
            strangers: None,
        })
    }

    /// Where its entries come from, for its record.
    pub fn config_file(mut self, path: impl Into<String>) -> CronScheduler {
        self.config_file = path.into();
        self
    }

    /// A name of its own; no other scheduler may have it.
    pub fn named(mut self, name: impl Into<String>) -> CronScheduler {
        self.name = name.into();
        self
    }

    /// Another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> CronScheduler {
        self.clock = clock;
        self
    }

    /// Who is told what it does, in place of the log.
    pub fn observer(mut self, observer: Arc<dyn CronObserver>) -> CronScheduler {
        self.observer = observer;
        self
    }

    /// Its name: host, process id and a random part, as RQ's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs until `stop` completes. Whoever drops this before leaves its record to expire, and does no harm otherwise.
    ///
    /// # Errors
    /// If Redis refuses, at the start, what it needs. Later that is told, and tried again.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        self.created_at = self.clock.now();
        self.tell(CronEvent::Starting);
        self.tell(CronEvent::RegisteringBirth);
        let (stopping, is_stopping) = watch::channel(false);
        self.is_stopping = is_stopping;
        let ended = {
            let mut work = pin!(self.work());
            tokio::select! {
                biased;
                () = stop => {
                    stopping.send_replace(true);
                    // A step that is under way is told of as it ended, unless Redis is away.
                    tokio::time::timeout(LAST_STEP_LIMIT, work).await.unwrap_or(Ok(()))
                }
                result = &mut work => result,
            }
        };
        if ended.is_ok() {
            self.tell(CronEvent::StopRequested);
        }
        self.tell(CronEvent::RegisteringDeath);
        // It is taken off in two minutes at the latest, if not by this.
        let _ = within(DEATH_LIMIT, async {
            let _ = self.link.run(&death(&self.keys, &self.name)).await;
            Ok::<(), rq_core::RedisError>(())
        })
        .await;
        self.tell(CronEvent::ShutdownComplete);
        ended
    }

    /// The loop; ends when it is stopped, or with an error.
    async fn work(&mut self) -> Result<(), Error> {
        self.begin().await?;
        while !self.is_stopped() {
            let mut now = self.clock.now();
            if self.heartbeat_at.is_none_or(|at| at <= now) || self.beat.elapsed() >= HEARTBEAT {
                self.heartbeat(false).await?;
                now = self.clock.now();
            }
            let next = self.fire(now).await?;
            self.sleep(next).await;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        *self.is_stopping.borrow()
    }

    /// Its first steps. What is refused here for want of a permission, say, ends it.
    async fn begin(&mut self) -> Result<(), Error> {
        // First, as the answer sets the clock by which all else is decided; then as that clock has it, and with what the
        // announcement has told.
        self.save().await?;
        self.heartbeat(true).await
    }

    /// Upholds its entries, learns how far they have come, and writes that it lives.
    async fn heartbeat(&mut self, takes_over: bool) -> Result<(), Error> {
        self.announce(takes_over).await?;
        self.save().await?;
        let now = self.clock.now();
        self.look_for_strangers(now).await;
        self.heartbeat_at = Some(now.after(HEARTBEAT));
        self.beat = Instant::now();
        Ok(())
    }

    /// Fires what is due. When there is something to be done again.
    async fn fire(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut next: Option<Timestamp> = None;
        let mut after = After::default();
        let mut gathered = Vec::new();
        for at in 0..self.entries.len() {
            let look = self.entries[at].look(now, self.codec)?;
            // What is answered may leave more to be done.
            let look_again = if look.ticks.is_empty() { look.next } else { Some(now) };
            next = [next, look_again].into_iter().flatten().min();
            gathered.extend(look.ticks.into_iter().map(|tick| (at, tick)));
            if gathered.len() >= TICKS_MAX {
                after = after.and(self.send(std::mem::take(&mut gathered)).await?);
            }
        }
        after = after.and(self.send(gathered).await?);
        if after.plan_anew {
            return Ok(Some(now));
        }
        if after.announce {
            self.announce(false).await?;
        }
        if after.has_moved {
            self.save().await?;
        }
        Ok(next)
    }

    /// Sends ticks of the entries at these places.
    async fn send(&mut self, ticks: Vec<(usize, Tick)>) -> Result<After, Error> {
        let mut after = After::default();
        for chunk in ticks.chunks(TICKS_MAX) {
            if self.is_stopped() {
                break;
            }
            let sent: Vec<Tick> = chunk.iter().map(|(_, tick)| tick.clone()).collect();
            let Some(answers) = self.until_taken_or_old(&tick(&self.keys, &sent)).await? else {
                after.plan_anew = true;
                break;
            };
            let now = self.clock.now();
            for ((at, tick), answer) in chunk.iter().zip(answers) {
                let (name, observer) = (self.name.as_str(), &self.observer);
                let tell = |event: CronEvent<'_>| observer.observe(name, &event);
                after = after.and(self.entries[*at].ticked(tick, answer, now, HEARTBEAT, tell));
            }
        }
        Ok(after)
    }

    async fn sleep(&self, next: Option<Timestamp>) {
        let now = self.clock.now();
        let until = [next, self.heartbeat_at].into_iter().flatten().min().unwrap_or(now.after(HEARTBEAT));
        if until > now {
            self.tell(CronEvent::Sleeping { pause: until.since(now) });
            let mut is_stopping = self.is_stopping.clone();
            tokio::select! {
                () = self.clock.wait_until(until) => {}
                _ = is_stopping.wait_for(|is_stopping| *is_stopping) => {}
            }
        }
    }

    async fn announce(&mut self, takes_over: bool) -> Result<(), Error> {
        let definitions: Vec<_> = self.entries.iter().map(|tracked| tracked.definition.clone()).collect();
        let step = announce(&self.keys, self.clock.now(), takes_over, GIVEN_UP_AFTER, &definitions);
        let progress = self.until_taken(&step).await?;
        for (tracked, progress) in self.entries.iter_mut().zip(progress) {
            let (name, observer) = (self.name.as_str(), &self.observer);
            tracked.announced(progress, |event| observer.observe(name, &event));
        }
        Ok(())
    }

    /// Writes its record, and learns what time it is.
    async fn save(&mut self) -> Result<(), Error> {
        let step = self.record_step();
        let asked = Instant::now();
        let redis = self.until_taken(&step).await?;
        self.clock.set_by(redis, asked, Instant::now());
        Ok(())
    }

    fn record_step(&self) -> Step<Timestamp> {
        let now = self.clock.now();
        let record = CronRecord {
            name: self.name.clone(),
            hostname: self.hostname.clone(),
            pid: std::process::id().to_string(),
            created_at: self.created_at.to_string(),
            config_file: self.config_file.clone(),
            cron_jobs: described(&self.entries, now),
            shares_ticks: true,
        };
        save(&self.keys, &record, now)
    }

    /// Tells of Python's schedulers that have the same entries, when that changes. It is no step that matters: where it
    /// fails, it is taken again with the next heartbeat.
    async fn look_for_strangers(&mut self, now: Timestamp) {
        let Ok(names) = self.link.run(&living(&self.keys, now)).await else { return };
        let Ok(found) = self.link.run(&records(&self.keys, &names)).await else { return };
        let strangers = Some(self.strangers_in(&found));
        if self.strangers != strangers
            && let Some((schedulers, entries)) = &strangers
            && !schedulers.is_empty()
        {
            self.tell(CronEvent::SharedWithPython { schedulers, entries });
        }
        self.strangers = strangers;
    }

    /// Those of them that heed no decision and have entries of ours, and these entries.
    fn strangers_in(&self, found: &[CronRecord]) -> (Vec<String>, Vec<String>) {
        let (mut schedulers, mut shared) = (Vec::new(), BTreeSet::new());
        for record in found.iter().filter(|record| !record.shares_ticks) {
            let theirs = names_in(&record.cron_jobs);
            let ours = self.entries.iter().map(|tracked| tracked.name().to_owned());
            let common: Vec<String> = ours.filter(|name| theirs.contains(name)).collect();
            if !common.is_empty() {
                schedulers.push(record.name.clone());
            }
            shared.extend(common);
        }
        (schedulers, shared.into_iter().collect())
    }

    /// Sends a step until Redis takes it; all steps here are safe to send twice.
    async fn until_taken<T>(&mut self, step: &Step<T>) -> Result<T, Error> {
        loop {
            if let Some(answer) = self.attempt(step).await? {
                return Ok(answer);
            }
        }
    }

    /// The same for ticks; `None` where they were planned too long ago by then. What of them was done all the same is known by
    /// what is decided.
    async fn until_taken_or_old<T>(&mut self, step: &Step<T>) -> Result<Option<T>, Error> {
        let planned = Instant::now();
        loop {
            let answer = self.attempt(step).await?;
            if answer.is_some() || planned.elapsed() >= PLAN_KEPT {
                return Ok(answer);
            }
        }
    }

    /// Sends a step; `None`, after a pause, where Redis does not take it.
    async fn attempt<T>(&mut self, step: &Step<T>) -> Result<Option<T>, Error> {
        let error = match self.link.run(step).await {
            Ok(answer) => {
                self.tell_of_end();
                return Ok(Some(answer));
            }
            Err(error) if error.class() == ErrorClass::Fault => return Err(error),
            // Nothing was ever done here: who has started this one is to know that at once.
            Err(error) if error.class() == ErrorClass::Misconfigured && self.heartbeat_at.is_none() => {
                return Err(error);
            }
            Err(error) => error,
        };
        let mut outage = self.outage.take().unwrap_or_else(Outage::begin);
        self.tell_of_outage(&mut outage, &error);
        let pause = outage.pauses.pause();
        self.outage = Some(outage);
        tokio::time::sleep(pause).await;
        Ok(None)
    }

    fn tell_of_outage(&self, outage: &mut Outage, error: &Error) {
        if outage.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            let lasts = outage.began.elapsed();
            self.tell(CronEvent::OutageOn { error: &error.to_string(), lasts });
            outage.told = Some(Instant::now());
        }
    }

    fn tell_of_end(&mut self) {
        let lasted = self.outage.take().map(|outage| outage.began.elapsed());
        if let Some(lasted) = lasted.filter(|lasted| *lasted >= OUTAGE_MIN) {
            self.tell(CronEvent::OutageOver { lasted });
        }
    }

    fn tell(&self, event: CronEvent<'_>) {
        self.observer.observe(&self.name, &event);
    }
}

/// A time in which Redis takes nothing.
struct Outage {
    began: Instant,
    told: Option<Instant>,
    pauses: Backoff,
}

impl Outage {
    fn begin() -> Outage {
        Outage { began: Instant::now(), told: None, pauses: PAUSES }
    }
}
