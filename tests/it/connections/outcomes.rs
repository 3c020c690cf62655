//! What becomes of jobs that run and end while Redis is in trouble: each has run once, and has finished.

use std::thread::sleep;
use std::time::Duration;

use rq_core::{Call, secs};
use rq_tests::{Clock, Journal, PrivateRedis, Scratch, Trouble, eventually};

use super::{RECOVERY, SOON, Stage, check_all};
use crate::rq_test::{Books, RqTest};

/// How long a silent worker keeps what it runs. Short, and a trouble is soon longer.
const LEASE_S: &str = "1";
const LEASE: Duration = secs(1);

#[test]
fn an_outcome_is_kept_while_redis_refuses_writes() {
    let refusals = [
        Trouble::NoReplicas,
        Trouble::Misconf,
        Trouble::NoPerm,
        Trouble::NoAuth,
        Trouble::WrongPass,
        Trouble::ReadOnly,
        Trouble::MasterDown,
    ];
    check_all(refusals, |trouble| {
        let mut stage = Stage::new(trouble);
        let mut worker = stage.worker(&["--concurrency", "4", "--lease", LEASE_S]);
        stage.redis.prepare();
        let ids = stage.enqueue(4, LEASE * 3 / 2);
        stage.wait_for_beginnings(ids.len());
        stage.redis.begin();
        stage.wait_for_ends(ids.len());
        // By now nobody has renewed their leases for long.
        sleep(LEASE * 3 / 2);
        stage.redis.end();
        let complaints = stage.complaints(&ids, RECOVERY);
        if complaints.is_empty() {
            stage.stop(&mut worker);
        }
        complaints
    });
}

#[test]
fn a_refusal_that_comes_and_goes_costs_no_job() {
    const JOBS: usize = 80;
    const REFUSED: Duration = Duration::from_millis(300);
    const TAKEN: Duration = Duration::from_millis(700);
    // Twice what the jobs need.
    const ROUNDS_MAX: usize = 12;
    check_all(["thread", "fork", "green"], |executor| {
        let mut stage = Stage::new(Trouble::NoReplicas);
        let _worker = stage.worker(&["-w", executor, "--concurrency", "2"]);
        let ids = stage.enqueue(JOBS, Duration::from_millis(100));
        for _ in 0..ROUNDS_MAX {
            if stage.finished() + stage.scratch.count("failed:default") >= JOBS {
                break;
            }
            stage.redis.begin();
            sleep(REFUSED);
            stage.redis.end();
            sleep(TAKEN);
        }
        stage.complaints(&ids, RECOVERY)
    });
}

/// Two workers that could take each other's jobs for abandoned.
#[test]
fn no_job_runs_twice_when_the_clock_of_redis_jumps() {
    const JUMPS: usize = 8;
    const JUMP: Duration = secs(15);
    const JOBS_PER_JUMP: usize = 6;
    // Workers look for silent ones every third of a lease.
    const JOB_MS: u64 = 600;
    let clock = Clock::new();
    let redis = PrivateRedis::with_clock(&clock, &[]);
    let scratch = Scratch::on(&redis.url());
    let journal = Journal::new(&scratch);
    let options = ["--concurrency", "3", "--lease", LEASE_S, "--on-crash", "requeue"];
    let workers = [(); 2].map(|()| RqTest::new(&scratch).worker(&options));
    let mut began = 0;
    for jump in 0..JUMPS {
        let calls = (0..JOBS_PER_JUMP).map(|number| {
            let call = Call::<String>::to("test.journal").arg(journal.path());
            call.arg(JOB_MS).job_id(format!("j{jump}-{number}"))
        });
        scratch.queue("default").enqueue_many(calls).unwrap();
        began += JOBS_PER_JUMP;
        eventually("the jobs to run", SOON, || (journal.began().len() >= began).then_some(()));
        clock.jump(JUMP);
        eventually("the jobs to end", SOON, || {
            let ended: usize = journal.ends().values().sum();
            (ended >= began).then_some(())
        });
    }
    eventually("all jobs to have finished", RECOVERY, || {
        (scratch.count("finished:default") == JUMPS * JOBS_PER_JUMP).then_some(())
    });
    let twice: Vec<_> = journal.ends().into_iter().filter(|(_, ends)| *ends > 1).collect();
    assert!(twice.is_empty(), "{twice:?}: {}{}", workers[0].report(), workers[1].report());
    assert_eq!(journal.began().len(), JUMPS * JOBS_PER_JUMP);
}
