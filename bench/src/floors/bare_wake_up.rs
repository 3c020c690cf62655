//! How fast a client that is blocked on a list hears of what is pushed: `RPUSH` on one connection, `BLMOVE` on another.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::stage::Stage;

/// How long one wait may take before something is wrong.
const LONGEST: Duration = Duration::from_secs(5);
const LIST: &str = "bare:wake-up";
const TAKEN: &str = "bare:taken";

/// The time from before the push until the consumer has the element, for each of `samples`; `pause` lies between two.
pub(crate) fn latencies(stage: &mut Stage, samples: usize, pause: fn(usize)) -> Result<Vec<Duration>> {
    let (sender, woken) = mpsc::channel();
    let mut waiting = redis::Client::open(stage.url.as_str())?.get_connection()?;
    let consumer = std::thread::spawn(move || -> Result<()> {
        for _ in 0..samples {
            let mut take = redis::cmd("BLMOVE");
            take.arg(LIST).arg(TAKEN).arg("LEFT").arg("RIGHT").arg(LONGEST.as_secs());
            let _: Option<String> = take.query(&mut waiting)?;
            sender.send(Instant::now())?;
        }
        Ok(())
    });
    let mut latencies = Vec::with_capacity(samples);
    for sample in 0..samples {
        pause(sample);
        let began = Instant::now();
        redis::cmd("RPUSH").arg(LIST).arg(sample).exec(&mut stage.redis)?;
        let woke = woken.recv_timeout(LONGEST).context("the blocked client was not woken")?;
        latencies.push(woke.duration_since(began));
    }
    consumer.join().map_err(|_| anyhow::anyhow!("the blocked client panicked"))??;
    Ok(latencies)
}
