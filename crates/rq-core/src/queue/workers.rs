//! The workers of a Redis: which there are, what they are at, and asking them to leave.

#[rq_macros::both_fronts]
mod asynchronous {
    use crate::error::Error;
    use crate::execution::ExecutionId;
    use crate::queue::asynchronous::Queue;
    use crate::steps;
    use crate::steps::job::FETCHED_PER_ROUND_TRIP_MAX;
    use crate::steps::roster::Command;
    use crate::worker_record::WorkerRecord;

    impl Queue {
        /// The workers that serve this queue, sorted by their names. Those whose records are gone or unreadable are
        /// left out. Python's `Worker.all(queue=..)`.
        pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Error> {
            self.workers_of(&[self.name.to_string()]).await
        }

        /// The workers of all queues. Python's `Worker.all`.
        pub async fn all_workers(&self) -> Result<Vec<WorkerRecord>, Error> {
            self.workers_of(&[]).await
        }

        async fn workers_of(&self, queues: &[String]) -> Result<Vec<WorkerRecord>, Error> {
            // From the sets, not by a scan for keys: those of workers' executions begin like a worker's (docs/wire.md
            // §21-17).
            let names = self.link.run(&steps::roster::names(&self.keys, queues)).await?;
            let mut workers = Vec::with_capacity(names.len());
            for names in names.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
                workers.extend(self.link.run(&steps::roster::records(&self.keys, names)).await?);
            }
            Ok(workers)
        }

        /// How many workers serve this queue (`SCARD`). One that died is counted until its record has expired and
        /// another worker has taken it off the books. Python's `Worker.count(queue=..)`.
        pub async fn worker_count(&self) -> Result<usize, Error> {
            self.link.run(&steps::roster::count(&self.keys, Some(&self.name))).await
        }

        /// How many workers there are, as [`worker_count`](Queue::worker_count) counts. Python's `Worker.count`.
        pub async fn all_worker_count(&self) -> Result<usize, Error> {
            self.link.run(&steps::roster::count(&self.keys, None)).await
        }

        /// The worker of this name: its state, queues, process id, host, counts and last heartbeat; `None` where there
        /// is none, or it has left and its record is about to expire. Python's `Worker.find_by_key`.
        pub async fn worker(&self, name: &str) -> Result<Option<WorkerRecord>, Error> {
            let worker = self.link.run(&steps::roster::record(&self.keys, name)).await?;
            Ok(worker.filter(|worker| worker.death.is_none()))
        }

        /// What the worker of this name runs just now, sorted: runs of jobs, with [the jobs'
        /// ids](crate::ExecutionId::job_id). Python's `Worker.get_current_job_id` has one of them.
        pub async fn worker_executions(&self, name: &str) -> Result<Vec<ExecutionId>, Error> {
            self.link.run(&steps::roster::executions(&self.keys, name)).await
        }

        /// Asks the worker of this name to stop warm: it takes no more jobs, and leaves when those that it runs have
        /// ended. Returns whether it listens. Python's `send_shutdown_command`.
        ///
        /// Returns as soon as the worker has been asked; [`worker`](Queue::worker) has no such worker any more once it
        /// has left.
        pub async fn stop_worker(&self, name: &str) -> Result<bool, Error> {
            self.ask_worker(name, Command::Shutdown).await
        }

        /// Asks the worker of this name to stop cold: to end what it runs, and to leave within seconds. Its jobs have
        /// failed then, or wait again where they have retries left or may run twice. Returns whether it listens.
        ///
        /// Python's worker knows no such command: to it this is a warm stop, and its job is killed as by
        /// [`kill_horses`](Queue::kill_horses).
        pub async fn stop_worker_cold(&self, name: &str) -> Result<bool, Error> {
            let listens = self.ask_worker(name, Command::ShutdownCold).await?;
            // Behind the first, so that it begins no other job. A worker of this project has ended the jobs itself.
            if self.worker(name).await?.is_some_and(|worker| worker.is_pythons()) {
                self.ask_worker(name, Command::KillHorse).await?;
            }
            Ok(listens)
        }

        /// Asks the worker of this name to kill the processes that run its jobs, as if they had crashed; it goes on.
        /// Returns whether it listens. Workers whose jobs have no processes of their own (`-w thread`, `-w green`)
        /// ignore it. Python's `send_kill_horse_command`.
        pub async fn kill_horses(&self, name: &str) -> Result<bool, Error> {
            self.ask_worker(name, Command::KillHorse).await
        }

        async fn ask_worker(&self, name: &str, command: Command) -> Result<bool, Error> {
            self.link.run(&steps::roster::command(&self.keys, name, command)).await
        }
    }
}
