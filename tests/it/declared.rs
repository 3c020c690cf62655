//! What all calls of a job share, as its declaration says it: on both fronts, on a real Redis.

use rq_core::{End, Error, Keys, OnCrash, Retry, Status, callback, handlers, job, minutes, secs};
use rq_tests::Scratch;

use crate::queue::on_both_fronts;
use crate::scripts::{QUEUE, Stage};

const LIMIT: std::time::Duration = minutes(2);

#[job(
    "mail.send",
    queue = "low",
    timeout = "30s",
    result_ttl = "1h",
    failure_ttl = "forever",
    ttl = "1d",
    retry = Retry::up_to(3).every(secs(5)),
    description = "a mail",
    at_front = true,
    on_crash = "requeue"
)]
fn send(to: String, queue: u8) -> rq_core::Result<String> {
    Ok(format!("{to} {queue}"))
}

#[job("mail.count", timeout = LIMIT, retry = 2)]
async fn count() -> rq_core::Result<i64> {
    Ok(1)
}

mod contract {
    #[rq_core::job("mail.sort", queue = "low", timeout = -1)]
    pub fn sort(folder: String) -> i64;
}

#[job(contract::sort)]
fn sort(folder: String) -> rq_core::Result<i64> {
    Ok(folder.len() as i64)
}

#[callback("mail.sent")]
fn sent(_end: End) -> rq_core::Result<()> {
    Ok(())
}

#[job("mail.print", on_success = sent, on_failure = self::sent::callback().timeout(secs(5)), on_stopped = sent)]
fn print() -> rq_core::Result<()> {
    Ok(())
}

#[test]
fn a_call_s_own_word_wins() {
    let call = send::call("a".into(), 1);
    assert_eq!(call.queue_name(), Some("low"));
    assert_eq!(call.queue("high").queue_name(), Some("high"));
    assert_eq!(count::call().queue_name(), None);
    assert_eq!(
        sort::call("f".into()).queue_name(),
        Some("low"),
        "an implementation has what its contract says"
    );
    assert_eq!(contract::sort::call("f".into()).queue_name(), Some("low"));
}

on_both_fronts! {
    fn what_is_declared_appears_in_the_record_and_a_call_may_say_otherwise() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).default_timeout(secs(77));
        let (declared, own) = (send::call("a".into(), 1).job_id("declared"), send::call("a".into(), 1).job_id("own"));
        let own = own.timeout(secs(7)).retry(1).at_back().description("mine").on_crash(OnCrash::Fail);
        for call in [declared, own] {
            now!(queue.enqueue(call)).unwrap();
        }
        for (field, declared, own) in [
            ("origin", QUEUE, QUEUE),
            ("timeout", "30", "7"),
            ("result_ttl", "3600", "3600"),
            ("failure_ttl", "-1", "-1"),
            ("ttl", "86400", "86400"),
            ("retries_left", "3", "1"),
            ("retry_intervals", "[5]", "[0]"),
            ("description", "a mail", "mine"),
            ("on_crash", "requeue", "fail"),
        ] {
            assert_eq!(stage.field("declared", field).as_deref(), Some(declared), "{field}");
            assert_eq!(stage.field("own", field).as_deref(), Some(own), "{field}");
        }
        assert_eq!(stage.waiting(QUEUE), ["declared", "own"]);
    }

    fn declared_callbacks_are_those_of_each_call() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(print::delay(&queue)).unwrap();
        for (field, value) in [
            ("on_success", Some("mail.sent")),
            ("on_failure", Some("mail.sent")),
            ("on_stopped", Some("mail.sent")),
            ("on_success_timeout", None),
            ("on_failure_timeout", Some("5")),
        ] {
            assert_eq!(stage.field(job.id(), field).as_deref(), value, "{field}");
        }
    }

    fn delay_goes_where_the_declaration_says_with_the_settings_of_the_queue() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).codec(rq_core::Codec::Json).default_timeout(secs(77));
        let low = now!(send::delay(&queue, "a".into(), 1)).unwrap();
        let here = now!(count::delay(&queue)).unwrap();
        let high = now!(queue.delay(send::call("a".into(), 1).queue("high").no_timeout())).unwrap();
        let there = now!(queue.enqueue(send::call("a".into(), 1))).unwrap();
        let sorted = now!(contract::sort::delay(&queue, "f".into())).unwrap();
        for (job, origin, timeout) in [
            (low.id(), "low", "30"),
            (here.id(), QUEUE, "120"),
            (high.id(), "high", "-1"),
            (there.id(), QUEUE, "30"),
            (sorted.id(), "low", "-1"),
        ] {
            assert_eq!(stage.field(job, "origin").as_deref(), Some(origin));
            assert_eq!(stage.field(job, "timeout").as_deref(), Some(timeout));
            let job = now!(queue.fetch_job(job)).unwrap().unwrap();
            assert_eq!(job.payload().unwrap().0, rq_core::Codec::Json);
        }
        assert_eq!(stage.waiting("low"), [low.id(), sorted.id()]);
        let wrong = now!(queue.delay(count::call().queue("a,b")));
        assert!(matches!(wrong, Err(Error::Name(_))), "{wrong:?}");
    }

    fn the_default_time_limit_is_for_calls_that_say_nothing() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).default_timeout(secs(77));
        let said = |id| rq_core::Call::<()>::to("f").job_id(id);
        now!(queue.enqueue(said("plain"))).unwrap();
        now!(queue.enqueue(said("own").timeout(secs(5)))).unwrap();
        now!(queue.named("other").unwrap().enqueue(said("other"))).unwrap();
        now!(queue.enqueue_many([said("many")])).unwrap();
        now!(queue.enqueue_in(secs(60), said("later"))).unwrap();
        for (id, timeout) in [("plain", "77"), ("own", "5"), ("other", "77"), ("many", "77"), ("later", "77")] {
            assert_eq!(stage.field(id, "timeout").as_deref(), Some(timeout), "{id}");
        }
        let none = now!(queue.default_timeout(secs(0)).enqueue(said("none")));
        assert!(matches!(none, Err(Error::Option { option: "timeout", .. })), "{none:?}");
    }

    fn delayed_jobs_run_inline_where_the_queue_does() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).inline(handlers![send]);
        let job = now!(send::delay(&queue, "a".into(), 3)).unwrap();
        assert_eq!(now!(job.status()).unwrap(), Some(Status::Finished));
        assert_eq!(now!(job.result()).unwrap().as_deref(), Some("a 3"));
        assert_eq!(stage.field(job.id(), "origin").as_deref(), Some("low"));
    }
}
