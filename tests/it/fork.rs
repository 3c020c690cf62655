//! What only `-w fork` promises, beside what happens to jobs that harm their process (`zoo`) and when a process is killed
//! (`fork_kills`).

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rq_core::Call;
use rq_tests::{Child, Gate, Process, Scratch, Stream, eventually, jobs::Surroundings};

use crate::rq_test::{Books, LIMIT, RqTest};

#[test]
fn it_is_what_a_worker_does_when_nothing_is_said() {
    let scratch = Scratch::new();
    let worker = RqTest::new(&scratch).worker(&[]);
    worker.wait_for_line("1 job at once (fork)", LIMIT);
}

#[test]
fn processes_say_what_they_do() {
    let check = |options: &[&str], title: &str, variables: [Option<&str>; 2]| {
        let scratch = Scratch::new();
        let _worker = RqTest::new(&scratch).worker(&[&["-w", "fork", "--name", "w"], options].concat());
        let call = Call::<Surroundings>::to("test.surroundings").job_id("a-job");
        let told = scratch.queue("default").enqueue(call).unwrap().wait(LIMIT).unwrap();
        let variables = variables.map(|value| value.map(str::to_owned));
        assert_eq!(told, Surroundings { title: title.to_owned(), variables }, "{options:?}");
    };
    check(&[], "rq: test.surroundings from default, a-job", [Some("a-job"), Some("w")]);
    check(&["--disable-job-desc-logging"], "rq: a-job from default", [Some("a-job"), Some("w")]);
    // It would have to change what threads of an earlier job may be reading.
    check(&["--horse-jobs", "2"], "rq: fork server of w", [None, Some("w")]);
}

/// As service managers do it.
#[test]
fn a_sigterm_for_all_processes_ends_no_job() {
    let scratch = Scratch::new();
    let mut worker = RqTest::new(&scratch).worker(&["-w", "fork", "--concurrency", "2"]);
    let gate = Gate::new(&scratch, "gate");
    let call = || Call::<String>::to("test.gate").arg(gate.key());
    let jobs = scratch.queue("default").enqueue_many([call(), call()]).unwrap();
    jobs.iter().for_each(|_| drop(gate.wait_for_arrival()));
    let processes = Process::all_on(&scratch);
    assert!(processes.len() >= 4, "{processes:?}");
    for process in &processes {
        let id = i32::try_from(process.id).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
    }
    worker.wait_for_line("warm shut down requested", LIMIT);
    gate.open(2);
    let status = worker.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", worker.report());
    for job in &jobs {
        assert_eq!(scratch.status(job.id()), "finished", "{}", worker.report());
    }
    eventually("all processes to be gone", LIMIT, || Process::all_on(&scratch).is_empty().then_some(()));
}

/// Its standard output and error are full pipes from the beginning, and so are the new server's.
#[test]
fn a_fork_server_is_replaced_though_nobody_reads_the_log() {
    let scratch = Scratch::new();
    let command = &mut RqTest::new(&scratch).command(&["worker", "-w", "rq.Worker"]);
    let _worker = Child::spawn_unread(command);
    let sum = || {
        let sum = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
        assert_eq!(sum.wait(LIMIT).unwrap(), 5);
    };
    let fork_server =
        || Process::all_on(&scratch).into_iter().find(|process| process.name == "rq-fork-server");
    sum();
    let first = fork_server().unwrap();
    kill(Pid::from_raw(i32::try_from(first.id).unwrap()), Signal::SIGKILL).unwrap();
    eventually("another fork server", LIMIT, || fork_server().filter(|server| *server != first));
    sum();
}

/// Whoever is killed; a kill by the system for want of memory is one as well.
#[test]
fn a_job_that_may_run_twice_does_so_when_its_process_is_killed_under_a_living_worker() {
    let scratch = Scratch::new();
    let worker = RqTest::new(&scratch).worker(&["-w", "fork", "--name", "w", "--on-crash", "requeue"]);
    let gate = Gate::new(&scratch, "gate");
    let job = scratch.queue("default").enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    let id = job.id().to_string();
    let kill_horse = || {
        let command = r#"{"command": "kill-horse"}"#;
        assert_eq!(scratch.query::<i64>("PUBLISH", [scratch.key("pubsub:w"), command.to_owned()]), 1);
    };
    let kill_the = |name: &str| {
        let process = Process::all_on(&scratch).into_iter().find(|process| process.name == name);
        let id = i32::try_from(process.unwrap_or_else(|| panic!("a {name}")).id).unwrap();
        kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
    };
    let crashes: [&dyn Fn(); 4] =
        [&|| kill_the("rq-horse"), &|| kill_the("rq-fork-server"), &kill_horse, &|| kill_the("rq-horse")];
    for (before, crash) in crashes.iter().enumerate() {
        assert_eq!(gate.wait_for_arrival(), id);
        let counted = scratch.hash(&format!("job:{id}")).get("crashes").cloned();
        assert_eq!(counted, (before > 0).then(|| before.to_string()), "{}", worker.report());
        crash();
    }
    // It is not run without end.
    eventually("its failure", LIMIT, || (scratch.status(&id) == "failed").then_some(()));
    let text = job.latest_result().unwrap().unwrap().failure_text.unwrap();
    assert!(text.starts_with("Poisoned: what ran this job died 4 times\nKilled: "), "{text}");
}

#[test]
fn a_fork_server_that_can_no_longer_preload_says_why_and_the_worker_gives_up() {
    let scratch = Scratch::new();
    let model = std::env::temp_dir().join(format!("{}-model", scratch.prefix()));
    std::fs::write(&model, "a model").unwrap();
    let mut command = RqTest::app(&scratch, "model").command(&["worker", "-w", "fork"]);
    let mut worker = Child::spawn(command.env("RQ_TEST_MODEL", &model));
    let sum = || scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(sum().wait(LIMIT).unwrap(), 5, "{}", worker.report());
    std::fs::remove_file(&model).unwrap();
    let server = Process::all_on(&scratch).into_iter().find(|process| process.name == "rq-fork-server");
    kill(Pid::from_raw(i32::try_from(server.unwrap().id).unwrap()), Signal::SIGKILL).unwrap();
    let says =
        "the fork server could not start: the state `alloc::vec::Vec<u8>` could not be made: No such file";
    worker.wait_for_line(says, LIMIT);
    // Nothing can run any more, which jobs find out.
    let status = eventually("the worker to give up", LIMIT, || {
        sum();
        worker.wait_at_most(Duration::from_millis(200))
    });
    assert_eq!(status.code(), Some(1), "{}", worker.report());
    // Each of the servers that came after the first.
    assert_eq!(worker.text(Stream::Stderr).matches(says).count(), 5, "{}", worker.report());
}
