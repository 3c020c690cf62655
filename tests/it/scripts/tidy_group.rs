//! `tidy_group`: ids without a job leave their group, and an empty group goes.

use rq_core::steps::group::tidy;
use rq_core::steps::job::Cursor;
use rq_core::steps::maintenance::{Page, groups};

use super::Stage;

#[test]
fn ids_without_a_job_leave_the_group() {
    let stage = Stage::new();
    stage.run("SADD groups g");
    stage.run("SADD group:g a gone ghost string");
    stage.run("HSET job:a data x");
    stage.run("HSET job:ghost status queued");
    stage.run("SET job:string x");
    stage.scratch.query::<()>("SADD", [stage.keys.group("g").into_bytes(), b"\xff".to_vec()]);
    let (first, second) = stage.twice(&tidy(&stage.keys, b"g", &Cursor::default()));
    assert_eq!((first, second), (Page { found: 4, next: None }, Page { found: 0, next: None }));
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS group:g"), ["a"]);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS groups"), ["g"]);
}

#[test]
fn empty_groups_go() {
    let stage = Stage::new();
    stage.run("SADD groups empty over bad kept");
    stage.run("SADD group:over gone");
    stage.run("SADD group:kept a");
    stage.run("HSET job:a data x");
    stage.run("SET group:bad x");
    let names = stage.take(&groups(&stage.keys, &Cursor::default()));
    assert_eq!((names.found.len(), names.next), (4, None));
    for name in ["empty", "over", "kept"] {
        stage.twice(&tidy(&stage.keys, name.as_bytes(), &Cursor::default()));
    }
    let error = stage.refuse(&tidy(&stage.keys, b"bad", &Cursor::default()));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    let mut left: Vec<String> = stage.ask("SMEMBERS groups");
    left.sort();
    assert_eq!(left, ["bad", "kept"]);
}

#[test]
fn a_large_group_is_taken_page_by_page() {
    let stage = Stage::new();
    let ids: String = (0..3000).map(|number| format!(" j{number}")).collect();
    stage.run("SADD groups g");
    stage.run(&format!("SADD group:g{ids}"));
    let (mut gone, mut pages, mut next) = (0, 0, Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&tidy(&stage.keys, b"g", &at));
        assert!(page.found <= 600, "{page:?}");
        (gone, pages, next) = (gone + page.found, pages + 1, page.next);
    }
    assert!(gone == 3000 && pages > 5, "{gone} in {pages} pages");
    assert!(stage.scratch.dump().is_empty());
}
