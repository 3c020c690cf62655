//! A cron scheduler that goes by a time of a test's own: [`Sim`].

use std::sync::Arc;
use std::time::Duration;

use rq_core::Keys;
use rq_core::link::Link;
use rq_cron::{CronEvent, CronScheduler};
use rq_tests::Sim;
use tokio::runtime::Runtime;

fn main() -> anyhow::Result<()> {
    let url = std::env::var("RQ_REDIS_URL")?;
    let keys = Keys::from_env()?;
    Runtime::new()?.block_on(async {
        // The test kills Redis, too.
        let link = loop {
            match Link::open(&url).await {
                Ok(link) => break link,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let scheduler = CronScheduler::new(&Sim::cron().check()?, link, keys)?;
        let said = |_: &str, event: &CronEvent<'_>| match event {
            // One line for each tick would be most of what the test does.
            CronEvent::Fired { .. } | CronEvent::Taken { .. } | CronEvent::Sleeping { .. } => {}
            other => println!("{other:?}"),
        };
        let scheduler = scheduler.clock(Arc::new(Sim::of_env())).observer(Arc::new(said));
        println!("begins");
        Ok(scheduler.run(std::future::pending()).await?)
    })
}
