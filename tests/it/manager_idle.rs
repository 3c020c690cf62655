//! What it costs to look after many workers that have nothing to do.

use std::time::Duration;

use nix::unistd::Pid;
use rq_tests::{Scratch, cpu_of};

use crate::dice;
use crate::managed::{Managed, serving};

/// How many idle workers are looked after, and with `RQ_RIG=full`.
const MANY: usize = 20;
const MANY_FULL: usize = 200;
/// How long, and what share of a core that may take.
const IDLE: Duration = Duration::from_secs(5);
const IDLE_FULL: Duration = Duration::from_secs(60);
const SHARE_MAX: f64 = 0.01;

#[test]
fn many_idle_workers_cost_their_manager_next_to_nothing() {
    let (many, idle) = if dice::is_full() { (MANY_FULL, IDLE_FULL) } else { (MANY, IDLE) };
    let scratch = Scratch::new();
    // With limits, so that there is something to look at.
    let managed = Managed::start(
        &scratch,
        &format!(
            "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\ncount = {many}\nsoft_memory_limit = 100\nhard_memory_limit = 200\n"
        ),
    );
    managed.until("all to serve", |status| serving(status).len() == many);
    let manager = rq_process::children_of(Pid::from_raw(managed.manager.id().cast_signed()))[0];
    let before = cpu_of(manager.as_raw().cast_unsigned());
    std::thread::sleep(idle);
    let share = (cpu_of(manager.as_raw().cast_unsigned()) - before).as_secs_f64() / idle.as_secs_f64();
    println!("{many} idle workers cost their Manager {:.2} % of a core, over {idle:?}", share * 100.0);
    // The system counts in hundredths of a second, and a sample is short.
    assert!(share < SHARE_MAX, "{share}");
    managed.stop();
}
