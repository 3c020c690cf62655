//! `settle`: executions ended, each with one outcome, exactly once.

use std::time::Duration;

use rq_core::steps::Claimed;
use rq_core::steps::job::latest;
use rq_core::steps::settlement::{SettleReply, Settlement, settle};
use rq_core::{Conclusion, JobResult, NextPlace, ResultKind, Settled, Timestamp, Ttl};

use super::{QUEUE, Stage, assert_about, failed, finished, settlement};

const YEAR_S: i64 = 31_536_000;

/// The one entry of a job's results stream.
#[track_caller]
fn result(stage: &Stage, id: &str) -> JobResult {
    assert_eq!(stage.ask::<usize>(&format!("XLEN results:{id}")), 1, "results of {id}");
    stage.take(&latest(&stage.keys, id)).result.expect("there is one").1
}

/// Seconds from now until a registry entry expires, infinite for never.
fn seconds_listed(stage: &Stage, registry: &str, id: &str) -> Option<f64> {
    let score: Option<f64> = stage.ask(&format!("ZSCORE {registry} {id}"));
    score.map(|score| if score > 0.0 { score - Timestamp::now().epoch_secs() as f64 } else { score })
}

#[test]
fn a_value_ends_a_job_once() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    let mut end = finished(&claimed[0]);
    end.meta = Some(b"{}".to_vec());
    let step = worker.settle_step(&[end.clone()]);
    assert_eq!(stage.take_twice(&step), [SettleReply::Done], "a settle sent again is done as well");

    assert_eq!(stage.books("a"), ["finished:q"]);
    assert_about("the registry", seconds_listed(&stage, "finished:q", "a").unwrap() as i64, 500);
    for key in ["job:a", "results:a"] {
        assert_about(key, stage.ask(&format!("TTL {key}")), 500);
    }
    let (started_at, ended_at) = (end.ended_at.before(end.ran), end.ended_at);
    for (field, value) in [
        ("status", "finished".to_owned()),
        ("started_at", started_at.to_string()),
        ("ended_at", ended_at.to_string()),
        ("last_heartbeat", ended_at.to_string()),
        ("worker_name", "w".to_owned()),
        ("meta", "{}".to_owned()),
    ] {
        assert_eq!(stage.field("a", field), Some(value), "{field}");
    }
    let mut expected = JobResult::new(ResultKind::Successful);
    expected.worker_name = Some("w".to_owned());
    expected.return_value = Some(b"5".to_vec());
    expected.execution_id = Some(claimed[0].id.x().to_owned());
    expected.execution_started_at = Some(end.claimed_at);
    expected.execution_ended_at = Some(ended_at);
    assert_eq!(result(&stage, "a"), expected);
    assert_eq!((worker.count("successful_job_count"), worker.count("failed_job_count")), (Some(1), None));
    assert_eq!(stage.ask::<f64>("HGET worker:w total_working_time"), end.ran.as_secs_f64());
    nothing_of_the_executions_is_left(&stage, &claimed);
}

#[test]
fn a_failure_ends_a_job_once() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("HSET job:a meta kept");
    assert_eq!(stage.take_twice(&worker.settle_step(&[failed(&claimed[0])])), [SettleReply::Done]);
    assert_eq!(stage.books("a"), ["failed:q"]);
    assert_about("the registry", seconds_listed(&stage, "failed:q", "a").unwrap() as i64, YEAR_S);
    for key in ["job:a", "results:a"] {
        assert_about(key, stage.ask(&format!("TTL {key}")), YEAR_S);
    }
    assert_eq!(stage.field("a", "status").as_deref(), Some("failed"));
    assert_eq!(stage.field("a", "meta").as_deref(), Some("kept"));
    let result = result(&stage, "a");
    assert_eq!((result.kind, result.failure_text.as_deref()), (ResultKind::Failed, Some("Error: boom")));
    assert_eq!((worker.count("successful_job_count"), worker.count("failed_job_count")), (None, Some(1)));
    nothing_of_the_executions_is_left(&stage, &claimed);
}

#[test]
fn no_value_is_an_entry_without_one() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    worker.settle(&[settlement(&claimed[0], Settled::Finished(None), Ttl::RESULT_DEFAULT)]);
    let result = result(&stage, "a");
    assert_eq!((result.kind, result.return_value), (ResultKind::Successful, None));
}

/// How long each outcome is kept: the ttl, the registry's score (seconds from now), the TTL of the keys.
#[test]
fn what_is_kept_for_how_long() {
    let value = || Settled::Finished(Some(b"5".to_vec()));
    let failure = || Settled::Failed("Error: boom".to_owned());
    let check = |settled: Settled, ttl: Ttl, registry: &str, score: f64, keys_ttl_s: i64| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        // A child that another job holds back stays behind this one too.
        stage.run("HSET job:child data d status deferred origin q");
        stage.run("SADD job::child:dependencies a other");
        stage.run("HSET job:other data d status queued origin q");
        stage.run("SADD job:a:dependents child");
        stage.run("SADD job::a:dependencies parent");
        stage.take_twice(&worker.settle_step(&[settlement(&claimed[0], settled, ttl)]));
        let listed = seconds_listed(&stage, registry, "a").expect("it is in the registry");
        assert!(listed == score || (listed - score).abs() <= 3.0, "{registry}: {listed}, not {score}");
        for key in ["job:a", "results:a", "job:a:dependents", "job::a:dependencies"] {
            assert_about(key, stage.ask(&format!("TTL {key}")), keys_ttl_s);
        }
    };
    check(value(), Ttl::Seconds(7000), "finished:q", 7000.0, 7000);
    check(value(), Ttl::Forever, "finished:q", f64::INFINITY, -1);
    check(failure(), Ttl::Seconds(7000), "failed:q", 7000.0, 7000);
    // Python's own asymmetry (docs/wire.md §5).
    check(failure(), Ttl::Forever, "failed:q", -1.0, -1);
}

#[test]
fn what_is_not_kept_is_deleted() {
    for settled in [Settled::Finished(Some(b"5".to_vec())), Settled::Failed("Error: boom".to_owned())] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        stage.run("HSET job:a group_id g");
        stage.run("SADD group:g a b");
        stage.run("SADD job:a:dependents child");
        stage.run("SADD job::a:dependencies parent");
        worker.begin(&claimed);
        let (first, second) =
            stage.twice(&worker.settle_step(&[settlement(&claimed[0], settled, Ttl::Seconds(0))]));
        assert_eq!((first, second), (vec![SettleReply::Done], vec![SettleReply::Lost]));
        let expected = ["claims:w", "group:g", "queues", "worker:w", "workers", "workers:q"];
        assert!(stage.key_names().iter().eq(expected), "{:?}", stage.key_names());
        assert_eq!(stage.ask::<Vec<String>>("SMEMBERS group:g"), ["b"]);
        let counted = worker.count("successful_job_count").or(worker.count("failed_job_count"));
        assert_eq!(counted, Some(1));
    }
}

/// Somebody else decided meanwhile: canceled, declared abandoned, or run elsewhere.
#[test]
fn an_execution_that_is_lost_changes_nothing() {
    let check = |happens: &[&str], books: &[&str]| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        stage.run(&format!("ZREM wip:q {}", claimed[0].id));
        happens.iter().for_each(|command| stage.run(command));
        let hash = stage.ask::<Vec<Vec<u8>>>("HGETALL job:a");
        assert_eq!(stage.take_twice(&worker.settle_step(&[finished(&claimed[0])])), [SettleReply::Lost]);
        assert_eq!(stage.books("a"), books, "{happens:?}");
        assert_eq!(stage.ask::<Vec<Vec<u8>>>("HGETALL job:a"), hash, "{happens:?}");
        assert_eq!(stage.ask::<usize>("EXISTS results:a"), 0);
        assert_eq!(worker.count("successful_job_count"), None);
        assert_eq!(
            stage.ask::<usize>(&format!("EXISTS execution:{}", claimed[0].id)),
            0,
            "ours is tidied up"
        );
        assert_eq!(stage.ask::<usize>("EXISTS worker:w:executions"), 0);
    };
    check(&["HSET job:a status canceled", "ZADD canceled:q 1 a"], &["canceled:q"]);
    check(&["HSET job:a status failed", "ZADD failed:q 1 a"], &["failed:q"]);
    check(&["HSET job:a status queued", "RPUSH queue:q a"], &["queue:q"]);
    let elsewhere = ["ZADD wip:q 9 a:other", "ZADD executions:a 9 other", "HSET job:a execution other"];
    check(&elsewhere, &["wip:q"]);
}

/// A job that ran again since keeps what the later run wrote.
#[test]
fn an_earlier_executions_settle_does_not_touch_the_next_run() {
    let stage = Stage::new();
    let (worker, first) = stage.worker_with(&["a"]);
    stage.run(&format!("ZREM wip:q {}", first[0].id));
    stage.run("HSET job:a status queued");
    stage.run("RPUSH queue:q a");
    let second = worker.claim(1);
    worker.settle(&[failed(&second[0])]);
    assert_eq!(stage.take_twice(&worker.settle_step(&[finished(&first[0])])), [SettleReply::Lost]);
    assert_eq!(stage.books("a"), ["failed:q"]);
    assert_eq!(result(&stage, "a").execution_id.as_deref(), Some(second[0].id.x()));
}

#[test]
fn a_job_deleted_meanwhile_gets_no_new_hash() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL job:a");
    let (first, second) = stage.twice(&worker.settle_step(&[finished(&claimed[0])]));
    assert_eq!((first, second), (vec![SettleReply::Deleted], vec![SettleReply::Lost]));
    assert_eq!(stage.books("a"), [""; 0]);
    assert_eq!(stage.ask::<usize>("EXISTS job:a"), 0);
    assert_eq!(stage.ask::<usize>("EXISTS results:a"), 0);
    assert_eq!(worker.count("successful_job_count"), None);
    nothing_of_the_executions_is_left(&stage, &claimed);
}

/// Python's cleanup may have filed a job that runs (docs/wire.md §22-7).
#[test]
fn the_opposite_registry_is_cleared() {
    let check = |end: fn(&Claimed) -> Settlement, wrong: &str, right: &str| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        stage.run(&format!("ZADD {wrong} 1 a"));
        worker.settle(&[end(&claimed[0])]);
        assert_eq!(stage.books("a"), [right]);
    };
    check(finished, "failed:q", "finished:q");
    check(failed, "finished:q", "failed:q");
}

#[test]
fn a_batch_is_settled_one_by_one() {
    const RAN: Duration = Duration::from_secs(2);
    let ids: Vec<String> = (0..16).map(|number| format!("j{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&ids);
    stage.run(&format!("ZREM wip:q {}", claimed[3].id));
    stage.run("HSET job:j03 status canceled");
    stage.run("DEL job:j05");
    stage.run("SET results:j07 mine");
    let ends = claimed.iter().enumerate().map(|(index, claimed)| {
        let end = if index % 2 == 0 { finished(claimed) } else { failed(claimed) };
        Settlement { ran: RAN, ..end }
    });
    let (first, second) = stage.twice(&worker.settle_step(&ends.collect::<Vec<_>>()));
    let expected = |deleted: SettleReply| -> Vec<SettleReply> {
        let outcome = |index: usize| match index {
            3 => SettleReply::Lost,
            5 => deleted,
            _ => SettleReply::Done,
        };
        (0..16).map(outcome).collect()
    };
    assert_eq!((first, second), (expected(SettleReply::Deleted), expected(SettleReply::Lost)));
    assert_eq!((worker.count("successful_job_count"), worker.count("failed_job_count")), (Some(8), Some(6)));
    assert_eq!(stage.ask::<f64>("HGET worker:w total_working_time"), 28.0);
    assert_eq!(stage.ask::<usize>("ZCARD finished:q"), 8);
    assert_eq!(stage.ask::<usize>("ZCARD failed:q"), 6);
    assert_eq!(stage.ask::<String>("GET results:j07"), "mine", "a key of another type harms its job alone");
    nothing_of_the_executions_is_left(&stage, &claimed);
}

#[test]
fn jobs_of_several_queues_go_to_their_registries() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    stage.run("HSET job:b origin other");
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(2);
    worker.settle(&[finished(&claimed[0]), finished(&claimed[1])]);
    assert_eq!(
        (stage.books("a"), stage.books("b")),
        (vec!["finished:q".into()], vec!["finished:other".into()])
    );
}

/// Counters must not bring back a record that has expired.
#[test]
fn a_worker_whose_record_is_gone_gets_no_new_one() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL worker:w");
    worker.settle(&[finished(&claimed[0])]);
    assert_eq!(stage.ask::<usize>("EXISTS worker:w"), 0);
    assert_eq!(stage.books("a"), ["finished:q"]);
}

/// As the inline mode settles, which has no worker.
#[test]
fn an_inline_run_is_nobodys() {
    let stage = Stage::new();
    let (_, claimed) = stage.worker_with(&["a"]);
    stage.run("HSET job:a worker_name sync");
    assert_eq!(stage.take_twice(&settle(&stage.keys, None, &[finished(&claimed[0])])), [SettleReply::Done]);
    assert_eq!(result(&stage, "a").worker_name.as_deref(), Some(""));
    assert_eq!(stage.books("a"), ["finished:q"]);
    assert!(!stage.key_names().iter().any(|name| name.starts_with("worker::")), "{:?}", stage.key_names());
}

#[test]
fn only_the_newest_results_are_kept() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    for _ in 0..300 {
        stage.run("XADD results:a * type 1");
    }
    worker.settle(&[finished(&claimed[0])]);
    let length: usize = stage.ask("XLEN results:a");
    assert!(length <= 110, "{length} entries");
}

#[track_caller]
fn nothing_of_the_executions_is_left(stage: &Stage, claimed: &[Claimed]) {
    let left: Vec<String> = stage.key_names().into_iter().filter(|name| name.contains("execution")).collect();
    assert!(left.is_empty(), "{left:?} of {claimed:?}");
    assert!(!stage.key_names().contains("wip:q"));
}

/// What `settle` does for a job that runs again.
fn again(claimed: &Claimed, settled: Settled, next: NextPlace) -> Settlement {
    let end = settlement(claimed, settled, Ttl::Seconds(7000));
    let changes = vec![("retries_left", "1".to_owned())];
    Settlement { conclusion: Conclusion { next: Some(next), changes, ..end.conclusion.clone() }, ..end }
}

#[test]
fn a_job_that_runs_again_goes_where_it_is_told() {
    let check = |next: NextPlace, book: &str, status: &str| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        stage.run("HSET job:a ttl 100");
        stage.enqueue(&["other"]);
        let end = again(&claimed[0], Settled::Again(Some("Error: boom".to_owned())), next);
        stage.take_twice(&worker.settle_step(&[end]));
        assert_eq!(stage.books("a"), [book]);
        assert_eq!(stage.field("a", "status").as_deref(), Some(status));
        assert_eq!(stage.field("a", "retries_left").as_deref(), Some("1"));
        assert_about("the ttl of the job", stage.ask("TTL job:a"), 100);
        assert_about("the ttl of the attempt", stage.ask("TTL results:a"), 7000);
        assert_eq!((worker.count("failed_job_count"), stage.ask::<usize>("XLEN results:a")), (Some(1), 1));
        let result = stage.take(&latest(&stage.keys, "a")).result.unwrap().1;
        assert_eq!((result.kind, result.failure_text.as_deref()), (ResultKind::Retried, Some("Error: boom")));
        if book == "queue:q" {
            let at_head = stage.waiting("q")[0] == "a";
            assert_eq!(at_head, next == NextPlace::Head);
        }
    };
    check(NextPlace::Head, "queue:q", "queued");
    check(NextPlace::Tail, "queue:q", "queued");
    check(NextPlace::At(2_000_000_000), "scheduled:q", "scheduled");
}

#[test]
fn a_repetition_is_an_end_and_a_beginning() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    let end = again(&claimed[0], Settled::Finished(Some(b"5".to_vec())), NextPlace::Tail);
    stage.take_twice(&worker.settle_step(&[end]));
    assert_eq!(stage.books("a"), ["finished:q", "queue:q"]);
    assert_eq!(stage.field("a", "status").as_deref(), Some("queued"));
    assert_eq!(stage.ask::<i64>("TTL job:a"), -1);
    assert_eq!(worker.count("successful_job_count"), Some(1));
    // The next run is claimed all the same, and its failure takes the earlier end away.
    let claimed = worker.claim(1);
    worker.settle(&[failed(&claimed[0])]);
    assert_eq!(stage.books("a"), ["failed:q"]);
}

#[test]
fn each_outcome_has_its_entry() {
    let check = |settled: Settled, kind: ResultKind, status: &str, text: Option<&str>| {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        stage.take_twice(&worker.settle_step(&[settlement(&claimed[0], settled, Ttl::Seconds(7000))]));
        let latest = stage.take(&latest(&stage.keys, "a"));
        let result = latest.result.unwrap().1;
        assert_eq!((result.kind, result.failure_text.as_deref()), (kind, text), "{status}");
        assert_eq!(stage.field("a", "status").as_deref(), Some(status));
        let registry = if status == "finished" { "finished:q" } else { "failed:q" };
        assert_eq!(stage.books("a"), [registry]);
    };
    check(Settled::Finished(None), ResultKind::Successful, "finished", None);
    check(Settled::Failed("boom".into()), ResultKind::Failed, "failed", Some("boom"));
    check(Settled::Stopped("stopped".into()), ResultKind::Failed, "stopped", Some("stopped"));
    check(Settled::Exhausted, ResultKind::MaxRetriesExceeded, "failed", None);
}

/// As a worker without the default exception handler settles.
#[test]
fn an_end_that_is_not_filed_leaves_its_status_and_releases_dependents() {
    for (settled, status, ttl) in [
        (Settled::Failed("Error: boom".into()), "failed", Ttl::FAILURE_DEFAULT),
        (Settled::Failed("Error: boom".into()), "failed", Ttl::Seconds(0)),
        (Settled::Stopped("stopped".into()), "stopped", Ttl::FAILURE_DEFAULT),
    ] {
        let stage = Stage::new();
        let (worker, claimed) = stage.worker_with(&["a"]);
        let (started_at, ended_at) = (stage.field("a", "started_at"), stage.field("a", "ended_at"));
        let mut end = settlement(&claimed[0], settled, ttl);
        end.conclusion.filed = false;
        end.meta = Some(b"{}".to_vec());
        assert_eq!(stage.take_twice(&worker.settle_step(&[end])), [SettleReply::Done]);
        assert_eq!(stage.books("a"), Vec::<String>::new());
        assert_eq!(stage.field("a", "status").as_deref(), Some(status));
        assert_eq!(stage.field("a", "meta").as_deref(), Some("{}"), "what it has saved is kept");
        assert_eq!((stage.field("a", "started_at"), stage.field("a", "ended_at")), (started_at, ended_at));
        assert_eq!(stage.ask::<i64>("TTL job:a"), -1);
        assert_eq!(stage.ask::<i64>("EXISTS results:a"), 0);
        assert_eq!(worker.count("failed_job_count"), Some(1));
        nothing_of_the_executions_is_left(&stage, &claimed);
    }
}
