//! `bury`: workers whose record has expired leave the sets of workers.

use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Page, Scope, bury};

use super::{QUEUE, Stage};

#[test]
fn dead_workers_go_with_what_was_theirs() {
    for (scope, set) in [(Scope::AtLarge, "workers"), (Scope::Queue(QUEUE), "workers:q")] {
        let stage = Stage::new();
        stage.worker("alive", &[QUEUE]);
        stage.enqueue(&["a"]);
        let dead = stage.worker("dead", &[QUEUE]);
        dead.claim(1);
        stage.run("DEL worker:dead");
        let (first, second) = stage.twice(&bury(&stage.keys, scope, &Cursor::default()));
        let found = vec![stage.keys.worker("dead")];
        assert_eq!((first, second), (Page { found, next: None }, Page { found: vec![], next: None }));
        assert_eq!(stage.ask::<Vec<String>>(&format!("SMEMBERS {set}")), [stage.keys.worker("alive")]);
        assert_eq!(stage.ask::<usize>("EXISTS worker:dead:executions"), 0);
        assert_eq!(stage.ask::<usize>("EXISTS claims:dead"), 0);
        // What it ran is for others to end.
        assert_eq!((stage.books("a"), stage.ask("ZCARD leases")), (vec!["wip:q".to_owned()], 1));
    }
}

/// Nothing but a worker's own keys is deleted, whatever the set holds.
#[test]
fn members_that_are_no_workers_only_leave_the_set() {
    let stage = Stage::new();
    stage.run("HSET job:a data x");
    stage.run("SET x:executions kept");
    stage.run("SADD workers x $P:x $P:job:a $P:worker:alive");
    stage.run("HSET worker:alive birth now");
    stage.scratch.query::<()>("SADD", [stage.keys.workers().into_bytes(), b"\xff".to_vec()]);
    let page = stage.take(&bury(&stage.keys, Scope::AtLarge, &Cursor::default()));
    assert_eq!(page.found.len(), 4, "{page:?}");
    assert!(stage.key_names().iter().eq(["job:a", "worker:alive", "workers", "x:executions"]));
}

#[test]
fn a_worker_that_had_many_executions_is_buried_by_and_by() {
    let stage = Stage::new();
    let executions: String = (0..1500).map(|number| format!(" j{number}:x")).collect();
    stage.run(&format!("SADD worker:dead:executions{executions}"));
    stage.run("SADD workers $P:worker:dead");
    let step = bury(&stage.keys, Scope::AtLarge, &Cursor::default());
    assert_eq!(stage.take(&step).found, [""; 0]);
    assert_eq!(stage.ask::<usize>("SCARD worker:dead:executions"), 500);
    assert_eq!(stage.take(&step).found, [stage.keys.worker("dead")]);
}

#[test]
fn a_large_set_is_taken_page_by_page() {
    let stage = Stage::new();
    let members: String = (0..3000).map(|number| format!(" $P:worker:w{number}")).collect();
    stage.run(&format!("SADD workers{members}"));
    let (mut pages, mut next) = (0, Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&bury(&stage.keys, Scope::AtLarge, &at));
        assert!(page.found.len() <= 600, "{}", page.found.len());
        (pages, next) = (pages + 1, page.next);
    }
    assert!(pages > 5, "{pages}");
    assert_eq!(stage.ask::<usize>("EXISTS workers"), 0);
}
