//! What the programs find that jobs start, under every executor and under Python's worker; and how they are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rq_core::{Call, Codec, secs};
use rq_tests::{Child, Python, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

const EXECUTORS: [&str; 3] = ["fork", "thread", "green"];
/// The page with the table of what programs find.
const PAGE: &str = include_str!("../../docs/operations.md");
/// The signals that the table is about, with their numbers.
const SIGNALS: [(&str, u32); 7] =
    [("HUP", 1), ("INT", 2), ("QUIT", 3), ("PIPE", 13), ("TERM", 15), ("CHLD", 17), ("USR1", 10)];

/// What the system knows of a process: `status`, `stat`, `limits` and `oom_score_adj` below `/proc`, in this order.
struct Process {
    status: BTreeMap<String, String>,
    group: String,
    session: String,
    terminal: String,
    limits: String,
    oom_score: String,
}

impl Process {
    const FILES: [&str; 4] = ["status", "stat", "limits", "oom_score_adj"];

    fn of(id: u32) -> Self {
        let files = Self::FILES.map(|file| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap());
        Self::read(&files.concat())
    }

    fn read(text: &str) -> Self {
        let status = text.lines().filter_map(|line| line.split_once(":\t"));
        // Its name stands in parentheses. Behind that: state, parent, group, session, terminal (proc_pid_stat(5)).
        let stat = text.lines().find_map(|line| line.split_once(") ")).unwrap().1;
        let stat: Vec<&str> = stat.split(' ').collect();
        let (limits, oom_score) = text.split_once("Limit ").unwrap().1.trim_end().rsplit_once('\n').unwrap();
        Self {
            status: status.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
            group: stat[2].to_owned(),
            session: stat[3].to_owned(),
            terminal: stat[4].to_owned(),
            limits: limits.to_owned(),
            oom_score: oom_score.to_owned(),
        }
    }

    fn mask(&self, name: &str) -> u64 {
        u64::from_str_radix(&self.status[name], 16).unwrap()
    }

    /// The signals in one of its masks, by their names.
    fn signals(&self, name: &str) -> String {
        let mask = self.mask(name);
        let all = SIGNALS.iter().filter(|(_, number)| mask & (1 << (number - 1)) != 0);
        let all: Vec<&str> = all.map(|(name, _)| *name).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }
}

/// Runs programs in jobs on a worker.
struct Stage<'a> {
    scratch: &'a Scratch,
    worker: Child,
    codec: Codec,
}

impl<'a> Stage<'a> {
    fn ours(scratch: &'a Scratch, executor: &str) -> Self {
        let worker = RqTest::new(scratch).worker(&["-w", executor, "--concurrency", "2"]);
        Self { scratch, worker, codec: Codec::Json }
    }

    /// Under a shell that has changed how signals are handled.
    fn behind(scratch: &'a Scratch, shell: &str, executor: &str) -> Self {
        let rq = RqTest::new(scratch).command(&["worker", "-w", executor, "--concurrency", "2"]);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\""));
        command.arg(rq.get_program()).args(rq.get_args());
        command.envs(rq.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let worker = Child::spawn(&mut command);
        worker.wait_for_line("*** Listening on", LIMIT);
        Self { scratch, worker, codec: Codec::Json }
    }

    fn pythons(scratch: &'a Scratch, python: &Python) -> Self {
        let worker = python.spawn_rq(&["worker", "default"]);
        worker.wait_for_line("Listening on", LIMIT);
        Self { scratch, worker, codec: Codec::Pickle }
    }

    fn program(&self, argv: &[&str]) -> String {
        let call = Call::<String>::to("interop.program").arg(argv);
        let job = self.scratch.queue("default").codec(self.codec).enqueue(call).unwrap();
        job.wait(LIMIT).unwrap_or_else(|error| panic!("{argv:?}: {error}: {}", self.worker.report()))
    }

    fn process(&self) -> Process {
        let files = Process::FILES.map(|file| format!("/proc/self/{file}"));
        Process::read(&self.program(&[&["cat"][..], &files.each_ref().map(String::as_str)].concat()))
    }
}

/// The columns of the table for one worker.
fn found(stage: &Stage) -> BTreeMap<&'static str, String> {
    let worker_id = stage.worker.id();
    let (worker, program) = (Process::of(worker_id), stage.process());
    let same = |is_same: bool| if is_same { "the worker's" } else { "others" }.to_owned();
    let place = |name: &str| fs::read_link(format!("/proc/{worker_id}/{name}")).unwrap();
    let read = |name: &str| stage.program(&["readlink", &format!("/proc/self/{name}")]);
    let is_at = |name: &str| Path::new(read(name).trim_end()) == place(name);

    // `ls` has the directory open that it lists. What the tests were started with themselves is not the worker's doing.
    let ls = ["ls", "/proc/self/fd"];
    let ours = Command::new(ls[0]).arg(ls[1]).output().unwrap().stdout;
    let ours = String::from_utf8(ours).unwrap();
    let descriptors = stage.program(&ls);
    let more: Vec<&str> =
        descriptors.lines().filter(|name| !ours.lines().any(|ours| ours == *name)).collect();

    let variables = |text: &str| -> BTreeSet<String> {
        text.split(['\0', '\n']).filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
    };
    let before =
        variables(&String::from_utf8_lossy(&fs::read(format!("/proc/{worker_id}/environ")).unwrap()));
    let after = variables(&stage.program(&["env"]));
    let added: Vec<&str> = after.difference(&before).map(String::as_str).collect();
    assert!(after.is_superset(&before), "{before:?} {after:?}");

    let group = match () {
        () if program.group == worker.group => "the worker's",
        // Its horse leads the group.
        () if program.group == program.status["PPid"] => "the job's own",
        () => "another",
    };
    let listed = |list: Vec<&str>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    BTreeMap::from([
        ("blocked signals", program.signals("SigBlk")),
        ("ignored signals", program.signals("SigIgn")),
        ("group of processes", group.to_owned()),
        (
            "session and terminal",
            same((program.session, program.terminal) == (worker.session, worker.terminal)),
        ),
        ("standard input and error", same(is_at("fd/0") && is_at("fd/2"))),
        ("other descriptors", listed(more)),
        ("limits", same(program.limits == worker.limits)),
        ("variables added", listed(added)),
        ("OOM score", same(program.oom_score == worker.oom_score)),
        ("directory and umask", same(is_at("cwd") && program.status["Umask"] == worker.status["Umask"])),
    ])
}

#[test]
fn the_table_of_what_programs_find_is_true() {
    let mut columns = Vec::new();
    for executor in EXECUTORS {
        let scratch = Scratch::new();
        columns.push(found(&Stage::ours(&scratch, executor)));
    }
    let scratch = Scratch::new();
    columns.push(found(&Stage::pythons(&scratch, &Python::new(&scratch))));
    let rows: Vec<String> = columns[0]
        .keys()
        .map(|row| {
            let cells: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
            format!("| {row} | {} |", cells.join(" | "))
        })
        .collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !PAGE.lines().any(|line| line == *row)).collect();
    assert!(missing.is_empty(), "docs/operations.md does not say:\n{missing:#?}");
}

/// Rust's library gives programs the default action for SIGPIPE; others do not.
#[test]
fn programs_that_other_libraries_start_find_the_same() {
    for executor in EXECUTORS {
        let scratch = Scratch::new();
        let stage = Stage::ours(&scratch, executor);
        let file = std::env::temp_dir().join(format!("{}-spawned", scratch.prefix()));
        let files = Process::FILES.map(|file| format!("/proc/self/{file}"));
        let argv = [&["cat".to_owned()][..], &files].concat();
        let call = Call::<String>::to("programs.spawn").arg(argv).arg(file.to_str().unwrap());
        let job = scratch.queue("default").enqueue(call).unwrap();
        let printed = job.wait(LIMIT).unwrap_or_else(|error| panic!("{error}: {}", stage.worker.report()));
        fs::remove_file(&file).unwrap();
        let program = Process::read(&printed);
        // The C library keeps two signals behind these to itself, and has what it starts ignore them.
        let masks = ["SigBlk", "SigIgn"].map(|name| program.mask(name) & u64::from(u32::MAX >> 1));
        assert_eq!(masks, [0, 0], "{executor}");
    }
}

/// As behind `nohup`, or in the background of a script.
#[test]
fn what_a_worker_was_started_with_as_ignored_stays_so_for_programs() {
    let scratch = Scratch::new();
    let check = |stage: &Stage| assert_eq!(stage.process().signals("SigIgn"), "HUP, INT, QUIT, TERM");
    let stage = Stage::behind(&scratch, "trap '' HUP INT QUIT TERM; exec </etc/passwd", "fork");
    check(&stage);
    // The next server is executed by a worker that handles two of them.
    let server = stage.program(&["sh", "-c", "ps -o ppid= -p $PPID"]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.trim().parse().unwrap()), Signal::SIGKILL)
        .unwrap();
    stage.worker.wait_for_line("another runs with PID", LIMIT);
    check(&stage);
    let stdin = stage.program(&["readlink", "/proc/self/fd/0"]);
    let of_worker = fs::read_link(format!("/proc/{}/fd/0", stage.worker.id())).unwrap();
    assert_eq!(Path::new(stdin.trim_end()), of_worker);
    for executor in ["thread", "green"] {
        let scratch = Scratch::new();
        let stage = Stage::behind(&scratch, "trap '' HUP QUIT", executor);
        assert_eq!(stage.process().signals("SigIgn"), "HUP, QUIT", "{executor}");
    }
}

#[test]
fn a_program_that_is_sent_sigterm_ends_by_it() {
    const SOON: Duration = secs(4);
    for executor in EXECUTORS {
        let scratch = Scratch::new();
        let _stage = Stage::ours(&scratch, executor);
        let queue = scratch.queue("default");
        let began = Instant::now();
        let killed =
            queue.enqueue(Call::<Option<i32>>::to("programs.terminate").arg(["sleep", "20"])).unwrap();
        let timeout = Call::<()>::to("programs.wait_for").arg(["timeout", "1", "sleep", "20"]);
        let timeout = queue.enqueue(timeout).unwrap();
        assert_eq!(killed.wait(LIMIT).unwrap(), Some(Signal::SIGTERM as i32), "{executor}");
        timeout.wait(LIMIT).unwrap();
        assert!(began.elapsed() < SOON, "{executor}: {:?}", began.elapsed());
    }
}

/// A program that says in a file when it has begun and when it was sent SIGTERM, and goes on.
fn program_with_handler(file: &str) -> [String; 3] {
    let script = format!(
        "trap 'echo terminated >> {file}' TERM; echo began >> {file}; while true; do sleep 0.05; done"
    );
    ["sh".to_owned(), "-c".to_owned(), script]
}

/// Whatever ends a job under `-w fork`: a program that it has started sees SIGTERM, and SIGKILL a second later.
#[test]
fn what_a_job_has_started_sees_sigterm_before_sigkill() {
    /// What ends the job.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum By {
        Limit,
        Stop,
        ColdStop,
        KillHorse,
        WorkersDeath,
        ServersDeath,
        Itself,
        Abort,
    }
    let check = |by: By, in_session_of_its_own: bool| {
        let scratch = Scratch::new();
        let file = std::env::temp_dir().join(format!("{}-trapped", scratch.prefix()));
        let file_name = file.to_str().unwrap();
        let worker = RqTest::new(&scratch).worker(&[
            "-w",
            "fork",
            "--concurrency",
            "1",
            "--job-grace",
            "1",
            "--name",
            "w",
        ]);
        let mut argv = program_with_handler(file_name).to_vec();
        if in_session_of_its_own {
            argv.insert(0, "setsid".to_owned());
        }
        let call = match by {
            By::Itself | By::Abort => {
                Call::<()>::to("programs.leave").arg(argv).arg(file_name).arg(by == By::Abort)
            }
            _ => Call::<()>::to("programs.wait_for").arg(argv),
        };
        let call = if by == By::Limit { call.timeout(secs(1)) } else { call };
        let job = scratch.queue("default").enqueue(call).unwrap();
        let text = || fs::read_to_string(&file).unwrap_or_default();
        eventually("the program to begin", LIMIT, || text().contains("began").then_some(()));
        let began = Instant::now();
        let wanted = format!("RQ_JOB_ID={}", job.id());
        let lives = || {
            let all =
                fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path().join("environ")));
            all.filter_map(|path| fs::read(path).ok())
                .any(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()))
        };
        match by {
            By::Limit | By::Itself | By::Abort => {}
            By::Stop => assert!(job.stop().unwrap()),
            By::ColdStop => {
                worker.signal(Signal::SIGTERM);
                // A second at the least after the worker has seen the first, which may be late.
                std::thread::sleep(secs(2));
                worker.signal(Signal::SIGTERM);
            }
            By::KillHorse => {
                let command = r#"{"command": "kill-horse"}"#;
                // The worker may run jobs before it listens.
                eventually("the worker to listen", LIMIT, || {
                    let listeners: i64 =
                        scratch.query("PUBLISH", [scratch.key("pubsub:w"), command.to_owned()]);
                    (listeners > 0).then_some(())
                });
            }
            By::WorkersDeath => worker.signal(Signal::SIGKILL),
            By::ServersDeath => {
                let children = format!("/proc/{0}/task/{0}/children", worker.id());
                let server = fs::read_to_string(children).unwrap().trim().parse().unwrap();
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), Signal::SIGKILL).unwrap();
            }
        }
        eventually(&format!("SIGTERM: {by:?}"), LIMIT, || text().contains("terminated").then_some(()));
        // When it wrote so, and not when that was seen, which may be late where much else runs.
        let terminated = fs::metadata(&file).unwrap().modified().unwrap();
        assert!(lives(), "{by:?}: it has its second, {:?} after the job began", began.elapsed());
        eventually("SIGKILL", LIMIT, || (!lives()).then_some(()));
        let took = terminated.elapsed().unwrap();
        // A shell that is starved does what it traps some time after the signal has come.
        assert!((Duration::from_millis(300)..secs(3)).contains(&took), "{by:?}: {took:?}");
        assert_eq!(text().matches("terminated").count(), 1, "{by:?}: once");
        fs::remove_file(&file).unwrap();
    };
    std::thread::scope(|threads| {
        use By::*;
        for by in [Limit, Stop, ColdStop, KillHorse, WorkersDeath, ServersDeath, Itself, Abort] {
            for in_session_of_its_own in [false, true] {
                threads.spawn(move || check(by, in_session_of_its_own));
            }
        }
    });
}
