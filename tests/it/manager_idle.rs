//! What it costs to look after many workers that have nothing to do.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;
use rq_tests::Scratch;

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
    let before = cpu(manager);
    std::thread::sleep(idle);
    let share = (cpu(manager) - before).as_secs_f64() / idle.as_secs_f64();
    println!("{many} idle workers cost their Manager {:.2} % of a core, over {idle:?}", share * 100.0);
    // The system counts in hundredths of a second, and a sample is short.
    assert!(share < SHARE_MAX, "{share}");
    managed.stop();
}

/// How long a process has computed so far.
fn cpu(pid: Pid) -> Duration {
    /// What the system counts it in.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    // Fields 14 and 15 (proc_pid_stat(5)).
    let ticks: u32 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    TICK * ticks
}
