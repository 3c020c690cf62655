//! `pick_up`: what Python's workers took off a queue and never began runs after all; what is alive is left alone.

use rq_core::Timestamp;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Page, PickedUp, pick_up};

use super::{QUEUE, Stage, assert_about};

/// A job that a single-queue worker of Python has popped; `noted_s` ago maintenance saw it for the first time.
fn popped(stage: &Stage, id: &str, noted_s: Option<i64>) {
    stage.enqueue(&[id]);
    stage.run(&format!("LREM queue:q 0 {id}"));
    stage.run(&format!("RPUSH queue:q:intermediate {id}"));
    stage.run(&format!("HSET job:{id} enqueued_at 2024-02-29T12:30:15.123456Z"));
    if let Some(noted_s) = noted_s {
        note(stage, id, noted_s);
    }
}

fn note(stage: &Stage, id: &str, noted_s: i64) {
    let seen = Timestamp::now().epoch_secs() - noted_s;
    stage.run(&format!("SET queue:q:intermediate:first_seen:{id} {seen}.25 EX 86000"));
}

fn step(stage: &Stage) -> rq_core::link::Step<Page<Vec<(String, PickedUp)>>> {
    pick_up(&stage.keys, QUEUE, &Cursor::default())
}

#[track_caller]
fn found(stage: &Stage) -> Vec<(String, PickedUp)> {
    let (first, second) = stage.twice(&step(stage));
    assert_eq!((&first.next, second.next, second.found), (&None, None, vec![]));
    first.found
}

/// What became of `a`, and which books have it afterwards.
#[track_caller]
fn check(stage: &Stage, became: Option<PickedUp>, books: &[&str]) {
    let expected: Vec<_> = became.into_iter().map(|became| ("a".to_owned(), became)).collect();
    assert_eq!(found(stage), expected);
    assert_eq!(stage.books("a"), books);
    let notes = stage.ask::<i64>("EXISTS queue:q:intermediate:first_seen:a");
    let stays = books.contains(&"queue:q:intermediate");
    assert!(stays || notes == 0, "a note is left");
}

#[test]
fn the_first_sight_is_noted_as_python_notes_it() {
    let stage = Stage::new();
    popped(&stage, "a", None);
    let before = Timestamp::now().epoch_secs();
    check(&stage, None, &["queue:q:intermediate"]);
    let noted: f64 = stage.ask("GET queue:q:intermediate:first_seen:a");
    assert!((noted - before as f64).abs() < 5.0, "{noted}");
    assert_about("the ttl of the note", stage.ask("TTL queue:q:intermediate:first_seen:a"), 86400);
    check(&stage, None, &["queue:q:intermediate"]);
    assert_eq!(stage.ask::<f64>("GET queue:q:intermediate:first_seen:a"), noted);
}

#[test]
fn a_minute_later_it_is_next_again() {
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.enqueue(&["other"]);
    stage.run("HSET job:a ttl 100");
    check(&stage, Some(PickedUp::Queued), &["queue:q"]);
    assert_eq!(stage.waiting(QUEUE), ["a", "other"]);
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
    assert_about("the ttl of the job", stage.ask("TTL job:a"), 100);
}

#[test]
fn a_live_worker_is_left_alone() {
    let stays: &[&str] = &["queue:q:intermediate"];
    let stage = Stage::new();
    popped(&stage, "a", Some(55));
    check(&stage, None, stays);
    // In rq:wip, whether or not the job still knows its execution; also under the bare id, as RQ 1 has it.
    for (execution, known) in [("a:x", true), ("a:x", false), ("a", false)] {
        let stage = Stage::new();
        popped(&stage, "a", Some(500));
        stage.run(&format!("ZADD wip:q 1 {execution} 2 b:y 3 aa:z"));
        if known {
            stage.run("ZADD executions:a 9999999999 x");
        }
        assert_eq!(found(&stage), []);
        assert!(stage.books("a").contains(&stays[0].to_owned()), "{execution}");
    }
}

/// Ids may hold what Redis takes for a pattern.
#[test]
fn the_execution_of_another_job_is_none() {
    for (id, other) in [("a*", "ab:x"), ("a?", "ab:x"), ("[ab]", "a:x"), ("\\a", "a:x")] {
        let stage = Stage::new();
        popped(&stage, id, Some(61));
        stage.run(&format!("ZADD wip:q 1 {other}"));
        assert_eq!(found(&stage), [(id.to_owned(), PickedUp::Queued)], "{id}");
        let stage = Stage::new();
        popped(&stage, id, Some(61));
        stage.run(&format!("ZADD wip:q 1 {id}:x"));
        assert_eq!(found(&stage), [], "{id}");
    }
}

/// Python never deletes its notes: this one is from before the job was queued once more, and popped just now.
#[test]
fn a_note_from_an_earlier_stay_is_made_anew() {
    let stage = Stage::new();
    popped(&stage, "a", Some(3600));
    let queued_at = Timestamp::now().before(std::time::Duration::from_secs(1800));
    stage.run(&format!("HSET job:a enqueued_at {queued_at}"));
    check(&stage, None, &["queue:q:intermediate"]);
    let noted: f64 = stage.ask("GET queue:q:intermediate:first_seen:a");
    assert!(noted > (Timestamp::now().epoch_secs() - 10) as f64, "{noted}");
    // A clock that is ahead tells nothing, and an enqueued_at that is no time neither.
    for enqueued_at in ["2999-01-01T00:00:00.000000Z", "soon", ""] {
        let stage = Stage::new();
        popped(&stage, "a", Some(61));
        stage.scratch.query::<()>("HSET", [&stage.keys.job("a"), "enqueued_at", enqueued_at]);
        check(&stage, Some(PickedUp::Queued), &["queue:q"]);
    }
}

#[test]
fn notes_that_are_none_are_made_anew() {
    for bad in ["SET queue:q:intermediate:first_seen:a soon", "RPUSH queue:q:intermediate:first_seen:a 1"] {
        let stage = Stage::new();
        popped(&stage, "a", None);
        stage.run(bad);
        check(&stage, None, &["queue:q:intermediate"]);
        assert!(stage.ask::<f64>("GET queue:q:intermediate:first_seen:a") > 1e9, "{bad}");
    }
}

/// One may lie there since a crash, and the other have been popped just now.
#[test]
fn of_several_copies_one_stays_and_is_seen_anew() {
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("RPUSH queue:q:intermediate b a a");
    stage.run("HSET job:b data x");
    stage.take(&step(&stage));
    assert_eq!(stage.books("a"), ["queue:q:intermediate"]);
    note(&stage, "a", 61);
    check(&stage, Some(PickedUp::Queued), &["queue:q"]);
}

#[test]
fn a_job_that_another_book_has_is_forgotten_here() {
    for (status, book, command) in [
        ("queued", "queue:q", "RPUSH queue:q b a c"),
        ("finished", "finished:q", "ZADD finished:q 9999999999 a"),
        ("failed", "failed:q", "ZADD failed:q -1 a"),
        ("stopped", "failed:q", "ZADD failed:q -1 a"),
        ("canceled", "canceled:q", "ZADD canceled:q 1 a"),
        ("scheduled", "scheduled:q", "ZADD scheduled:q 1 a"),
        ("deferred", "deferred:q", "ZADD deferred:q 1 a"),
        ("rate_limited", "rl:k:rate_limited", "ZADD rl:k:rate_limited 1 a"),
    ] {
        let stage = Stage::new();
        popped(&stage, "a", Some(61));
        stage.run(&format!("HSET job:a status {status} rate_limit_key k rate_limit_concurrency 1"));
        stage.run(command);
        check(&stage, Some(PickedUp::Left), &[book]);
        assert_eq!(stage.field("a", "status").as_deref(), Some(status));
    }
    // An end that no registry has any more does not run again.
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("HSET job:a status finished");
    check(&stage, Some(PickedUp::Left), &[]);
}

/// It may have begun: what silent executions end as is decided in one place, which finds this one in `rq:wip`.
#[test]
fn a_started_job_that_nobody_runs_becomes_a_silent_execution() {
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("HSET job:a status started");
    check(&stage, Some(PickedUp::Started), &["wip:q"]);
    let silent = stage.take(&rq_core::steps::silent::wip_over(&stage.keys, QUEUE));
    assert_eq!(silent.iter().map(|silent| silent.id.job_id()).collect::<Vec<_>>(), ["a"]);
    // Nowhere to put it: it stays.
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("HSET job:a status started");
    stage.run("SET wip:q mine");
    check(&stage, None, &["queue:q:intermediate"]);
}

#[test]
fn ids_without_a_job_go_at_once() {
    let stage = Stage::new();
    stage.run("RPUSH queue:q:intermediate gone ghost string");
    stage.run("HSET job:ghost status queued");
    stage.run("SET job:string x");
    stage.scratch.query::<()>("RPUSH", [stage.keys.intermediate(QUEUE).into_bytes(), b"\xff".to_vec()]);
    let ids: Vec<String> = found(&stage).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["gone", "ghost", "string", "\u{fffd}"]);
    assert_eq!(stage.ask::<usize>("EXISTS queue:q:intermediate"), 0);
}

/// The jobs of a queue that is called `q:intermediate` are its own.
#[test]
fn a_queue_of_that_name_is_left_alone() {
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("HSET job:a origin q:intermediate");
    check(&stage, None, &["queue:q:intermediate"]);
}

#[test]
fn a_job_goes_back_to_the_queue_it_belongs_to() {
    let stage = Stage::new();
    popped(&stage, "a", Some(61));
    stage.run("HSET job:a origin other");
    check(&stage, Some(PickedUp::Queued), &["queue:other"]);
}

#[test]
fn a_long_list_is_taken_page_by_page() {
    const STUCK: usize = 7;
    let stage = Stage::new();
    for number in 0..250 {
        popped(&stage, &format!("j{number}"), (number % 40 == 0).then_some(61));
    }
    let (mut queued, mut pages, mut next) = (Vec::new(), 0, Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&pick_up(&stage.keys, QUEUE, &at));
        assert!(page.found.len() <= 1, "{page:?}");
        queued.extend(page.found);
        (pages, next) = (pages + 1, page.next);
    }
    assert!(queued.len() == STUCK && pages <= 12, "{queued:?} in {pages} pages");
    assert_eq!(stage.ask::<usize>("LLEN queue:q:intermediate"), 250 - STUCK);
    let notes = (0..250)
        .filter(|number| stage.ask::<bool>(&format!("EXISTS queue:q:intermediate:first_seen:j{number}")));
    assert_eq!(notes.count(), 250 - STUCK);
}
