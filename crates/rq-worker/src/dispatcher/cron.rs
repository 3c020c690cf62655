//! [`CronTask`]: the worker's cron scheduler, a task beside the loop with a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use rq_core::link::Link;
use rq_core::{ErrorClass, Keys};
use rq_cron::{CheckedCron, CronEvent, CronObserver, CronScheduler};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Dispatcher;
use crate::error::WorkerError;
use crate::event::{Observers, WorkerEvent};
use crate::options::Options;

/// How long a worker that leaves waits until its scheduler is off the list.
const LEAVE_LIMIT: Duration = Duration::from_millis(300);

/// How long a scheduler that failed stays away, before the next one is started: jobs go on meanwhile.
const STARTED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What a scheduler is started with, the first one and those after it.
struct Again {
    checked: CheckedCron,
    link: Link,
    keys: Keys,
    config_file: String,
    observers: Arc<Observers>,
}

impl Again {
    fn scheduler(&self) -> Result<CronScheduler, rq_core::Error> {
        let scheduler = CronScheduler::new(&self.checked, self.link.clone(), self.keys.clone())?;
        let scheduler = scheduler.config_file(&self.config_file);
        Ok(scheduler.observer(Arc::new(Told(Arc::clone(&self.observers)))))
    }
}

/// Runs schedulers, one after another that failed, until it is stopped. An error is that Redis refuses the first one what it
/// needs: who has started the worker is to know that at once.
async fn run(
    mut scheduler: CronScheduler,
    again: Again,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), rq_core::Error> {
    let mut is_first = true;
    loop {
        let Err(error) = scheduler.run(async { drop((&mut stopped).await) }).await else { return Ok(()) };
        if is_first && error.class() == ErrorClass::Misconfigured {
            return Err(error);
        }
        is_first = false;
        again.observers.step_failed("cron", &error);
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            () = tokio::time::sleep(STARTED_AGAIN_AFTER) => {}
        }
        scheduler = again.scheduler()?;
    }
}

/// The worker's cron scheduler, until it has ended.
pub(super) struct CronTask {
    ended: JoinHandle<Result<(), rq_core::Error>>,
    /// Dropped, it stops the scheduler.
    stop: Option<oneshot::Sender<()>>,
}

/// Passes the scheduler's events to those who are told what the worker does.
struct Told(Arc<Observers>);

impl CronObserver for Told {
    fn observe(&self, scheduler: &str, event: &CronEvent<'_>) {
        self.0.tell(WorkerEvent::Cron { scheduler, event });
    }
}

impl CronTask {
    /// Starts the scheduler of these options, if they have one.
    pub(super) async fn start(
        options: &Options,
        observers: &Arc<Observers>,
    ) -> Result<Option<CronTask>, WorkerError> {
        let Some(cron) = &options.cron else { return Ok(None) };
        let checked = cron.check().map_err(WorkerError::Cron)?;
        // Its own: a worker that waits for a large answer would else hold its ticks up.
        let link = Link::open(&options.url).await?;
        let again = Again {
            checked,
            link,
            keys: options.keys.clone(),
            config_file: options.cron_config_file.clone(),
            observers: Arc::clone(observers),
        };
        let scheduler = again.scheduler()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(run(scheduler, again, stopped));
        Ok(Some(CronTask { ended, stop: Some(stop) }))
    }

    /// Has it fire nothing more.
    fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits until it has ended by itself, which it does where Redis refuses at once what it needs; for ever where there is none, or it
    /// was stopped.
    pub(super) async fn failed(task: &mut Option<CronTask>) -> rq_core::Error {
        if let Some(CronTask { ended, stop: Some(_) }) = task
            && let Ok(Err(error)) = ended.await
        {
            *task = None;
            return error;
        }
        std::future::pending().await
    }
}

impl Drop for CronTask {
    /// A worker whose future is dropped takes its scheduler along.
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.ended.abort();
        }
    }
}

impl Dispatcher {
    /// A worker on its way out fires no more ticks.
    pub(super) fn stop_cron(&mut self) {
        if !self.shutdown.is_working()
            && let Some(cron) = &mut self.cron
        {
            cron.stop();
        }
    }

    pub(super) fn on_cron_failed(&mut self, error: rq_core::Error) {
        self.observers.step_failed("cron", &error);
        self.leave_refused(error);
    }

    /// Waits, not for long, until the scheduler has taken itself off the list.
    pub(super) async fn leave_cron(&mut self) {
        if let Some(mut cron) = self.cron.take() {
            cron.stop();
            let _ = tokio::time::timeout(LEAVE_LIMIT, &mut cron.ended).await;
        }
    }
}
