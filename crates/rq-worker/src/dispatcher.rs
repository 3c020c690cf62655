//! The dispatcher: one closed set of events, one loop, one place that talks to Redis.
//!
//! | duty | file |
//! |---|---|
//! | registers the worker | `registration.rs` |
//! | claims jobs, never more than there are free slots, and hands them to the executor | `claiming.rs`, `order.rs`, `running.rs` |
//! | settles what ended, exactly once | `settling.rs` |
//! | says that the worker lives, and what it runs; stores what running jobs save | `living.rs`, `meta_box.rs` |
//! | ends what silent workers held | `reaper.rs` |
//! | lets due jobs go on | `schedule.rs` |
//! | looks after the books | `maintenance.rs` |
//! | lets small steps wait for company | `pace.rs` |
//! | carries steps through an outage of Redis | `outage.rs` |
//! | decides when to stop | `stopping.rs` |
//!
//! Each turn of the loop [starts](Dispatcher::act) the steps that the state calls for, waits for
//! [one event](Dispatcher::next_event), and [absorbs](Dispatcher::absorb) it. Steps are under way beside the loop, so
//! that claims, runs and settlements overlap; while one is under way, what comes next gathers to the next batch.

mod claiming;
mod living;
mod maintenance;
mod meta_box;
mod order;
mod outage;
mod pace;
mod reaper;
mod registration;
mod running;
mod schedule;
mod settling;
mod stopping;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rq_core::link::{Link, Step};
use rq_core::steps::claim::Claim;
use rq_core::steps::schedule::QueueTick;
use rq_core::steps::settlement::{Settlement, Settling};
use rq_core::steps::silent::Silent;
use rq_core::steps::suspension;
use rq_core::steps::worker::{Identity, Pulse};
use rq_core::steps::{BATCH_MAX, Claimed};
use rq_core::{Ended, ExceptionHandler, ExecutionId, Executor, Fields};
use tokio::time::{Interval, MissedTickBehavior};

use crate::bell::Bell;
use crate::commands::{Command, Commands};
use crate::error::WorkerError;
use crate::line::Line;
use crate::options::Options;
use crate::report::Report;
use crate::signals::{Request, Signals};
use maintenance::Found;
use meta_box::MetaBox;
use order::Order;
use outage::insist;
use pace::Pace;
use reaper::{Reaped, Reaper};
use running::Running;
use schedule::Schedule;

/// How many jobs make a step worth its round trip while one of its kind is under way, or may [gather](Pace).
const BATCH_WORTH_MIN: usize = BATCH_MAX / 2;
/// How many claims may be under way: the script knows the last two apart.
const CLAIMS_MAX: usize = 2;
/// How many events one turn absorbs before steps are started again.
const EVENTS_PER_TURN_MAX: usize = 256;
/// How often leases are renewed while they last: two renewals may be late before one is lost.
const RENEWALS_PER_LEASE: u32 = 3;
/// The shortest time between two ticks of whatever ticks.
const PERIOD_MIN: Duration = Duration::from_millis(1);
/// The shortest time between two rounds of maintenance.
const MAINTENANCE_MIN: Duration = Duration::from_millis(100);

/// Runs a worker until it is told to stop.
pub(crate) async fn run(
    mut options: Options,
    executor: Box<dyn Executor>,
    executor_name: &'static str,
    exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
) -> Result<(), WorkerError> {
    let signals = Signals::install()?;
    let link = Link::open(&options.url).await?;
    registration::check_server(&link).await?;
    if link.take(&suspension::is_suspended(&options.keys)).await? {
        return Err(WorkerError::Suspended);
    }
    let who = registration::identity(&mut options);
    registration::register(&link, &who, &options.queues).await?;
    let report = Report::new(&who.name, options.log_descriptions);
    report.started(executor_name, executor.slots());
    let mut dispatcher = Dispatcher::new(options, who, link, executor, exception_handlers, report, signals);
    dispatcher.listen().await;
    let result = dispatcher.dispatch().await;
    dispatcher.unregister().await;
    result
}

/// All that can happen.
enum Event {
    /// The system asks something of the worker.
    Signal(Request),
    /// Somebody asks something of the worker.
    Command(Command),
    /// An execution ended.
    Ended(ExecutionId, Ended),
    /// A failure was shown to the exception handlers.
    Handled(Settlement),
    /// A claim was answered.
    Claimed(u64, Result<Claim, rq_core::Error>),
    /// Claimed jobs were marked and fetched.
    Begun(Vec<Claimed>, Result<Vec<Option<Fields>>, rq_core::Error>),
    /// Executions were settled.
    Settled(Vec<Settlement>, Result<Vec<Settling>, rq_core::Error>),
    /// The dependents of an ended job were released.
    Released(Result<(), rq_core::Error>),
    /// The leases of these executions were renewed.
    Renewed(Vec<ExecutionId>, Result<Vec<bool>, rq_core::Error>),
    /// Jobs that never began were given back.
    PutBack(Vec<Claimed>, Result<Vec<bool>, rq_core::Error>),
    /// A heartbeat for these executions was answered.
    Beaten(Vec<ExecutionId>, Result<Pulse, rq_core::Error>),
    /// The meta of running jobs was stored.
    MetaSaved(Result<Vec<bool>, rq_core::Error>),
    /// It is time to look for silent workers.
    LookDue,
    /// The leases of these executions are over; nobody holds any lease where there is nothing.
    SilentFound(Result<Option<Vec<Silent>>, rq_core::Error>),
    /// These were ended because their worker is silent.
    Reaped(Result<Vec<Reaped>, rq_core::Error>),
    /// The scheduler's next tick is due.
    TickDue,
    /// The scheduler's tick was answered.
    Ticked(Result<Vec<QueueTick>, rq_core::Error>),
    /// The scheduler gave up what it held.
    ScheduleLeft(Result<usize, rq_core::Error>),
    /// A heartbeat is due.
    BeatDue,
    /// The leases are to be renewed.
    RenewalDue,
    /// The books are to be looked after.
    MaintenanceDue,
    /// They were, and this was found.
    Maintained(Found),
    /// A running job saved its meta.
    MetaDue,
    /// A queue may hold a job.
    Rang,
    /// A pause is over, or a wait has a bound: look at the state again.
    Look,
    /// The record that had vanished from Redis is there again.
    Registered(Result<(), WorkerError>),
}

/// How far the worker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Not at all.
    Working,
    /// It claims nothing more and finishes what runs.
    Draining,
    /// It ends what runs, until then at the latest.
    Ending(Instant),
    /// Nothing runs any more; it leaves then, whether or not Redis has answered.
    Leaving(Instant),
}

struct Dispatcher {
    options: Options,
    who: Identity,
    link: Link,
    executor: Box<dyn Executor>,
    exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
    report: Arc<Report>,
    signals: Signals,
    bell: Bell,
    commands: Commands,
    beat: Interval,
    renewal: Interval,
    /// When to look for silent workers: as often as leases are renewed.
    look: Interval,
    maintenance: Interval,
    meta_box: Arc<MetaBox>,
    steps: FuturesUnordered<BoxFuture<'static, Event>>,

    course: Course,
    /// When a warm stop turns cold.
    cold_at: Option<Instant>,
    /// Why the worker must end with an error, once it has drained.
    broken: Option<WorkerError>,
    running: Running,
    /// Ended, not yet being settled.
    unsettled: Vec<Settlement>,
    settles_under_way: usize,
    put_backs_under_way: usize,
    releases_under_way: usize,
    renewals_under_way: usize,
    reaper: Reaper,
    /// Whether silent workers are being looked for, or what they left ended.
    reaping: bool,
    /// Whether that was done once.
    looked: bool,
    saving_meta: bool,
    /// The scheduler, in a worker that has one.
    schedule: Option<Schedule>,
    /// Whether a round of maintenance is under way.
    maintaining: bool,
    /// Whether a step of ours may have put jobs into queues, and no claim has begun since.
    refilled: bool,

    /// In which order the next claim serves the queues.
    order: Order,
    claim_number: u64,
    pace: Pace,
    /// How many jobs each claim under way asks for; its number says which is whose.
    claiming: [usize; CLAIMS_MAX],
    /// How many claimed jobs are being fetched.
    fetching: usize,
    /// Whether the last claim found less than it asked for, and nothing has rung since.
    queues_empty: bool,
    suspended: bool,
    /// The queues whose key holds no list, as was told.
    wrong_lists: HashSet<String>,
    /// No claim before then.
    claim_after: Option<Instant>,
    jobs_begun: u64,
    idle_since: Instant,
    /// What the worker's record says it does.
    state: &'static str,
    /// How many messages on the worker's channel were no commands.
    unknown_commands: u64,
}

impl Dispatcher {
    fn new(
        options: Options,
        who: Identity,
        link: Link,
        executor: Box<dyn Executor>,
        exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
        report: Report,
        signals: Signals,
    ) -> Dispatcher {
        let lists = options.queues.iter().map(|queue| options.keys.queue(queue)).collect();
        let beat = every(options.monitoring_interval);
        let renewal = every(options.lease / RENEWALS_PER_LEASE);
        let mut look = every(options.lease / RENEWALS_PER_LEASE);
        look.reset_immediately();
        let reaper = Reaper::new(options.lease);
        let maintenance = every(options.maintenance_interval.max(MAINTENANCE_MIN));
        Dispatcher {
            bell: Bell::new(link.clone(), lists),
            commands: Commands::new(link.clone(), who.keys.pubsub(&who.name)),
            meta_box: Arc::new(MetaBox::new(Line::new(options.url.clone(), who.keys.clone()))),
            steps: FuturesUnordered::new(),
            course: Course::Working,
            cold_at: None,
            broken: None,
            running: Running::default(),
            unsettled: Vec::new(),
            settles_under_way: 0,
            put_backs_under_way: 0,
            releases_under_way: 0,
            renewals_under_way: 0,
            saving_meta: false,
            schedule: Schedule::new(&options),
            maintaining: false,
            refilled: false,
            order: Order::new(options.dequeue, options.queues.clone()),
            claim_number: 0,
            pace: Pace::default(),
            claiming: [0; CLAIMS_MAX],
            fetching: 0,
            queues_empty: false,
            suspended: false,
            wrong_lists: HashSet::new(),
            claim_after: None,
            jobs_begun: 0,
            idle_since: Instant::now(),
            state: "started",
            unknown_commands: 0,
            options,
            who,
            link,
            executor,
            exception_handlers,
            report: Arc::new(report),
            signals,
            beat,
            renewal,
            look,
            reaper,
            reaping: false,
            looked: false,
            maintenance,
        }
    }

    /// Opens the ears: for commands, and by the first claim for jobs.
    async fn listen(&mut self) {
        self.report.subscribing(self.commands.channel());
        self.commands.subscribe().await;
        self.report.listening(&self.options.queues);
    }

    /// The loop. Ends when the worker has stopped.
    async fn dispatch(&mut self) -> Result<(), WorkerError> {
        self.start_maintenance();
        while !self.is_over() {
            self.act();
            let event = self.next_event().await;
            self.absorb(event);
            for _ in 0..EVENTS_PER_TURN_MAX {
                let Some(event) = self.next_event().now_or_never() else { break };
                self.absorb(event);
            }
            self.consider_stopping();
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Waits for the next thing to happen. Cancel-safe: nothing is lost if it is not waited for to the end.
    async fn next_event(&mut self) -> Event {
        let wants_bell = self.wants_bell();
        let look_at = self.next_look();
        tokio::select! {
            biased;
            request = self.signals.next() => Event::Signal(request),
            command = self.commands.next() => Event::Command(command),
            Some(event) = self.steps.next() => event,
            (id, ended) = self.executor.ended() => Event::Ended(id, ended),
            _ = self.beat.tick() => Event::BeatDue,
            _ = self.renewal.tick(), if !self.running.is_empty() => Event::RenewalDue,
            _ = self.look.tick(), if self.course == Course::Working && !self.reaping => Event::LookDue,
            () = Schedule::tick_due(&mut self.schedule), if self.course == Course::Working => Event::TickDue,
            _ = self.maintenance.tick() => Event::MaintenanceDue,
            () = self.meta_box.filled(), if !self.saving_meta => Event::MetaDue,
            () = self.bell.rung(), if wants_bell => Event::Rang,
            () = sleep_until(look_at), if look_at.is_some() => Event::Look,
        }
    }

    fn absorb(&mut self, event: Event) {
        match event {
            Event::Signal(Request::Stop) => self.absorb_signal(),
            Event::Signal(Request::Tell) => self.tell_all(),
            Event::Command(command) => self.absorb_command(command),
            Event::Ended(id, ended) => self.absorb_ended(&id, ended),
            Event::Handled(settlement) => self.unsettled.push(settlement),
            Event::Claimed(number, claim) => self.absorb_claim(number, claim),
            Event::Begun(claimed, fetched) => self.absorb_begun(claimed, fetched),
            Event::Settled(settlements, settled) => self.absorb_settled(settlements, settled),
            Event::PutBack(claimed, put_back) => self.absorb_put_back(&claimed, put_back),
            Event::Beaten(ids, pulse) => self.absorb_pulse(&ids, pulse),
            Event::MetaSaved(saved) => {
                self.saving_meta = false;
                self.tell_refused("saving meta", saved);
            }
            Event::LookDue => self.start_looking(),
            Event::SilentFound(found) => self.absorb_silent(found),
            Event::Reaped(reaped) => self.absorb_reaped(reaped),
            Event::TickDue => self.start_tick(),
            Event::Ticked(ticked) => self.absorb_ticked(ticked),
            Event::ScheduleLeft(left) => self.absorb_schedule_left(left),
            Event::BeatDue => self.start_heartbeats(),
            Event::RenewalDue => self.start_renewing(),
            Event::Renewed(ids, held) => self.absorb_renewed(&ids, held),
            Event::Released(released) => {
                self.releases_under_way -= 1;
                self.refilled = true;
                self.tell_refused("releasing dependents", released);
            }
            Event::MaintenanceDue => self.start_maintenance(),
            Event::Maintained(found) => self.absorb_maintained(found),
            Event::MetaDue => self.start_saving_meta(),
            Event::Rang => self.queues_empty = false,
            Event::Look => self.absorb_look(),
            Event::Registered(result) => match result {
                Ok(()) => self.report.registered_again(),
                Err(error) => self.report.refused("registering again", &error),
            },
        }
    }

    /// Starts the steps that the state calls for.
    fn act(&mut self) {
        self.start_settling();
        self.start_claim();
        self.start_leaving_schedule();
        self.tell_state();
    }

    fn start(&mut self, step: impl Future<Output = Event> + Send + 'static) {
        self.steps.push(step.boxed());
    }

    /// A step sent until Redis answers; every one of the worker's steps is safe to send twice.
    fn insist<T: 'static>(&self, step: Step<T>) -> impl Future<Output = Result<T, rq_core::Error>> + use<T> {
        insist(self.link.clone(), step, Arc::clone(&self.report))
    }

    fn tell_refused<T>(&self, step: &str, result: Result<T, rq_core::Error>) -> Option<T> {
        result.inspect_err(|error| self.report.refused(step, error)).ok()
    }
}

/// Ticks every `period`, and not at once.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period.max(PERIOD_MIN));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
