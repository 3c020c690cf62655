//! `announce`, `tick`, `trigger` and `pause`: each tick once, whoever has the entry.

use std::time::Duration;

use rq_core::link::Step;
use rq_core::steps::cron::{
    Act, Definition, Progress, Standing, Tick, Ticked, announce, forget, kept, last_enqueued, names, pause,
    tick, trigger,
};
use rq_core::{Error, Job, Timestamp};

use super::{QUEUE, Stage, assert_about};

/// The entry, and its schedule as text.
const NAME: &str = "nightly";
const SCHEDULE: &str = "at 0 3 * * *";
/// How long nobody may uphold a schedule.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(150);
const HISTORY: &str = "cron_job:nightly:jobs";

/// A time, so many seconds after a first one.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_epoch_us(1_800_000_000_000_000 + seconds * 1_000_000)
}

fn definition(stage: &Stage) -> Definition {
    Definition {
        name: NAME.to_owned(),
        schedule: SCHEDULE.to_owned(),
        queue: QUEUE.to_owned(),
        at_front: false,
        job: stage.job("sample"),
        function: "math.add".to_owned(),
    }
}

/// Announces the entry at a time, as one that starts does or one that runs.
pub(super) fn announcing(stage: &Stage, seconds: i64, takes_over: bool) -> Step<Vec<Progress>> {
    announce(&stage.keys, at(seconds), takes_over, GIVEN_UP_AFTER, &[definition(stage)])
}

pub(super) fn announced(stage: &Stage) -> Progress {
    stage.take(&announcing(stage, 0, true)).remove(0)
}

/// A tick that fires the job `id`, planned when `decided` was.
pub(super) fn firing(stage: &Stage, id: &str, due_s: i64, decided: Option<i64>) -> Tick {
    Tick {
        name: NAME.to_owned(),
        schedule: SCHEDULE.to_owned(),
        queue: QUEUE.to_owned(),
        at_front: false,
        due: at(due_s),
        decided: decided.map(at),
        dropped: 0,
        act: Act::Fire(stage.job(id)),
    }
}

/// Takes a tick once, and gives its answer.
#[track_caller]
fn take(stage: &Stage, what: Tick) -> Ticked {
    stage.take(&tick(&stage.keys, &[what])).remove(0).expect("it is decided")
}

/// Takes a tick twice; the second answer.
#[track_caller]
fn take_twice(stage: &Stage, what: Tick) -> (Ticked, Ticked) {
    let (first, second) = stage.twice(&tick(&stage.keys, &[what]));
    let one = |answers: Vec<Result<Ticked, Error>>| answers.into_iter().next().unwrap().unwrap();
    (one(first), one(second))
}

fn ids(stage: &Stage) -> Vec<String> {
    stage.waiting(QUEUE)
}

#[test]
fn a_tick_leaves_what_rqs_does_and_is_fired_once() {
    let stage = Stage::new();
    assert_eq!(announced(&stage).standing, Standing::New);
    let mut job = stage.job("a");
    job.ttl_s = Some(60);
    let what = Tick { act: Act::Fire(job), ..firing(&stage, "a", 10, None) };
    assert_eq!(take_twice(&stage, what.clone()), (Ticked::Fired, Ticked::Fired));
    assert_eq!(ids(&stage), ["a"]);
    let fields: Vec<String> = stage.ask("HMGET job:a status cron cron_due origin ttl");
    assert_eq!(fields, ["queued", NAME, &at(10).to_string(), QUEUE, "60"]);
    assert_about("the job's ttl", stage.ask("TTL job:a"), 60);
    assert_about("the history's ttl", stage.ask(&format!("TTL {HISTORY}")), 31_536_000);
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE cron_jobs 0 -1"), [NAME]);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS queues"), [stage.scratch.key("queue:q")]);

    // Another scheduler, with the same plan and a job of its own; and one that is sent again when all is over.
    assert_eq!(take_twice(&stage, firing(&stage, "b", 10, None)).0, Ticked::Taken(at(10)));
    stage.run("DEL job:a");
    stage.run("DEL queue:q");
    assert_eq!(take(&stage, what), Ticked::Fired);
    assert_eq!(ids(&stage), [""; 0]);
    let [entry] = &stage.take(&kept(&stage.keys, &[NAME.to_owned()]))[..] else { panic!("one entry") };
    assert_eq!((entry.fired, entry.dropped, entry.decided), (1, 0, Some(at(10))));
    assert_eq!(entry.last_job.as_deref(), Some("a"));
}

#[test]
fn a_plan_that_is_old_fires_nothing() {
    let stage = Stage::new();
    announced(&stage);
    assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);
    // It would pass over the tick at 20, having been planned before that at 10 was decided.
    assert_eq!(take_twice(&stage, firing(&stage, "b", 30, None)).0, Ticked::Moved(Some(at(10))));
    assert_eq!(take(&stage, firing(&stage, "b", 20, Some(10))), Ticked::Fired);
    // A time that is over is decided, whatever it was planned by.
    assert_eq!(take(&stage, firing(&stage, "c", 15, Some(10))), Ticked::Taken(at(20)));
    assert_eq!(ids(&stage), ["a", "b"]);
    // Those of one step go on from each other.
    let both = [firing(&stage, "c", 30, Some(20)), firing(&stage, "d", 40, Some(30))];
    let (first, second) = stage.twice(&tick(&stage.keys, &both));
    for answers in [first, second] {
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Ticked::Fired))), "{answers:?}");
    }
    assert_eq!(ids(&stage), ["a", "b", "c", "d"]);
}

#[test]
fn what_is_dropped_or_paused_is_decided() {
    let stage = Stage::new();
    announced(&stage);
    let dropping = Tick { act: Act::Drop, dropped: 4, ..firing(&stage, "a", 50, None) };
    assert_eq!(take_twice(&stage, dropping), (Ticked::Dropped, Ticked::Taken(at(50))));
    let name = [NAME.to_owned(), "nosuch".to_owned()];
    assert_eq!(stage.take_twice(&pause(&stage.keys, &name, true)), [true, false]);
    assert_eq!(
        take_twice(&stage, firing(&stage, "b", 60, Some(50))),
        (Ticked::Paused, Ticked::Taken(at(60)))
    );
    assert_eq!(stage.take_twice(&pause(&stage.keys, &name, false)), [true, false]);
    let late = Tick { dropped: 2, ..firing(&stage, "c", 90, Some(60)) };
    assert_eq!(take(&stage, late), Ticked::Fired);
    let [entry] = &stage.take(&kept(&stage.keys, &name))[..] else { panic!("one entry") };
    assert_eq!((entry.fired, entry.dropped, entry.paused), (1, 8, false));
    assert_eq!(ids(&stage), ["c"]);
    assert_eq!(stage.ask::<usize>("EXISTS cron_entry:nosuch"), 0);
}

#[test]
fn a_tick_waits_for_no_job_but_may_be_dropped_for_one() {
    for (prepare, is_busy) in [
        ("HSET job:a status queued", true),
        ("HSET job:a status started", true),
        ("HSET job:a status scheduled", true),
        ("HSET job:a status finished", false),
        ("HSET job:a status failed", false),
        ("HSET job:a status stopped", false),
        ("HSET job:a status canceled", false),
        ("DEL job:a", false),
    ] {
        let stage = Stage::new();
        announced(&stage);
        assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);
        stage.run(prepare);
        let next = Tick { act: Act::FireUnlessBusy(stage.job("b")), ..firing(&stage, "b", 20, Some(10)) };
        let expected = if is_busy { Ticked::Overlaps("a".to_owned()) } else { Ticked::Fired };
        assert_eq!(take_twice(&stage, next).0, expected, "{prepare}");
        assert_eq!(stage.ask::<i64>("EXISTS job:b"), i64::from(!is_busy), "{prepare}");
    }
}

#[test]
fn whoever_started_last_has_the_schedule_until_nobody_upholds_it() {
    let stage = Stage::new();
    let theirs = |seconds, takes_over| {
        let other = Definition { schedule: "every 5 seconds".to_owned(), ..definition(&stage) };
        stage.take(&announce(&stage.keys, at(seconds), takes_over, GIVEN_UP_AFTER, &[other])).remove(0)
    };
    announced(&stage);
    let (first, second) = stage.twice(&announcing(&stage, 0, true));
    assert_eq!((&first[0].standing, &second[0].standing), (&Standing::Same, &Standing::Same));
    assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);

    let changed = theirs(20, true);
    assert_eq!((changed.standing, changed.since, changed.decided), (Standing::Changed, at(20), Some(at(20))));
    assert_eq!(take(&stage, firing(&stage, "b", 30, Some(10))), Ticked::Other("every 5 seconds".to_owned()));
    let old = stage.take(&announcing(&stage, 100, false)).remove(0);
    assert_eq!(old.standing, Standing::Other("every 5 seconds".to_owned()));
    assert_eq!(theirs(120, false).standing, Standing::Same);
    assert_eq!(
        stage.take(&announcing(&stage, 260, false))[0].standing,
        Standing::Other("every 5 seconds".to_owned())
    );
    let back = stage.take(&announcing(&stage, 270, false)).remove(0);
    assert_eq!((back.standing, back.decided), (Standing::Changed, Some(at(270))));
    assert_eq!(ids(&stage), ["a"]);
    assert_eq!(stage.take(&names(&stage.keys)), [NAME]);
}

/// What counts is not turned back by a clock that is behind.
#[test]
fn a_change_decides_nothing_anew() {
    let stage = Stage::new();
    announced(&stage);
    assert_eq!(take(&stage, firing(&stage, "a", 100, None)), Ticked::Fired);
    let other = Definition { schedule: "every 5 seconds".to_owned(), ..definition(&stage) };
    let changed = stage.take(&announce(&stage.keys, at(50), true, GIVEN_UP_AFTER, &[other])).remove(0);
    assert_eq!((changed.since, changed.decided), (at(50), Some(at(100))));
}

#[test]
fn a_job_is_triggered_as_it_was_announced_once() {
    let stage = Stage::new();
    let mut sample = stage.job("sample");
    sample.ttl_s = Some(60);
    let definition = Definition { at_front: true, job: sample, ..definition(&stage) };
    stage.take(&announce(&stage.keys, at(0), true, GIVEN_UP_AFTER, &[definition]));
    stage.enqueue(&["first"]);
    let now = at(5);
    assert_eq!(stage.take_twice(&trigger(&stage.keys, NAME, "t", now)).as_deref(), Some(QUEUE));
    assert_eq!(ids(&stage), ["t", "first"]);
    let job =
        Job::from_fields("t", stage.ask::<Vec<(Vec<u8>, Vec<u8>)>>("HGETALL job:t").into_iter().collect());
    let job = job.unwrap();
    assert_eq!((job.enqueued_at, job.created_at, job.ttl_s), (Some(now), now, Some(60)));
    assert_eq!(job.description.as_deref(), Some("math.add(2, 3)"));
    assert_eq!(job.payload().unwrap(), stage.job("t").payload().unwrap());
    assert_about("its ttl", stage.ask("TTL job:t"), 60);
    assert_eq!(stage.ask::<Vec<String>>(&format!("ZRANGE {HISTORY} 0 -1")), ["t"]);
    assert_eq!(stage.ask::<Option<String>>("HGET cron_entry:nightly decided"), None);
    assert_eq!(stage.take_twice(&trigger(&stage.keys, "nosuch", "u", now)), None);

    assert!(stage.take(&forget(&stage.keys, NAME)));
    assert!(!stage.take(&forget(&stage.keys, NAME)));
    assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Gone);
    assert_eq!(ids(&stage), ["t", "first"]);
}

#[test]
fn the_history_has_a_thousand() {
    let stage = Stage::new();
    announced(&stage);
    for number in 0..1000 {
        stage.run(&format!("ZADD {HISTORY} {number} old-{number}"));
    }
    assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);
    assert_eq!(stage.ask::<usize>(&format!("ZCARD {HISTORY}")), 1000);
    assert_eq!(stage.ask::<Option<f64>>(&format!("ZSCORE {HISTORY} old-0")), None);
}

#[test]
fn a_wrong_type_harms_its_own_tick_alone() {
    for broken in ["queue:q", "queues", HISTORY, "cron_jobs", "cron_entry:nightly"] {
        let stage = Stage::new();
        announced(&stage);
        stage.run(&format!("DEL {broken}"));
        stage.run(&format!("SET {broken} text"));
        let before = stage.scratch.dump();
        let answer = stage.take(&tick(&stage.keys, &[firing(&stage, "a", 10, None)])).remove(0);
        let error = answer.expect_err(broken);
        assert!(error.to_string().contains("WRONGTYPE"), "{broken}: {error}");
        super::assert_same(&before, &stage.scratch.dump());
    }
    let stage = Stage::new();
    stage.run("SET cron_entry:nightly text");
    let (first, second) = stage.twice(&announcing(&stage, 0, true));
    assert_eq!((&first[0].standing, &second[0].standing), (&Standing::WrongType, &Standing::WrongType));
    let stage = Stage::new();
    stage.run("SET cron_entries text");
    stage.refuse(&announcing(&stage, 0, true));
}

/// What somebody has written to an entry harms neither the entry nor those beside it.
#[test]
fn times_that_are_none_are_as_if_they_were_not_there() {
    for (garbage, since, decided) in [
        ("since x", at(70), Some(at(10))),
        ("since 99999999999999999999", at(70), Some(at(10))),
        ("decided garbage", at(70), None),
        ("decided 1e3", at(70), None),
        ("decided \u{ff}", at(70), None),
    ] {
        let stage = Stage::new();
        announced(&stage);
        assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);
        stage.run(&format!("HSET cron_entry:nightly {garbage}"));
        let progress = stage.take(&announcing(&stage, 70, false)).remove(0);
        assert_eq!((progress.since, progress.decided), (since, decided), "{garbage}");
        let again = stage.take(&announcing(&stage, 75, false)).remove(0);
        assert_eq!((again.standing, again.since, again.decided), (Standing::Same, since, decided));
        let planned = decided.map(|_| 10);
        assert_eq!(take(&stage, firing(&stage, "b", 70, planned)), Ticked::Fired, "{garbage}");
    }
}

#[test]
fn counts_that_are_none_lose_no_job() {
    let stage = Stage::new();
    announced(&stage);
    stage.run("HSET cron_entry:nightly fired x dropped x");
    let late = Tick { dropped: 2, ..firing(&stage, "a", 10, None) };
    assert_eq!(take_twice(&stage, late), (Ticked::Fired, Ticked::Fired));
    assert_eq!((ids(&stage), stage.ask::<i64>("HEXISTS job:a status")), (vec!["a".to_owned()], 1));
    let dropping = Tick { act: Act::Drop, ..firing(&stage, "b", 20, Some(10)) };
    assert_eq!(take(&stage, dropping), Ticked::Dropped);
}

/// A job's key of another type is seen before anything is decided.
#[test]
fn a_tick_whose_job_cannot_be_written_is_not_decided() {
    let stage = Stage::new();
    announced(&stage);
    stage.run("SET job:a text");
    let before = stage.scratch.dump();
    let error = stage.take(&tick(&stage.keys, &[firing(&stage, "a", 10, None)])).remove(0).unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    super::assert_same(&before, &stage.scratch.dump());
}

#[test]
fn what_no_job_has_is_not_triggered() {
    let stage = Stage::new();
    announced(&stage);
    for number in 0..200 {
        stage.run(&format!("HSET cron_entry:nightly job:more-{number} x"));
    }
    let before = stage.scratch.dump();
    assert_eq!(stage.take_twice(&trigger(&stage.keys, NAME, "t", at(5))), None);
    super::assert_same(&before, &stage.scratch.dump());
}

#[test]
fn a_name_that_is_no_text_is_listed_beside_others() {
    let stage = Stage::new();
    announced(&stage);
    assert_eq!(take(&stage, firing(&stage, "a", 10, None)), Ticked::Fired);
    stage
        .scratch
        .query::<usize>("ZADD", [stage.scratch.key("cron_jobs").into_bytes(), b"1".to_vec(), vec![0xff]]);
    let listed = stage.take(&last_enqueued(&stage.keys));
    assert_eq!(listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["\u{fffd}", NAME]);
}
