//! A Manager and processes that offend against each of its limits (`rq-offenders`): who is ended, when, why, and what
//! comes in its place.

use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use rq_manager::{Answer, Order, SlotStatus, Status};
use rq_tests::{Child, Folder, Process, Scratch, Signal, Stream, eventually};

const LIMIT: Duration = Duration::from_secs(60);
/// How long what a Manager has left behind may live.
const NO_ORPHAN_AFTER: Duration = Duration::from_secs(2);

/// A Manager of offenders, on a scratch by which all that it starts is known.
struct Offenders {
    scratch: Scratch,
    manager: Child,
    folder: Folder,
}

impl Offenders {
    /// With what `arguments` say, in the words of `rq-offenders`.
    fn start(arguments: &str) -> Offenders {
        let (scratch, folder) = (Scratch::new(), Folder::new("offenders"));
        let mut command = scratch.command(env!("CARGO_BIN_EXE_rq-offenders"));
        command.arg(format!("control={}", folder.path().join("control").display()));
        command.args(arguments.split(' '));
        let manager = Child::spawn(&mut command);
        manager.wait_for_line("Check point", LIMIT);
        Offenders { scratch, manager, folder }
    }

    fn line(&self, part: &str) -> String {
        self.manager.wait_for_line(part, LIMIT)
    }

    /// The pids of the children of a slot that were created, of which there are at least `count`.
    fn created(&self, slot: &str, count: usize) -> Vec<Pid> {
        let lines = self.manager.wait_for_lines(&format!("{slot} "), count, LIMIT);
        let _ = lines;
        let lines = self.manager.wait_for_lines(" created", count, LIMIT);
        let of_slot = lines.iter().filter(|line| line.contains(&format!(" {slot} ")));
        of_slot.map(|line| pid_of(line, slot)).collect()
    }

    fn status(&self) -> Status {
        let path = self.folder.path().join("control");
        match rq_manager::ask(&path, &Order::Status).expect("the Manager answers") {
            Answer::Status(status) => *status,
            Answer::Refused(reason) => panic!("{reason}"),
        }
    }

    fn slot(&self, name: &str) -> SlotStatus {
        let slots = self.status().kinds.into_iter().flat_map(|kind| kind.slots);
        slots.into_iter().find(|slot| slot.name == name).expect("the slot is there")
    }

    /// Has it leave, which must go well; how long that took.
    fn stop(mut self) -> Duration {
        let began = Instant::now();
        self.manager.signal(Signal::SIGTERM);
        let status = self.manager.wait(LIMIT);
        assert!(status.success(), "{status}: {}", self.manager.report());
        let took = began.elapsed();
        assert_eq!(Process::all_on(&self.scratch), [], "{}", self.manager.report());
        took
    }
}

/// The process in a line such as ` INFO leaks-1 4711 created`.
fn pid_of(line: &str, slot: &str) -> Pid {
    let mut words = line.split_whitespace().skip_while(|word| *word != slot).skip(1);
    Pid::from_raw(words.next().and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{line}")))
}

#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    eventually("what a Manager does", LIMIT, || is_so().then_some(()));
}

fn is_alive(pid: Pid) -> bool {
    kill(pid, None).is_ok()
}

#[test]
fn two_requests_read_in_the_log_as_they_always_have() {
    let mut offenders = Offenders::start("quick max_requests=2");
    let second = offenders.created("quick-1", 3)[1];
    let pid = offenders.manager.id();
    offenders.manager.signal(Signal::SIGTERM);
    offenders.manager.wait(LIMIT);
    let text = offenders.manager.text(Stream::Stdout);
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches("INFO ").to_owned())
        .filter(|line| !line.contains("after_run"))
        .take(11)
        .collect();
    let first = pid_of(&lines[5], "quick-1");
    let bar = "=".repeat(50);
    let expected = [
        bar.clone(),
        "Offenders".to_owned(),
        bar,
        format!("Daemon process {pid}"),
        "Check point 0.2s".to_owned(),
        format!("quick-1 {first} created"),
        format!("quick-1 {first} cancelled by reaching max requests count [2]"),
        format!("quick-1 {first} is not existed any more."),
        format!("quick-1 {second} created"),
        format!("quick-1 {second} cancelled by reaching max requests count [2]"),
        format!("quick-1 {second} is not existed any more."),
    ];
    assert_eq!(lines, expected, "{}", offenders.manager.report());
}

#[test]
fn who_holds_more_than_the_soft_limit_finishes_its_run_and_is_replaced() {
    let offenders = Offenders::start("leaks soft=30 hard=2000 check_point_ms=60");
    let line = offenders.line("cancelled by reaching soft memory limit [30 MB]: it holds");
    let pid = pid_of(&line, "leaks-1");
    // Not ended by force: it goes by what it does behind its last run.
    offenders.line("leaks-1 after_run");
    offenders.line(&format!("leaks-1 {pid} is not existed any more."));
    let successor = offenders.created("leaks-1", 2)[1];
    assert_ne!(successor, pid);
    assert!(!offenders.manager.text(Stream::Stdout).contains("is killed"));
    offenders.stop();
}

#[test]
fn who_leaks_fast_or_in_a_child_of_its_own_is_ended_at_the_hard_limit() {
    for (offence, slot) in [("leaks", "leaks-1"), ("leaks-in-child", "leaks-in-child-1")] {
        let offenders = Offenders::start(&format!("{offence} soft=40 hard=45"));
        let line = offenders.line("cancelled by reaching hard memory limit [45 MB]: it holds");
        let pid = pid_of(&line, slot);
        offenders.line(&format!("{slot} {pid} is not existed any more."));
        offenders.created(slot, 2);
        let ends = offenders.slot(slot).ends;
        assert!(ends["hard_memory_limit"] >= 1, "{ends:?}");
        offenders.stop();
    }
}

#[test]
fn a_limit_below_what_a_child_holds_at_rest_is_refused_with_the_figure() {
    let (scratch, limit) = (Scratch::new(), "quick soft=1 hard=1 ballast=8");
    let mut command = scratch.command(env!("CARGO_BIN_EXE_rq-offenders"));
    let mut manager = Child::spawn(command.args(limit.split(' ')));
    // Nothing else is left to do for it.
    assert_eq!(manager.wait(LIMIT).code(), Some(1), "{}", manager.report());
    let told = manager.text(Stream::Stderr);
    assert!(
        told.contains(
            "none of the processes can be started: quick: the soft memory limit of 1 MB is no more than the"
        ),
        "{told}"
    );
    assert_eq!(Process::all_on(&scratch), []);

    // Others go on.
    let offenders = Offenders::start("quick soft=1 hard=1 ballast=8 idles");
    offenders.line("quick-1 is refused: the soft memory limit of 1 MB");
    let refused = offenders.slot("quick-1");
    assert_eq!((refused.state.as_str(), refused.starts), ("refused", 1), "{refused:?}");
    assert_eq!(offenders.slot("idles-1").state, "running");
    offenders.stop();
}

#[test]
fn a_run_over_its_time_is_asked_to_end_and_its_process_goes_on() {
    let offenders = Offenders::start("waits timeout_ms=300");
    offenders.manager.wait_for_lines("waits-1 failed: the run has taken longer than it may", 2, LIMIT);
    assert_eq!(offenders.created("waits-1", 1).len(), 1, "{}", offenders.manager.report());
    offenders.stop();
}

#[test]
fn a_run_that_does_not_end_in_time_is_ended_with_its_process() {
    for offence in ["spins", "sleeps"] {
        let offenders = Offenders::start(&format!("{offence} timeout_ms=300 idles"));
        let slot = format!("{offence}-1");
        let line = offenders.line("cancelled by reaching timeout [0.3 s]");
        let pid = pid_of(&line, &slot);
        offenders.line(&format!("{slot} {pid} did not leave in time, and is killed"));
        offenders.line(&format!("{slot} {pid} is not existed any more."));
        assert!(!is_alive(pid));
        // Its successor, which is no better. It does not keep the Manager from leaving in its time.
        until(|| offenders.slot(&slot).starts >= 2);
        let idle = offenders.slot("idles-1");
        assert_eq!((idle.starts, idle.state.as_str()), (1, "running"));
        let took = offenders.stop();
        assert!(took < Duration::from_secs(7), "{took:?}");
    }
}

#[test]
fn who_dies_at_boot_is_parked_with_its_reason_and_others_go_on() {
    let offenders = Offenders::start("dies-at-boot exits-at-boot idles");
    for (slot, reason) in [
        ("dies-at-boot-1", "could not start: there is no such file"),
        ("exits-at-boot-1", "could not start: it has left with exit code 7 before it was ready"),
    ] {
        offenders.line(&format!("{slot} is parked, and tried again in"));
        let status = offenders.slot(slot);
        assert_eq!((status.state.as_str(), status.reason.as_deref()), ("parked", Some(reason)));
        assert_eq!((status.starts, status.ends["boot_failed"]), (5, 5));
        assert!(status.again_in_s.is_some_and(|again| (15.0..40.0).contains(&again)), "{status:?}");
    }
    let idle = offenders.slot("idles-1");
    assert_eq!((idle.starts, idle.state.as_str()), (1, "running"));
    offenders.stop();
}

#[test]
fn who_fails_again_and_again_is_replaced_more_and_more_seldom() {
    let offenders = Offenders::start("exits");
    offenders.manager.wait_for_lines("exits-1", 8, LIMIT);
    let began = Instant::now();
    let before = offenders.slot("exits-1").starts;
    until(|| offenders.slot("exits-1").starts >= before + 2);
    let status = offenders.slot("exits-1");
    assert!(began.elapsed() > Duration::from_millis(300), "{status:?} within {:?}", began.elapsed());
    assert!(status.ends["exited"] >= 3, "{status:?}");
    // A run that fails or panics ends no process.
    offenders.stop();
    let offenders = Offenders::start("fails panics");
    offenders.manager.wait_for_lines("fails-1 failed: no luck", 3, LIMIT);
    offenders.manager.wait_for_lines("panics-1 failed: it panicked: no such luck", 3, LIMIT);
    assert_eq!((offenders.slot("fails-1").starts, offenders.slot("panics-1").starts), (1, 1));
    offenders.stop();
}

#[test]
fn what_a_child_has_started_goes_with_it_and_not_before() {
    let offenders = Offenders::start("grandchildren");
    let named =
        |name: &str| Process::all_on(&offenders.scratch).into_iter().filter(|it| it.name == name).count();
    until(|| named("sleep") == 2);
    // Their parent is gone, and who started them is not: several looks leave them alone.
    let requests = |count| {
        let requests =
            || offenders.slot("grandchildren-1").children.first().map_or(0, |child| child.requests);
        until(|| requests() >= count);
    };
    requests(50);
    assert_eq!(named("sleep"), 2, "{}", offenders.manager.report());
    let child = offenders.created("grandchildren-1", 1)[0];
    let old: Vec<Process> = Process::all_on(&offenders.scratch);
    kill(child, Signal::SIGKILL).unwrap();
    offenders.line(&format!("grandchildren-1 {child} was killed by signal 9"));
    let is_left = |it: &Process| it.name == "sleep" && old.contains(it);
    until(|| !Process::all_on(&offenders.scratch).iter().any(is_left));
    offenders.stop();
}

#[test]
fn nothing_is_left_whoever_is_killed() {
    for victim in ["the keeper", "the Manager", "both", "a child"] {
        let offenders = Offenders::start("grandchildren count=3");
        let sleepers = || Process::all_on(&offenders.scratch).iter().filter(|it| it.name == "sleep").count();
        until(|| sleepers() == 6);
        let keeper = Pid::from_raw(i32::try_from(offenders.manager.id()).unwrap());
        let manager = rq_process::children_of(keeper)[0];
        let victims = match victim {
            "the keeper" => vec![keeper],
            "the Manager" => vec![manager],
            "both" => vec![keeper, manager],
            _ => vec![offenders.created("grandchildren-1", 1)[0]],
        };
        victims.iter().for_each(|victim| kill(*victim, Signal::SIGKILL).unwrap());
        if victim == "a child" {
            offenders.line("was killed by signal 9");
            offenders.stop();
            continue;
        }
        let began = Instant::now();
        let left = || Process::all_on(&offenders.scratch).len();
        // With both, what was started in a session of its own has nobody left who knows of it.
        let most = if victim == "both" { 6 } else { 0 };
        until(|| left() <= most);
        assert!(began.elapsed() < NO_ORPHAN_AFTER, "{victim}: {:?}", began.elapsed());
        for it in Process::all_on(&offenders.scratch) {
            let _ = kill(Pid::from_raw(it.id.cast_signed()), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_stop_waits_for_runs_in_hand_all_at_once_and_no_longer_than_it_may() {
    let offenders = Offenders::start("slow count=5");
    offenders.manager.wait_for_lines("a slow run has ended", 5, LIMIT);
    let took = offenders.stop();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let offenders = Offenders::start("wait_ms=1500 sleeps count=5");
    // One that has not begun a run has none to wait for.
    until(|| offenders.status().kinds[0].slots.iter().all(|slot| slot.state == "running"));
    let took = offenders.stop();
    assert!((1.4..4.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[test]
fn orders_change_how_many_there_are_and_who() {
    let offenders = Offenders::start("idles count=2 quick");
    let ask = |order| match rq_manager::ask(&offenders.folder.path().join("control"), &order).unwrap() {
        Answer::Status(status) => Ok(status),
        Answer::Refused(reason) => Err(reason),
    };
    let running = |kind: &str| {
        let status = offenders.status();
        let kind = status.kinds.iter().find(|known| known.name == kind).unwrap().clone();
        kind.slots.iter().filter(|slot| slot.state == "running").count()
    };
    until(|| running("idles") == 2);
    ask(Order::Scale { kind: "idles".to_owned(), count: 4 }).unwrap();
    until(|| running("idles") == 4);
    ask(Order::Scale { kind: "idles".to_owned(), count: 1 }).unwrap();
    until(|| offenders.status().kinds[0].slots.len() == 1);
    offenders.manager.signal(Signal::SIGTTIN);
    until(|| (running("idles"), running("quick")) == (2, 2));
    offenders.manager.signal(Signal::SIGTTOU);
    until(|| (running("idles"), running("quick")) == (1, 1));
    let before = offenders.slot("idles-1").children[0].pid;
    ask(Order::Restart { kinds: vec!["idles".to_owned()] }).unwrap();
    until(|| {
        let slot = offenders.slot("idles-1");
        slot.state == "running" && slot.children[0].pid != before
    });
    assert_eq!(offenders.slot("idles-1").last_end, Some(rq_manager::Cause::Renewed));
    assert_eq!(offenders.slot("quick-1").ends.get("renewed"), None);
    assert!(
        ask(Order::Scale { kind: "idle".to_owned(), count: 1 })
            .unwrap_err()
            .contains("there are idles, quick")
    );
    assert!(ask(Order::Reload).unwrap_err().contains("no configuration"));
    ask(Order::Stop { now: false }).unwrap();
    offenders.line("Stopped");
}
