//! `rq dev`: a Redis for trying things, and a program that runs with it (docs/cli.md §10.4).

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rq_core::Call;
use rq_tests::{Child, Folder, Signal, Stream, eventually};

use crate::rq_test::LIMIT;

const RQ: &str = env!("CARGO_BIN_EXE_rq-test");
/// How long a server may take to be gone when nobody holds it any more.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const CTRL_C: &[u8] = b"\x03";

fn dev(args: &[&str]) -> Command {
    let mut command = Command::new(RQ);
    command.arg("dev").args(args);
    command
}

/// Where the Redis of a running `rq dev` is.
fn url(dev: &Child) -> String {
    let line = dev.wait_for_line("export RQ_REDIS_URL=", LIMIT);
    line.split_once('=').unwrap().1.to_owned()
}

fn ask(url: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
}

#[track_caller]
fn check_gone(url: &str) {
    eventually("the server to be gone", GONE_WITHIN, || ask(url, &["PING"]).is_err().then_some(()));
}

#[test]
fn it_stays_until_it_is_told_to_end() {
    for (signal, code) in [
        (Signal::SIGINT, Some(0)),
        (Signal::SIGTERM, Some(0)),
        (Signal::SIGHUP, Some(0)),
        (Signal::SIGKILL, None),
    ] {
        let mut dev = Child::spawn(&mut dev(&[]));
        let url = url(&dev);
        ask(&url, &["SET", "k", "v"]).unwrap();
        dev.signal(signal);
        assert_eq!(dev.wait(LIMIT).code(), code, "{signal}: {}", dev.report());
        check_gone(&url);
    }
}

#[test]
fn a_command_runs_with_it_and_gives_its_exit_code() {
    for (ending, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let script = format!("echo $RQ_REDIS_URL; echo $REDIS_URL; {ending}");
        let mut dev =
            Child::spawn(dev(&["--", "sh", "-c", &script]).env("RQ_REDIS_URL", "redis://elsewhere/"));
        assert_eq!(dev.wait(LIMIT).code(), Some(code), "{}", dev.report());
        let said = dev.text(Stream::Stdout);
        let [rqs, others] = said.lines().collect::<Vec<_>>()[..] else { panic!("{}", dev.report()) };
        assert!(rqs == others && rqs.starts_with("redis://127.0.0.1:"), "{said}");
        check_gone(rqs);
    }
}

#[test]
fn a_worker_under_it_works_and_ends_in_good_order() {
    let mut dev = Child::spawn(&mut dev(&["--", RQ, "worker", "-w", "thread"]));
    let line = dev.wait_for_line("Redis: ", LIMIT);
    let url = line.split_whitespace().find_map(|word| word.strip_suffix(',')).unwrap();
    dev.wait_for_line("*** Listening on", LIMIT);
    let job = rq_core::blocking::Queue::connect(url, "default").unwrap();
    let job = job.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(job.wait(LIMIT).unwrap(), 5);
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.wait(LIMIT).code(), Some(0), "{}", dev.report());
    // A worker that had lost its Redis would say so.
    assert_eq!(dev.text(Stream::Stderr).lines().count(), 1, "{}", dev.report());
    check_gone(url);
}

#[test]
fn a_kill_takes_the_server_along_while_a_command_runs() {
    let mut dev = Child::spawn(&mut dev(&["--", "sh", "-c", "echo at $RQ_REDIS_URL id $$; exec sleep 600"]));
    let line = dev.wait_for_line("at redis", LIMIT);
    let [_, url, _, id] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    ask(url, &["PING"]).unwrap();
    dev.signal(Signal::SIGKILL);
    dev.wait(LIMIT);
    check_gone(url);
    let command = nix::unistd::Pid::from_raw(id.parse().unwrap());
    nix::sys::signal::kill(command, Signal::SIGKILL).unwrap();
}

/// Counts how often it is interrupted, until there is a file.
const COUNTING: &str = "\
trap 'n=$((n+1)); echo interrupted $n' INT
echo ready
while [ ! -e $END ]; do sleep 0.02; done
exit 5
";

/// `rq dev -- sh` with a script, on a terminal of its own.
struct OnTerminal {
    dev: Child,
    /// What is typed there.
    keys: File,
    folder: Folder,
}

impl OnTerminal {
    fn run(script: &str) -> Self {
        let folder = Folder::new("dev");
        let [keys, end, file] = ["keys", "end", "script.sh"].map(|name| folder.path().join(name));
        std::fs::write(&file, script).unwrap();
        mkfifo(&keys, Mode::S_IRWXU).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec script -qec "exec $RQ dev -- sh $FILE" /dev/null <$KEYS"#]);
        command.env("RQ", RQ).env("FILE", file).env("KEYS", &keys).env("END", &end);
        let dev = Child::spawn(&mut command);
        // Opened as soon as it is read from.
        let keys = File::options().write(true).open(&keys).unwrap();
        dev.wait_for_line("ready", LIMIT);
        Self { dev, keys, folder }
    }
}

#[test]
fn a_key_of_the_terminal_reaches_the_command_once() {
    let mut terminal = OnTerminal::run(COUNTING);
    for count in 1..=3 {
        terminal.keys.write_all(CTRL_C).unwrap();
        terminal.dev.wait_for_line(&format!("interrupted {count}"), LIMIT);
    }
    File::create(terminal.folder.path().join("end")).unwrap();
    let dev = &mut terminal.dev;
    assert_eq!(dev.wait(LIMIT).code(), Some(5), "{}", dev.report());
    assert!(!dev.text(Stream::Stdout).contains("interrupted 4"), "{}", dev.report());
}

#[test]
fn a_terminal_that_goes_away_takes_both_along() {
    let terminal = OnTerminal::run("echo $RQ_REDIS_URL; echo ready; exec sleep 600\n");
    let url = terminal.dev.wait_for_lines("redis://", 2, LIMIT).remove(1);
    ask(url.trim(), &["PING"]).unwrap();
    terminal.dev.signal(Signal::SIGKILL);
    check_gone(url.trim());
}

#[test]
fn scripts_are_told_as_json_and_choose_the_port() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut first = Child::spawn(&mut dev(&["--json", "--port", &free]));
    let told: serde_json::Value = serde_json::from_str(&first.wait_for_line("{", LIMIT)).unwrap();
    let url = format!("redis://127.0.0.1:{free}/");
    assert_eq!(
        (&told["schema"], &told["url"], told["port"].to_string()),
        (&1.into(), &url.as_str().into(), free.clone())
    );
    ask(&url, &["PING"]).unwrap();

    let mut second = Child::spawn(&mut dev(&["--port", &free]));
    assert_eq!(second.wait(LIMIT).code(), Some(1));
    assert!(second.text(Stream::Stderr).contains(&format!("port {free} is taken")), "{}", second.report());
    first.signal(Signal::SIGINT);
    assert_eq!(first.wait(LIMIT).code(), Some(0));
}

#[test]
fn without_any_server_it_says_how_to_install_one() {
    let folder = Folder::new("dev");
    let mut dev = Child::spawn(dev(&["--", "true"]).env("PATH", folder.path()));
    assert_eq!(dev.wait(LIMIT).code(), Some(1));
    let said = dev.text(Stream::Stderr);
    assert!(said.starts_with("Error: there is no redis-server or valkey-server on PATH"), "{said}");
    assert!(said.contains("install one ") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_server_that_ends_by_itself_is_told_of() {
    let mut dev = Child::spawn(&mut dev(&[]));
    // Refused: its connection breaks before there is an answer.
    assert!(ask(&url(&dev), &["SHUTDOWN", "NOSAVE"]).is_err());
    assert_eq!(dev.wait(LIMIT).code(), Some(1), "{}", dev.report());
    assert!(dev.text(Stream::Stderr).contains("has ended by itself"), "{}", dev.report());
}
