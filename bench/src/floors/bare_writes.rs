//! A drain without fences: the writes that leave the same final state, in the largest batches and the fewest commands.
//!
//! What one Redis core can do with this layout. It loses jobs whenever something dies, and decides nothing: no look at a
//! job's status, no lease, no retry, no dependents.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};
use rq_core::{ExecutionId, Keys, Timestamp};

use crate::stage::{Drained, QUEUE, Stage};

/// How many batches are under way at once, and how many jobs each has: more of either brings nothing.
const BATCHES: usize = 4;
const BATCH_JOBS: usize = 64;
const WORKER: &str = "bare-writes";
/// RQ's: how long an execution lives without a heartbeat, and a result, in seconds.
const EXECUTION_TTL_S: i64 = 90;
const RESULT_TTL_S: i64 = 500;
/// The value 5 as pickle, deflated and in the form of the results stream, as the trivial job leaves it.
const RESULT: &str = "gAVLBS4=";

/// Drains the queue of `jobs` trivial jobs.
pub(crate) fn drain(stage: &mut Stage, jobs: usize) -> Result<Drained> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let drained = stage.measure(jobs, |stage| {
        runtime.block_on(async {
            let client = redis::Client::open(stage.url.as_str())?;
            let connection = client.get_multiplexed_async_connection().await?;
            let all = (0..BATCHES).map(|_| drain_batches(connection.clone(), stage.keys.clone()));
            futures_util::future::try_join_all(all).await?;
            Ok(())
        })
    })?;
    stage.check_finished(&[QUEUE], jobs)?;
    Ok(drained)
}

/// Takes batches until the queue is empty.
async fn drain_batches(mut connection: MultiplexedConnection, keys: Keys) -> Result<()> {
    loop {
        let mut pop = redis::cmd("LPOP");
        pop.arg(keys.queue(QUEUE)).arg(BATCH_JOBS);
        let ids: Option<Vec<String>> = pop.query_async(&mut connection).await?;
        let Some(ids) = ids else { return Ok(()) };
        let batch = Batch::new(&keys, &ids);
        batch.begin(&mut connection).await?;
        batch.end(&mut connection).await?;
    }
}

struct Batch<'a> {
    keys: &'a Keys,
    runs: Vec<ExecutionId>,
    /// `<id>:<x>` for each of them.
    members: Vec<String>,
}

impl<'a> Batch<'a> {
    fn new(keys: &'a Keys, ids: &[String]) -> Batch<'a> {
        let runs: Vec<ExecutionId> = ids.iter().map(|id| ExecutionId::new(id)).collect();
        let members = runs.iter().map(ToString::to_string).collect();
        Batch { keys, runs, members }
    }

    /// The ids of the jobs and of their runs.
    fn ids(&self) -> impl Iterator<Item = (&str, &str)> {
        self.runs.iter().map(|run| (run.job_id(), run.x()))
    }

    /// Marks them as begun, and reads them.
    async fn begin(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let (keys, now) = (self.keys, Timestamp::now());
        let (t, e) = (now.to_string(), now.epoch_text());
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        for (id, x) in self.ids() {
            let (job, execution, executions) = (keys.job(id), keys.execution(id, x), keys.executions(id));
            pipeline.cmd("HSET").arg(&execution).arg(&["id", x, "job_id", id, "created_at", &e]);
            pipeline.arg(&["last_heartbeat", &e, "worker_name", WORKER]).ignore();
            pipeline.cmd("EXPIRE").arg(&execution).arg(EXECUTION_TTL_S).ignore();
            pipeline
                .cmd("ZADD")
                .arg(&executions)
                .arg(now.epoch_secs() + EXECUTION_TTL_S + 60)
                .arg(x)
                .ignore();
            pipeline.cmd("EXPIRE").arg(&executions).arg(EXECUTION_TTL_S + 60).ignore();
            pipeline.cmd("HSET").arg(&job).arg(&["status", "started", "started_at", &t]);
            pipeline.arg(&["last_heartbeat", &t, "worker_name", WORKER]).ignore();
            pipeline.cmd("PERSIST").arg(&job).ignore();
            pipeline.cmd("HGETALL").arg(&job).ignore();
        }
        pipeline.cmd("ZADD").arg(keys.wip(QUEUE));
        for member in &self.members {
            pipeline.arg(now.epoch_secs() + EXECUTION_TTL_S).arg(member);
        }
        pipeline.ignore();
        pipeline.cmd("SADD").arg(keys.worker_executions(WORKER)).arg(&self.members).ignore();
        pipeline.exec_async(connection).await
    }

    /// Writes how they ended.
    async fn end(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let (keys, now) = (self.keys, Timestamp::now());
        let (t, e) = (now.to_string(), now.epoch_text());
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        for (id, x) in self.ids() {
            let (job, results) = (keys.job(id), keys.results(id));
            pipeline.cmd("HSET").arg(&job);
            pipeline.arg(&["status", "finished", "ended_at", &t, "last_heartbeat", &t]).ignore();
            pipeline.cmd("EXPIRE").arg(&job).arg(RESULT_TTL_S).ignore();
            pipeline.cmd("XADD").arg(&results).arg(&["MAXLEN", "~", "10", "*", "type", "1"]);
            pipeline.arg(&["worker_name", WORKER, "execution_id", x, "execution_started_at", &e]);
            pipeline.arg(&["execution_ended_at", &e, "return_value", RESULT]).ignore();
            pipeline.cmd("EXPIRE").arg(&results).arg(RESULT_TTL_S).ignore();
        }
        pipeline.cmd("ZADD").arg(keys.finished(QUEUE));
        for (id, _) in self.ids() {
            pipeline.arg(now.epoch_secs() + RESULT_TTL_S).arg(id);
        }
        pipeline.ignore();
        pipeline.cmd("DEL");
        for (id, x) in self.ids() {
            pipeline.arg(keys.execution(id, x)).arg(keys.executions(id));
        }
        pipeline.ignore();
        pipeline.cmd("ZREM").arg(keys.wip(QUEUE)).arg(&self.members).ignore();
        pipeline.cmd("SREM").arg(keys.worker_executions(WORKER)).arg(&self.members).ignore();
        let worker = keys.worker(WORKER);
        pipeline.cmd("HINCRBY").arg(worker).arg("successful_job_count").arg(self.runs.len()).ignore();
        pipeline.exec_async(connection).await
    }
}
