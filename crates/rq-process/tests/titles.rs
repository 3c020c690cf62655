//! Titles, and what they leave as it was.
//!
//! A program of its own, since a process that changes its title must have one thread: run with the name of a role as its
//! argument it plays that, otherwise it runs the tests.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

use std::env;
use std::fs;
use std::process::{Command, ExitCode};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use rq_process::{Forked, SingleThreaded, TITLE_BYTES_MAX, Title, fork, reap};

/// What a process plays, and must end well.
const ROLES: [(&str, fn()); 4] = [
    ("apart", apart),
    ("forked", forked),
    ("without_room_apart", without_room_apart),
    ("of_any_length", of_any_length),
];

fn main() -> ExitCode {
    let role = env::args().nth(1).unwrap_or_default();
    if let Some((_, play)) = ROLES.iter().find(|(name, _)| *name == role) {
        play();
        return ExitCode::SUCCESS;
    }
    // `cargo test` asks it for lists, or names what it wants to run.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    for (role, _) in ROLES {
        // A short command line: its room is shorter than the titles.
        let status = Command::new(env::current_exe().unwrap()).arg(role).env("TITLES_MARK", role).status();
        assert!(status.unwrap().success(), "{role}");
        println!("test {role} ... ok");
    }
    ExitCode::SUCCESS
}

fn shown(process: impl std::fmt::Display) -> String {
    String::from_utf8(fs::read(format!("/proc/{process}/cmdline")).unwrap()).unwrap()
}

fn environment() -> Vec<u8> {
    fs::read("/proc/self/environ").unwrap()
}

/// A title much longer than the command line and the environment together.
fn long() -> String {
    "rq: 12345678".repeat(100)
}

fn apart() {
    let (arguments, before): (Vec<_>, _) = (env::args_os().collect(), environment());
    assert!(before.split(|byte| *byte == 0).any(|variable| variable == b"TITLES_MARK=apart"));
    let single_threaded = SingleThreaded::make_sure().unwrap();
    let title = Title::of_this_process().unwrap();
    for text in [long(), "short".to_owned(), String::new(), long()] {
        assert!(title.set_apart(&single_threaded, &text));
        assert_eq!(shown("self"), format!("{text}\0"));
        assert_eq!(env::args_os().collect::<Vec<_>>(), arguments);
        assert_eq!(environment(), before);
        // The heap grows as before.
        assert!(vec![1_u8; 1 << 20].iter().all(|byte| *byte == 1));
    }
    // The second is the same.
    Title::of_this_process().unwrap().set(&single_threaded, "again");
    assert_eq!(shown("self"), "again\0");
}

fn forked() {
    let single_threaded = SingleThreaded::make_sure().unwrap();
    let title = Title::of_this_process().unwrap();
    title.set(&single_threaded, "parent");
    match fork(single_threaded).unwrap() {
        Forked::Child(single_threaded) => {
            assert_eq!(shown("self"), "parent\0");
            title.set(&single_threaded, long());
            assert_eq!(shown("self"), format!("{}\0", long()));
        }
        Forked::Parent(child) => {
            let exit = loop {
                if let Some(reaped) = reap(child) {
                    break reaped.exit;
                }
            };
            assert_eq!(exit, rq_process::Exit::Code(0));
            assert_eq!(shown("self"), "parent\0");
        }
    }
}

/// The system refuses a map of more data than a process may have.
fn without_room_apart() {
    let single_threaded = SingleThreaded::make_sure().unwrap();
    let (before, title) = (shown("self"), Title::of_this_process().unwrap());
    let environment_before = environment();
    setrlimit(Resource::RLIMIT_DATA, 0, RLIM_INFINITY).unwrap();
    assert!(!title.set_apart(&single_threaded, "refused"));
    let unchanged = shown("self");
    title.set(&single_threaded, long());
    let cut = shown("self");
    title.set(&single_threaded, "s");
    let short = shown("self");
    setrlimit(Resource::RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY).unwrap();
    assert_eq!(unchanged, before);
    assert_eq!(cut, format!("{}\0", &long()[..before.len() - 1]));
    assert_eq!(short, format!("s{}", "\0".repeat(before.len() - 1)));
    assert_eq!(environment(), environment_before);
}

fn of_any_length() {
    let single_threaded = SingleThreaded::make_sure().unwrap();
    let title = Title::of_this_process().unwrap();
    for length in [TITLE_BYTES_MAX - 2, TITLE_BYTES_MAX - 1, TITLE_BYTES_MAX, 10 * TITLE_BYTES_MAX] {
        title.set(&single_threaded, "x".repeat(length));
        assert_eq!(shown("self"), format!("{}\0", "x".repeat(length.min(TITLE_BYTES_MAX - 1))));
    }
}
