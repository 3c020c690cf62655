//! Writing a job and its place in a queue, without looking whether its id is in use.

use anyhow::Result;

use crate::stage::{QUEUE, Stage, trivial};

/// As large as what a trivial job carries.
const RECORD: [u8; 400] = [b'x'; 400];

/// One job the plainest way: `SET` and `RPUSH` in one round trip.
pub(crate) fn one(stage: &mut Stage, number: usize) -> Result<()> {
    let id = id(number);
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg(stage.keys.job(&id)).arg(&RECORD).ignore();
    pipeline.cmd("RPUSH").arg(stage.keys.queue(QUEUE)).arg(&id).ignore();
    Ok(pipeline.exec(&mut stage.redis)?)
}

/// What all trivial jobs have in common.
pub(crate) struct Template {
    fields: Vec<Vec<u8>>,
}

impl Template {
    /// From a job that was enqueued as users do; none is left.
    pub(crate) fn take(stage: &mut Stage) -> Result<Template> {
        let job = stage.queue(QUEUE)?.enqueue(trivial())?;
        let fields = redis::cmd("HGETALL").arg(stage.keys.job(job.id())).query(&mut stage.redis)?;
        stage.clear()?;
        Ok(Template { fields })
    }

    /// So many jobs in one round trip, by the commands that enqueueing runs for each: `HSET` and `RPUSH`.
    pub(crate) fn enqueue(&self, stage: &mut Stage, first: usize, jobs: usize) -> Result<()> {
        let queue = stage.keys.queue(QUEUE);
        let mut pipeline = redis::Pipeline::with_capacity(2 * jobs + 1);
        pipeline.cmd("SADD").arg(stage.keys.queues()).arg(&queue).ignore();
        for number in first..first + jobs {
            let id = id(number);
            pipeline.cmd("HSET").arg(stage.keys.job(&id)).arg(&self.fields).ignore();
            pipeline.cmd("RPUSH").arg(&queue).arg(&id).ignore();
        }
        Ok(pipeline.exec(&mut stage.redis)?)
    }
}

fn id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}
