//! `save_meta`: the meta of running jobs, stored while they are ours.

use rq_core::steps::claim::save_meta;

use super::Stage;

#[test]
fn meta_is_stored_while_the_execution_is_ours() {
    let stage = Stage::new();
    let (_, claimed) = stage.worker_with(&["a", "lost", "deleted", "b"]);
    stage.run("HSET job:lost meta old");
    stage.run(&format!("ZREM wip:q {}", claimed[1].id));
    stage.run("HSET job:lost status canceled");
    stage.run("DEL job:deleted");
    let metas: Vec<_> = claimed.into_iter().map(|claimed| (claimed, b"{\"k\": 1}".to_vec())).collect();
    assert_eq!(stage.take_twice(&save_meta(&stage.keys, "w", &metas)), [true, false, false, true]);
    assert_eq!(stage.field("a", "meta").as_deref(), Some("{\"k\": 1}"));
    assert_eq!(stage.field("lost", "meta").as_deref(), Some("old"));
    assert_eq!(stage.ask::<usize>("EXISTS job:deleted"), 0);
    assert_eq!(stage.field("b", "meta").as_deref(), Some("{\"k\": 1}"));
}
