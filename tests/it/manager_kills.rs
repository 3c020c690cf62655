//! Random subsets of all that a Manager is and has are killed at once, under load: nothing is lost, and nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Acknowledged, Child, Excuse, Folder, Journal, Ledger, Scratch, Signal, eventually};

use crate::dice::{self, Dice, SEED};
use crate::fork_kills::family::{self, Process};
use crate::fork_kills::whereabouts::Whereabouts;
use crate::rq_test::{Books, LIMIT, RqTest};

/// How often somebody is killed, and how often with `RQ_RIG=full`.
const KILLS: usize = 50;
const KILLS_FULL: usize = 1000;
/// How long after all is well again the next ones are hit, at most.
const PAUSE_MS_MAX: u64 = 120;
/// By when nobody is left whose Manager is gone, and nobody who hung on somebody who is.
const NO_ORPHAN_AFTER: Duration = Duration::from_secs(2);
/// The queue never has fewer jobs than this.
const LOAD: usize = 100;
const JOB_MS_MAX: u64 = 150;
/// How long what finished is kept: longer than a whole rig takes.
const KEPT: Duration = Duration::from_secs(86_400);

/// Who is hit, and how often in a hundred.
const VICTIMS: [(Role, u64); 5] =
    [(Role::Keeper, 12), (Role::Manager, 20), (Role::Worker, 30), (Role::Server, 30), (Role::Horse, 40)];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Keeper,
    Manager,
    Worker,
    Server,
    Horse,
}

/// Three executors on one queue. Others take over what a dead worker held before it is long dead.
const ENTRIES: &str = r#"
[[worker]]
name = "forks"
executor = "fork"
count = 2
concurrency = 2
lease = 0.4

[[worker]]
name = "threads"
executor = "thread"
concurrency = 4
lease = 0.4

[[worker]]
name = "greens"
executor = "green"
concurrency = 4
lease = 0.4
"#;

#[test]
fn nothing_is_lost_and_nobody_is_left_whoever_is_killed() {
    let kills = if dice::is_full() { KILLS_FULL } else { KILLS };
    let seed = dice::seed();
    println!("{SEED}={seed}, {kills} kills");
    let scratch = Scratch::new();
    let mut stage = Stage::new(&scratch, seed);
    for kill in 0..kills {
        stage.keep_loaded();
        std::thread::sleep(Duration::from_millis(stage.dice.below(PAUSE_MS_MAX)));
        stage.kill();
        if kill % 100 == 99 {
            println!("{} of {kills}: {}", kill + 1, stage.report());
        }
    }
    println!("{}", stage.report());
    stage.finish();
}

/// A Manager under load, and what it must not lose.
struct Stage<'a> {
    scratch: &'a Scratch,
    folder: Folder,
    journal: Journal,
    dice: Dice,
    manager: Child,
    ids: BTreeSet<String>,
    hit: BTreeMap<Role, usize>,
    /// How long it took at most until nobody was left.
    longest: Duration,
}

impl<'a> Stage<'a> {
    fn new(scratch: &'a Scratch, seed: u64) -> Stage<'a> {
        let folder = Folder::new("manager-kills");
        fs::write(folder.path().join("rq.toml"), ENTRIES).unwrap();
        let manager = start(scratch, &folder);
        Stage {
            scratch,
            folder,
            journal: Journal::new(scratch),
            dice: Dice::new(seed),
            manager,
            ids: BTreeSet::new(),
            hit: BTreeMap::new(),
            longest: Duration::ZERO,
        }
    }

    fn keep_loaded(&mut self) {
        if self.scratch.waiting("default").len() >= LOAD {
            return;
        }
        let ids: Vec<_> =
            (self.ids.len()..self.ids.len() + LOAD).map(|number| format!("j{number}")).collect();
        let calls = ids.iter().map(|id| {
            let ms = 1 + self.dice.below(JOB_MS_MAX);
            Call::<()>::to("interop.journal")
                .arg(self.journal.path())
                .arg(id)
                .arg(ms)
                .job_id(id)
                .result_ttl(KEPT)
        });
        self.scratch.queue("default").enqueue_many(calls).unwrap();
        self.ids.extend(ids);
    }

    /// Kills some, one of whom at least, and looks whether nobody is left who hung on them.
    fn kill(&mut self) {
        let victims = loop {
            let mut chosen = self.all();
            chosen.retain(|(role, _)| self.is_chosen(*role));
            if !chosen.is_empty() {
                break chosen;
            }
        };
        let is_over = victims.iter().any(|(role, _)| matches!(role, Role::Keeper | Role::Manager));
        for (role, victim) in &victims {
            *self.hit.entry(*role).or_default() += usize::from(victim.kill());
        }
        let at = Instant::now();
        if is_over {
            eventually("nobody to be left of a Manager that was killed", NO_ORPHAN_AFTER, || {
                family::of_scratch(self.scratch).is_empty().then_some(())
            });
            self.manager.wait(LIMIT);
        } else {
            let keeper = self.manager.id();
            eventually("who hung on those that were killed to be gone", NO_ORPHAN_AFTER, || {
                let is_gone = victims.iter().all(|(_, victim)| !victim.lives());
                (is_gone
                    && family::of_scratch(self.scratch)
                        .iter()
                        .all(|one| one.generations_below(keeper).is_some()))
                .then_some(())
            });
        }
        self.longest = self.longest.max(at.elapsed());
        self.journal.note_kill();
        if is_over {
            self.manager = start(self.scratch, &self.folder);
        }
        self.check_goes_on();
    }

    fn is_chosen(&mut self, role: Role) -> bool {
        let (_, often) = VICTIMS.into_iter().find(|(known, _)| *known == role).expect("all are there");
        self.dice.below(100) < often
    }

    /// All there are now.
    fn all(&self) -> Vec<(Role, Process)> {
        let keeper = self.manager.id();
        let role = |one: &Process| match one.generations_below(keeper)? {
            0 => Some(Role::Keeper),
            1 => Some(Role::Manager),
            2 => Some(Role::Worker),
            3 => Some(Role::Server),
            _ => Some(Role::Horse),
        };
        let all = family::of_scratch(self.scratch).into_iter();
        all.filter_map(|one| Some((role(&one)?, one))).collect()
    }

    /// Jobs go on finishing, and each is in some book.
    fn check_goes_on(&self) {
        let before = self.whereabouts();
        assert_eq!(before.accounted(), self.ids);
        eventually("more jobs to finish", LIMIT, || {
            let now = self.whereabouts();
            (now.finished.len() > before.finished.len() || now.waiting.is_empty()).then_some(())
        });
    }

    fn report(&self) -> String {
        let now = self.whereabouts();
        format!(
            "killed {:?}; of {} jobs {} finished, {} failed; nobody left after {:?} at most",
            self.hit,
            self.ids.len(),
            now.finished.len(),
            now.failed.len(),
            self.longest
        )
    }

    /// Runs what is left, and closes the books.
    fn finish(mut self) {
        eventually("all jobs to have ended", LIMIT, || {
            let now = self.whereabouts();
            (now.waiting.is_empty() && now.running.is_empty()).then_some(())
        });
        self.manager.signal(Signal::SIGTERM);
        let status = self.manager.wait(LIMIT);
        assert!(status.success(), "{status}: {}", self.manager.report());
        assert!(family::of_scratch(self.scratch).is_empty());
        let jobs: Vec<_> = self.ids.iter().map(|id| Acknowledged::finishes(id)).collect();
        let violations = Ledger::read(self.scratch).check(&jobs, &self.journal, Excuse::Failure);
        assert!(violations.is_empty(), "{violations:?}");
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts::of(self.scratch, "default")
    }
}

/// Starts a Manager and waits until one of its workers listens.
fn start(scratch: &Scratch, folder: &Folder) -> Child {
    let socket = folder.path().join("socket");
    let manager = "[manager]\nwait_time = 30\n".to_owned() + &format!("socket = {socket:?}\n") + ENTRIES;
    let file = folder.path().join("rq.toml");
    fs::write(&file, manager).unwrap();
    let manager = RqTest::new(scratch).spawn(&["manager", "--quiet", "-c", file.to_str().unwrap()]);
    eventually("a worker", LIMIT, || {
        let status = rq_manager::ask(&socket, &rq_manager::Order::Status).ok()?;
        let rq_manager::Answer::Status(status) = status else { return None };
        let mut slots = status.kinds.iter().flat_map(|kind| &kind.slots);
        slots.any(|slot| slot.state == "running").then_some(())
    });
    manager
}
