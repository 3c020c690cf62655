//! The dispatcher: one loop, and one place that talks to Redis.
//!
//! Its duties have a file each. A duty is a struct that owns its state, builds steps and reads their answers, with a
//! little glue: what of it concerns the other duties.
//!
//! | duty | file |
//! |---|---|
//! | claims jobs, never more than there are free slots, and hands them to the executor | `claiming.rs`, `order.rs` |
//! | lets jobs with large payloads begin when there is room for them | `admission.rs` |
//! | takes on fewer jobs while what it takes to run them is short | `shortage.rs` |
//! | settles what ended, exactly once; shows failures to the exception handlers | `settling.rs`, `exceptions.rs` |
//! | writes that the worker is alive, and what it does | `heartbeats.rs`, `registration.rs`, `namesake.rs` |
//! | renews the leases of the jobs that run, so that no other worker takes them | `leases.rs` |
//! | ends what workers held that stopped heartbeating | `reaping.rs` |
//! | sends webhooks, and has callbacks called that were not called where the job ran | `posts.rs`, `outbox.rs` |
//! | stores the meta that running jobs save | `meta.rs`, `meta_box.rs` |
//! | queues scheduled jobs that are due | `schedule.rs` |
//! | looks for groups that have ended where nobody told of it | `group_ends.rs` |
//! | runs a cron scheduler beside the loop | `cron.rs` |
//! | repairs registries, queues and rate limits | `maintenance.rs`, `round.rs` |
//! | gives memory back that jobs have left with the allocator | `thrift.rs` |
//! | carries out requests of the caller, and commands over Redis | `requests.rs` |
//! | tells the worker's supervisor that the loop turns | `beats.rs` |
//! | decides when to stop | `shutdown.rs` |
//!
//! `running.rs` holds the executions that run; `pace.rs` says how long a small step may wait for more jobs; `outage.rs`
//! repeats steps through an outage of Redis.
//!
//! Each turn of the loop [starts](Dispatcher::act) the steps that the state calls for and waits for
//! [one thing to happen](Dispatcher::next). Steps are under way beside the loop, so that claims, runs and settlements
//! overlap; while one is under way, what comes next gathers to the next batch. What is to be done with a step's answer
//! goes with the step.

mod admission;
mod beats;
mod claiming;
mod cron;
mod exceptions;
mod group_ends;
mod heartbeats;
mod leases;
mod maintenance;
mod meta;
mod meta_box;
mod namesake;
mod order;
mod outage;
mod outbox;
mod pace;
mod posts;
mod reaping;
mod registration;
mod requests;
mod round;
mod running;
mod schedule;
mod settling;
mod shortage;
mod shutdown;
mod thrift;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rq_core::link::{Link, Step};
use rq_core::steps::suspension;
use rq_core::steps::worker::{Identity, ServerInfo};
use rq_core::{ErrorClass, ExceptionHandler, Executor};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::commands::Commands;
use crate::error::WorkerError;
use crate::event::{DrainCause, Observer, Observers, WorkerEvent};
use crate::options::Options;
use crate::request::{self, Requests};
use admission::Admission;
pub use admission::INFLATED_BYTES_MAX;
use beats::Beats;
use claiming::{Capacity, Claiming};
use cron::CronTask;
use exceptions::Exceptions;
use group_ends::GroupEnds;
use heartbeats::Heartbeats;
use leases::Leases;
use maintenance::Maintenance;
use meta::Meta;
use outage::{Outage, until_answered};
use outbox::Outbox;
use posts::Posts;
use reaping::Reaping;
use running::Running;
use schedule::Schedule;
use settling::Settling;
use shortage::Shortage;
use shutdown::Shutdown;
use thrift::Thrift;

/// How many events one turn handles before steps are started again.
const EVENTS_PER_TURN_MAX: usize = 256;
/// The shortest and the longest time a step waits for its answer. A server that is slow for a moment is not dead, and five
/// seconds are what Redis calls slow.
const ANSWER_LIMIT_MIN: Duration = Duration::from_secs(1);
const ANSWER_LIMIT_MAX: Duration = Duration::from_secs(5);
/// How long a worker that starts waits for a Redis that reads its data, and how often it asks.
const LOADING_LONGEST: Duration = Duration::from_secs(3600);
const LOADING_PAUSE: Duration = Duration::from_millis(500);
/// The shortest period of any of the worker's timers.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// What a worker is made of before it has a connection.
pub(crate) struct Parts {
    pub(crate) options: Options,
    /// The executor's word for `-w`.
    pub(crate) executor_name: &'static str,
    pub(crate) executor: Box<dyn Executor>,
    /// The callbacks that the program has.
    pub(crate) callback_names: BTreeSet<&'static str>,
    /// Whether the program's death penalties replace the limits of jobs.
    pub(crate) replaces_limits: bool,
    pub(crate) exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
}

/// Runs a worker until it has stopped.
pub(crate) async fn run(mut parts: Parts, mut requests: Requests) -> Result<(), WorkerError> {
    let observers = Observers::new(parts.options.named(), std::mem::take(&mut parts.observers));
    let (who, link, server) = tokio::select! {
        introduced = introduce_once_loaded(&mut parts.options, &observers) => introduced?,
        // Redis may take its time, or be frozen, and nothing runs yet.
        () = request::asked_to_stop(&mut requests) => {
            observers.tell(WorkerEvent::Draining { cause: DrainCause::Asked });
            return Ok(());
        }
    };
    observers.tell(WorkerEvent::Started { executor: parts.executor_name, slots: parts.executor.slots() });
    registration::tell_of_dangers(&server, &observers);
    registration::tell_of_strangers(&link, &who, &parts.options.queues, &observers).await;
    let observers = Arc::new(observers);
    let cron = CronTask::start(&parts.options, &observers).await;
    let mut dispatcher = Dispatcher::new(parts, who, link, observers, requests);
    let result = match cron {
        Ok(cron) => {
            dispatcher.cron = cron;
            dispatcher.listen().await;
            dispatcher.dispatch().await
        }
        Err(error) => Err(error),
    };
    dispatcher.leave_cron().await;
    dispatcher.unregister().await;
    dispatcher.flush_exceptions().await;
    result
}

/// [`introduce`], as often as Redis answers that it still reads its data. Without an answer the worker does not start: as
/// RQ's, it says so at once.
async fn introduce_once_loaded(
    options: &mut Options,
    observers: &Observers,
) -> Result<(Identity, Link, ServerInfo), WorkerError> {
    let until = Instant::now() + LOADING_LONGEST;
    let mut has_told = false;
    loop {
        match introduce(options, observers).await {
            Err(WorkerError::Redis(rq_core::Error::Redis(error)))
                if error.code() == Some("LOADING") && Instant::now() < until =>
            {
                if !std::mem::replace(&mut has_told, true) {
                    observers.tell(WorkerEvent::RedisLoading);
                }
                tokio::time::sleep(LOADING_PAUSE).await;
            }
            introduced => return introduced,
        }
    }
}

/// Connects, and registers the worker.
async fn introduce(
    options: &mut Options,
    observers: &Observers,
) -> Result<(Identity, Link, ServerInfo), WorkerError> {
    let link = Link::open(&options.url).await?.with_answer_limit(answer_limit(options.lease));
    link.follow_cluster(&options.keys);
    let server = registration::check_server(&link).await?;
    if server.is_of_cluster && !options.keys.share_a_slot() {
        return Err(WorkerError::PrefixWithoutTag { prefix: options.keys.prefix().to_owned() });
    }
    let who = registration::identity(options);
    registration::check_names(&who, &options.queues)?;
    registration::check_permissions(&link, &who, &options.queues).await?;
    // As in RQ, which exits where workers are suspended at its start (docs/cli.md §2), unless they are those of a
    // pool (docs/cli.md §3). Nothing is registered by then.
    if !options.starts_suspended && link.run(&suspension::is_suspended(&options.keys)).await? {
        return Err(WorkerError::Suspended);
    }
    registration::register(&link, &who, &options.queues, &server, observers).await?;
    Ok((who, link, server))
}

/// How long a step waits for its answer. A renewal over a connection that is dead has to be sent again, over another one,
/// before the lease is over.
fn answer_limit(lease: Duration) -> Duration {
    (lease / leases::RENEWALS_PER_LEASE).clamp(ANSWER_LIMIT_MIN, ANSWER_LIMIT_MAX)
}

/// What the loop does about an event.
type Then = Box<dyn FnOnce(&mut Dispatcher) + Send>;

struct Dispatcher {
    who: Identity,
    options: Options,
    link: Link,
    executor: Box<dyn Executor>,
    /// What the worker's caller asks; what is asked over Redis comes by `commands`.
    requests: Requests,
    commands: Commands,
    observers: Arc<Observers>,
    outage: Arc<Outage>,
    /// The number of the link's newest connection.
    newest: watch::Receiver<u64>,
    /// The steps that are under way, and what is to be done with their answers.
    under_way: FuturesUnordered<BoxFuture<'static, Then>>,
    running: Running,
    shutdown: Shutdown,

    claiming: Claiming,
    admission: Admission,
    shortage: Shortage,
    settling: Settling,
    thrift: Thrift,
    beats: Beats,
    exceptions: Exceptions,
    heartbeats: Heartbeats,
    leases: Leases,
    reaping: Reaping,
    posts: Posts,
    outbox: Outbox,
    group_ends: GroupEnds,
    meta: Meta,
    /// In a worker that has a scheduler, until that has left.
    schedule: Option<Schedule>,
    /// In a worker that has a cron, until that has ended.
    cron: Option<CronTask>,
    maintenance: Maintenance,
}

impl Dispatcher {
    fn new(
        parts: Parts,
        who: Identity,
        link: Link,
        observers: Arc<Observers>,
        requests: Requests,
    ) -> Dispatcher {
        let Parts { options, executor, callback_names, replaces_limits, exception_handlers, .. } = parts;
        Dispatcher {
            commands: Commands::new(link.clone(), who.keys.pubsub(&who.name)),
            outage: Arc::new(Outage::new(Arc::clone(&observers))),
            newest: link.newest(),
            under_way: FuturesUnordered::new(),
            running: Running::new(replaces_limits),
            shutdown: Shutdown::default(),
            claiming: Claiming::new(&options, link.clone()),
            admission: Admission::default(),
            shortage: Shortage::default(),
            settling: Settling::default(),
            thrift: Thrift::default(),
            beats: Beats::new(&options),
            exceptions: Exceptions::new(exception_handlers),
            heartbeats: Heartbeats::new(&options),
            leases: Leases::new(&options),
            reaping: Reaping::new(&options),
            outbox: Outbox::new(&options, callback_names.iter().copied()),
            posts: Posts::new(callback_names),
            group_ends: GroupEnds::new(&options),
            meta: Meta::new(&options),
            schedule: Schedule::new(&options),
            cron: None,
            maintenance: Maintenance::new(&options),
            who,
            options,
            link,
            executor,
            requests,
            observers,
        }
    }

    /// Subscribes to the worker's channel. Jobs need no such call: the first claim asks for them.
    async fn listen(&mut self) {
        self.observers.tell(WorkerEvent::Subscribing { channel: self.commands.channel() });
        tokio::select! {
            () = self.commands.subscribe() => {}
            Some(request) = self.requests.next() => self.on_request(request),
        }
        self.observers.tell(WorkerEvent::Listening { queues: &self.options.queues });
    }

    /// The loop. Ends when the worker has stopped.
    async fn dispatch(&mut self) -> Result<(), WorkerError> {
        // At once: a burst worker may be gone before the first interval is over, and nobody else may look.
        self.start_maintenance();
        while !self.is_over() {
            self.act();
            let then = self.next().await;
            then(self);
            // What has come already is handled before steps are started again: so batches are as large as the load
            // makes them.
            for _ in 0..EVENTS_PER_TURN_MAX {
                let Some(then) = self.next().now_or_never() else { break };
                then(self);
            }
            // After the events: an answer among them may have put jobs into queues or brought some.
            self.consider_stopping();
        }
        self.give_up_outcomes();
        self.shutdown.result()
    }

    /// Starts the steps that the state calls for.
    fn act(&mut self) {
        self.start_settling();
        self.start_giving_back();
        self.start_taking();
        self.start_claims();
        self.start_leaving_schedule();
        self.stop_cron();
        self.report_state();
    }

    /// Waits for the next thing to happen. Cancel-safe: nothing is lost if it is not waited for to the end.
    async fn next(&mut self) -> Then {
        let is_working = self.shutdown.is_working();
        let wants_notifier = self.wants_notifier();
        let holds = !self.holds_nothing();
        let look_at = self.next_look();
        tokio::select! {
            // A stop is heard first, whatever the load.
            biased;
            Some(request) = self.requests.next() => then(|worker| worker.on_request(request)),
            // Before what a load makes: a loop that has much to do does not hang.
            due = self.beats.due() => then(move |worker| worker.beat(due)),
            command = self.commands.next() => then(|worker| worker.on_command(command)),
            Some(then) = self.under_way.next() => then,
            (id, report) = self.executor.ended() => then(move |worker| worker.on_reported(&id, report)),
            Ok(()) = self.newest.changed() => then(Dispatcher::on_reconnected),
            () = self.heartbeats.due() => then(Dispatcher::start_heartbeats),
            () = self.leases.due(), if holds => then(Dispatcher::start_renewing),
            // A worker on its way out leaves silent workers and due jobs to others.
            () = self.reaping.due(), if is_working => then(Dispatcher::start_looking),
            () = Schedule::due(&self.schedule), if is_working => then(Dispatcher::start_look_at_schedule),
            () = self.outbox.due(), if is_working => then(Dispatcher::start_look_into_outbox),
            () = self.group_ends.due(), if is_working => then(Dispatcher::start_look_at_groups),
            error = CronTask::failed(&mut self.cron), if is_working => then(|worker| worker.on_cron_failed(error)),
            () = self.maintenance.due() => then(Dispatcher::start_maintenance),
            () = self.meta.due() => then(Dispatcher::start_saving_meta),
            () = self.claiming.notified(), if wants_notifier => then(|worker| worker.claiming.on_notified()),
            () = sleep_until(look_at), if look_at.is_some() => then(Dispatcher::on_look),
        }
    }

    /// A new connection may lead to another server, to one that was empty, or to this one after a while: the worker says at
    /// once that it is there, and what it runs.
    fn on_reconnected(&mut self) {
        self.start_heartbeats();
        self.start_renewing();
    }

    /// Checks what depends on the time: whether a pause, a grace or a wait is over.
    fn on_look(&mut self) {
        self.claiming.on_look();
        self.look_at_shortage();
        self.look_at_memory();
        self.look_at_shutdown();
    }

    /// When [`on_look`](Dispatcher::on_look) must be called even if no event comes.
    fn next_look(&self) -> Option<Instant> {
        let capacity = self.capacity();
        let steps = [self.claiming.next_look(capacity), self.settling.gathers_until(capacity)];
        steps
            .into_iter()
            .chain([self.shortage.next_look(), self.thrift.due_at(self.running.occupied() == 0)])
            .chain([self.next_look_at_shutdown()])
            .flatten()
            .min()
    }

    /// How many more jobs the worker may claim, and what bears on when.
    fn capacity(&self) -> Capacity {
        // A burst runs the jobs that were due when it began, too, so its scheduler's pass comes before its first claim.
        let schedule_first = self.schedule.as_ref().is_some_and(Schedule::comes_first);
        Capacity {
            slots: self.shortage.limited(self.executor.slots()),
            occupied: self.running.occupied() + self.outbox.occupied(),
            unsettled: self.settling.waiting(),
            takes_jobs: self.shutdown.is_working()
                && !schedule_first
                && !self.outage.is_refused()
                && !self.shortage.is_pausing(),
            pace: self.running.pace(),
        }
    }

    /// Polls `work` beside the loop, and calls `on_done` in the loop with what it yields.
    fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        on_done: impl FnOnce(&mut Dispatcher, T) + Send + 'static,
    ) {
        self.under_way.push(work.map(|done| then(move |worker| on_done(worker, done))).boxed());
    }

    /// Sends a step until Redis takes it; every one of the worker's steps is safe to send twice.
    fn send<T: Send + 'static>(
        &self,
        step: Step<T>,
        on_answer: impl FnOnce(&mut Dispatcher, Result<T, rq_core::Error>) + Send + 'static,
    ) {
        self.beside(until_answered(self.link.clone(), step, Arc::clone(&self.outage)), on_answer);
    }

    /// The answer to a step that was sent until Redis takes it; none where Redis has refused it for good, which is reported
    /// to the observers. A worker that is not allowed what it needs leaves.
    fn accepted<T>(&mut self, step: &str, answer: Result<T, rq_core::Error>) -> Option<T> {
        let error = match answer {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        self.observers.step_failed(step, &error);
        if error.class() != ErrorClass::Fault {
            self.leave_refused(error);
        }
        None
    }

    /// The answer to a step that was sent once; none where it failed, which is reported to the observers.
    fn reported<T>(&self, step: &str, answer: Result<T, rq_core::Error>) -> Option<T> {
        answer.inspect_err(|error| self.observers.step_failed(step, error)).ok()
    }
}

fn then(act: impl FnOnce(&mut Dispatcher) + Send + 'static) -> Then {
    Box::new(act)
}

/// Ticks every `period`, and not at once.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period.max(PERIOD_MIN));
    // A heartbeat or a renewal says once that the worker is alive; those missed in a stall would add nothing.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // tokio's intervals tick at once, and a worker that has just registered has nothing to renew yet.
    interval.reset();
    interval
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
