//! The dispatcher: one closed set of events, one loop, one place that talks to Redis.
//!
//! Duties: 1. registers the worker, keeps it alive, unregisters it; 2. claims jobs, never more than there are free
//! slots; 3. hands executions to the executor; 4. settles what ended, exactly once; 5. decides when to stop.
//!
//! Each turn of the loop [starts](Dispatcher::act) the steps that the state calls for, waits for
//! [one event](Dispatcher::next_event), and [absorbs](Dispatcher::absorb) it. Steps are under way beside the loop, so
//! that claims, runs and settlements overlap; while one is under way, what comes next gathers to the next batch.

mod maintenance;
mod meta_box;
mod order;
mod outage;
mod reaper;
mod registration;
mod running;
mod schedule;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rq_core::link::{Link, Step};
use rq_core::steps::job::{self as job_steps, Cursor, Release};
use rq_core::steps::schedule::QueueTick;
use rq_core::steps::silent::{self, Abandoned, Sign, Silent};
use rq_core::steps::worker::{
    self as steps, BATCH_MAX, Claim, Claimed, HEARTBEAT_BATCH_MAX, Identity, News, Pulse, Settlement,
    Settling,
};
use rq_core::{Ended, ExceptionHandler, ExecutionId, Executor, Failure, Fields, Job, Stop, Timestamp, Ttl};
use tokio::time::{Interval, MissedTickBehavior};

use crate::bell::Bell;
use crate::commands::{Command, Commands};
use crate::error::WorkerError;
use crate::options::Options;
use crate::report::Report;
use crate::signals::Signals;
use maintenance::{Found, Round};
use meta_box::MetaBox;
use order::Order;
use outage::insist;
use reaper::{Reaped, Reaper, Scythe};
use running::{Begun, Run, Running};
use schedule::Schedule;

/// How many settle steps may be under way: the next batch gathers meanwhile.
const SETTLES_MAX: usize = 2;
/// How many jobs make a further step worth its round trip while one of its kind is under way.
const BATCH_WORTH_MIN: usize = BATCH_MAX / 2;
/// How many bytes of results one settle step carries, unless one result alone has more: Redis drops a client that
/// sends it a gigabyte at once.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// How many ended executions may wait for their settlement, per slot, before no more are claimed.
const UNSETTLED_PER_SLOT_MAX: usize = 4;
/// How many events one turn absorbs before steps are started again.
const EVENTS_PER_TURN_MAX: usize = 256;
/// How often a suspended or refused worker tries to claim.
const CLAIM_PAUSE: Duration = Duration::from_secs(1);
/// How often leases are renewed while they last: two renewals may be late before one is lost.
const RENEWALS_PER_LEASE: u32 = 3;
/// The shortest time between two rounds of maintenance.
const MAINTENANCE_MIN: Duration = Duration::from_millis(100);
/// How long a cold stop waits for running jobs to end by themselves.
const COLD_GRACE: Duration = Duration::from_secs(2);
/// How long it then waits for Redis to take what is left to say.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// Runs a worker until it is told to stop.
pub(crate) async fn run(
    options: Options,
    executor: Box<dyn Executor>,
    executor_name: &'static str,
    exception_handlers: Vec<Arc<dyn ExceptionHandler>>,
) -> Result<(), WorkerError> {
    let signals = Signals::install()?;
    let link = Link::open(&options.url).await?;
    registration::check_server(&link).await?;
    if link.take(&steps::is_suspended(&options.keys)).await? {
        return Err(WorkerError::Suspended);
    }
    let who = registration::identity(&options);
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
    /// The system asks the worker to stop.
    Signal,
    /// Somebody asks something of the worker.
    Command(Command),
    /// An execution ended.
    Ended(ExecutionId, Ended),
    /// A failure was shown to the exception handlers.
    Handled(Settlement),
    /// A claim was answered.
    Claimed(Result<Claim, rq_core::Error>),
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
    /// These executions have no lease any more.
    SilentFound(Result<Vec<Silent>, rq_core::Error>),
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
    /// Whether one has put jobs into queues which no claim has seen since.
    refilled: bool,

    /// In which order the next claim serves the queues.
    order: Order,
    claim_number: u64,
    /// How many jobs the claim under way asks for.
    claiming: usize,
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
            meta_box: Arc::default(),
            steps: FuturesUnordered::new(),
            course: Course::Working,
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
            claiming: 0,
            fetching: 0,
            queues_empty: false,
            suspended: false,
            wrong_lists: HashSet::new(),
            claim_after: None,
            jobs_begun: 0,
            idle_since: Instant::now(),
            state: "started",
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
            () = self.signals.next() => Event::Signal,
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
            Event::Signal => self.absorb_signal(),
            Event::Command(command) => self.absorb_command(command),
            Event::Ended(id, ended) => self.absorb_ended(&id, ended),
            Event::Handled(settlement) => self.unsettled.push(settlement),
            Event::Claimed(claim) => self.absorb_claim(claim),
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
                self.queues_empty = false;
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

    // Claiming

    fn start_claim(&mut self) {
        if self.claiming == 0 && std::mem::take(&mut self.refilled) {
            self.queues_empty = false;
        }
        let want = self.wanted();
        let schedule_first = self.schedule.as_ref().is_some_and(Schedule::comes_first);
        if !self.worth_claiming(want) || self.queues_empty || self.claim_after.is_some() || schedule_first {
            return;
        }
        self.claiming = want;
        self.claim_number += 1;
        let per_turn = self.order.per_turn();
        let step = steps::claim(&self.who, self.order.queues(), per_turn, self.claim_number, want);
        let claim = self.insist(step);
        self.start(async move { Event::Claimed(claim.await) });
    }

    /// Jobs are claimed one claim at a time, and at once; while claimed ones are being fetched, a further claim waits
    /// until it is worth it.
    fn worth_claiming(&self, want: usize) -> bool {
        let worth = if self.fetching == 0 { 1 } else { BATCH_WORTH_MIN.min(self.executor.slots() / 2) };
        self.claiming == 0 && want >= worth.max(1)
    }

    /// How many jobs could be begun now.
    fn wanted(&self) -> usize {
        if self.course != Course::Working
            || self.unsettled.len() > self.executor.slots() * UNSETTLED_PER_SLOT_MAX
        {
            return 0;
        }
        let free = self.executor.slots().saturating_sub(self.running.occupied() + self.fetching);
        let left = self.jobs_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        free.min(left).min(BATCH_MAX)
    }

    /// How many jobs `--max-jobs` still allows.
    fn jobs_left(&self) -> Option<u64> {
        self.options.max_jobs.map(|max| max.saturating_sub(self.jobs_begun + self.fetching as u64))
    }

    fn absorb_claim(&mut self, claim: Result<Claim, rq_core::Error>) {
        let asked = std::mem::take(&mut self.claiming);
        match claim {
            Ok(Claim::Taken { claimed, dropped, more }) => {
                self.suspended = false;
                self.queues_empty = claimed.len() < asked && !more;
                for (id, reason) in &dropped {
                    self.heed_dropped(id, reason);
                }
                self.order.advance(claimed.last().map(|claimed| claimed.origin.as_str()));
                self.take_on(claimed);
            }
            Ok(Claim::Suspended) => {
                if !std::mem::replace(&mut self.suspended, true) {
                    self.report.suspended();
                }
                self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
            }
            Err(error) => {
                self.report.refused("claiming jobs", &error);
                self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
            }
        }
    }

    /// A list of another type is met at every claim: told once, and no reason to look all the time.
    fn heed_dropped(&mut self, id: &str, reason: &str) {
        if reason != "wronglist" {
            return self.report.dropped(id, reason);
        }
        if self.wrong_lists.insert(id.to_owned()) {
            self.report.dropped(id, reason);
        }
        if self.running.is_empty() {
            self.claim_after = Some(Instant::now() + CLAIM_PAUSE);
        }
    }

    /// Fetches what was claimed, or gives it back if the worker is on its way out.
    fn take_on(&mut self, claimed: Vec<Claimed>) {
        if claimed.is_empty() {
            return;
        }
        if self.course != Course::Working {
            return self.start_putting_back(claimed);
        }
        self.fetching += claimed.len();
        let begin = self.insist(steps::begin(&self.who, &claimed));
        self.start(async move { Event::Begun(claimed, begin.await) });
    }

    fn absorb_begun(&mut self, claimed: Vec<Claimed>, fetched: Result<Vec<Option<Fields>>, rq_core::Error>) {
        self.fetching -= claimed.len();
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                self.report.refused("fetching claimed jobs", &error);
                return self.start_putting_back(claimed);
            }
        };
        for (claimed, fields) in claimed.into_iter().zip(fetched) {
            match fields {
                Some(fields) => self.begin(claimed, fields),
                None => self.report.called_off(claimed.id.job_id()),
            }
        }
    }

    fn begin(&mut self, claimed: Claimed, fields: Fields) {
        self.jobs_begun += 1;
        let id = claimed.id.clone();
        match self.running.begin(claimed, fields, &self.meta_box) {
            Begun::Runs(execution, origin) => {
                self.report.begins(&origin, &execution.job);
                self.executor.start(execution);
            }
            Begun::Malformed(failure) => {
                self.absorb_ended(&id, Ended { outcome: Err(failure), ran: Duration::ZERO });
            }
        }
    }

    fn start_putting_back(&mut self, claimed: Vec<Claimed>) {
        self.put_backs_under_way += 1;
        let put_back = self.insist(steps::put_back(&self.who, &claimed));
        self.start(async move { Event::PutBack(claimed, put_back.await) });
    }

    fn absorb_put_back(&mut self, claimed: &[Claimed], put_back: Result<Vec<bool>, rq_core::Error>) {
        self.put_backs_under_way -= 1;
        for claimed in claimed {
            self.report.called_off(claimed.id.job_id());
        }
        self.tell_refused("giving jobs back", put_back);
    }

    // Settling

    fn absorb_ended(&mut self, id: &ExecutionId, ended: Ended) {
        let Some(run) = self.running.end(id) else { return };
        let ended = self.explained(ended);
        let (settlement, failure) = run.settlement(ended, &self.options, self.meta_box.take(id));
        self.report.ended(&run.job, &settlement);
        match failure {
            None => self.unsettled.push(settlement),
            Some(failure) => self.show_failure(run, failure, settlement),
        }
        self.heed_exhaustion();
    }

    /// A job that was stopped by a cold stop was not stopped by a user.
    fn explained(&self, mut ended: Ended) -> Ended {
        let cold = matches!(self.course, Course::Ending(_) | Course::Leaving(_));
        if cold && matches!(ended.outcome, Err(Failure::Stopped)) {
            ended.outcome = Err(Failure::Executor("the worker was shut down while the job ran".to_owned()));
        }
        ended
    }

    /// Shows a failure to the exception handlers, on a thread beside the loop.
    fn show_failure(&mut self, run: Run, failure: Failure, settlement: Settlement) {
        if self.exception_handlers.is_empty() {
            return self.unsettled.push(settlement);
        }
        let handlers = self.exception_handlers.clone();
        let shown = tokio::task::spawn_blocking(move || show(&handlers, &run.job, &failure));
        self.start(async move {
            // A thread that could not be had is no reason to lose the settlement.
            let _ = shown.await;
            Event::Handled(settlement)
        });
    }

    /// Settles what has ended. While steps are under way the next batch gathers.
    fn start_settling(&mut self) {
        while self.worth_settling() {
            let rest = self.unsettled.split_off(batch_len(&self.unsettled));
            let batch = std::mem::replace(&mut self.unsettled, rest);
            self.settles_under_way += 1;
            let settle = self.insist(steps::settle(&self.who.keys, Some(&self.who), &batch));
            self.start(async move { Event::Settled(batch, settle.await) });
        }
    }

    /// What has ended is settled at once, or gathers while a step is under way until a further one is worth it.
    fn worth_settling(&self) -> bool {
        let worth = if self.settles_under_way == 0 { 1 } else { BATCH_WORTH_MIN };
        self.settles_under_way < SETTLES_MAX && self.unsettled.len() >= worth
    }

    fn absorb_settled(&mut self, batch: Vec<Settlement>, settled: Result<Vec<Settling>, rq_core::Error>) {
        self.settles_under_way -= 1;
        // It may have put jobs into the queues: dependents, repetitions. Who waits hears the bell; a burst would be over.
        if self.options.burst {
            self.queues_empty = false;
        }
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) => {
                // Not ours to repair: the executions expire, and maintenance files them.
                self.report.refused("settling jobs", &error);
                vec![Settling::Lost; batch.len()]
            }
        };
        for (settlement, settling) in batch.iter().zip(settled) {
            let Some(run) = self.running.forget(&settlement.claimed.id) else { continue };
            match settling {
                Settling::Done => self.report.settled(&run.job, settlement),
                Settling::DependentsLeft => {
                    self.report.settled(&run.job, settlement);
                    self.start_releasing(&run.job.id, settlement);
                }
                Settling::Lost | Settling::Deleted => self.report.lost(&run.job.id),
            }
        }
    }

    /// Releases the dependents that a settlement has left. Maintenance finds those that a crash leaves.
    fn start_releasing(&mut self, job_id: &str, settlement: &Settlement) {
        let discarded = settlement.conclusion.ttl == Ttl::Seconds(0) && settlement.conclusion.next.is_none();
        let why = if discarded { Release::Discarded } else { Release::Ended };
        let (link, report) = (self.link.clone(), Arc::clone(&self.report));
        let (keys, id) = (self.who.keys.clone(), job_id.to_owned());
        self.releases_under_way += 1;
        self.start(async move {
            let mut cursor = Cursor::default();
            loop {
                let step = job_steps::release(&keys, &id, &cursor, why);
                match insist(link.clone(), step, Arc::clone(&report)).await {
                    Ok(Some(next)) => cursor = next,
                    Ok(None) => return Event::Released(Ok(())),
                    Err(error) => return Event::Released(Err(error)),
                }
            }
        });
    }

    // Living

    fn start_heartbeats(&mut self) {
        let all = self.running.all();
        if all.is_empty() {
            return self.start_heartbeat(News::default(), Vec::new());
        }
        for batch in all.chunks(HEARTBEAT_BATCH_MAX) {
            self.start_heartbeat(News::default(), batch.to_vec());
        }
    }

    fn start_heartbeat(&mut self, news: News, running: Vec<Claimed>) {
        let beat = self.insist(steps::heartbeat(&self.who, news, &running));
        let ids = running.into_iter().map(|claimed| claimed.id).collect();
        self.start(async move { Event::Beaten(ids, beat.await) });
    }

    fn absorb_pulse(&mut self, ids: &[ExecutionId], pulse: Result<Pulse, rq_core::Error>) {
        let Some(pulse) = self.tell_refused("the heartbeat", pulse) else { return };
        if pulse.record_gone {
            let (link, who, queues) = (self.link.clone(), self.who.clone(), self.options.queues.clone());
            self.start(async move { Event::Registered(registration::register(&link, &who, &queues).await) });
        }
        self.heed_losses(ids, &pulse.alive);
    }

    /// What Redis no longer holds as ours was canceled, deleted or given to another: it is asked to end.
    fn heed_losses(&mut self, ids: &[ExecutionId], held: &[bool]) {
        for (id, held) in ids.iter().zip(held) {
            if !held && self.running.notice_loss(id) {
                self.report.lost(id.job_id());
                self.executor.stop(id, Stop::Ask);
            }
        }
    }

    fn start_renewing(&mut self) {
        if self.renewals_under_way > 0 {
            return;
        }
        for batch in self.running.all().chunks(HEARTBEAT_BATCH_MAX) {
            let ids = batch.iter().map(|claimed| claimed.id.clone()).collect();
            let renew = self.insist(steps::renew(&self.who, batch));
            self.renewals_under_way += 1;
            self.start(async move { Event::Renewed(ids, renew.await) });
        }
    }

    fn absorb_renewed(&mut self, ids: &[ExecutionId], held: Result<Vec<bool>, rq_core::Error>) {
        self.renewals_under_way -= 1;
        if let Some(held) = self.tell_refused("renewing leases", held) {
            self.heed_losses(ids, &held);
        }
    }

    // Reaping

    fn start_looking(&mut self) {
        self.reaping = true;
        let (link, step) = (self.link.clone(), silent::leases_over(&self.who.keys));
        self.start(async move { Event::SilentFound(link.take(&step).await) });
    }

    fn absorb_silent(&mut self, found: Result<Vec<Silent>, rq_core::Error>) {
        self.reaping = false;
        self.looked = true;
        // Not insisted upon: the next look comes soon.
        let Ok(found) = found else { return };
        let may_reap = self.reaper.heed_look(Instant::now(), self.look.period());
        if !may_reap || found.is_empty() {
            return;
        }
        self.reaping = true;
        let scythe = self.scythe();
        self.start(async move { Event::Reaped(scythe.reap(Sign::Lease, &found).await) });
    }

    fn scythe(&self) -> Scythe {
        Scythe {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            lease: self.options.lease,
            on_crash: self.options.on_crash,
        }
    }

    fn absorb_reaped(&mut self, reaped: Result<Vec<Reaped>, rq_core::Error>) {
        self.reaping = false;
        if let Some(reaped) = self.tell_refused("ending what silent workers left", reaped) {
            self.heed_reaped(reaped);
        }
    }

    fn heed_reaped(&mut self, reaped: Vec<Reaped>) {
        for Reaped { job, worker, conclusion, abandoned } in reaped {
            self.report.reaped(&job, &conclusion, abandoned);
            if abandoned != Abandoned::PutBack {
                self.show_abandoned(job, Failure::Abandoned { worker });
            }
            self.queues_empty = false;
        }
    }

    /// Shows the failure of a job whose worker is silent to the exception handlers, after it was settled.
    fn show_abandoned(&self, job: Arc<Job>, failure: Failure) {
        if !self.exception_handlers.is_empty() {
            let handlers = self.exception_handlers.clone();
            tokio::task::spawn_blocking(move || show(&handlers, &job, &failure));
        }
    }

    // Scheduling

    fn start_tick(&mut self) {
        let Some(schedule) = &mut self.schedule else { return };
        let tick = schedule::take(self.link.clone(), schedule.begin_tick());
        self.start(async move { Event::Ticked(tick.await) });
    }

    fn absorb_ticked(&mut self, ticked: Result<Vec<QueueTick>, rq_core::Error>) {
        let Some(schedule) = &mut self.schedule else { return };
        let ticked = schedule.end_tick(ticked, &self.report);
        if ticked.moved {
            self.queues_empty = false;
        }
        if ticked.more && self.course == Course::Working {
            self.start_tick();
        }
    }

    /// A worker on its way out gives its queues to other schedulers before it finishes what runs.
    fn start_leaving_schedule(&mut self) {
        let stops = self.course != Course::Working;
        if let Some(step) = self.schedule.as_mut().and_then(|schedule| schedule.begin_leaving(stops)) {
            let leave = schedule::take(self.link.clone(), step);
            self.start(async move { Event::ScheduleLeft(leave.await) });
        }
    }

    fn absorb_schedule_left(&mut self, left: Result<usize, rq_core::Error>) {
        self.tell_refused("leaving the schedule", left);
        self.schedule = None;
    }

    // Maintenance

    /// Looks after the books beside all else. It may be left in the middle: the next round finds the rest.
    fn start_maintenance(&mut self) {
        if self.maintaining || self.course != Course::Working {
            return;
        }
        self.maintaining = true;
        let round = Round {
            link: self.link.clone(),
            keys: self.who.keys.clone(),
            queues: self.options.queues.clone(),
            worker: self.who.name.clone(),
            interval: self.options.maintenance_interval,
            report: Arc::clone(&self.report),
            scythe: self.scythe(),
        };
        self.start(async move { Event::Maintained(round.run().await) });
    }

    fn absorb_maintained(&mut self, found: Found) {
        self.maintaining = false;
        self.refilled |= found.queued > 0;
        self.heed_reaped(found.reaped);
    }

    /// Writes the worker's state when it has changed; a claim writes `busy` itself.
    fn tell_state(&mut self) {
        let state = match () {
            () if self.suspended => "suspended",
            () if !self.running.is_empty() || self.fetching > 0 => "busy",
            () if self.queues_empty => "idle",
            () => return,
        };
        if std::mem::replace(&mut self.state, state) != state && state != "busy" {
            self.start_heartbeat(News { state: Some(state), ..News::default() }, Vec::new());
        }
    }

    fn start_saving_meta(&mut self) {
        let saved = self.meta_box.drain(BATCH_MAX);
        let metas: Vec<_> =
            saved.into_iter().filter_map(|(id, meta)| Some((self.running.claimed(&id)?, meta))).collect();
        for (claimed, meta) in &metas {
            self.running.note_meta(&claimed.id, meta);
        }
        if metas.is_empty() {
            return;
        }
        self.saving_meta = true;
        let save = self.insist(steps::save_meta(&self.who.keys, &metas));
        self.start(async move { Event::MetaSaved(save.await) });
    }

    // Stopping

    fn absorb_command(&mut self, command: Command) {
        match command {
            Command::Shutdown => {
                self.report.shutdown_command();
                // As one signal: a second one must come from the system.
                if self.course == Course::Working {
                    self.absorb_signal();
                }
            }
            Command::KillHorse => self.report.kill_horse_ignored(),
            Command::StopJob { job_id } => self.stop_executions(&job_id, None),
            Command::StopExecution { job_id, execution_id } => {
                self.stop_executions(&job_id, Some(&execution_id));
            }
            Command::Unknown => self.report.unknown_command(),
        }
    }

    /// Stops the runs of a job, or the one that is named.
    fn stop_executions(&mut self, job_id: &str, x: Option<&str>) {
        let asked = |id: &ExecutionId| id.job_id() == job_id && x.is_none_or(|x| x == id.x());
        let running = self.running.all();
        let mut ids = running.iter().map(|claimed| &claimed.id).filter(|id| asked(id)).peekable();
        if ids.peek().is_none() {
            return self.report.not_working_on(job_id);
        }
        for id in ids {
            self.executor.stop(id, Stop::Kill);
        }
    }

    fn absorb_signal(&mut self) {
        match self.course {
            Course::Working => {
                self.course = Course::Draining;
                self.report.warm_stop(self.running.occupied() + self.fetching);
                if !self.running.is_empty() {
                    let news = News { shutdown_requested: Some(Timestamp::now()), ..News::default() };
                    self.start_heartbeat(news, Vec::new());
                }
            }
            Course::Draining => {
                self.course = Course::Ending(Instant::now() + COLD_GRACE);
                self.report.cold_stop();
                for claimed in self.running.all() {
                    self.executor.stop(&claimed.id, Stop::Kill);
                }
            }
            Course::Ending(_) => self.end_what_runs(),
            Course::Leaving(_) => {}
        }
    }

    /// The grace of a cold stop is over: what still runs is settled as failed, here, and its end no longer waited for.
    fn end_what_runs(&mut self) {
        self.course = Course::Leaving(Instant::now() + LEAVE_GRACE);
        for claimed in self.running.all() {
            self.absorb_ended(&claimed.id, Ended { outcome: Err(Failure::Stopped), ran: Duration::ZERO });
        }
    }

    fn absorb_look(&mut self) {
        if self.claim_after.is_some_and(|after| after <= Instant::now()) {
            self.claim_after = None;
            self.queues_empty = false;
        }
        if matches!(self.course, Course::Ending(by) if by <= Instant::now()) {
            self.end_what_runs();
        }
    }

    fn heed_exhaustion(&mut self) {
        if self.course != Course::Working {
            return;
        }
        if let Some(reason) = self.executor.exhausted() {
            self.report.exhausted(&reason);
            self.broken = Some(WorkerError::Exhausted { reason });
            self.course = Course::Draining;
        }
    }

    /// Stops by itself where the options say so.
    fn consider_stopping(&mut self) {
        if !self.running.is_empty() || self.fetching > 0 {
            self.idle_since = Instant::now();
        }
        if !self.is_idle() || self.course != Course::Working {
            return;
        }
        if self.jobs_left() == Some(0) {
            self.report.max_jobs(self.jobs_begun);
            self.course = Course::Draining;
        } else if self.options.burst && self.suspended {
            self.report.suspended_in_burst();
            self.course = Course::Draining;
        } else if self.options.burst && self.queues_empty && self.has_tidied() {
            self.report.done();
            self.course = Course::Draining;
        } else if self.options.max_idle.is_some_and(|max| self.idle_since.elapsed() >= max) {
            self.report.idle(self.idle_since.elapsed());
            self.course = Course::Draining;
        }
    }

    /// Whether a burst may end, as far as jobs are concerned that others left, or that wait for those which ended: the
    /// looks at its start are over, and what they put into queues has been claimed.
    fn has_tidied(&self) -> bool {
        self.looked && !self.reaping && self.releases_under_way == 0 && !self.maintaining && !self.refilled
    }

    /// Whether there is no job and none is being asked for.
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.fetching == 0 && self.claiming == 0
    }

    /// Whether nothing is left to do on the way out.
    fn is_over(&self) -> bool {
        match self.course {
            Course::Working => false,
            Course::Leaving(by) if by <= Instant::now() => true,
            _ => {
                let taking_on =
                    self.claiming + self.fetching + self.put_backs_under_way + self.releases_under_way;
                taking_on == 0
                    && self.schedule.is_none()
                    && self.running.is_empty()
                    && self.unsettled.is_empty()
            }
        }
    }

    /// A bell is of use while a slot is free and the queues were empty.
    fn wants_bell(&self) -> bool {
        self.queues_empty
            && self.wanted() > 0
            && self.claiming == 0
            && self.claim_after.is_none()
            && !self.options.burst
    }

    /// When the state must be looked at even if nothing happens.
    fn next_look(&self) -> Option<Instant> {
        let idle_end = match self.options.max_idle {
            Some(max) if self.course == Course::Working && self.is_idle() => Some(self.idle_since + max),
            _ => None,
        };
        let ending = match self.course {
            Course::Ending(by) | Course::Leaving(by) => Some(by),
            Course::Working | Course::Draining => None,
        };
        [self.claim_after, idle_end, ending].into_iter().flatten().min()
    }

    async fn unregister(&mut self) {
        if self.course == Course::Draining && self.broken.is_none() && !self.options.burst {
            self.report.stopping();
        }
        let death = self.link.take(&steps::death(&self.who, &self.options.queues)).await;
        self.tell_refused("unregistering", death);
        self.report.unsubscribing(self.commands.channel());
    }

    fn tell_refused<T>(&self, step: &str, result: Result<T, rq_core::Error>) -> Option<T> {
        result.inspect_err(|error| self.report.refused(step, error)).ok()
    }
}

/// Calls the exception handlers in order, until one says that it is enough.
fn show(handlers: &[Arc<dyn ExceptionHandler>], job: &Job, failure: &Failure) {
    let handle = || handlers.iter().any(|handler| handler.handle(job, failure).is_break());
    if let Err(panic) = rq_core::panics::catch(handle) {
        tracing::error!("exception handler: {panic}");
    }
}

/// How many of the first settlements make a batch: one at least, and few where they are large.
fn batch_len(settlements: &[Settlement]) -> usize {
    let mut bytes = 0;
    let fits = |settlement: &&Settlement| {
        bytes += settlement.len_bytes();
        bytes <= BATCH_BYTES_MAX
    };
    settlements.iter().take(BATCH_MAX).take_while(fits).count().max(1)
}

/// Ticks every `period`, and not at once.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
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
