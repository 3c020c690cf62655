//! What a worker tells whoever supervises it, systemd or a manager, and what it is told by its environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use rq_core::{Call, secs};
use rq_tests::{Child, Folder, Gate, PrivateRedis, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

const EXECUTORS: [&str; 3] = ["fork", "thread", "green"];
/// What a supervisor tells a worker.
const VARIABLES: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "RQ_MANAGED_NAME", "RQ_MANAGED_MAX_REQUESTS"];
/// A watchdog that wants a beat every tenth of a second.
const WATCHDOG_USEC: &str = "200000";
/// How many beats are waited for: two seconds of them.
const BEATS: usize = 20;
/// As large as systemd takes them.
const NOTICE_BYTES_MAX: usize = 4096;
/// A port where nobody listens.
const NO_REDIS: &str = "redis://127.0.0.1:1/";

/// Who is told.
struct Supervisor {
    folder: Folder,
    socket: UnixDatagram,
}

/// One message, by its fields.
type Notice = BTreeMap<String, String>;

impl Supervisor {
    fn new() -> Self {
        let folder = Folder::new("notices");
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { folder, socket }
    }

    fn supervises<'c>(&self, worker: &'c mut Command) -> &'c mut Command {
        worker.env("NOTIFY_SOCKET", self.folder.path().join("notify"))
    }

    /// Starts a worker that it supervises.
    fn start(&self, scratch: &Scratch, args: &[&str]) -> Child {
        let mut command = RqTest::new(scratch).command(&[&["worker"], args].concat());
        Child::spawn(self.supervises(&mut command).env("RQ_MANAGED_NAME", "w"))
    }

    /// The next message; none within the time limit of the socket.
    fn received(&self) -> Option<Notice> {
        let mut buffer = [0; NOTICE_BYTES_MAX];
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let text = std::str::from_utf8(&buffer[..length]).unwrap();
                let fields = text.lines().map(|line| line.split_once('=').unwrap());
                Some(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn next(&self) -> Notice {
        self.received().expect("a notice comes")
    }

    /// The first message from here on that is like this.
    #[track_caller]
    fn wait_for(&self, is_it: impl Fn(&Notice) -> bool) -> Notice {
        let until = Instant::now() + LIMIT;
        let mut notice = self.next();
        while !is_it(&notice) {
            assert!(Instant::now() < until, "the last of many others: {notice:?}");
            notice = self.next();
        }
        notice
    }

    /// What has come, and nobody has looked at.
    fn left(&self) -> Vec<Notice> {
        self.socket.set_nonblocking(true).unwrap();
        let left = std::iter::from_fn(|| self.received()).collect();
        self.socket.set_nonblocking(false).unwrap();
        left
    }
}

fn notice(fields: &[(&str, &str)]) -> Notice {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn is_stopping(notice: &Notice) -> bool {
    notice.contains_key("STOPPING")
}

fn is_beat(notice: &Notice) -> bool {
    notice.get("WATCHDOG").is_some_and(|value| value == "1")
}

#[test]
fn a_worker_is_ready_when_it_is_registered() {
    for executor in EXECUTORS {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        let _worker = supervisor.start(&scratch, &["-w", executor, "high", "default"]);
        let mut told = supervisor.next();
        // At once, under the name that it was given.
        let worker = scratch.hash("worker:w");
        assert!(worker.contains_key("birth"), "{executor}: {worker:?}");
        let ready = [("READY", "1"), ("STATUS", "Listening on high, default"), ("X_RQ_REQUESTS", "0")];
        let baseline_bytes: u64 = told.remove("X_RQ_BASELINE_BYTES").unwrap().parse().unwrap();
        assert_eq!(told, notice(&ready), "{executor}");
        // A worker and its fork server at rest.
        assert!((1 << 20..100 << 20).contains(&baseline_bytes), "{executor}: {baseline_bytes}");
    }
}

#[test]
fn a_supervisor_has_an_abstract_name_too() {
    let scratch = Scratch::new();
    let name = format!("rq-{}", scratch.prefix());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = RqTest::new(&scratch).command(&["worker", "--burst"]);
    let _worker = Child::spawn(command.env("NOTIFY_SOCKET", format!("@{name}")));
    let mut buffer = [0; NOTICE_BYTES_MAX];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"READY=1\n"));
}

#[test]
fn a_worker_beats_whether_or_not_redis_answers() {
    for executor in EXECUTORS {
        let mut redis = PrivateRedis::start(&[]);
        let (supervisor, scratch) = (Supervisor::new(), Scratch::on(&redis.url()));
        let mut command = RqTest::new(&scratch).command(&["worker", "-w", executor]);
        let worker = Child::spawn(supervisor.supervises(&mut command).env("WATCHDOG_USEC", WATCHDOG_USEC));
        let beat = supervisor.wait_for(is_beat);
        // All that is known, again.
        assert_eq!((beat["READY"].as_str(), beat["STATUS"].as_str()), ("1", "Listening on default"));
        scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
        supervisor.wait_for(|notice| is_beat(notice) && notice["X_RQ_REQUESTS"] == "1");
        let beats = |what: &str| {
            let began = Instant::now();
            (0..BEATS).for_each(|_| drop(supervisor.wait_for(is_beat)));
            let took = began.elapsed();
            // Late, they would be of no use.
            assert!(took < secs(6), "{executor}, {what}: {took:?}");
        };
        beats("Redis answers");
        redis.signal(Signal::SIGSTOP);
        beats("Redis is frozen");
        redis.signal(Signal::SIGCONT);
        redis.kill();
        beats("Redis is gone");
        worker.wait_for_line("could not connect to Redis instance", LIMIT);
        // A loop that does not turn is silent.
        worker.signal(Signal::SIGSTOP);
        let is_stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", worker.id())).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T').then_some(())
        };
        eventually("the worker to be stopped", LIMIT, is_stopped);
        supervisor.left();
        supervisor.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        assert_eq!(supervisor.received(), None, "{executor}");
    }
}

#[test]
fn beats_are_for_whom_the_watchdog_is_meant() {
    let beats = |variables: &[(&str, &str)]| {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        let queue = scratch.queue("default");
        queue.enqueue(Call::<()>::to("programs.wait_for").arg(["sleep", "0.5"])).unwrap();
        let mut command = RqTest::new(&scratch).command(&["worker", "--burst"]);
        let worker = Child::spawn(supervisor.supervises(&mut command).envs(variables.iter().copied()));
        worker.succeed(LIMIT);
        let told = supervisor.left();
        assert_eq!(told.first().unwrap()["READY"], "1");
        told.iter().any(is_beat)
    };
    assert!(beats(&[("WATCHDOG_USEC", WATCHDOG_USEC)]));
    for none in [
        &[][..],
        &[("WATCHDOG_USEC", "0")],
        &[("WATCHDOG_USEC", "soon")],
        &[("WATCHDOG_USEC", WATCHDOG_USEC), ("WATCHDOG_PID", "1")],
    ] {
        assert!(!beats(none), "{none:?}");
    }
}

/// Somebody may start another one while it drains.
#[test]
fn a_worker_tells_with_its_last_job_that_it_leaves() {
    let check = |executor: &str, args: &[&str], variables: &[(&str, &str)]| {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        let (gate, queue) = (Gate::new(&scratch, "gate"), scratch.queue("default"));
        let jobs: Vec<_> =
            (0..3).map(|_| queue.enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap()).collect();
        let args = [&["worker", "-w", executor, "--concurrency", "1"], args].concat();
        let mut command = RqTest::new(&scratch).command(&args);
        command.env("WATCHDOG_USEC", WATCHDOG_USEC).envs(variables.iter().copied());
        let mut worker = Child::spawn(supervisor.supervises(&mut command));
        gate.wait_for_arrival();
        // Beats of while the first job runs are of a worker that works.
        for _ in 0..2 {
            let beat = supervisor.wait_for(is_beat);
            assert!(!is_stopping(&beat), "{beat:?}");
        }
        gate.open(1);
        gate.wait_for_arrival();
        let told = supervisor.wait_for(is_stopping);
        assert_eq!(told["X_RQ_CAUSE"], "max_requests");
        assert_eq!(told["STATUS"], "Stopping: has begun 2 jobs, as many as it may");
        assert_eq!((told["X_RQ_REQUESTS"].as_str(), is_beat(&told)), ("1", false));
        // It beats while its last job runs, and goes on saying why. A signal is no other cause.
        worker.signal(Signal::SIGTERM);
        worker.wait_for_line("warm shut down requested", LIMIT);
        supervisor.left();
        let beat = supervisor.wait_for(is_beat);
        assert!(is_stopping(&beat) && beat["X_RQ_CAUSE"] == "max_requests", "{beat:?}");
        gate.open(1);
        assert_eq!(worker.wait(LIMIT).code(), Some(0), "{executor}");
        let status = |job: usize| scratch.status(jobs[job].id());
        assert_eq!([status(0), status(1), status(2)], ["finished", "finished", "queued"], "{executor}");
    };
    for executor in EXECUTORS {
        check(executor, &["--max-jobs", "2"], &[]);
        check(executor, &[], &[("RQ_MANAGED_MAX_REQUESTS", "2")]);
        // What its arguments say counts.
        check(executor, &["--max-jobs", "2"], &[("RQ_MANAGED_MAX_REQUESTS", "1")]);
    }
}

#[test]
fn a_worker_that_leaves_says_why() {
    let check = |args: &[&str], act: &dyn Fn(&Scratch, &Child), code: i32, cause: &str, why: &str| {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        let mut worker = supervisor.start(&scratch, args);
        assert_eq!(supervisor.next()["READY"], "1");
        act(&scratch, &worker);
        assert_eq!(worker.wait(LIMIT).code(), Some(code), "{}", worker.report());
        let told = supervisor.left();
        // Once, and a worker that has begun is not told of as one that could not.
        let [told] = told.as_slice() else { panic!("{args:?}: {told:?}") };
        assert_eq!(told["READY"], "1", "{args:?}");
        assert_eq!((told["STOPPING"].as_str(), told["X_RQ_CAUSE"].as_str()), ("1", cause), "{args:?}");
        assert!(told["STATUS"].contains(why), "{args:?}: {told:?}");
    };
    let nothing = |_: &Scratch, _: &Child| {};
    let signal = |signal| move |_: &Scratch, worker: &Child| worker.signal(signal);
    check(&["--burst"], &nothing, 0, "burst", "its queues are empty");
    check(&["--max-idle-time", "1"], &nothing, 0, "idle", "idle for 1 second");
    for executor in EXECUTORS {
        check(&["-w", executor], &signal(Signal::SIGTERM), 0, "asked", "it was asked to");
    }
    check(&[], &signal(Signal::SIGINT), 0, "asked", "it was asked to");
    let command = |scratch: &Scratch, worker: &Child| {
        worker.wait_for_line("*** Listening on", LIMIT);
        let _: i64 = scratch.query("PUBLISH", [&scratch.key("pubsub:w"), r#"{"command": "shutdown"}"#]);
    };
    check(&[], &command, 0, "asked", "it was asked to");
    let exhaust = |scratch: &Scratch, _: &Child| {
        let gate = Gate::new(scratch, "gate");
        let stubborn = || Call::<()>::to("test.stubborn").arg(gate.key()).timeout(secs(1));
        scratch.queue("default").enqueue_many([stubborn(), stubborn()]).unwrap();
    };
    check(&["-w", "thread", "--concurrency", "2"], &exhaust, 1, "exhausted", "2 threads are stuck");
}

#[test]
fn a_worker_that_cannot_start_says_why() {
    let [free, suspended, named] = [Scratch::new(), Scratch::new(), Scratch::new()];
    let nowhere = Scratch::on(NO_REDIS);
    suspended.query::<()>("SET", [suspended.key("suspended"), "1".into()]);
    let _other = RqTest::new(&named).worker(&["--name", "w"]);
    let check = |scratch: &Scratch, app: &'static str, args: &[&str], more: (&str, &str), why: &str| {
        let supervisor = Supervisor::new();
        let mut command = RqTest::app(scratch, app).command(&[&["worker"], args].concat());
        let mut worker = Child::spawn(supervisor.supervises(&mut command).env(more.0, more.1));
        let status = worker.wait(LIMIT);
        assert!(!status.success(), "{args:?}");
        let told = supervisor.left();
        let [told] = told.as_slice() else { panic!("{app} {args:?}: {told:?}: {}", worker.report()) };
        assert!(told["STATUS"].contains(why), "{app} {args:?}: {told:?}");
        assert_eq!(*told, notice(&[("STATUS", &told["STATUS"]), ("X_RQ_CAUSE", "failed")]));
        // The same as people read.
        let first = told["STATUS"].split(" Ways on:").next().unwrap();
        assert!(worker.report().contains(first), "{}", worker.report());
    };
    let none = ("RQ_MANAGED_NAME", "");
    for executor in EXECUTORS {
        check(&nowhere, "", &["-w", executor], none, "127.0.0.1:1");
    }
    check(&suspended, "", &[], none, "RQ is currently suspended");
    check(&named, "", &[], ("RQ_MANAGED_NAME", "w"), "There exists an active worker named 'w' already");
    check(&free, "empty", &[], none, "this program has no job handlers");
    check(&free, "broken-state", &[], none, "the fork executor could not start");
    check(&free, "", &["--url", "nonsense://"], none, "a Redis URL must specify");
    check(&free, "", &["--lease", "soon"], none, "'soon' is not a valid float");
    check(&free, "", &["--app", "/nonexistent/jobs"], none, "there is no program /nonexistent/jobs");
    let many = ("RQ_MANAGED_MAX_REQUESTS", "many");
    check(&free, "", &[], many, "'RQ_MANAGED_MAX_REQUESTS': 'many' is not a valid integer");
    let spoiled = ("RQ_MANAGED_NAME", "a\nb");
    check(&free, "", &[], spoiled, "Invalid value for the variable 'RQ_MANAGED_NAME'");
}

#[test]
fn commands_that_run_no_worker_tell_nothing() {
    let scratch = Scratch::new();
    for args in [&["worker", "stop", "nobody"][..], &["worker", "--help"], &["info", "--nonsense"]] {
        let supervisor = Supervisor::new();
        let mut command = RqTest::new(&scratch).command(args);
        Child::spawn(supervisor.supervises(&mut command)).wait(LIMIT);
        assert_eq!(supervisor.left(), [], "{args:?}");
    }
}

#[test]
fn another_program_is_supervised_in_the_place_of_rq() {
    let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
    let args = ["worker", "--app", env!("CARGO_BIN_EXE_rq-test"), "--burst"];
    let mut command = RqTest::app(&scratch, "empty").command(&args);
    // What is executed has jobs.
    let command = supervisor.supervises(&mut command).env_remove("RQ_TEST_APP");
    Child::spawn(command.env("RQ_MANAGED_NAME", "w")).succeed(LIMIT);
    let causes: Vec<_> =
        supervisor.left().into_iter().map(|mut notice| notice.remove("X_RQ_CAUSE")).collect();
    assert_eq!(causes, [None, Some("burst".to_owned())]);
    assert!(scratch.hash("worker:w").contains_key("death"));
}

#[test]
fn an_argument_names_the_worker_before_its_supervisor_does() {
    let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
    supervisor.start(&scratch, &["--burst", "--name", "argued"]).succeed(LIMIT);
    assert_eq!(
        [scratch.hash("worker:argued").is_empty(), scratch.hash("worker:w").is_empty()],
        [false, true]
    );
}

/// Neither one whose socket is full nor one that is gone holds up a worker.
#[test]
fn nobody_waits_for_a_supervisor() {
    for is_there in [true, false] {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        if !is_there {
            fs::remove_file(supervisor.folder.path().join("notify")).unwrap();
        }
        let queue = scratch.queue("default");
        let calls = (0..20).map(|_| Call::<()>::to("programs.wait_for").arg(["sleep", "0.05"]));
        let jobs = queue.enqueue_many(calls).unwrap();
        let args = ["worker", "--burst", "-w", "thread", "--concurrency", "1"];
        let mut command = RqTest::new(&scratch).command(&args);
        // A beat each millisecond.
        let worker = Child::spawn(supervisor.supervises(&mut command).env("WATCHDOG_USEC", "2000"));
        worker.succeed(LIMIT);
        assert!(jobs.iter().all(|job| scratch.status(job.id()) == "finished"));
        // Where it is there its socket was full: the end was not taken.
        let told = supervisor.left();
        assert_eq!((told.is_empty(), told.iter().any(is_stopping)), (!is_there, false));
    }
}

#[test]
fn jobs_and_what_they_start_do_not_inherit_what_their_worker_was_told() {
    for executor in EXECUTORS {
        let (supervisor, scratch) = (Supervisor::new(), Scratch::new());
        let args = ["worker", "-w", executor, "--concurrency", "1"];
        let mut command = RqTest::new(&scratch).command(&args);
        supervisor.supervises(&mut command).env("WATCHDOG_USEC", "60000000").env("WATCHDOG_PID", "1");
        command.env("RQ_MANAGED_NAME", "w").env("RQ_MANAGED_MAX_REQUESTS", "1000").env("KEPT", "1");
        let worker = Child::spawn(&mut command);
        worker.wait_for_line("*** Listening on", LIMIT);
        let program = |argv: &[&str]| {
            let call = Call::<String>::to("interop.program").arg(argv);
            let job = scratch.queue("default").enqueue(call).unwrap();
            job.wait(LIMIT).unwrap_or_else(|error| panic!("{argv:?}: {error}: {}", worker.report()))
        };
        let check = |what: &str| {
            let printed = program(&["env"]);
            let names: Vec<&str> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
            let found: Vec<&&str> = VARIABLES.iter().filter(|name| names.contains(*name)).collect();
            assert!(names.contains(&"KEPT") && found.is_empty(), "{executor}, {what}: {found:?}");
        };
        check("at first");
        if executor == "fork" {
            // The next server is executed by the worker, which keeps its name.
            let server = program(&["sh", "-c", "ps -o ppid= -p $PPID"]);
            let server = nix::unistd::Pid::from_raw(server.trim().parse().unwrap());
            nix::sys::signal::kill(server, Signal::SIGKILL).unwrap();
            worker.wait_for_line("another runs with PID", LIMIT);
            check("from a server that was executed");
            assert_eq!(program(&["sh", "-c", "echo $RQ_WORKER_ID"]), "w\n");
        }
        // What was told came from the worker alone.
        let told = supervisor.left();
        assert_eq!((told.len(), told[0]["READY"].as_str()), (1, "1"), "{executor}: {told:?}");
    }
}
