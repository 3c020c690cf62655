//! `expire`: what is over leaves its registry; what is kept stays.

use rq_core::Timestamp;
use rq_core::steps::maintenance::{EXPIRED_MAX, Page, expire};

use super::Stage;

#[test]
fn only_what_is_over_goes() {
    let stage = Stage::new();
    let later = Timestamp::now().epoch_secs() + 100;
    stage.run(&format!("ZADD finished:q 0 a 1 b 1 c {later} later +inf forever -1 negative"));
    let (first, second) = stage.twice(&expire(&stage.keys.finished("q")));
    assert_eq!((first, second), (Page { found: 3, next: None }, Page { found: 0, next: None }));
    assert_eq!(stage.ask::<Vec<String>>("ZRANGE finished:q 0 -1"), ["negative", "later", "forever"]);
}

#[test]
fn one_call_is_bounded() {
    let stage = Stage::new();
    let members: String = (0..EXPIRED_MAX + 500).map(|number| format!(" {number} j{number}")).collect();
    stage.run(&format!("ZADD failed:q{members}"));
    let step = expire(&stage.keys.failed("q"));
    let page = stage.take(&step);
    assert!(page.found == EXPIRED_MAX && page.next.is_some(), "{page:?}");
    assert_eq!(stage.take(&step), Page { found: 500, next: None });
    assert_eq!(stage.ask::<usize>("EXISTS failed:q"), 0);
}

#[test]
fn a_registry_of_another_type_is_refused() {
    let stage = Stage::new();
    stage.run("SET failed:q mine");
    let error = stage.refuse(&expire(&stage.keys.failed("q")));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}
