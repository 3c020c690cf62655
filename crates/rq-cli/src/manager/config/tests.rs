use rq_core::Keys;

use super::*;
use crate::manager::backlog::Scale;
use crate::settings::handed::{PREFIX_VARIABLE, URL_VARIABLE};

fn source() -> Source {
    let mut pieces = Pieces::built_in();
    for name in ["report", "audit"] {
        let handler = |_: &rq_core::Job, _: &rq_core::Failure| std::ops::ControlFlow::Continue(());
        pieces.exception_handlers.add(name.to_owned(), std::sync::Arc::new(handler));
    }
    Source {
        path: PathBuf::from("rq.toml"),
        program: Program::at("/usr/bin/my-jobs".into()),
        pieces,
        has_handlers: true,
        url: Some("redis://manager/".to_owned()),
        logging: vec!["--logging_level=DEBUG".into()],
    }
}

fn parse(text: &str) -> Result<Config, Fault> {
    parse_by(&source(), text)
}

/// Where no settings are in it.
fn parse_by(source: &Source, text: &str) -> Result<Config, Fault> {
    let settings = source.settings("").unwrap_or_else(|refusal| panic!("{refusal:?}"));
    source.parse(text, &settings, &Handed::default())
}

#[track_caller]
fn config(text: &str) -> Config {
    parse(text).unwrap_or_else(|fault| panic!("{fault:?}"))
}

#[track_caller]
fn entry(text: &str) -> Entry {
    config(&format!("[[worker]]\nname = \"w\"\n{text}")).entries.remove(0)
}

#[track_caller]
fn arguments(text: &str) -> String {
    let entry = entry(text);
    let arguments: Vec<_> =
        entry.command().arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    arguments.join(" ")
}

fn fault(text: &str) -> (usize, String) {
    match parse(text) {
        Err(Fault { line, reason }) => (line, reason),
        Ok(_) => panic!("{text} is taken"),
    }
}

/// What is wrong with a line of an entry: the third.
#[track_caller]
fn refused(text: &str) -> String {
    let (line, reason) = fault(&format!("[[worker]]\nname = \"w\"\n{text}\n"));
    assert_eq!(line, 3, "{reason}");
    reason
}

#[test]
fn the_sample_is_one() {
    let config = config(include_str!("../../../../../examples/rq.toml"));
    let names: Vec<&str> = config.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["emails", "reports"]);
    let scale = Scale { min: 1, max: 8, length: Some(100), age: Some(Duration::from_secs(30)) };
    assert_eq!(config.entries[0].scale, Some(scale));
    assert_eq!(config.manager.wait_time, Some(Some(Duration::from_secs(25))));
}

#[test]
fn what_is_not_said_is_the_managers() {
    let entry = entry("");
    assert_eq!((entry.count, entry.scale.is_none()), (1, true));
    assert_eq!(
        (entry.server.url.as_str(), &entry.queues[..]),
        ("redis://manager/", &["default".to_owned()][..])
    );
    assert_eq!(entry.server.keys, Keys::from_env().unwrap());
    let command = entry.command();
    assert_eq!(command.program, PathBuf::from("/usr/bin/my-jobs"));
    let variables =
        [(URL_VARIABLE, "redis://manager/"), (PREFIX_VARIABLE, "rq"), ("RQ_MANAGED_CONFIG", "none")];
    assert_eq!(command.environment, variables.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(arguments(""), "worker --start-suspended --logging_level=DEBUG -- default");
    assert_eq!(config("[[worker]]\nname = \"w\"").manager, Own::default());
}

#[test]
fn settings_of_the_file_hold_where_entries_say_nothing() {
    let text = "[settings]\nredis_url = \"redis://file/1\"\nqueues = [\"high\"]\nkey_prefix = \"app\"\nname = \"w\"\n\
                executor = \"thread\"\n[settings.dict_config]\nversion = 1\n\
                [[worker]]\nname = \"a\"\n\
                [[worker]]\nname = \"b\"\nurl = \"redis://own/2\"\nqueues = [\"low\"]\nexecutor = \"green\"\n";
    let source = Source { url: None, logging: Vec::new(), ..source() };
    let settings = source.settings(text).unwrap();
    let handed = Handed::new(&settings).unwrap();
    let config = source.parse(text, &settings, &handed).unwrap_or_else(|fault| panic!("{fault:?}"));
    let [a, b] = config.entries.as_slice() else { panic!("they are two") };
    let said = |entry: &Entry| {
        let arguments = entry.command().arguments.iter().map(|argument| argument.to_string_lossy());
        (entry.server.url.clone(), arguments.collect::<Vec<_>>().join(" "))
    };
    let of_a = "worker --start-suspended --executor=thread -- high".to_owned();
    let of_b = "worker --start-suspended --executor=thread --executor=green -- low".to_owned();
    assert_eq!(said(a), ("redis://file/1".to_owned(), of_a));
    assert_eq!(said(b), ("redis://own/2".to_owned(), of_b));
    assert_eq!((a.server.keys.prefix(), b.server.keys.prefix()), ("app", "app"));
    let variables = [
        (URL_VARIABLE, "redis://file/1"),
        (PREFIX_VARIABLE, "app"),
        ("RQ_MANAGED_CONFIG", "none"),
        ("RQ_MANAGED_DICT_CONFIG", "{\"version\": 1}"),
    ];
    assert_eq!(a.command().environment, variables.map(|(name, value)| (name.into(), value.into())));
}

#[test]
fn options_are_arguments() {
    let text = "queues = [\"high\", \"-low\"]\nexecutor = \"thread\"\nconcurrency = 8\nwith-scheduler = true\n\
                no_scheduler = false\nlease = 2.5\nwebhook_allow = [\"private\", \"10.1.0.0/16\"]\nmax_jobs = 1000";
    assert_eq!(
        arguments(text),
        "worker --start-suspended --logging_level=DEBUG --executor=thread --concurrency=8 --with-scheduler --lease=2.5 \
         --webhook-allow=private --webhook-allow=10.1.0.0/16 -- high -low"
    );
    let cron = arguments("with_cron = \"rq.toml\"\nverbose = true");
    assert!(cron.contains("--with-cron=rq.toml --verbose"), "{cron}");
    let sentry = arguments("sentry_debug = true\nsentry_arguments = true");
    assert!(sentry.contains("--sentry-debug=true --sentry-arguments"), "{sentry}");
    assert!(arguments("with_cron = true").contains("--with-cron -- "));
    let handlers = arguments("exception_handler = [\"report\", \"audit\"]\njob-class = \"rq.job.Job\"");
    assert!(
        handlers.contains("--exception-handler=report --exception-handler=audit --job-class=rq.job.Job --"),
        "{handlers}"
    );
    assert!(arguments("results_ttl = -1").contains("--results-ttl=-1"));
}

#[test]
fn environments_have_urls_and_other_secrets() {
    let entry =
        entry("url = \"redis://:p@h/1\"\nkey_prefix = \"app\"\n[worker.env]\nTOKEN = \"t\"\nPORT = 1");
    assert_eq!(entry.server.keys.prefix(), "app");
    let variables = [
        (URL_VARIABLE, "redis://:p@h/1"),
        (PREFIX_VARIABLE, "app"),
        ("RQ_MANAGED_CONFIG", "none"),
        ("TOKEN", "t"),
        ("PORT", "1"),
    ];
    let expected: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    assert_eq!(entry.command().environment, expected);
    assert!(entry.command().arguments.iter().all(|argument| !argument.to_string_lossy().contains("p@h")));
    assert_eq!(entry.server.shown, "redis://:***@h:6379/1");
}

#[test]
fn another_program_may_have_options_of_its_own() {
    let entry = entry(
        "app = \"/opt/other\"\nexecutor = \"own\"\nown_depth = 3\nown_flag = true\njob_class = \"its-own\"",
    );
    assert_eq!(entry.command().program, PathBuf::from("/opt/other"));
    let text =
        entry.command().arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>();
    assert!(text.join(" ").contains("--job-class=its-own --own-depth=3 --own-flag"), "{text:?}");
    // A slip is none of these.
    let (line, reason) = fault("[[worker]]\nname = \"w\"\napp = \"/opt/other\"\nconcurency = 3");
    assert_eq!((line, reason.as_str()), (4, "there is no `concurency`; did you mean `concurrency`?"));
}

#[test]
fn what_cannot_be_is_told_with_its_line() {
    for (text, expected) in [
        ("queue = [\"a\"]", "there is no `queue`; did you mean `queues`?"),
        ("queues = \"a\"", "`queues` cannot be used: it is no list of texts"),
        ("queues = [\"a,b\"]", "comma"),
        ("queues = []", "there is none in it"),
        ("concurrency = 0", "`concurrency` cannot be used: it must be at least 1"),
        ("concurrency = true", "`concurrency` cannot be used: it needs a value"),
        ("with_scheduler = 1", "it is true or false"),
        ("max_idle_time = [1]", "neither a text nor a number"),
        ("on_crash = \"retry\"", "`on_crash` cannot be used: 'retry' is neither 'fail' nor 'requeue'"),
        ("count = -1", "`count` cannot be used: it must be 0 to 10000"),
        ("count = \"4\"", "it is no whole number"),
        ("max_jobs = 0", "it must be 1 to"),
        ("silence = 0", "`silence` cannot be used: it must be more than 0"),
        ("burst = true", "`burst` has no place here: a Manager keeps its workers"),
        ("pid = \"x\"", "has no place here"),
        ("sentry_dsn = \"https://k@h/1\"", "write `env = { RQ_SENTRY_DSN"),
        ("queue-class = \"rq.Queue\"", "has no place here: a worker reads queues"),
        ("connection_class = \"redis.Redis\"", "has no place here"),
        ("help = true", "has no place here"),
        ("url = \"nosuch://h\"", "`url` cannot be used"),
        ("url_env = \"RQ_CLI_TEST_NO_SUCH\"", "there is no variable RQ_CLI_TEST_NO_SUCH"),
        ("key_prefix = \"\"", "`key_prefix` cannot be used"),
        ("env = { RQ_REDIS_URL = \"redis://h\" }", "write `url` or `url_env`"),
        ("env = { NOTIFY_SOCKET = \"x\" }", "the Manager gives it to each worker itself"),
        ("env = { A = [1] }", "a variable is a text"),
        ("scale = { min = 2 }", "`scale` has no `max`"),
        ("scale = { max = 2 }", "says not when there are to be more"),
        ("scale = { min = 3, max = 2, length = 1 }", "above its `max`"),
        ("scale = { max = 2, lenght = 1 }", "did you mean `length`?"),
        ("scale = 3", "it is no table"),
        ("name_ = 1", "did you mean `name`?"),
    ] {
        let reason = refused(text);
        assert!(reason.contains(expected), "{text}: {reason}");
    }
    for (text, line, expected) in [
        ("[manager]\ncheckpoint = 1", 2, "did you mean `check_point`?"),
        ("[manager]\nwait_time = 0", 2, "more than 0"),
        ("\n[[workers]]\nname = \"a\"", 2, "there is no `workers`; did you mean `worker`?"),
        ("[worker]\nname = \"a\"", 1, "[[worker]]"),
        ("[[worker]]\nqueues = [\"a\"]", 1, "the entry has no `name`"),
        ("[[worker]]\nname = \"a b\"", 2, "a name is 1 to 64 letters"),
        ("[[cron]]\nfunction = \"f\"", 1, "there is no [[worker]] in it"),
        ("[[worker]]\nname = \"a\"\n[[worker]]\nname = \"a\"", 3, "this one and that of line 1"),
        ("[[worker]]\nname = \"a\"\nexecutor = \"threads\"", 1, "'threads' is no executor"),
        (
            "[[worker]]\nname = \"a\"\nexception_handler = \"page\"",
            1,
            "this program has no exception handler 'page'. It has: report, audit.",
        ),
        ("[[worker]]\nname = \"a\"\njob_class = \"my.Job\"", 1, "'my.Job' is not loaded"),
        (
            "[[worker]]\nname = \"a\"\ndisable_default_exception_handler = true\n\
             exception_handler = \"rq.handlers.move_to_failed_queue\"",
            1,
            "leave one of them out",
        ),
        (
            "[[worker]]\nname = \"a\"\nhorse_jobs = 2\nexecutor = \"thread\"",
            1,
            "No such option '--horse-jobs'",
        ),
        (
            "[[worker]]\nname = \"a\"\nwith_scheduler = true\nno_scheduler = true",
            1,
            "cannot be used together",
        ),
        ("[[worker]]\nname = \"a\"\nsoft_memory_limit = 3\nhard_memory_limit = 2", 4, "below the soft one"),
        (
            "[[worker]]\nname = \"a\"\ncount = 9\nscale = { max = 8, length = 1 }",
            1,
            "`scale` goes from 1 to 8",
        ),
        ("[[worker]]\nname = \"a\"\nurl = \"redis://h\"\nurl_env = \"HOME\"", 4, "leave one of them out"),
        (
            "[[worker]]\nname = \"a\"\nworst_case = 1\n",
            3,
            "there is no `worst_case`; known are `name`, `url`",
        ),
        ("[[worker]\n", 1, ""),
    ] {
        let (found, reason) = fault(text);
        assert!(found == line && reason.contains(expected), "{text}: line {found}: {reason}");
    }
}

#[test]
fn no_password_is_told() {
    for url in
        ["redis://:secret@h:x/", "nosuch://:secret@h", "redis+sentinel://:secret@", "redis://:secret@h/?a=%"]
    {
        let text = format!("[[worker]]\nname = \"w\"\nurl = \"{url}\"");
        if let Err(Fault { reason, .. }) = parse(&text) {
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}

#[test]
fn a_program_without_jobs_needs_another_one() {
    let source = Source { has_handlers: false, ..source() };
    let parsed = |text: &str| parse_by(&source, text).map(|config| config.entries.len());
    assert!(parsed("[[worker]]\nname = \"w\"").unwrap_err().reason.contains("no job handlers"));
    assert_eq!(parsed("[[worker]]\nname = \"w\"\napp = \"./my-jobs\""), Ok(1));
}

#[test]
fn who_looks_for_the_socket_does_not_mind_workers() {
    let path = std::env::temp_dir().join(format!("rq-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[manager]\nsocket = \"/run/x.sock\"\n[[worker]]\nnonsense = 1\n").unwrap();
    assert_eq!(read_own(&path).unwrap().socket, Some(PathBuf::from("/run/x.sock")));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read_own(&path), Err(Refusal::Failed(_))));
}
