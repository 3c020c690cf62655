//! Several schedulers, and workers that have a cron: ticks, outages, missed and overlapping ones.

use std::time::Duration;

use rq_tests::{Child, PrivateRedis, Scratch, Signal, eventually};

use super::process::{end, folder, spawn};
use crate::rq_test::{Books, LIMIT, RqTest};

/// An entry that is due each second, with more lines.
fn each_second(more: &str) -> String {
    format!(
        "[[cron]]\nname = \"tick\"\nfunction = \"test.none\"\nat = \"* * * * * *\"\nzone = \"UTC\"\n{more}\n"
    )
}

/// When the jobs were due that were enqueued, in the order of their queue.
fn dues(scratch: &Scratch) -> Vec<String> {
    let due = |id: &String| scratch.hash(&format!("job:{id}"))["cron_due"].clone();
    scratch.waiting("default").iter().map(due).collect()
}

#[track_caller]
fn wait_for(scratch: &Scratch, jobs: usize) {
    eventually("the ticks to be fired", LIMIT, || (scratch.waiting("default").len() >= jobs).then_some(()));
}

/// The whole seconds of such times, which must rise.
#[track_caller]
fn seconds(dues: &[String]) -> Vec<i64> {
    let seconds: Vec<i64> =
        dues.iter().map(|due| rq_core::Timestamp::parse(due).unwrap().epoch_secs()).collect();
    assert!(seconds.is_sorted_by(|a, b| a < b), "{dues:?}");
    seconds
}

#[test]
fn a_tick_of_many_schedulers_is_fired_once() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", &each_second(""));
    let path = folder.path().join("rq.toml");
    let with_cron = format!("--with-cron={}", path.display());
    let ours = RqTest::new(&scratch);
    let crons = [spawn(&scratch, &folder, &[]), spawn(&scratch, &folder, &[])];
    // Workers of another queue, so that what is enqueued can be counted.
    let workers: Vec<Child> = ["fork", "thread", "green"]
        .map(|executor| ours.worker(&["-w", executor, &with_cron, "other"]))
        .into();
    wait_for(&scratch, 5);
    assert_eq!(scratch.count("cron_schedulers"), 5);
    for mut program in crons.into_iter().chain(workers) {
        program.signal(Signal::SIGTERM);
        assert!(program.wait(LIMIT).success(), "{}", program.report());
    }
    let seconds = seconds(&dues(&scratch));
    assert_eq!(seconds.last().unwrap() - seconds[0] + 1, seconds.len() as i64, "{seconds:?}");
    assert_eq!(scratch.count("cron_schedulers"), 0);
}

#[test]
fn what_was_due_while_nobody_ran_is_made_up_for_as_the_entry_says() {
    // How many seconds are left out: where the missed ones are dropped, that is one gap.
    for (catch_up, gaps) in [("all", 0), ("latest", 1)] {
        let scratch = Scratch::new();
        let folder = folder("rq.toml", &each_second(&format!("catch_up = \"{catch_up}\"")));
        let cron = spawn(&scratch, &folder, &[]);
        wait_for(&scratch, 2);
        cron.signal(Signal::SIGSTOP);
        std::thread::sleep(Duration::from_secs(5));
        let before = dues(&scratch).len();
        cron.signal(Signal::SIGCONT);
        wait_for(&scratch, before + 2);
        let said = end(cron, Signal::SIGTERM);
        let seconds = seconds(&dues(&scratch));
        let left_out = seconds.windows(2).filter(|pair| pair[1] - pair[0] > 1).count();
        assert_eq!(left_out, gaps, "{catch_up}: {seconds:?}");
        assert_eq!(said.contains("not made up for"), gaps > 0, "{said}");
        assert!(catch_up == "latest" || said.contains("s late: entry tick was due at"), "{said}");
    }
}

#[test]
fn a_tick_is_dropped_while_the_job_before_has_not_ended() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", &each_second("overlap = \"skip\""));
    let cron = spawn(&scratch, &folder, &[]);
    cron.wait_for_line("has not ended, so nothing is enqueued for", LIMIT);
    assert_eq!(scratch.waiting("default").len(), 1);
    let is_dropped = || (dropped(&scratch) >= 3).then_some(());
    eventually("ticks to be dropped", LIMIT, is_dropped);
    RqTest::new(&scratch).drain(&[]);
    wait_for(&scratch, 1);
    cron.wait_for_line("Cron entry tick: its job has ended; ", LIMIT);
    let said = end(cron, Signal::SIGTERM);
    assert!(said.find("has not ended") < said.find("its job has ended"), "{said}");
}

/// Both schedulers' records say when the entry is due, whichever of them fires.
#[test]
fn who_does_not_fire_learns_what_is_decided() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", &each_second(""));
    let crons = [spawn(&scratch, &folder, &[]), spawn(&scratch, &folder, &[])];
    wait_for(&scratch, 4);
    eventually("both records to be up to date", LIMIT, || {
        let last = dues(&scratch).pop()?;
        let keys = scratch.dump().into_keys();
        let records: Vec<String> = keys
            .filter_map(|key| {
                key.strip_prefix("rq:").filter(|key| key.starts_with("cron_scheduler:")).map(str::to_owned)
            })
            .map(|key| scratch.hash(&key)["cron_jobs"].clone())
            .collect();
        (records.len() == 2 && records.iter().all(|record| record.contains(&last))).then_some(())
    });
    let listed: serde_json::Value =
        serde_json::from_str(&RqTest::new(&scratch).run(&["cron", "list", "--json"])).unwrap();
    let next = listed["entries"][0]["next"].as_str().unwrap().to_owned();
    assert!(next > dues(&scratch)[3], "{listed}");
    for cron in crons {
        end(cron, Signal::SIGTERM);
    }
}

#[test]
fn a_paused_entry_makes_up_for_nothing() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let folder = folder("rq.toml", &each_second("catch_up = \"all\""));
    let cron = spawn(&scratch, &folder, &[]);
    wait_for(&scratch, 1);
    ours.run(&["cron", "pause", "tick"]);
    let paused = cron.wait_for_line("paused, so nothing is enqueued for", LIMIT);
    let before = dues(&scratch).len();
    // Told of once, though each second has a tick.
    let is_dropped = || (dropped(&scratch) >= 3).then_some(());
    eventually("ticks to be dropped", LIMIT, is_dropped);
    ours.run(&["cron", "resume", "tick"]);
    wait_for(&scratch, before + 1);
    let said = end(cron, Signal::SIGTERM);
    let seconds = seconds(&dues(&scratch));
    assert!(seconds.windows(2).any(|pair| pair[1] - pair[0] > 1), "{paused}: {seconds:?}");
    assert_eq!(said.matches("paused, so nothing is enqueued for").count(), 1, "{said}");
    assert!(said.contains("Cron entry tick: resumed; "), "{said}");
}

fn dropped(scratch: &Scratch) -> u64 {
    scratch.hash("cron_entry:tick").get("dropped").and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// A tick that was about to be sent when Redis went is planned anew, as newer ones are due by then.
#[test]
fn after_an_outage_the_newest_tick_alone_is_made_up_for() {
    let mut redis = PrivateRedis::lasting(&[]);
    let scratch = Scratch::on(&redis.url());
    let folder = folder("rq.toml", &each_second(""));
    let cron = spawn(&scratch, &folder, &[]);
    wait_for(&scratch, 2);
    redis.kill();
    cron.wait_for_line("Redis takes nothing", LIMIT);
    std::thread::sleep(Duration::from_secs(6));
    redis.restart();
    cron.wait_for_line("Redis is back", LIMIT);
    cron.wait_for_line("are not made up for", LIMIT);
    let report = cron.report();
    let said = end(cron, Signal::SIGTERM);
    // The tick that was under way as Redis went would be as late as the outage was long.
    let late =
        said.lines().filter_map(|line| line.split_once(" s late: ")?.0.rsplit_once(' ')?.1.parse().ok());
    assert!(late.into_iter().all(|late_s: f64| late_s < 5.0), "{said}");
    let seconds = seconds(&dues(&scratch));
    let gaps: Vec<i64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 1).collect();
    assert!(!gaps.is_empty() && gaps[0] >= 5, "{seconds:?} {said}");
    assert_eq!(report.matches("Redis takes nothing").count(), 1, "{report}");
}

#[test]
fn an_outage_of_redis_is_waited_out() {
    let mut redis = PrivateRedis::lasting(&[]);
    let scratch = Scratch::on(&redis.url());
    let folder = folder("rq.toml", &each_second("catch_up = \"all\""));
    let cron = spawn(&scratch, &folder, &[]);
    wait_for(&scratch, 2);
    redis.kill();
    cron.wait_for_line("Redis takes nothing", LIMIT);
    std::thread::sleep(Duration::from_secs(2));
    redis.restart();
    cron.wait_for_line("Redis is back", LIMIT);
    eventually("Redis to have read its data", LIMIT, || {
        redis::cmd("PING").exec(&mut redis.connection()).ok()
    });
    let before = scratch.waiting("default").len();
    wait_for(&scratch, before + 1);
    end(cron, Signal::SIGTERM);
    let seconds = seconds(&dues(&scratch));
    assert_eq!(seconds.last().unwrap() - seconds[0] + 1, seconds.len() as i64, "{seconds:?}");
}

#[test]
fn a_worker_that_stops_fires_no_more() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", &each_second(""));
    let with_cron = format!("--with-cron={}", folder.path().join("rq.toml").display());
    let ours = RqTest::new(&scratch);
    scratch.queue("other").enqueue(rq_core::Call::<()>::to("test.sleep").arg(4000)).unwrap();
    let mut worker = ours.worker(&["-w", "thread", &with_cron, "other"]);
    wait_for(&scratch, 1);
    worker.wait_for_line("other: test.sleep", LIMIT);
    worker.signal(Signal::SIGTERM);
    worker.wait_for_line("shutdown complete", LIMIT);
    let fired = scratch.waiting("default").len();
    assert!(worker.wait(LIMIT).success());
    assert_eq!(scratch.waiting("default").len(), fired);
    let (code, _, said) = ours.outcome(&["worker", "--burst", &with_cron]);
    assert_eq!(code, Some(2), "{said}");
}

/// An entry whose queue this user may not write to holds up no other one; and what is garbage in one ends nobody.
#[test]
fn an_entry_that_is_refused_holds_no_other_up() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let queue = scratch.key("queue:closed");
    scratch.query::<()>(
        "ACL",
        [
            "SETUSER",
            "default",
            "on",
            "nopass",
            "resetkeys",
            "%R~*",
            &format!("~{}", scratch.key("[^q]*")),
            &format!("~{}", scratch.key("queues")),
            &format!("~{}", scratch.key("queue:default")),
        ],
    );
    scratch.query::<usize>(
        "HSET",
        [
            scratch.key("cron_entry:tick"),
            "decided".into(),
            "garbage".into(),
            "schedule".into(),
            "at * * * * * * (UTC)".into(),
        ],
    );
    let closed = each_second("queue = \"closed\"").replace("\"tick\"", "\"closed\"");
    let folder = folder("rq.toml", &format!("{closed}{}", each_second("")));
    let cron = spawn(&scratch, &folder, &[]);
    wait_for(&scratch, 4);
    cron.wait_for_line("Cron entry closed: nothing is enqueued", LIMIT);
    let said = cron.report();
    end(cron, Signal::SIGTERM);
    assert_eq!(said.matches("Cron entry closed: nothing is enqueued").count(), 1, "{said}");
    assert!(!said.contains("Redis takes nothing"), "{said}");
    assert_eq!(scratch.query::<usize>("LLEN", [queue]), 0);
}
