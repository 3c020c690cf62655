//! The outbox: what `settle` and `abandon` post there, `take` and `deliver`.

use std::time::Duration;

use rq_core::steps::Claimed;
use rq_core::steps::outbox::{OutBox, Post, Take, Taken, any, deliver, due, entry_name, take};
use rq_core::steps::settlement::{SettleReply, Settlement};
use rq_core::steps::silent::{AbandonReply, Evidence, abandon};

use super::abandon::{failing, fall_silent};
use super::{Stage, assert_about, failed, finished};

const HOLD: Duration = Duration::from_secs(60);
const DAY_S: i64 = 86_400;

pub(super) fn post(to: OutBox) -> Post {
    Post { to, body: "{\"a\": \"é\"}".to_owned() }
}

fn posting(claimed: &Claimed) -> Settlement {
    Settlement {
        posts: vec![post(OutBox::Webhooks), post(callbacks()), post(OutBox::Webhooks)],
        ..failed(claimed)
    }
}

fn callbacks() -> OutBox {
    OutBox::Callbacks("alerts.page".to_owned())
}

/// One entry in each of the two kinds of boxes, by the names that it has there.
pub(super) fn posted(stage: &Stage) -> [(OutBox, String); 2] {
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.settle(&[posting(&claimed[0])]);
    [0, 1].map(|k| (if k == 0 { OutBox::Webhooks } else { callbacks() }, entry_name(&claimed[0].id, k)))
}

pub(super) fn taken(stage: &Stage, (from, name): &(OutBox, String)) -> Taken {
    match stage.take(&take(&stage.keys, from, std::slice::from_ref(name), HOLD)).remove(0) {
        Take::Taken(taken) => taken,
        other => panic!("{name}: {other:?}"),
    }
}

/// As if the time until an entry is due again were over.
fn pass_time(stage: &Stage, (from, name): &(OutBox, String)) {
    stage.run(&format!("ZADD outbox:{} XX 1 {name}", from.name()));
}

fn names_due(stage: &Stage, from: &OutBox) -> Vec<String> {
    let boxes = [from.clone()];
    let (is_any, now_ms) = stage.take(&any(&stage.keys, &boxes));
    let names = stage.take(&due(&stage.keys, &boxes, now_ms)).remove(0);
    assert!(is_any || names.is_empty());
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

#[test]
fn what_an_end_posts_is_there_with_it_and_once() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    let step = worker.settle_step(&[posting(&claimed[0]), finished(&claimed[1])]);
    assert_eq!(stage.take_twice(&step), [SettleReply::Done; 2]);
    let name = |k| entry_name(&claimed[0].id, k);
    assert_eq!(names_due(&stage, &OutBox::Webhooks), [name(0), name(2)]);
    assert_eq!(names_due(&stage, &callbacks()), [name(1)]);
    assert_eq!(names_due(&stage, &OutBox::Callbacks("another".to_owned())), [""; 0]);
    for key in [format!("outbox:entry:{}", name(0)), "outbox:webhooks".to_owned()] {
        assert_about(&key, stage.ask(&format!("TTL {key}")), DAY_S);
    }
}

#[test]
fn a_job_that_is_not_kept_posts_as_well_and_one_that_is_gone_does_not() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    stage.run("DEL job:b");
    let ends = [0, 1].map(|k| {
        let mut end = posting(&claimed[k]);
        end.conclusion.ttl = rq_core::Ttl::Seconds(0);
        end
    });
    assert_eq!(stage.take(&worker.settle_step(&ends)), [SettleReply::Done, SettleReply::Deleted]);
    assert_eq!(names_due(&stage, &callbacks()), [entry_name(&claimed[0].id, 1)]);
}

#[test]
fn the_end_of_an_earlier_life_posts_what_it_calls_for() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("HSET job:a status queued");
    stage.run("RPUSH queue:q a");
    assert_eq!(stage.take(&worker.settle_step(&[posting(&claimed[0])])), [SettleReply::Superseded]);
    assert_eq!(names_due(&stage, &callbacks()), [entry_name(&claimed[0].id, 1)]);
}

#[test]
fn who_is_reaped_posts_once() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.begin(&claimed);
    fall_silent(&stage, &claimed[0]);
    let mut end = failing(&claimed[0]);
    end.settlement.posts = vec![post(callbacks())];
    let step = abandon(&stage.keys, Evidence::Lease, &[end]);
    assert_eq!(stage.take_twice(&step), [AbandonReply::Concluded]);
    assert_eq!(names_due(&stage, &callbacks()), [entry_name(&claimed[0].id, 0)]);
}

#[test]
fn an_entry_is_one_takers_until_it_is_delivered() {
    let stage = Stage::new();
    for entry in posted(&stage) {
        let (from, name) = &entry;
        let step = take(&stage.keys, from, std::slice::from_ref(name), HOLD);
        let [Take::Taken(taken)] = &stage.take_twice(&step)[..] else { panic!("{name} was due") };
        assert_eq!((taken.attempt, taken.body.as_str()), (1, "{\"a\": \"é\"}"));
        let another = take(&stage.keys, from, std::slice::from_ref(name), HOLD);
        assert_eq!(stage.take(&another), [Take::Nothing]);
        assert!(!names_due(&stage, from).contains(name));
        assert!(stage.take(&deliver(&stage.keys, taken, None)));
        assert!(!stage.take(&deliver(&stage.keys, taken, None)), "sent again it does nothing");
        assert_eq!(stage.take(&another), [Take::Gone]);
        assert!(!stage.key_names().contains(&format!("outbox:entry:{name}")));
    }
    assert!(!stage.key_names().contains("outbox:callbacks:alerts.page"));
}

#[test]
fn an_entry_that_is_named_twice_is_taken_once() {
    let stage = Stage::new();
    for (from, name) in posted(&stage) {
        let step = take(&stage.keys, &from, &[name.clone(), name.clone()], HOLD);
        let takes = stage.take_twice(&step);
        assert!(matches!(&takes[..], [Take::Taken(_), Take::Nothing]), "{name}: {takes:?}");
    }
}

#[test]
fn what_its_taker_does_not_deliver_is_sent_again_and_called_never_again() {
    let stage = Stage::new();
    let [webhook, callback] = posted(&stage);
    let first = taken(&stage, &webhook);
    taken(&stage, &callback);
    pass_time(&stage, &webhook);
    pass_time(&stage, &callback);
    assert_eq!(taken(&stage, &webhook).attempt, 2);
    assert!(!stage.take(&deliver(&stage.keys, &first, None)), "it is another's by now");
    let again = take(&stage.keys, &callback.0, std::slice::from_ref(&callback.1), HOLD);
    assert_eq!(stage.take(&again), [Take::GivenUp("{\"a\": \"é\"}".to_owned())]);
    assert_eq!(stage.take(&again), [Take::Gone]);
}

#[test]
fn what_is_put_off_is_due_again_after_its_pause() {
    let stage = Stage::new();
    for entry in posted(&stage) {
        let first = taken(&stage, &entry);
        let put_off = deliver(&stage.keys, &first, Some(HOLD));
        assert!(stage.take(&put_off) && !stage.take(&put_off));
        assert!(!names_due(&stage, &entry.0).contains(&entry.1));
        pass_time(&stage, &entry);
        assert_eq!(taken(&stage, &entry).attempt, 2, "also of a callback: it has not begun");
    }
}

#[test]
fn an_entry_without_a_body_is_taken_off() {
    let stage = Stage::new();
    let [(from, name), _] = posted(&stage);
    stage.run(&format!("DEL outbox:entry:{name}"));
    assert_eq!(stage.take_twice(&take(&stage.keys, &from, std::slice::from_ref(&name), HOLD)), [Take::Gone]);
    assert!(!names_due(&stage, &from).contains(&name));
}

#[test]
fn what_is_no_text_harms_nothing_beside_it() {
    let stage = Stage::new();
    let [(from, name), _] = posted(&stage);
    let mut add = redis::cmd("ZADD");
    add.arg(stage.keys.outbox(&from.name())).arg(1).arg(&b"\xff"[..]);
    add.exec(&mut stage.scratch.connection()).unwrap();
    let mut set = redis::cmd("HSET");
    set.arg(stage.keys.outbox_entry(&name)).arg("body").arg(&b"\xfe"[..]);
    set.exec(&mut stage.scratch.connection()).unwrap();
    let names = stage.take(&due(&stage.keys, std::slice::from_ref(&from), f64::MAX)).remove(0);
    let takes = stage.take(&take(&stage.keys, &from, &names, HOLD));
    assert_eq!((takes.len(), &takes[0]), (3, &Take::Gone));
    assert!(takes[1..].iter().all(|take| matches!(take, Take::Taken(_))), "{takes:?}");
}
