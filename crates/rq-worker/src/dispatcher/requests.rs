//! The worker carries out requests: of its caller, which forwards signals, and commands over Redis.

use rq_core::{ExecutionId, Stop};

use super::Dispatcher;
use super::running::Cause;
use crate::event::WorkerEvent;
use crate::request::Request;

impl Dispatcher {
    /// Carries out a command from the worker's channel; `None` for a message that is no command.
    pub(super) fn on_command(&mut self, command: Option<Request>) {
        match command {
            Some(request) => {
                if request == Request::StopWarm {
                    self.observers.tell(WorkerEvent::ShutdownCommand);
                }
                self.on_request(request);
            }
            None => self.observers.tell(WorkerEvent::MessageIgnored { so_far: self.commands.ignored() }),
        }
    }

    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Stop => self.stop(),
            Request::StopWarm => self.stop_warm(),
            Request::StopCold => self.stop_cold(),
            Request::Tell => self.tell_state(),
            Request::KillHorses => self.kill_horses(),
            Request::StopJob { job_id } => self.stop_job(&job_id, None),
            Request::StopExecution { job_id, execution_id } => self.stop_job(&job_id, Some(&execution_id)),
        }
    }

    fn kill_horses(&mut self) {
        let mut horses = 0;
        for claimed in self.running.all() {
            // Threads and coroutines have no process of their own to kill, and say so.
            horses += usize::from(self.executor.crash(&claimed.id));
        }
        self.observers.tell(match horses {
            0 => WorkerEvent::NoHorseToKill,
            _ => WorkerEvent::KillingHorses { horses },
        });
    }

    /// Stops the runs of a job, or the one that is named.
    fn stop_job(&mut self, job_id: &str, x: Option<&str>) {
        let asked = |id: &ExecutionId| id.job_id() == job_id && x.is_none_or(|x| x == id.x());
        let ids: Vec<ExecutionId> =
            self.running.all().into_iter().map(|claimed| claimed.id).filter(asked).collect();
        if ids.is_empty() {
            return self.observers.tell(WorkerEvent::NotWorkingOn { job_id });
        }
        self.observers.tell(WorkerEvent::StopCommand { job_id });
        for id in ids {
            self.stop_execution(&id, Cause::Asked);
        }
    }

    /// Has the executor end an execution, and notes the cause, unless there is one already.
    pub(super) fn stop_execution(&mut self, id: &ExecutionId, cause: Cause) {
        // The time of the cause counts against the job's limit, so it is noted before the executor hears of it.
        self.running.give_cause(id, cause);
        if !self.stop_waiting(id, cause) {
            self.executor.stop(id, Stop::Kill);
        }
    }

    /// Reports the worker's state to the observers, for an operator who asks.
    fn tell_state(&self) {
        let text = format!(
            "{}; {} of {} slots taken ({} wait for room for their payloads), {} being fetched, {} to be settled in {} \
             steps under way, {} steps under way in all; queues empty: {}, suspended: {}; {} messages ignored",
            self.shutdown.phase(),
            self.running.occupied(),
            self.executor.slots(),
            self.admission.waiting(),
            self.claiming.fetching().len(),
            self.settling.waiting(),
            self.settling.settles_under_way(),
            self.under_way.len(),
            self.claiming.queues_empty(),
            self.claiming.suspended(),
            self.commands.ignored(),
        );
        self.observers.tell(WorkerEvent::State { text: &text });
        for (job, since) in self.running.jobs() {
            self.observers.tell(WorkerEvent::StateOfJob { job: &job, since });
        }
    }
}
