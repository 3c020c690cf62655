//! All scripts on a server that forgets them: each is loaded again and the step is taken, once.

use rq_core::Cancel;
use rq_core::steps::claim::{put_back, renew, save_meta};
use rq_core::steps::group::{Awaited, await_group, let_end, look, note_open, take as take_groups, tidy};
use rq_core::steps::job::{Cursor, Release, release};
use rq_core::steps::maintenance::{
    Scope, bury, expire, free_slots, pick_up, prune, push_ready, take_round, undefer,
};
use rq_core::steps::management::{Canceled, Deleted, RequeueFrom, Requeued, cancel, delete, requeue};
use rq_core::steps::queue::{Enqueued, Place, empty, enqueue};
use rq_core::steps::schedule::{due, leave};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon};
use rq_core::steps::worker::{StateUpdate, heartbeat};
use rq_tests::{PrivateRedis, Scratch};

use super::abandon::failing;
use super::due::{ours, schedule, scheduler};
use super::group::last;
use super::{QUEUE, Stage, Worker, finished, taken};

#[test]
fn scripts_are_loaded_when_the_server_has_forgotten_them() {
    let server = PrivateRedis::start(&[]);
    let stage = Stage::on(Scratch::on(&server.url()));
    let flush = || redis::cmd("SCRIPT").arg("FLUSH").exec(&mut server.connection()).unwrap();
    let worker = Worker::new(&stage, "w", &[QUEUE]);
    let jobs: Vec<_> = (0..250).map(|number| (stage.job(&format!("j{number}")), Place::Tail)).collect();

    flush();
    assert_eq!(stage.take(&enqueue(&stage.keys, QUEUE, &jobs)), vec![Enqueued::Done; 250]);
    // Of two scripts the server may know one.
    let limited = Place::Limited { key: "k".to_owned(), slots: 1 };
    let step = enqueue(&stage.keys, "limited", &[(stage.job("limited"), limited)]);
    assert!(matches!(stage.take(&step)[..], [Enqueued::Done | Enqueued::Already]));
    flush();
    assert!(stage.take(&worker.birth()));
    flush();
    let (claimed, dropped) = taken(stage.take(&worker.claim_step(3)));
    assert_eq!((claimed.len(), dropped.len(), stage.waiting(QUEUE).len()), (3, 0, 247));
    flush();
    assert_eq!(stage.take(&put_back(&worker.who, &claimed[2..])), [true]);
    flush();
    let begun = worker.begin(&claimed);
    assert_eq!(begun.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    flush();
    assert_eq!(
        stage.take(&heartbeat(&worker.who, StateUpdate::default(), &claimed)).alive,
        [true, true, false]
    );
    flush();
    assert_eq!(stage.take(&renew(&worker.who, &claimed)), [true, true, false]);
    flush();
    assert_eq!(
        stage.take(&abandon(&stage.keys, Evidence::Lease, &[failing(&claimed[0])])),
        [AbandonReply::No]
    );
    flush();
    assert_eq!(stage.take(&release(&stage.keys, "none", &Cursor::default(), Release::Ended)), None);
    flush();
    assert_eq!(stage.take(&save_meta(&stage.keys, "w", &[(claimed[0].clone(), b"{}".to_vec())])), [true]);
    flush();
    worker.settle(&[finished(&claimed[0]), finished(&claimed[1])]);
    assert_eq!(worker.count("successful_job_count"), Some(2));
    flush();
    let ids = [claimed[0].id.job_id().to_owned(), claimed[1].id.job_id().to_owned()];
    assert_eq!(stage.take(&requeue(&stage.keys, RequeueFrom::Record, false, &ids)), [Requeued::Done; 2]);
    flush();
    assert_eq!(stage.take(&cancel(&stage.keys, &ids[0], Cancel::default())), Canceled::Done);
    flush();
    assert_eq!(stage.take(&delete(&stage.keys, &ids)), [Deleted::Done; 2]);
    flush();
    assert_eq!(stage.take(&empty(&stage.keys, QUEUE, false)), 248);
    look_after_all(&stage, flush);
    flush();
    let who = scheduler(&stage, "s", &[QUEUE]);
    schedule(&stage, "due", -1, |_| {});
    flush();
    assert_eq!(stage.take(&due(&who)), [ours(1, 0)]);
    flush();
    assert_eq!(stage.take(&leave(&who)), 1);
    flush();
    stage.take(&worker.death());
    assert_eq!(stage.ask::<usize>("EXISTS workers"), 0);
}

/// The scripts of maintenance.
fn look_after_all(stage: &Stage, flush: impl Fn()) {
    let (keys, at) = (&stage.keys, Cursor::default());
    flush();
    assert!(stage.take(&take_round(keys, Scope::AtLarge, "w 1", 60_000)));
    flush();
    assert_eq!(stage.take(&expire(&keys.failed(QUEUE))).found, 0);
    flush();
    assert_eq!(stage.take(&prune(keys, &keys.canceled(QUEUE), &at)).found, 0);
    flush();
    assert_eq!(stage.take(&push_ready(keys, QUEUE)).found, []);
    flush();
    assert_eq!(stage.take(&pick_up(keys, QUEUE, &at)).found, []);
    flush();
    assert_eq!(stage.take(&undefer(keys, QUEUE, &[b"none".to_vec()])).len(), 1);
    flush();
    assert_eq!(stage.take(&bury(keys, Scope::AtLarge, &at)).found, [""; 0]);
    flush();
    assert_eq!(stage.take(&free_slots(keys, b"none", &at)).found.given, 0);
    flush();
    assert_eq!(stage.take(&tidy(keys, b"none", &at)).found, 0);
    flush();
    assert_eq!(stage.take(&await_group(keys, "g", &last(stage, "last"))), Awaited::Waits);
    flush();
    assert_eq!(stage.take(&note_open(keys, "g", "last", &at)).next, None);
    flush();
    assert_eq!(stage.take(&take_groups(keys, 60_000)), ["g"]);
    flush();
    assert_eq!(stage.take(&look(keys, "g", &at, 60_000)).found.gone_on, 0);
    flush();
    assert_eq!(stage.take(&let_end(keys, "g", "last")), 1);
}
