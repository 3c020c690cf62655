//! `prune`: ids without a job leave registries that nothing else cleans.

use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Page, prune};

use super::Stage;

#[test]
fn ids_without_a_job_go() {
    let stage = Stage::new();
    stage.run("HSET job:a data x");
    stage.run("HSET job:ghost status scheduled");
    stage.run("SET job:string x");
    stage.run("ZADD scheduled:q 1 a 2 gone 3 ghost 4 string");
    stage
        .scratch
        .query::<()>("ZADD", [stage.keys.scheduled("q").into_bytes(), b"5".to_vec(), b"\xff".to_vec()]);
    let step = prune(&stage.keys, &stage.keys.scheduled("q"), &Cursor::default());
    // Python before 3.0 writes the job after that: an id without one is given until the next round.
    assert_eq!(stage.take(&step), Page { found: 1, next: None });
    stage.run("HSET job:gone data x");
    let (second, third) = stage.twice(&step);
    assert_eq!((second, third), (Page { found: 2, next: None }, Page { found: 0, next: None }));
    let left: Vec<String> = stage.ask("ZRANGE scheduled:q 0 -1 WITHSCORES");
    assert_eq!(left, ["a", "1", "gone", "2.5"]);
}

#[test]
fn a_long_registry_is_taken_page_by_page() {
    const GONE: usize = 5000;
    let stage = Stage::new();
    stage.run("HSET job:a data x");
    let members: String = (0..GONE).map(|number| format!(" {number} j{number}")).collect();
    stage.run(&format!("ZADD canceled:q 1 a{members}"));
    let (mut gone, mut pages, mut next) = (0, 0, Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&prune(&stage.keys, &stage.keys.canceled("q"), &at));
        assert!(page.found <= 250, "{page:?}");
        (gone, pages, next) = (gone + page.found, pages + 1, page.next);
    }
    assert!(gone == GONE && pages >= 20, "{gone} in {pages} pages");
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE canceled:q 0 -1"), ["a"]);
}
