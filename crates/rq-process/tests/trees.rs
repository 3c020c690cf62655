//! Trees of processes, of which nothing may be left, whatever ends their root.
//!
//! A program of its own, since a process that forks must have one thread as it begins: run with the name of a role as its argument it
//! plays that, otherwise it runs the tests.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, kill};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, getppid};
use rq_process::{
    Kept, Pid, Signal, SingleThreaded, adopt_orphans, dies_with_this_process, end_descendants,
    leave_keeper_behind,
};

/// By this variable the processes of one test are known.
const MARK: &str = "RQ_PROCESS_TREE";
/// How long a tree may take to end, and anything else that is waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Programs that want to stay: in a session of their own, with a parent that is gone, and deaf to SIGTERM. Each says so in a
/// line.
const TREE: &str = "
    setsid sh -c 'echo; sleep 600; :' &
    (setsid sh -c 'echo; sleep 600; :' &)
    sh -c 'trap \"\" TERM; echo; while :; do sleep 600; done' &
    wait";
const TREE_LINES: usize = 3;
/// A program that is told to end, and says so to the test.
const TOLD: &str = "trap 'echo told >&2; exit' TERM; echo; while :; do sleep 600 & wait; done";

/// What the child of a keeper exits with, by itself and when it is asked to.
const EXITS: i32 = 7;
const STOPPED: i32 = 8;

const TESTS: [(&str, fn()); 10] = [
    ("a_child_that_ends_leaves_nothing", a_child_that_ends_leaves_nothing),
    ("a_child_that_is_killed_leaves_nothing", a_child_that_is_killed_leaves_nothing),
    ("a_child_whose_keeper_is_killed_hears_of_it", a_child_whose_keeper_is_killed_hears_of_it),
    ("a_keeper_passes_signals_on", a_keeper_passes_signals_on),
    ("a_keeper_reaps_orphans_while_its_child_runs", a_keeper_reaps_orphans_while_its_child_runs),
    ("a_keeper_holds_nothing_open", a_keeper_holds_nothing_open),
    (
        "a_keeper_whose_parent_ignores_children_hears_of_its_own",
        a_keeper_whose_parent_ignores_children_hears_of_its_own,
    ),
    ("what_is_left_is_told_before_it_is_killed", what_is_left_is_told_before_it_is_killed),
    ("what_ends_by_itself_is_given_no_time", what_ends_by_itself_is_given_no_time),
    ("a_program_dies_with_who_has_started_it", a_program_dies_with_who_has_started_it),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, part] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && role == "role"
    {
        play(part);
    }
    run_tests(&arguments)
}

/// As the harness of Rust does, which would start threads.
fn run_tests(arguments: &[String]) -> ExitCode {
    // What follows an option may be its value.
    let filter = arguments.first().filter(|argument| !argument.starts_with('-'));
    let mut code = ExitCode::SUCCESS;
    for (name, test) in TESTS.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter))) {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        if !passed {
            code = ExitCode::FAILURE;
        }
        let _ = writeln!(io::stdout(), "test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    code
}

// The roles.

/// Plays a part, and ends.
fn play(part: &str) -> ! {
    if part == "starter" {
        start_what_dies_with_this();
    }
    let Kept { keeper, .. } = leave_keeper_behind(SingleThreaded::make_sure().unwrap()).unwrap();
    match part {
        // It hears of orphans itself, as a supervisor does; or leaves them to the keeper.
        "adopts" => adopt_orphans().unwrap(),
        "leaves orphans" => drop(Command::new("sh").args(["-c", "sleep 0.01 &"]).status().unwrap()),
        _ => {}
    }
    let requests = [Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&requests), None).unwrap();
    match part {
        "alone" => {}
        "tells" => start(TOLD, 1, io::stdout().as_fd().try_clone_to_owned().unwrap().into()),
        _ => start(TREE, TREE_LINES, Stdio::null()),
    }
    tell(format_args!("{} {keeper}", process::id()));
    if part == "closes" {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        dup2_stdin(&null).unwrap();
        dup2_stdout(&null).unwrap();
        dup2_stderr(&null).unwrap();
    }
    if part == "exits" {
        process::exit(EXITS);
    }
    let request = requests.wait().unwrap();
    if getppid() != keeper {
        end_descendants(Duration::from_millis(500), Duration::from_millis(1500));
    }
    process::exit(if request == Signal::SIGHUP { EXITS } else { STOPPED })
}

/// Starts this script, which has nothing of this process, and waits for so many lines.
#[allow(clippy::zombie_processes, reason = "it is to be there when this process ends")]
fn start(script: &str, lines: usize, stderr: Stdio) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    let program = unmasked(|| command.spawn().unwrap());
    let told = BufReader::new(program.stdout.unwrap()).lines().take(lines);
    assert_eq!(told.filter(Result::is_ok).count(), lines);
}

/// As a program inherits the mask, and SIGTERM is to end it.
fn unmasked<T>(spawn: impl FnOnce() -> T) -> T {
    let before = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK).unwrap();
    let spawned = spawn();
    before.thread_set_mask().unwrap();
    spawned
}

fn start_what_dies_with_this() -> ! {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    dies_with_this_process(&mut command);
    let mut program = command.spawn().unwrap();
    tell(format_args!("{} {}", process::id(), program.id()));
    let _ = program.wait();
    process::exit(EXITS)
}

fn tell(line: std::fmt::Arguments<'_>) {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).unwrap();
}

// What the tests are made of.

/// A tree of processes, from the outside.
struct Tree {
    /// What was started: the keeper, where there is one.
    root: Child,
    mark: String,
    /// The two processes that it has told of.
    told: [Pid; 2],
    /// What it writes after that.
    output: Receiver<String>,
}

impl Tree {
    /// Starts one that plays this part, and waits until it is complete.
    fn start(part: &str) -> Tree {
        Tree::start_by(Command::new(env::current_exe().unwrap()).args(["role", part]))
    }

    fn start_by(command: &mut Command) -> Tree {
        static TREES: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", process::id(), TREES.fetch_add(1, Ordering::Relaxed));
        let mut root = command.env(MARK, &mark).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(root.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (end, output) = channel();
        thread::spawn(move || {
            let mut rest = String::new();
            let _ = stdout.read_to_string(&mut rest);
            let _ = end.send(rest);
        });
        let told: Vec<Pid> = line.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect();
        Tree { root, mark, told: told.try_into().expect("two processes are told of"), output }
    }

    /// The child of the keeper.
    fn child(&self) -> Pid {
        self.told[0]
    }

    /// The processes of this tree that have not ended.
    fn left(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let is_of_tree = |path: &std::path::Path| {
            // Of one that has ended nothing is left to read.
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        let told = |path: std::path::PathBuf| {
            let command_line = fs::read(path.join("cmdline")).unwrap_or_default();
            format!("{} {}", path.display(), String::from_utf8_lossy(&command_line).replace('\0', " "))
        };
        processes.map(|process| process.path()).filter(|path| is_of_tree(path)).map(told).collect()
    }

    /// What it has written when nobody can write any more.
    fn output(&self) -> String {
        self.output.recv_timeout(LIMIT).expect("the output ends")
    }

    /// Waits until nothing is left.
    fn ends(&self) {
        let began = Instant::now();
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < ENDS_WITHIN, "left after {:?}: {left:?}", began.elapsed());
            sleep(LOOK_PAUSE);
        }
    }

    /// The exit code of what was started, or 1000 and the signal that ended it.
    fn exit_code(&mut self) -> i32 {
        let status = eventually("the root of the tree to end", || self.root.try_wait().unwrap());
        status.code().unwrap_or_else(|| 1000 + status.signal().unwrap())
    }
}

impl Drop for Tree {
    /// Leaves nothing of a test that failed.
    fn drop(&mut self) {
        let pid = |process: &String| process.split(['/', ' ']).nth(2)?.parse().ok().map(Pid::from_raw);
        let began = Instant::now();
        // What is killed may just have started another.
        while let left = self.left()
            && !left.is_empty()
            && began.elapsed() < LIMIT
        {
            for pid in left.iter().filter_map(pid) {
                let _ = kill(pid, Signal::SIGKILL);
            }
            sleep(LOOK_PAUSE);
        }
        let _ = self.root.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < LIMIT, "waited for {what}");
        sleep(LOOK_PAUSE);
    }
}

// The tests.

fn a_child_that_ends_leaves_nothing() {
    let mut tree = Tree::start("exits");
    assert_eq!(tree.exit_code(), EXITS);
    assert_eq!(tree.left(), Vec::<String>::new(), "the keeper ends last");
}

fn a_child_that_is_killed_leaves_nothing() {
    for part in ["waits", "adopts"] {
        let mut tree = Tree::start(part);
        assert!(tree.left().len() > 2 + TREE_LINES, "{:?}", tree.left());
        kill(tree.child(), Signal::SIGKILL).unwrap();
        tree.ends();
        assert_eq!(tree.exit_code(), 128 + 9, "{part}");
    }
}

fn a_child_whose_keeper_is_killed_hears_of_it() {
    let mut tree = Tree::start("adopts");
    tree.root.kill().unwrap();
    tree.ends();
    assert_eq!(tree.exit_code(), 1000 + 9);
}

fn a_keeper_passes_signals_on() {
    for (signal, code) in [(Signal::SIGTERM, STOPPED), (Signal::SIGHUP, EXITS), (Signal::SIGUSR2, 128 + 12)] {
        let mut tree = Tree::start("alone");
        kill(tree.told[1], signal).unwrap();
        assert_eq!(tree.exit_code(), code, "{signal}");
        tree.ends();
    }
}

fn a_keeper_reaps_orphans_while_its_child_runs() {
    let tree = Tree::start("leaves orphans");
    let keeper = tree.told[1];
    let is_zombie = |pid: &Pid| {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            rq_process::name_and_fields(&stat).is_some_and(|(_, fields)| fields.starts_with('Z'))
        })
    };
    eventually("orphans to be reaped", || {
        let children = rq_process::children_of(keeper);
        let sleeps = |pid: &Pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x000.01"))
        };
        (!children.iter().any(|pid| is_zombie(pid) || sleeps(pid))).then_some(())
    });
    assert!(rq_process::children_of(keeper).contains(&tree.child()), "the child runs on");
    assert!(rq_process::children_of(keeper).len() > 1, "and one of its orphans is the keeper's");
}

fn a_keeper_holds_nothing_open() {
    let mut tree = Tree::start("closes");
    assert_eq!(tree.output(), "");
    let mut stdin = tree.root.stdin.take().unwrap();
    // As nobody can read any more.
    assert_eq!(stdin.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let open = fs::read_dir(format!("/proc/{}/fd", tree.told[1])).unwrap();
    let open: Vec<String> =
        open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string()).collect();
    assert!(open.iter().all(|file| file == "/dev/null" || file.contains("signalfd")), "{open:?}");
    assert_eq!(open.len(), 4, "{open:?}");
    kill(tree.child(), Signal::SIGTERM).unwrap();
    assert_eq!(tree.exit_code(), STOPPED);
    tree.ends();
}

fn a_keeper_whose_parent_ignores_children_hears_of_its_own() {
    let program = env::current_exe().unwrap();
    let mut command = Command::new("env");
    let mut tree = Tree::start_by(command.arg("--ignore-signal=CHLD").arg(program).args(["role", "exits"]));
    assert_eq!(tree.exit_code(), EXITS);
    tree.ends();
}

fn what_is_left_is_told_before_it_is_killed() {
    let mut tree = Tree::start("tells");
    kill(tree.child(), Signal::SIGKILL).unwrap();
    assert_eq!(tree.output(), "told\n");
    assert_eq!(tree.exit_code(), 128 + 9);
    tree.ends();
}

fn what_ends_by_itself_is_given_no_time() {
    let mut tree = Tree::start("alone");
    kill(tree.child(), Signal::SIGTERM).unwrap();
    let began = Instant::now();
    assert_eq!(tree.exit_code(), STOPPED);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

fn a_program_dies_with_who_has_started_it() {
    let mut tree = Tree::start("starter");
    assert_eq!(tree.left().len(), 2);
    kill(tree.child(), Signal::SIGKILL).unwrap();
    tree.ends();
    assert_eq!(tree.exit_code(), 1000 + 9);
}
