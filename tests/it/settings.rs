//! Which settings hold: files of our `rq` and Python's, the environment, options (docs/settings.md).

use std::fs;
use std::process::Command;

use rq_core::Call;
use rq_tests::{Child, Folder, Python, Scratch, Signal, Stream, server};

use crate::rq_test::{Books, LIMIT, RqTest};

/// The variables that these tests give, or that must not be there.
const VARIABLES: [&str; 4] = ["RQ_REDIS_URL", "REDIS_URL", "REDIS_HOST", "RQ_CONFIG"];
/// The job that all workers have.
const JOB: &str = "interop.add";

/// Two databases of the tests' Redis, under one prefix, and a folder with files.
struct Stage {
    databases: [Scratch; 2],
    folder: Folder,
}

/// What a worker did.
#[derive(Debug, PartialEq)]
struct Did {
    /// In which of the databases it ran the job.
    database: Option<usize>,
    /// Its line about its queues.
    queues: String,
    name: String,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Stage {
        let url = |database: usize| format!("{}{database}", place());
        let one = Scratch::on(&url(1));
        let stage =
            Stage { databases: [Scratch::seen_by(&one, &url(2)), one], folder: Folder::new("settings") };
        files.iter().for_each(|(name, text)| stage.write(name, text));
        stage
    }

    /// A file. `{url}` in it is the tests' Redis without a database, `{host}` and `{port}` are its.
    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, placed(text)).unwrap();
    }

    /// The one whose number is this.
    fn database(&self, number: usize) -> &Scratch {
        &self.databases[if number == 1 { 1 } else { 0 }]
    }

    /// In the folder, with these variables alone.
    fn command(&self, mut command: Command, variables: &[(&str, &str)]) -> Command {
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.envs(variables.iter().map(|(name, value)| (*name, placed(value))));
        command.current_dir(self.folder.path());
        command
    }

    fn ours(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let command = RqTest::new(self.database(1)).command(args);
        Child::spawn(&mut self.command(command, variables))
    }

    fn pythons(&self, args: &[&str], variables: &[(&str, &str)]) -> Child {
        let command = Python::new(self.database(1)).rq_command(args);
        Child::spawn(&mut self.command(command, variables))
    }

    /// Puts a job into the queue `queue` of both databases, and says what a burst worker did.
    #[track_caller]
    fn did(&self, queue: &str, start: impl FnOnce() -> Child) -> Did {
        let ids = [1, 2].map(|number| {
            let queue = self.database(number).queue(queue);
            let job = queue.enqueue(Call::<i64>::to(JOB).arg(1).arg(2)).unwrap();
            (number, job.id().to_owned())
        });
        let log = start().succeed(LIMIT);
        let part = |from: &str, to: &str| {
            let (_, rest) = log.split_once(from).unwrap_or_else(|| panic!("no {from} in {log}"));
            rest.split_once(to).unwrap_or_else(|| panic!("no {to} in {log}")).0.to_owned()
        };
        let has_run = |(number, id): &&(usize, String)| self.database(*number).status(id) == "finished";
        Did {
            database: ids.iter().find(has_run).map(|(number, _)| *number),
            queues: part("*** Listening on ", "..."),
            name: part("Worker ", ": started"),
        }
    }

    /// What a command that fails says, with this exit code.
    #[track_caller]
    fn refused(&self, args: &[&str], variables: &[(&str, &str)], code: i32) -> String {
        let mut child = self.ours(args, variables);
        assert_eq!(child.wait(LIMIT).code(), Some(code), "{}", child.report());
        child.text(Stream::Stderr)
    }
}

/// The tests' Redis without a database: `redis://host:port/`.
fn place() -> &'static str {
    server().url()
}

fn placed(text: &str) -> String {
    let at = place().trim_start_matches("redis://").trim_end_matches('/');
    let (host, port) = at.split_once(':').unwrap();
    text.replace("{url}", place()).replace("{host}", host).replace("{port}", port)
}

/// A file that both take for the same.
struct Case {
    what: &'static str,
    files: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    database: usize,
    queues: &'static str,
    name: Option<&'static str>,
}

const CASES: [Case; 9] = [
    Case {
        what: "a URL of the file's own pieces, beside the environment that it asks for them",
        files: &[(
            "settings.py",
            "import os\nHOST = os.environ.get('REDIS_HOST', 'localhost')\nREDIS_URL = f'redis://{HOST}:{port}/2'\n\
             REDIS_PORT = os.environ.get('REDIS_PORT', 6379)\nQUEUES = ['high']\n",
        )],
        args: &["-c", "settings"],
        variables: &[("REDIS_HOST", "{host}"), ("REDIS_PORT", "tcp://10.0.0.1:6379")],
        database: 2,
        queues: "high",
        name: None,
    },
    Case {
        what: "a URL",
        files: &[("settings.py", "REDIS_URL = '{url}1'\nQUEUES = ['high', 'low']\nNAME = 'w'\n")],
        args: &["-c", "settings"],
        variables: &[],
        database: 1,
        queues: "high, low",
        name: Some("w"),
    },
    Case {
        what: "pieces, some of them texts",
        files: &[(
            "settings.py",
            "REDIS_HOST = '{host}'\nREDIS_PORT = '{port}'\nREDIS_DB = 2\nQUEUES = ('high',)\n",
        )],
        args: &["-c", "settings"],
        variables: &[],
        database: 2,
        queues: "high",
        name: None,
    },
    Case {
        what: "a URL that is None",
        files: &[(
            "settings.py",
            "REDIS_URL = None\nREDIS_HOST = '{host}'\nREDIS_PORT = {port}\nREDIS_DB = '1'\nREDIS_SSL = 'no'\n",
        )],
        args: &["-c", "settings", "high"],
        variables: &[],
        database: 1,
        queues: "high",
        name: None,
    },
    Case {
        what: "the environment, as the file asks for it",
        files: &[(
            "settings.py",
            "import os\nREDIS_URL = os.environ.get('STAGE_URL', 'redis://nowhere/')\nOTHER = 1\nQUEUES = ['high']\n",
        )],
        args: &["-c", "settings"],
        variables: &[("STAGE_URL", "{url}2")],
        database: 2,
        queues: "high",
        name: None,
    },
    Case {
        what: "RQ_REDIS_URL beside a file whose queues count all the same",
        files: &[("settings.py", "REDIS_URL = '{url}1'\nQUEUES = ['high']\nNAME = 'w'\n")],
        args: &["-c", "settings"],
        variables: &[("RQ_REDIS_URL", "{url}2")],
        database: 2,
        queues: "high",
        name: Some("w"),
    },
    Case {
        what: "options beside a file",
        files: &[("settings.py", "REDIS_URL = '{url}1'\nQUEUES = ['low']\nNAME = 'w'\n")],
        args: &["-c", "settings", "-n", "other", "high"],
        variables: &[],
        database: 1,
        queues: "high",
        name: Some("other"),
    },
    Case {
        what: "a module of a package",
        files: &[("app/__init__.py", ""), ("app/settings.py", "REDIS_URL = '{url}2'\nQUEUES = ['high']\n")],
        args: &["-c", "app.settings"],
        variables: &[],
        database: 2,
        queues: "high",
        name: None,
    },
    Case {
        what: "a module in another folder, named by a variable",
        files: &[("conf/settings_there.py", "REDIS_URL = '{url}2'\nQUEUES = ['high']\n")],
        args: &["-P", "conf"],
        variables: &[("RQ_CONFIG", "settings_there")],
        database: 2,
        queues: "high",
        name: None,
    },
];

#[test]
fn a_file_is_to_our_worker_what_it_is_to_pythons() {
    for Case { what, files, args, variables, database, queues, name } in &CASES {
        let stage = Stage::new(files);
        let args = [&["worker", "--burst"], *args].concat();
        for is_python in [false, true] {
            let did = stage.did("high", || match is_python {
                true => stage.pythons(&args, variables),
                false => stage.ours(&args, variables),
            });
            let name = name.map_or_else(|| did.name.clone(), str::to_owned);
            let expected = Did { database: Some(*database), queues: (*queues).to_owned(), name };
            assert_eq!(did, expected, "{what}, python: {is_python}");
        }
    }
}

/// What differs on purpose: Python's lets the file win over `REDIS_URL`.
#[test]
fn the_environment_wins_here_and_says_so() {
    let file = "REDIS_URL = '{url}1'\nQUEUES = ['high']\n";
    let stage = Stage::new(&[("settings.py", file)]);
    let args = ["worker", "--burst", "-c", "settings"];
    let variables = [("REDIS_URL", "{url}2")];
    let database = |did: Did| did.database;
    assert_eq!(database(stage.did("high", || stage.pythons(&args, &variables))), Some(1));
    assert_eq!(database(stage.did("high", || stage.ours(&args, &variables))), Some(2));
    let mut child = stage.ours(&["info", "-c", "settings"], &variables);
    assert_eq!(child.wait(LIMIT).code(), Some(0), "{}", child.report());
    let said = child.text(Stream::Stderr);
    let expected = placed(
        "Note: REDIS_URL of the environment names the Redis, {url}2; settings.py, line 1 names another one, {url}1, which \
         Python's rq would use.\n",
    );
    assert_eq!(said, expected);
}

/// The Redis that Python's `rq` would connect to, by each file, as our `rq` shows it.
const REDIS_OF_PYTHON: &str = r"
from redis import SSLConnection
from rq.cli.helpers import get_redis_from_config, read_config_file
sys.path.insert(0, FOLDER)
for name in NAMES.split():
    pool = get_redis_from_config(read_config_file(name)).connection_pool
    of = pool.connection_kwargs
    s = 's' if issubclass(pool.connection_class, SSLConnection) else ''
    login = (of.get('username') or '') + ':***@' if of.get('password') else ''
    host, port, db = of.get('host', 'localhost'), int(of.get('port', 6379)), of.get('db') or 0
    print(f'redis{s}://{login}{host}:{port}/{db}')
";

#[test]
fn files_of_projects_lead_to_the_same_redis() {
    let names = [
        "annotated",
        "commented",
        "django_module",
        "documented",
        "flask_config",
        "logging_dict",
        "lower_case",
        "overridden",
        "parts",
        "single_url",
        "windows",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/settings");
    let stage = Stage::new(&[]);
    let code = format!("FOLDER, NAMES = {folder:?}, {:?}\n{REDIS_OF_PYTHON}", names.join(" "));
    let theirs = Python::new(stage.database(1)).run(&code);
    for (name, theirs) in names.iter().zip(theirs.lines()) {
        let args = ["config", "show", "--json", "-c", name, "-P", folder];
        // RQ's documents have a DSN that no worker takes here.
        let shown = stage.ours(&args, &[("RQ_SENTRY_DSN", "https://key@sentry.invalid/1")]).succeed(LIMIT);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["redis"], theirs, "{name}");
    }
}

#[test]
fn rq_toml_is_read_where_it_lies() {
    let text = "[[cron]]\n\n[settings]\nredis_url = \"{url}2\"\nqueues = [\"high\"]\nname = \"w\"\nexecutor = \"thread\"\n";
    let stage = Stage::new(&[("rq.toml", text)]);
    let did = stage.did("high", || stage.ours(&["worker", "--burst"], &[]));
    assert_eq!(did, Did { database: Some(2), queues: "high".to_owned(), name: "w".to_owned() });
    let did = stage.did("high", || stage.ours(&["worker", "--burst"], &[("REDIS_URL", "{url}1")]));
    assert_eq!(did.database, Some(1));
    // Named by its path, from elsewhere.
    let path = stage.folder.path().join("rq.toml");
    let args = ["worker", "--burst", "-c", path.to_str().unwrap()];
    let did = stage.did("high", || {
        let command = RqTest::new(stage.database(1)).command(&args);
        Child::spawn(stage.command(command, &[]).current_dir("/"))
    });
    assert_eq!(did.database, Some(2));
    // None is read.
    let did =
        stage.did("default", || stage.ours(&["worker", "--burst", "-c", "", "-u", &placed("{url}1")], &[]));
    assert_eq!((did.database, did.queues.as_str()), (Some(1), "default"));
    // A file without the table changes nothing.
    stage.write("rq.toml", "[manager]\ntitle = \"x\"\n");
    let did = stage.did("default", || stage.ours(&["worker", "--burst"], &[("REDIS_URL", "{url}1")]));
    assert_eq!(did.database, Some(1));
}

#[test]
fn a_pool_decides_for_its_workers() {
    let text = "[settings]\nredis_url = \"{url}2\"\nqueues = [\"high\"]\nname = \"w\"\nkey_prefix = \"app\"\nexecutor = \"thread\"\n";
    let stage = Stage::new(&[("rq.toml", text)]);
    let did = stage.did("high", || stage.ours(&["worker-pool", "--burst", "-n", "2"], &[]));
    assert_eq!((did.database, did.queues.as_str()), (Some(2), "high"));
    assert_ne!(did.name, "w");
}

/// As Python's, for a worker and for those that a pool starts.
#[test]
fn a_log_is_as_its_dict_config_says() {
    let text = "DICT_CONFIG = {\n    'version': 1, 'disable_existing_loggers': False,\n    'formatters': {'own': {'format': 'own: %(levelname)s %(message)s'}},\n    \
                'handlers': {'console': {'class': 'logging.StreamHandler', 'formatter': 'own', 'stream': 'ext://sys.stdout'}},\n    \
                'root': {'handlers': ['console'], 'level': 'INFO'},\n}\nREDIS_URL = '{url}1'\nQUEUES = ['high']\n";
    let stage = Stage::new(&[("settings.py", text)]);
    let listening = "own: INFO *** Listening on high...";
    let args = ["worker", "--burst", "-c", "settings"];
    for log in [stage.pythons(&args, &[]).succeed(LIMIT), stage.ours(&args, &[]).succeed(LIMIT)] {
        assert!(log.lines().any(|line| line == listening), "{log}");
    }
    let pool = ["worker-pool", "--burst", "-n", "2", "-w", "thread", "-c", "settings"];
    let log = stage.ours(&pool, &[]).succeed(LIMIT);
    assert_eq!(log.lines().filter(|line| *line == listening).count(), 2, "{log}");
    stage.write("settings.py", "\nDICT_CONFIG = {'version': 2}\n");
    for command in ["worker", "worker-pool"] {
        let said = stage.refused(&[command, "-c", "settings"], &[], 1);
        assert!(said.starts_with("Error: settings.py, line 2: `version` of DICT_CONFIG must be 1"), "{said}");
    }
    // One that has the worker say nothing is told, as `config show` tells what a worker would refuse.
    let silent = "DICT_CONFIG = {'version': 1, 'handlers': {'h': {'class': 'logging.StreamHandler'}}, 'root': {'handlers': ['h']}}\n\
                  REDIS_URL = '{url}1'\n";
    stage.write("settings.py", silent);
    let mut worker = stage.ours(&["worker", "--burst", "-c", "settings"], &[]);
    assert_eq!(worker.wait(LIMIT).code(), Some(0), "{}", worker.report());
    let said = worker.text(Stream::Stderr);
    assert!(
        said.starts_with("Note: DICT_CONFIG of settings.py, line 1 leaves the logger rq.worker disabled"),
        "{said}"
    );
    for (text, expected) in [
        ("DICT_CONFIG = {'version': 2}\n", "`version` of DICT_CONFIG must be 1"),
        ("EXECUTOR = 'nosuch'\n", "'nosuch'"),
    ] {
        stage.write("settings.py", text);
        let said = stage.refused(&["config", "show", "-c", "settings"], &[], 1);
        assert!(said.starts_with("Error: settings.py, line 1: ") && said.contains(expected), "{said}");
    }
}

#[test]
fn a_managers_entries_use_what_its_file_says() {
    let text = "[settings]\nredis_url = \"{url}2\"\nqueues = [\"high\"]\nname = \"w\"\n\
                [[worker]]\nname = \"emails\"\nexecutor = \"thread\"\n";
    // No file that lies about is another one's.
    let stage = Stage::new(&[("workers.conf", text), ("rq.toml", "[settings]\nqueues = [\"low\"]\n")]);
    let runtime = stage.folder.path().to_str().unwrap().to_owned();
    let mut manager = stage
        .ours(&["manager", "-c", "workers.conf"], &[("XDG_RUNTIME_DIR", &runtime), ("RQ_CONFIG", "nosuch")]);
    manager.wait_for_line("*** Listening on high...", LIMIT);
    let started = manager.wait_for_line(": started with PID", LIMIT);
    assert!(started.contains("Worker emails-1-"), "{started}");
    let queue = stage.database(2).queue("high");
    let job = queue.enqueue(Call::<i64>::to(JOB).arg(1).arg(2)).unwrap();
    assert_eq!(job.wait(LIMIT).unwrap(), 3);
    manager.signal(Signal::SIGTERM);
    assert_eq!(manager.wait(LIMIT).code(), Some(0), "{}", manager.report());
}

/// What differs from worker to worker, and whose a worker is.
const OF_A_WORKER: [&str; 4] = ["RQ_MANAGED_BY=", "RQ_WORKER_ID=", "RQ_JOB_ID=", "_="];

/// Where nothing is said by options: a file names one Redis for all that reads it, and the starter another for workers.
#[test]
fn jobs_see_the_environment_that_the_starter_had() {
    let text = "[settings]\nredis_url = \"{url}1\"\nsentry_debug = false\n\
                dict_config = { version = 1, disable_existing_loggers = false }\n[[worker]]\nname = \"w\"\nurl = \"{url}2\"\nqueues = [\"high\"]\n";
    let stage = Stage::new(&[("rq.toml", text)]);
    let url = placed("{url}2");
    let runtime = stage.folder.path().to_str().unwrap().to_owned();
    let variables =
        [("XDG_RUNTIME_DIR", runtime.as_str()), ("RQ_CONFIG", "rq.toml"), ("REDIS_URL", "{url}1")];
    let program = RqTest::new(stage.database(1)).command(&[]).get_program().to_str().unwrap().to_owned();
    let seen = |args: &[&str], landed: usize| {
        let mut starter = stage.ours(args, &variables);
        let run = |argv: &[&str]| {
            let call = Call::<String>::to("interop.program").arg(argv);
            let job = stage.database(2).queue("high").enqueue(call).unwrap();
            job.wait(LIMIT).unwrap_or_else(|error| panic!("{argv:?}: {error}: {}", starter.report()))
        };
        let environment = || {
            let printed = run(&["env"]);
            let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
            lines.retain(|line| !OF_A_WORKER.iter().any(|name| line.starts_with(name)));
            lines.sort();
            lines
        };
        let first = environment();
        run(&[program.as_str(), "enqueue", "-q", "low", JOB, "1", "2"]);
        let ids = [1, 2].map(|number| stage.database(number).queue("low").job_ids().unwrap().len());
        assert_eq!(ids, [landed, 0], "{args:?}");
        // The next server of forks is executed: it is handed the same, and hides it, too.
        let server = run(&["sh", "-c", "ps -o ppid= -p $PPID"]);
        let server = nix::unistd::Pid::from_raw(server.trim().parse().unwrap());
        nix::sys::signal::kill(server, Signal::SIGKILL).unwrap();
        starter.wait_for_line("another runs with PID", LIMIT);
        assert_eq!(environment(), first, "{args:?}");
        starter.signal(Signal::SIGTERM);
        assert_eq!(starter.wait(LIMIT).code(), Some(0), "{}", starter.report());
        first
    };
    let plain = seen(&["worker", "-u", &url, "high"], 1);
    assert!(plain.iter().any(|line| line == "RQ_CONFIG=rq.toml"), "{plain:?}");
    assert_eq!(seen(&["worker-pool", "-u", &url, "high"], 2), plain);
    assert_eq!(seen(&["manager", "-c", "rq.toml"], 3), plain);
}

#[test]
fn a_manager_refuses_what_all_of_its_workers_would() {
    let stage = Stage::new(&[]);
    let runtime = stage.folder.path().to_str().unwrap().to_owned();
    let check = |setting: &str, expected: &str| {
        stage.write("w.toml", &format!("[settings]\n{setting}\n[[worker]]\nname = \"w\"\n"));
        let said = stage.refused(&["manager", "-c", "w.toml"], &[("XDG_RUNTIME_DIR", &runtime)], 1);
        assert!(said.contains("w.toml, line 2: ") && said.contains(expected), "{setting}: {said}");
    };
    let dsn = "sentry_dsn = \"https://k@h/1\"";
    check("sentry_dsn = \"bad\"", "SENTRY_DSN cannot be used: ");
    check(&format!("sentry_ca_certs = \"/no/such\"\n{dsn}"), "SENTRY_CA_CERTS cannot be used: ");
    check(
        &format!("sentry_ca_certs = \"a\\u0000b\"\n{dsn}"),
        "SENTRY_CA_CERTS cannot be used: there is a NUL",
    );
    check("executor = \"nosuch\"", "EXECUTOR cannot be used: ");
    check(
        &format!("redis_url = \"redis://h/0?x={}\"", "x".repeat(200_000)),
        "REDIS_URL cannot be used: it is longer",
    );
    let log = |file: &str| {
        format!(
            "dict_config = {{ version = 1, disable_existing_loggers = false, root = {{ handlers = [\"f\"] }}, handlers = {{ f = {{ class = \"logging.FileHandler\", filename = \"{file}\" }} }} }}"
        )
    };
    check(&log("no/such/file"), "DICT_CONFIG cannot be used: ");
    nix::unistd::mkfifo(&stage.folder.path().join("fifo.py"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check(&log("fifo.py"), "a FIFO that nobody reads");
    let said = stage.refused(&["config", "show", "-c", "./fifo.py"], &[], 1);
    assert!(said.contains("it is no regular file"), "{said}");
}

#[test]
fn what_cannot_be_used_is_told_with_its_line() {
    let stage = Stage::new(&[
        ("port.py", "import os\n\nREDIS_PORT = 'x'\n"),
        ("queues.py", "QUEUES = 'high,low'\n"),
        ("plain.py", "REDIS_URL = made()\n"),
        ("hyphen.toml", "[settings]\nredis-ulr = \"x\"\n"),
        ("capitals.toml", "[settings]\nQUUES = [\"x\"]\n"),
        ("none.toml", "[[worker]]\nname = \"a\"\n"),
        ("none.py", "import os\nDEBUG = True\n"),
        ("slip.toml", "[settings]\n\nredis_ulr = \"redis://h\"\n"),
        ("sentinel.py", "SENTINEL = {\n    'SSL': True,\n}\n"),
        ("broken.toml", "[settings]\nredis_url =\n"),
        ("large.py", &"#".repeat((1 << 20) + 1)),
    ]);
    for (file, expected) in [
        (
            "port",
            "Error: port.py, line 3: REDIS_PORT cannot be used: it must be a whole number from 1 to 65535",
        ),
        ("queues", "Error: queues.py, line 1: QUEUES cannot be used: it is a text, and has to be a list"),
        ("plain", "Error: plain.py, line 1: "),
        ("slip.toml", "Error: slip.toml, line 3: there is no redis_ulr; did you mean redis_url?\n"),
        ("hyphen.toml", "Error: hyphen.toml, line 2: there is no redis-ulr; did you mean redis-url?\n"),
        ("capitals.toml", "Error: capitals.toml, line 2: there is no QUUES; did you mean QUEUES?\n"),
        (
            "none.toml",
            "Error: there are no settings in none.toml: a file in TOML has them in its table [settings]",
        ),
        ("none.py", "Error: there are no settings in none.py: "),
        ("sentinel", "Error: sentinel.py, line 1: SENTINEL cannot be used: its SSL and"),
        ("broken.toml", "Error: broken.toml, line 2: "),
        (
            "large.py",
            "Error: the settings in large.py cannot be read: it has more than 1048576 bytes. --config",
        ),
        (
            "nosuch",
            "Error: the settings in nosuch.py cannot be read: No such file or directory (os error 2). --config",
        ),
    ] {
        for command in ["worker", "info"] {
            let said = stage.refused(&[command, "-c", file], &[], 1);
            assert!(said.starts_with(expected), "{file}: {said}");
        }
    }
    let said = stage.refused(&["manager", "-c", "port.py"], &[], 1);
    assert!(said.starts_with("Error: port.py is Python, and the Manager's file is TOML: "), "{said}");
    stage.write("near.py", "QUEUE = ['a']\nOTHER = 1\nQUEUE = ['b']\nREDIS_URL = '{url}1'\n");
    let mut near = stage.ours(&["info", "-c", "near"], &[]);
    assert_eq!(near.wait(LIMIT).code(), Some(0), "{}", near.report());
    let expected = "Note: near.py, line 3: QUEUE is no setting of RQ's; did you mean QUEUES?\n";
    assert_eq!(near.text(Stream::Stderr), expected);
    let said = stage.refused(&["info", "-c", "port", "-P", "conf", "-P", "etc"], &[], 1);
    assert!(said.contains("line 3"), "{said}");
    let said = stage.refused(&["info", "-c", "nosuch", "-P", "conf"], &[], 1);
    assert!(said.starts_with("Error: there is no nosuch.py here, nor in conf. --config and"), "{said}");
}

#[test]
fn a_path_to_jobs_is_refused_and_a_port_of_kubernetes_explained() {
    let stage = Stage::new(&[("settings.py", "REDIS_HOST = '{host}'\n")]);
    for command in ["worker", "worker-pool"] {
        let said = stage.refused(&[command, "-P", "src"], &[], 2);
        assert!(
            said.contains("Option '--path' says where the module of --config is, and none is named.")
                && said.contains("--app"),
            "{said}"
        );
    }
    let injected = [("REDIS_PORT", "tcp://10.0.0.1:6379")];
    let said = stage.refused(&["info", "-c", "settings"], &injected, 1);
    assert!(
        said.starts_with("Error: REDIS_PORT is tcp://10.0.0.1:6379, which is no port: Kubernetes"),
        "{said}"
    );
    stage.write("settings.py", "REDIS_URL = '{url}1'\n");
    stage.ours(&["info", "-c", "settings"], &injected).succeed(LIMIT);
}

#[test]
fn config_show_tells_who_says_what() {
    let text = "REDIS_URL = 'redis://:hush@file/1'\n\nQUEUES = ['high', 'low']\nSENTRY_DSN = 'https://hush@s.example/2'\n";
    let stage = Stage::new(&[("settings.py", text)]);
    let args = ["config", "show", "--origin", "-c", "settings"];
    let variables = [("REDIS_URL", "redis://:hush@env/2"), ("RQ_KEY_PREFIX", "app"), ("REDIS_PORT", "7")];
    let shown = stage.ours(&args, &variables).succeed(LIMIT);
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.split(' ').next() == Some(name));
        let words = line.unwrap_or_else(|| panic!("{name} in {shown}")).split("  ");
        words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("SETTING"), ["SETTING", "VALUE", "FROM", "OVERRIDES"]);
    let url = [
        "REDIS_URL",
        "redis://:***@env:6379/2",
        "REDIS_URL",
        "settings.py, line 1 (redis://:***@file:6379/1)",
    ];
    assert_eq!(line("REDIS_URL"), url);
    assert_eq!(line("REDIS_PORT"), ["REDIS_PORT", "unused", "REDIS_PORT (7)"]);
    assert!(!shown.contains("REDIS_HOST") && !shown.contains("REDIS_SSL"), "{shown}");
    assert!(shown.contains("\nFile: settings.py\n"), "{shown}");
    assert_eq!(line("QUEUES"), ["QUEUES", "high, low", "settings.py, line 3"]);
    assert_eq!(line("KEY_PREFIX"), ["KEY_PREFIX", "app", "RQ_KEY_PREFIX"]);
    assert_eq!(line("EXECUTOR"), ["EXECUTOR", "fork", "default"]);
    assert_eq!(line("SENTRY_DSN"), ["SENTRY_DSN", "https://***@s.example/2", "settings.py, line 4"]);
    assert!(shown.ends_with("Redis: redis://:***@env:6379/2\n") && !shown.contains("hush"), "{shown}");
    // An option, and no origins.
    let plain = stage.ours(&["config", "show", "-u", "redis://option/3"], &variables).succeed(LIMIT);
    assert!(plain.contains("redis://option:6379/3\n") && !plain.contains("--url"), "{plain}");

    let json = stage.ours(&["config", "show", "--json", "-c", "settings"], &variables).succeed(LIMIT);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["schema"], &json["file"]), (&1.into(), &"settings.py".into()));
    let fields = json["fields"].as_array().unwrap();
    let url = fields.iter().find(|field| field["name"] == "REDIS_URL").unwrap();
    let expected = serde_json::json!({
        "name": "REDIS_URL",
        "value": "redis://:***@env:6379/2",
        "origin": {"kind": "variable", "name": "REDIS_URL", "line": null},
        "overridden": [{
            "origin": {"kind": "file", "name": "settings.py", "line": 1},
            "value": "redis://:***@file:6379/1",
        }],
    });
    assert_eq!(*url, expected);
    let value = |name: &str| &fields.iter().find(|field| field["name"] == name).unwrap()["value"];
    assert_eq!(*value("QUEUES"), serde_json::json!(["high", "low"]));
    assert_eq!(*value("REDIS_PORT"), serde_json::Value::Null);

    stage.write(
        "settings.py",
        "EXECUTOR = 'fork'\nREDIS_PORT = 7\nDICT_CONFIG = {'version': 1, 'x': {'password': 'hush'}}\n",
    );
    let said = stage.refused(&["config", "show", "-c", "settings"], &[], 1);
    assert!(said.contains("`x` of DICT_CONFIG"), "{said}");
    let text = "EXECUTOR = 'fork'\nREDIS_PORT = 7\nDICT_CONFIG = {'version': 1, 'handlers': {'m': {'password': 'hush'}}}\n";
    stage.write("settings.py", text);
    let chosen = stage.ours(&[&args[..], &["-w", "thread"]].concat(), &[]).succeed(LIMIT);
    let row = chosen.lines().find(|line| line.starts_with("EXECUTOR ")).unwrap_or_default();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words, ["EXECUTOR", "thread", "-w", "settings.py,", "line", "1", "(fork)"]);
    let json = stage.ours(&["config", "show", "--json", "-c", "settings"], &[]).succeed(LIMIT);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let fields = json["fields"].as_array().unwrap();
    let value = |name: &str| &fields.iter().find(|field| field["name"] == name).unwrap()["value"];
    assert_eq!((value("REDIS_PORT"), value("REDIS_SSL")), (&7.into(), &false.into()));
    assert_eq!(
        *value("DICT_CONFIG"),
        serde_json::json!({"version": 1, "handlers": {"m": {"password": "***"}}})
    );
    let said = stage.refused(&["config", "show", "-w", "nosuch"], &[], 2);
    assert!(said.contains("nosuch"), "{said}");

    let said = stage.refused(&["config"], &[], 2);
    assert!(said.ends_with("Error: Missing command: there is `rq config show`.\n"), "{said}");
}
