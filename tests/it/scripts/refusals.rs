//! What the server refuses, each script fails with as a whole: it must neither go on with a part of its work nor say
//! that a job is lost which only could not be written.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rq_core::link::Step;
use rq_core::steps::claim::{begin, put_back, renew, save_meta};
use rq_core::steps::cron::{Act, Tick, pause, tick, trigger};
use rq_core::steps::group::{await_group, let_end, look, note_open, take as take_groups, tidy};
use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::maintenance::{
    Scope, bury, expire, free_slots, pick_up, prune, push_ready, take_round, undefer,
};
use rq_core::steps::management::{RequeueFrom, cancel, delete, requeue, write_meta};
use rq_core::steps::outbox::{deliver, take};
use rq_core::steps::queue::{Place, empty, enqueue};
use rq_core::steps::schedule::{due, leave};
use rq_core::steps::silent::{Evidence, abandon};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_core::{Cancel, Error};
use rq_tests::{PrivateRedis, Scratch, eventually};

use super::abandon::{failing, fall_silent};
use super::due::{schedule, scheduler};
use super::group::{declare, last, member};
use super::outbox::{posted, taken};
use super::release::child;
use super::tick::{announced, announcing, at, firing};
use super::{QUEUE, Stage, Worker, assert_same, failed, finished};

/// A reason for which a server takes no writes.
struct Refusal {
    begin: fn(&PrivateRedis),
    end: &'static [&'static str],
    /// The code of the error, empty where servers differ, and a part of its text.
    error: (&'static str, &'static str),
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        begin: |server| tell(server, &["CONFIG", "SET", "min-replicas-to-write", "1"]),
        end: &["CONFIG", "SET", "min-replicas-to-write", "0"],
        error: ("NOREPLICAS", "Not enough good replicas"),
    },
    Refusal {
        begin: fail_to_save,
        end: &["CONFIG", "SET", "save", ""],
        error: ("MISCONF", "configured to save RDB snapshots"),
    },
    Refusal {
        begin: |server| tell(server, &["REPLICAOF", "127.0.0.1", "1"]),
        end: &["REPLICAOF", "NO", "ONE"],
        error: ("READONLY", "read only replica"),
    },
    Refusal {
        begin: |server| tell(server, &["ACL", "SETUSER", "default", "-@write"]),
        end: &["ACL", "SETUSER", "default", "+@all"],
        // Redis before 7 says `ERR`, and that the user can't run it.
        error: ("", "run"),
    },
];

#[track_caller]
fn tell(server: &PrivateRedis, command: &[&str]) {
    let done = redis::cmd(command[0]).arg(&command[1..]).exec(&mut server.connection());
    done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
}

/// A snapshot that cannot be written, as there is a directory in its place.
fn fail_to_save(server: &PrivateRedis) {
    let mut connection = server.connection();
    let mut get = |setting: &str| -> String {
        let answer: Vec<String> =
            redis::cmd("CONFIG").arg(&["GET", setting]).query(&mut connection).expect("it is set");
        answer[1].clone()
    };
    let snapshot = Path::new(&get("dir")).join(get("dbfilename"));
    if !snapshot.exists() {
        std::fs::create_dir(&snapshot).expect("the server's directory is ours");
        tell(server, &["BGSAVE"]);
    }
    eventually("the snapshot to fail", Duration::from_secs(10), || {
        let info: String = redis::cmd("INFO").arg("persistence").query(&mut server.connection()).unwrap();
        info.contains("rdb_last_bgsave_status:err").then_some(())
    });
    tell(server, &["CONFIG", "SET", "save", "3600 1"]);
}

/// A step that would write, ready to be sent.
type Ready = Box<dyn Fn(&Stage) -> Result<(), Error>>;

fn ready<T: 'static>(step: Step<T>) -> Ready {
    Box::new(move |stage| stage.link.run(&step).map(drop))
}

/// What is refused of one tick alone is that tick's error, not the step's.
fn ready_tick(stage: &Stage, one: Tick) -> Ready {
    let step = tick(&stage.keys, &[one]);
    Box::new(move |stage| stage.link.run(&step)?.into_iter().try_for_each(|ticked| ticked.map(drop)))
}

/// What leads to such a step.
type Prepare = fn(&Stage) -> Ready;

/// By the names of their scripts. A script is there once for each kind of command that its first write can be.
const STEPS: &[(&str, Prepare)] = &[
    ("abandon", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.begin(&claimed);
        fall_silent(stage, &claimed[0]);
        ready(abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])]))
    }),
    ("announce", |stage| ready(announcing(stage, 0, true))),
    ("await_group", |stage| ready(await_group(&stage.keys, "g", &last(stage, "z")))),
    ("begin", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        ready(begin(&worker.who, &claimed))
    }),
    ("birth", |stage| ready(Worker::new(stage, "w", &[QUEUE]).birth())),
    ("bury", |stage| {
        stage.run("SADD workers $P:worker:gone");
        ready(bury(&stage.keys, Scope::AtLarge, &Cursor::default()))
    }),
    ("cancel", |stage| {
        stage.enqueue(&["a"]);
        ready(cancel(&stage.keys, "a", Cancel::default()))
    }),
    ("claim", |stage| {
        stage.enqueue(&["a"]);
        ready(stage.worker("w", &[QUEUE]).claim_step(1))
    }),
    ("claim", |stage| {
        stage.enqueue(&["a"]);
        ready(Worker::new(stage, "w", &[QUEUE]).claim_step(1))
    }),
    ("death", |stage| ready(stage.worker("w", &[QUEUE]).death())),
    ("delete", |stage| {
        stage.enqueue(&["a"]);
        ready(delete(&stage.keys, &["a".to_owned()]))
    }),
    ("deliver", |stage| {
        let [entry, _] = posted(stage);
        ready(deliver(&stage.keys, &taken(stage, &entry), None))
    }),
    ("deliver", |stage| {
        let [entry, _] = posted(stage);
        ready(deliver(&stage.keys, &taken(stage, &entry), Some(Duration::from_secs(1))))
    }),
    ("due", |stage| {
        schedule(stage, "a", -1, |_| {});
        ready(due(&scheduler(stage, "s", &[QUEUE])))
    }),
    ("empty", |stage| {
        stage.enqueue(&["a"]);
        ready(empty(&stage.keys, QUEUE, true))
    }),
    ("enqueue", |stage| ready(enqueue(&stage.keys, QUEUE, &[(stage.job("a"), Place::Tail)]))),
    ("fill_slots", |stage| {
        // Behind the writing of `enqueue`, which is refused, and alone: there is a job that was given no slot.
        stage.run("HSET job:b data x created_at then origin q status rate_limited");
        stage.run("ZADD rl:k:rate_limited 1 b");
        let limited = Place::Limited { key: "k".to_owned(), slots: 1 };
        ready(enqueue(&stage.keys, QUEUE, &[(stage.job("a"), limited)]))
    }),
    ("expire", |stage| {
        stage.run("ZADD finished:q 1 over");
        ready(expire(&stage.keys.finished(QUEUE)))
    }),
    ("free_slots", |stage| {
        stage.run("ZADD rl:k:allowed 1 over");
        ready(free_slots(&stage.keys, b"k", &Cursor::default()))
    }),
    ("free_slots", |stage| {
        stage.enqueue(&["a"]);
        stage.run("HSET job:a status rate_limited");
        stage.run("HSET rl:k concurrency 1");
        stage.run("ZADD rl:k:rate_limited 1 a");
        ready(free_slots(&stage.keys, b"k", &Cursor::default()))
    }),
    ("heartbeat", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        ready(heartbeat(&worker.who, StateUpdate::default(), &claimed))
    }),
    ("leave", |stage| {
        let who = scheduler(stage, "s", &[QUEUE]);
        stage.take(&due(&who));
        ready(leave(&who))
    }),
    ("let_end", |stage| {
        stage.take(&await_group(&stage.keys, "g", &last(stage, "z")));
        ready(let_end(&stage.keys, "g", "z"))
    }),
    ("look_at_group", |stage| {
        waited_for(stage);
        stage.run("DEL job:a");
        ready(look(&stage.keys, "g", &Cursor::default(), 60_000))
    }),
    ("look_at_group", |stage| {
        waited_for(stage);
        stage.run("DEL group_open:g");
        ready(look(&stage.keys, "g", &Cursor::default(), 60_000))
    }),
    ("note_open", |stage| {
        stage.take(&enqueue(&stage.keys, QUEUE, &[(member(stage, "a"), Place::Tail)]));
        stage.take(&await_group(&stage.keys, "g", &last(stage, "z")));
        ready(note_open(&stage.keys, "g", "z", &Cursor::default()))
    }),
    ("pause", |stage| {
        announced(stage);
        ready(pause(&stage.keys, &["nightly".to_owned()], true))
    }),
    ("pause", |stage| {
        announced(stage);
        stage.take(&pause(&stage.keys, &["nightly".to_owned()], true));
        ready(pause(&stage.keys, &["nightly".to_owned()], false))
    }),
    ("pick_up", |stage| {
        stage.enqueue(&["a"]);
        stage.run("LMOVE queue:q $P:queue:q:intermediate LEFT RIGHT");
        ready(pick_up(&stage.keys, QUEUE, &Cursor::default()))
    }),
    ("pick_up", |stage| {
        stage.run("RPUSH queue:q:intermediate gone");
        ready(pick_up(&stage.keys, QUEUE, &Cursor::default()))
    }),
    ("prune", |stage| {
        stage.run("ZADD canceled:q 1 gone");
        ready(prune(&stage.keys, &stage.keys.canceled(QUEUE), &Cursor::default()))
    }),
    ("push_ready", |stage| {
        stage.run("ZADD ready:q 1 gone");
        ready(push_ready(&stage.keys, QUEUE))
    }),
    ("put_back", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        ready(put_back(&worker.who, &claimed))
    }),
    ("release", |stage| {
        stage.enqueue(&["a"]);
        stage.take(&enqueue(&stage.keys, QUEUE, &[(child(stage, "b", &["a"], |_| {}), Place::Tail)]));
        ready(release(&stage.keys, "a", &Cursor::default(), Release::Past))
    }),
    ("release", |stage| {
        stage.run("SADD job:a:dependents gone");
        ready(release(&stage.keys, "a", &Cursor::default(), Release::Ended))
    }),
    ("renew", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        ready(renew(&worker.who, &claimed))
    }),
    ("requeue", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        worker.settle(&[failed(&claimed[0])]);
        ready(requeue(&stage.keys, RequeueFrom::Record, false, &["a".to_owned()]))
    }),
    ("save_meta", |stage| {
        let (_, claimed) = stage.worker_with(&["a"]);
        ready(save_meta(&stage.keys, "w", &[(claimed[0].clone(), b"{}".to_vec())]))
    }),
    ("settle", |stage| {
        let (worker, claimed) = stage.worker_with(&["a"]);
        ready(worker.settle_step(&[finished(&claimed[0])]))
    }),
    ("take", |stage| {
        let [(from, name), _] = posted(stage);
        ready(take(&stage.keys, &from, &[name], Duration::from_secs(1)))
    }),
    ("take", |stage| {
        let [(from, name), _] = posted(stage);
        stage.run(&format!("DEL outbox:entry:{name}"));
        ready(take(&stage.keys, &from, &[name], Duration::from_secs(1)))
    }),
    ("take_groups", |stage| {
        waited_for(stage);
        ready(take_groups(&stage.keys, 60_000))
    }),
    ("take_groups", |stage| {
        waited_for(stage);
        stage.run("DEL job:z");
        ready(take_groups(&stage.keys, 60_000))
    }),
    ("take_round", |stage| ready(take_round(&stage.keys, Scope::AtLarge, "w 1", 60_000))),
    ("tick", |stage| {
        announced(stage);
        ready_tick(stage, firing(stage, "a", 10, None))
    }),
    ("tick", |stage| {
        announced(stage);
        ready_tick(stage, Tick { act: Act::Drop, ..firing(stage, "a", 10, None) })
    }),
    ("tidy_group", |stage| {
        stage.run("SADD group:g gone");
        ready(tidy(&stage.keys, b"g", &Cursor::default()))
    }),
    ("trigger", |stage| {
        announced(stage);
        ready(trigger(&stage.keys, "nightly", "a", at(10)))
    }),
    ("undefer", |stage| {
        stage.run("ZADD deferred:q 1 gone");
        ready(undefer(&stage.keys, QUEUE, &[b"gone".to_vec()]))
    }),
    ("undefer", |stage| {
        stage.enqueue(&["a"]);
        stage.run("HSET job:a status deferred");
        stage.run("ZADD deferred:q 1 a");
        ready(undefer(&stage.keys, QUEUE, &[b"a".to_vec()]))
    }),
    ("write_meta", |stage| {
        stage.enqueue(&["a"]);
        ready(write_meta(&stage.keys, "a", b"", b"{}"))
    }),
];

/// A group with one member, for whose end a job waits.
fn waited_for(stage: &Stage) {
    stage.take(&enqueue(&stage.keys, QUEUE, &[(member(stage, "a"), Place::Tail)]));
    assert_eq!(declare(stage, "z"), 0);
}

#[test]
fn every_script_fails_as_a_whole() {
    let server = PrivateRedis::start(&[]);
    let mut swallowed = Vec::new();
    for Refusal { begin, end, error: (code, text) } in REFUSALS {
        for (script, prepare) in STEPS {
            let stage = Stage::on(Scratch::on(&server.url()));
            let send = prepare(&stage);
            let before = stage.scratch.dump();
            begin(&server);
            let answer = send(&stage);
            tell(&server, end);
            match &answer {
                Err(Error::Redis(error))
                    if (code.is_empty() || error.code() == Some(code))
                        && error.to_string().contains(text) => {}
                _ => swallowed.push(format!("{script}, {code}: {answer:?}")),
            }
            if answer.is_err() {
                assert_same(&before, &stage.scratch.dump());
                send(&stage).unwrap_or_else(|error| panic!("{script} after {code}: {error}"));
                assert_ne!(before, stage.scratch.dump(), "{script} has something to write");
            }
        }
    }
    assert!(swallowed.is_empty(), "{swallowed:#?}");
}

/// A script that is missing here was not asked.
#[test]
fn all_scripts_are_asked() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/rq-core/src/scripts");
    let files = std::fs::read_dir(scripts).expect("the scripts are in the repository");
    let names = files.map(|file| file.expect("it can be listed").file_name().into_string().expect("UTF-8"));
    let names: BTreeSet<String> =
        names.filter_map(|name| Some(name.strip_suffix(".lua")?.to_owned())).collect();
    // This one writes nothing where a user can lack a permission and a script can be told.
    let names = names.into_iter().filter(|name| name != "permissions").collect::<BTreeSet<_>>();
    let asked: BTreeSet<String> = STEPS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(asked, names);
}
