//! What `ps` shows of workers and of what they fork, and that nothing else is changed by it.

use std::fs;
use std::os::unix::process::CommandExt;

use rq_core::Call;
use rq_tests::{Child, Process, Scratch, jobs::Surroundings};

use crate::rq_test::{Books, LIMIT, RqTest};

/// What the system shows in the place of a process's arguments.
fn shown(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap();
    String::from_utf8(line).unwrap().trim_end_matches('\0').replace('\0', " ")
}

/// The variables that a process was started with.
fn variables(id: u32) -> Vec<String> {
    let text = String::from_utf8(fs::read(format!("/proc/{id}/environ")).unwrap()).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn a_worker_shows_what_rqs_shows() {
    let check = |executor: &str, of_job: &str| {
        let scratch = Scratch::new();
        let mut command = RqTest::new(&scratch).command(&["worker", "-n", "w"]);
        // A command line shorter than any title; the longest name of a queue makes one of some length.
        let long = "q".repeat(200);
        command.arg0("r").args(["high", &long]).env("RQ_WORKER_CLASS", executor);
        let worker = Child::spawn(&mut command);
        worker.wait_for_line("*** Listening on", LIMIT);
        let title = format!("rq:worker:w: Listening on high, {long}");
        assert_eq!(shown(worker.id()), title);
        let variables = variables(worker.id());
        let wanted = command
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
        wanted.for_each(|variable| assert!(variables.contains(&variable), "{variable}: {variables:?}"));
        let call = Call::<Surroundings>::to("test.surroundings").job_id("a-job");
        let told = scratch.queue("high").enqueue(call).unwrap().wait(LIMIT).unwrap();
        assert_eq!(told.title, if of_job.is_empty() { &title } else { of_job });
    };
    check("fork", "rq: test.surroundings from high, a-job");
    check("thread", "");
    check("green", "");
}

#[test]
fn workers_of_a_pool_show_it_and_those_of_a_service_do_not() {
    let shown_on = |scratch: &Scratch| -> Vec<String> {
        Process::all_on(scratch).iter().map(|process| shown(process.id)).collect()
    };
    let scratch = Scratch::new();
    let pool = RqTest::new(&scratch).spawn(&["worker-pool", "-n", "2", "-w", "thread", "low"]);
    pool.wait_for_lines("*** Listening on", 2, LIMIT);
    let all = shown_on(&scratch);
    let is_worker = |text: &&String| text.starts_with("rq:worker:") && text.ends_with(": Listening on low");
    assert_eq!(all.iter().filter(is_worker).count(), 2, "{all:?}");

    let scratch = Scratch::new();
    let service = RqTest::app(&scratch, "service").spawn(&["serve"]);
    // It has no log.
    let call = Call::<Surroundings>::to("test.surroundings").job_id("a-job");
    let told = scratch.queue("one").enqueue(call).unwrap().wait(LIMIT).unwrap();
    assert_eq!(told.title, "rq: test.surroundings from one, a-job");
    assert!(shown(service.id()).ends_with("rq-test serve"), "{}", shown(service.id()));
    let all = shown_on(&scratch);
    assert!(!all.iter().any(|text| text.starts_with("rq:worker:")), "{all:?}");
}
