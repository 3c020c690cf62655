//! What a program registers under names, and its command line names; and the program under RQ's other names. The program is
//! the app `pieces` of `rq-test`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use rq_core::Call;
use rq_tests::{Child, Folder, Python, Scratch, Signal, Stream, jobs::Surroundings};

use crate::rq_test::{Books, LIMIT, RqTest};

/// Where nobody listens: what is refused is so before anything is connected.
const NO_REDIS: [&str; 2] = ["--url", "redis://127.0.0.1:1/"];

fn app(scratch: &Scratch) -> RqTest<'_> {
    RqTest::app(scratch, "pieces")
}

/// What the pieces of the app have said, in order.
fn said(stderr: &str) -> Vec<&str> {
    let is_said = |line: &&str| {
        line.contains(" handler: ") || line.contains(" penalty: ") || line.contains("audited: ")
    };
    stderr.lines().filter(is_said).collect()
}

/// A worker's end, and what its pieces have said, of a job that fails.
#[track_caller]
fn told_of_failure(command: &str, arguments: &[&str], expected: &[&str]) {
    let scratch = Scratch::new();
    let call = Call::<()>::to("interop.fail").job_id("j");
    scratch.queue("default").enqueue(call).unwrap();
    let (code, stdout, stderr) = app(&scratch).outcome(&[&[command, "--burst"], arguments].concat());
    assert_eq!((code, scratch.status("j").as_str()), (Some(0), "failed"), "{stderr}");
    let are_named = arguments.iter().any(|argument| argument.starts_with("--"));
    assert_eq!(stdout.matches(": jobs run with ").count(), usize::from(are_named), "{stdout}");
    assert_eq!(said(&stderr), expected, "{command} {arguments:?}: {stderr}");
}

#[test]
fn pieces_count_where_they_are_named() {
    const ALWAYS: &str = "always handler: j ended by Error";
    for executor in ["fork", "thread", "green"] {
        told_of_failure("worker", &["-w", executor], &[ALWAYS]);
        let named =
            ["-w", executor, "--exception-handler", "app.handlers.page", "--exception-handler", "report"];
        let handlers = [ALWAYS, "page handler: j ended by Error", "report handler: j ended by Error"];
        told_of_failure("worker", &named, &handlers);
        let named = ["-w", executor, "--death-penalty", "cpu", "--job-class", "audited"];
        let around = [
            "cpu penalty: j armed for Some(180s)",
            "audited: j begins",
            "audited: j ends",
            "cpu penalty: j called off",
            ALWAYS,
        ];
        told_of_failure("worker", &named, &around);
    }
    let pool = ["-n", "1", "--exception-handler=report", "--death-penalty=cpu", "--job-class=audited"];
    let all = [
        "cpu penalty: j armed for Some(180s)",
        "audited: j begins",
        "audited: j ends",
        "cpu penalty: j called off",
        ALWAYS,
        "report handler: j ended by Error",
    ];
    told_of_failure("worker-pool", &pool, &all);
}

#[test]
fn a_manager_gives_its_workers_what_their_entries_name() {
    let scratch = Scratch::new();
    let folder = Folder::new("pieces");
    let file = folder.path().join("rq.toml");
    let file = file.to_str().unwrap();
    let socket = folder.path().join("socket");
    let entry = format!(
        "[manager]\nsocket = \"{}\"\n[[worker]]\nname = \"w\"\nexecutor = \"kept\"\n\
         exception_handler = [\"report\", \"app.handlers.page\"]\njob_class = \"audited\"\n",
        socket.display()
    );
    fs::write(file, &entry).unwrap();
    scratch.queue("default").enqueue(Call::<()>::to("interop.fail").job_id("j")).unwrap();
    let mut manager = app(&scratch).spawn(&["manager", "-c", file]);
    manager.wait_for_line("page handler: j ended by Error", LIMIT);
    manager.signal(Signal::SIGTERM);
    manager.wait(LIMIT);
    let stderr = manager.text(Stream::Stderr);
    let expected = [
        "audited: j begins",
        "audited: j ends",
        "always handler: j ended by Error",
        "report handler: j ended by Error",
        "page handler: j ended by Error",
    ];
    assert_eq!(said(&stderr), expected, "{stderr}");

    fs::write(file, entry.replace("\"report\"", "\"nosuch\"")).unwrap();
    let (code, _, stderr) = app(&scratch).outcome(&["manager", "-c", file]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("this program has no exception handler 'nosuch'. It has: report, app.handlers.page."),
        "{stderr}"
    );
}

#[test]
fn one_executor_under_two_names_has_other_options_each() {
    let check = |executor: &str, arguments: &[&str], is_kept: bool| {
        let scratch = Scratch::new();
        let _worker = app(&scratch).worker(&[&["-w", executor, "-n", "w"], arguments].concat());
        let call = Call::<Surroundings>::to("test.surroundings").job_id("j");
        let told = scratch.queue("default").enqueue(call).unwrap().wait(LIMIT).unwrap();
        // A process that is kept for several jobs has no job's title.
        assert_eq!(told.title == "rq: fork server of w", is_kept, "{executor} {arguments:?}: {told:?}");
    };
    check("fresh", &[], false);
    check("kept", &[], true);
    // The command line comes before what the program says.
    check("kept", &["--horse-jobs", "1"], false);
    check("fork", &[], false);
}

#[test]
fn queues_of_a_class_have_its_defaults() {
    let scratch = Scratch::new();
    let app = app(&scratch);
    let timeout = |arguments: &[&str], variable: Option<&str>| {
        let mut command =
            app.command(&[&["enqueue", "--job-id", "j"], arguments, &["math.add", ":1", ":2"]].concat());
        variable.map(|class| command.env("RQ_QUEUE_CLASS", class));
        Child::spawn(&mut command).succeed(LIMIT);
        let job = scratch.hash("job:j");
        app.run(&["empty", "default"]);
        job["timeout"].clone()
    };
    assert_eq!(timeout(&[], None), "180");
    assert_eq!(timeout(&["--queue-class", "urgent"], None), "10");
    assert_eq!(timeout(&[], Some("urgent")), "10");
    assert_eq!(timeout(&["--queue-class", "rq.Queue"], Some("urgent")), "180");
    assert_eq!(timeout(&["--queue-class", "urgent", "--timeout", "20"], None), "20");
    // Those that enqueue nothing take it, too.
    app.run(&["info", "--queue-class", "urgent", "--job-class", "audited"]);
    app.drain(&["--queue-class", "urgent"]);
}

#[test]
fn what_is_not_registered_is_refused_and_the_way_on_named() {
    let scratch = Scratch::new();
    let check = |app: &str, arguments: &[&str], variable: Option<(&str, &str)>, expected: &str| {
        let app = if app.is_empty() { RqTest::new(&scratch) } else { RqTest::app(&scratch, "pieces") };
        let mut command = app.command(&[&arguments[..1], &NO_REDIS, &arguments[1..]].concat());
        variable.map(|(name, value)| command.env(name, value));
        let mut child = Child::spawn(&mut command);
        let (code, stderr) = (child.wait(LIMIT).code(), child.text(Stream::Stderr));
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        let usage = format!("Usage: rq-test {} [OPTIONS]", arguments[0]);
        assert!(stderr.starts_with(&usage), "{stderr}");
        assert!(stderr.contains(&format!("\nError: Invalid value for {expected}")), "{stderr}");
    };
    check(
        "",
        &["worker", "--exception-handler", "report"],
        None,
        "'--exception-handler': this program has no exception handler 'report'. It has: none. A program in Rust registers \
         one by App::exception_handler_named.",
    );
    check(
        "pieces",
        &["worker-pool", "--exception-handler", "report", "--exception-handler", "app.mail"],
        None,
        "'--exception-handler': 'app.mail' is not loaded, as no Python runs here, and this program has no exception handler \
         of that name. It has: report, app.handlers.page.",
    );
    check(
        "pieces",
        &["worker", "--death-penalty", "wall"],
        None,
        "'--death-penalty': this program has no death penalty 'wall'. It has: cpu.",
    );
    check(
        "pieces",
        &["worker", "-w", "audited"],
        None,
        "'-w': 'audited' is registered as a job class in this program: --job-class audited.",
    );
    check(
        "pieces",
        &["worker", "--job-class", "kept"],
        None,
        "'--job-class': 'kept' is registered as an executor in this program: -w kept.",
    );
    check(
        "pieces",
        &["worker", "--exception-handler", "report,app.handlers.page"],
        None,
        "'--exception-handler': 'report,app.handlers.page' is taken for one name; give the option once for each:",
    );
    check("pieces", &["worker", "-j", "my.Job"], None, "'--job-class': 'my.Job' is not loaded");
    check(
        "pieces",
        &["info"],
        Some(("RQ_JOB_CLASS", "my.Job")),
        "the variable 'RQ_JOB_CLASS': 'my.Job' is not loaded",
    );
    check(
        "pieces",
        &["worker"],
        Some(("RQ_QUEUE_CLASS", "late")),
        "the variable 'RQ_QUEUE_CLASS': this program has no queue class 'late'. It has: urgent.",
    );
    check(
        "",
        &["suspend"],
        Some(("RQ_CONNECTION_CLASS", "my.Redis")),
        "the variable 'RQ_CONNECTION_CLASS': 'my.Redis' is a Python class",
    );
    check(
        "",
        &["worker"],
        Some(("RQ_WORKER_CLASS", "my.Worker")),
        "the variable 'RQ_WORKER_CLASS': 'my.Worker' is a Python class",
    );
    check(
        "pieces",
        &["worker", "-w", "slow"],
        None,
        "'-w': 'slow' is no executor. -w takes how jobs run; this program has: fork, thread, green, fresh, kept.",
    );
}

#[test]
fn help_lists_what_a_program_has() {
    let scratch = Scratch::new();
    let words = |app: &'static str, arguments: &[&str]| {
        let help = RqTest::app(&scratch, app).run(&[arguments, &["--help"]].concat());
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for command in ["worker", "worker-pool"] {
        let help = words("pieces", &[command]);
        for listed in [
            "This program has: fork, thread, green, fresh, kept.",
            "This program has: report, app.handlers.page",
            "This program has: cpu",
            "This program has: audited.",
            "This program has: urgent.",
        ] {
            assert!(help.contains(listed), "{listed}: {help}");
        }
    }
    assert!(words("pieces", &["enqueue"]).contains("This program has: urgent."));
    let stock = words("empty", &["worker"]);
    assert!(stock.contains("This program has: fork, thread, green."), "{stock}");
    for function in ["exception_handler_named", "death_penalty_named", "job_class", "queue_class"] {
        let listed = format!("This program has none; one in Rust registers them by App::{function}");
        assert!(stock.contains(&listed), "{listed}: {stock}");
    }
}

/// RQ's own names, in place of a program's.
#[test]
fn what_rq_has_itself_changes_nothing() {
    let scratch = Scratch::new();
    let check = |arguments: &[&str], notes: &[&str]| {
        let (code, _, stderr) = app(&scratch).outcome(&[&["worker", "--burst"], arguments].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let found: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("Note: ")).collect();
        assert_eq!(found, notes, "{arguments:?}");
    };
    check(
        &["-j", "rq.job.Job", "--queue-class", "rq.Queue", "--connection-class", "redis.RedisCluster"],
        &[],
    );
    check(
        &[
            "--exception-handler",
            "rq.handlers.move_to_failed_queue",
            "--death-penalty",
            "rq.timeouts.TimerDeathPenalty",
        ],
        &[
            "--death-penalty rq.timeouts.TimerDeathPenalty changes nothing: the fork executor ends jobs at their limits.",
            "--exception-handler rq.handlers.move_to_failed_queue changes nothing: failures are filed anyway.",
        ],
    );
    check(
        &["-w", "rq.worker.HerokuWorker"],
        &[
            "-w rq.worker.HerokuWorker is a Python class; the fork executor runs the jobs instead, and --stop-timeout 6 ends \
           them 6 s after SIGTERM, if nothing else is said.",
        ],
    );
    let both = ["worker", "-d", "--exception-handler", "rq.handlers.move_to_failed_queue"];
    let (code, _, stderr) = app(&scratch).outcome(&both);
    assert!(code == Some(2) && stderr.contains("leave one of them out"), "{stderr}");
}

/// What RQ says of them, where, and before what else; and that they serve their queues in turns.
#[test]
fn deprecated_classes_are_told_as_in_rq() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    for (class, strategy) in [("RoundRobinWorker", "round_robin"), ("RandomWorker", "random")] {
        let class = format!("rq.worker.{class}");
        let arguments = ["worker", "-w", &class, "-ds", "nosuch"];
        let (code, stdout, _) = RqTest::new(&scratch).outcome(&arguments);
        let mut theirs = python.spawn_rq(&arguments);
        let expected = (theirs.wait(LIMIT).code(), theirs.text(Stream::Stdout));
        assert_eq!((code, stdout.clone()), expected);
        assert!(stdout.contains(&format!("Use `--dequeue-strategy {strategy}` instead.")), "{stdout}");
    }
    for (queue, ids) in [("a", ["a1", "a2"]), ("b", ["b1", "b2"])] {
        ids.iter().for_each(|id| {
            drop(scratch.queue(queue).enqueue(Call::<i64>::to("math.add").arg(1).arg(2).job_id(*id)).unwrap())
        });
    }
    let log = RqTest::new(&scratch).drain(&["-w", "rq.worker.RoundRobinWorker", "a", "b"]);
    let order: Vec<&str> =
        ["a1", "a2", "b1", "b2"].into_iter().filter(|id| log.contains(&format!("Job OK ({id})"))).collect();
    assert_eq!(order.len(), 4, "{log}");
    let at = |id: &str| log.find(&format!("Job OK ({id})")).unwrap();
    assert!(at("a1") < at("b1") && at("b1") < at("a2") && at("a2") < at("b2"), "{log}");
}

/// A link to the program, started with these arguments.
fn link(scratch: &Scratch, folder: &Folder, name: &str, arguments: &[&str]) -> Command {
    let rq = RqTest::new(scratch).command(arguments);
    let path = folder.path().join(name);
    if !path.exists() {
        symlink(rq.get_program(), &path).unwrap();
    }
    let mut command = Command::new(path);
    command.args(rq.get_args()).envs(rq.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn rqworker_and_rqinfo_are_links() {
    let (scratch, folder) = (Scratch::new(), Folder::new("links"));
    let outcome = |name: &str, arguments: &[&str]| {
        let mut child = Child::spawn(&mut link(&scratch, &folder, name, arguments));
        (child.wait(LIMIT).code(), child.text(Stream::Stdout), child.text(Stream::Stderr))
    };
    for name in ["rqworker", "rqinfo"] {
        let refusal = format!(
            "Usage: {name} [OPTIONS] [QUEUES]...\nTry '{name} --help' for help.\n\nError: No such option '--zzz'.\n"
        );
        assert_eq!(outcome(name, &["--zzz"]), (Some(2), String::new(), refusal));
        let (code, help, _) = outcome(name, &["--help"]);
        assert!(
            code == Some(0) && help.contains(&format!("Usage: {name} [OPTIONS] [QUEUES]...\n")),
            "{help}"
        );
    }
    let job = scratch.queue("worker").enqueue(Call::<i64>::to("math.add").arg(1).arg(2)).unwrap();
    let (code, info, _) = outcome("rqinfo", &["--raw", "worker"]);
    assert!(code == Some(0) && info.starts_with("queue worker 1,"), "{info}");
    // Its first argument is a queue, also where a command is called so.
    let (code, log, stderr) = outcome("rqworker", &["worker", "-b"]);
    assert!(code == Some(0) && log.contains("*** Listening on worker"), "{log}{stderr}");
    assert_eq!(job.wait(LIMIT).unwrap(), 3);
}

/// The next fork server is executed anew, under the name of the link; `--app` names a link, and a Manager's entry does.
#[test]
fn links_start_whatever_the_program_does() {
    let (scratch, folder) = (Scratch::new(), Folder::new("links"));
    let add = || scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(1).arg(2)).unwrap();
    let worker = Child::spawn(&mut link(&scratch, &folder, "rqworker", &["-w", "fork", "default"]));
    worker.wait_for_line("*** Listening on default", LIMIT);
    let children = format!("/proc/{0}/task/{0}/children", worker.id());
    let server = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), Signal::SIGKILL).unwrap();
    assert_eq!(add().wait(LIMIT).unwrap(), 3);
    worker.wait_for_line("another runs with PID", LIMIT);
    drop(worker);

    let path = folder.path().join("rqworker");
    let path = path.to_str().unwrap();
    let burst = ["worker", "--app", path, "--burst", "default"];
    let log = RqTest::app(&scratch, "").run(&burst);
    assert!(log.contains("*** Listening on default"), "{log}");

    let file = folder.path().join("rq.toml");
    let socket = folder.path().join("socket");
    let text = format!(
        "[manager]\nsocket = \"{}\"\n[[worker]]\nname = \"w\"\napp = \"{path}\"\nqueues = [\"high\"]\n",
        socket.display()
    );
    fs::write(&file, text).unwrap();
    let manager = RqTest::new(&scratch).spawn(&["manager", "-c", file.to_str().unwrap()]);
    manager.wait_for_line("*** Listening on high...", LIMIT);
}
