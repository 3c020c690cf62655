//! What callers of a queue get, on both fronts, and of `rq enqueue`.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rq_core::{Call, Error, Keys, secs};
use rq_tests::{Journal, PrivateRedis, Scratch, Trouble, TroubledRedis, eventually};

use super::{RECOVERY, RECOVERY_FROM_SILENCE, SOON};
use crate::queue::on_both_fronts;
use crate::rq_test::{Books, RqTest};

const QUEUE: &str = "default";
/// How much longer than promised a call may take, as other tests compute meanwhile.
const SLACK: Duration = Duration::from_millis(500);

/// A service's key space on a Redis, as the user that its trouble concerns.
fn service(redis: &TroubledRedis) -> Scratch {
    Scratch::on(&redis.worker_url())
}

/// A trouble of some length, and its end.
fn pass(redis: &mut TroubledRedis, length: Duration) {
    redis.prepare();
    redis.begin();
    sleep(length);
    redis.end();
}

on_both_fronts! {
    fn a_queue_follows_its_name_to_the_new_master() {
        let mut redis = Trouble::Failover.redis();
        let scratch = service(&redis);
        let queue = now!(open(&scratch));
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
        pass(&mut redis, Duration::ZERO);
        let deadline = Instant::now() + RECOVERY;
        while let Err(error) = now!(queue.enqueue(Call::<()>::to("f"))) {
            assert!(Instant::now() < deadline, "{error}");
            sleep(Duration::from_millis(100));
        }
        assert_eq!(now!(queue.len()).unwrap(), 2);
    }

    fn a_queue_works_again_after_its_connection_died_silently() {
        let mut redis = Trouble::Partition.redis();
        let scratch = service(&redis);
        let queue = now!(open(&scratch));
        assert_eq!(now!(queue.len()).unwrap(), 0);
        pass(&mut redis, Duration::ZERO);
        let deadline = Instant::now() + RECOVERY_FROM_SILENCE;
        while let Err(error) = now!(queue.len()) {
            assert!(Instant::now() < deadline, "{error}");
        }
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
    }

    fn a_queue_logs_in_again_once_its_user_is_back() {
        let mut redis = Trouble::NoUser.redis();
        let scratch = service(&redis);
        let queue = now!(open(&scratch));
        assert_eq!(now!(queue.len()).unwrap(), 0);
        redis.begin();
        let refused_until = Instant::now() + secs(3);
        while Instant::now() < refused_until {
            now!(queue.len()).unwrap_err();
            sleep(Duration::from_millis(100));
        }
        redis.end();
        let deadline = Instant::now() + RECOVERY;
        while let Err(error) = now!(queue.len()) {
            assert!(Instant::now() < deadline, "{error}");
            sleep(Duration::from_millis(100));
        }
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
    }
}

/// How long a job is waited for that nobody runs.
const WAIT: Duration = secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn wait_ends_in_time_over_a_dead_connection() {
    let redis = Trouble::Partition.redis();
    let scratch = service(&redis);
    let keys = Keys::new(scratch.prefix()).unwrap();
    let queue = rq_core::Queue::connect(scratch.url(), QUEUE).await.unwrap().keys(keys);
    let handle = queue.enqueue(Call::<()>::to("f")).await.unwrap();
    let trouble = begin_during_a_wait(redis);
    let began = Instant::now();
    let waited = tokio::time::timeout(WAIT + SLACK, handle.wait(WAIT)).await;
    check_wait(waited.ok(), began.elapsed());
    drop(trouble.join().unwrap());
}

#[test]
fn a_blocking_wait_ends_in_time_over_a_dead_connection() {
    let redis = Trouble::Partition.redis();
    let scratch = service(&redis);
    let handle = scratch.queue(QUEUE).enqueue(Call::<()>::to("f")).unwrap();
    let trouble = begin_during_a_wait(redis);
    let began = Instant::now();
    let (sender, waited) = channel();
    // Left to itself when it takes too long.
    std::thread::spawn(move || sender.send(handle.wait(WAIT)));
    check_wait(waited.recv_timeout(WAIT + SLACK).ok(), began.elapsed());
    drop(trouble.join().unwrap());
}

fn check_wait(waited: Option<Result<(), Error>>, took: Duration) {
    match waited {
        None => panic!("it still waits after {took:?}"),
        Some(ended) => assert!(matches!(ended, Err(Error::NotEnded { .. })), "{ended:?} after {took:?}"),
    }
    assert!(took >= WAIT, "{took:?}");
}

/// Begins the trouble once somebody waits for something at this Redis.
fn begin_during_a_wait(mut redis: TroubledRedis) -> JoinHandle<TroubledRedis> {
    // Made before there is trouble; it suffers from it, too.
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    std::thread::spawn(move || {
        eventually("a call that waits", SOON, || {
            let info: redis::InfoDict = redis::cmd("INFO").arg("clients").query(&mut connection).unwrap();
            (info.get::<usize>("blocked_clients")? > 0).then_some(())
        });
        redis.begin();
        redis
    })
}

/// Redis forgets scripts when it restarts, when a replica takes over, and when somebody says so.
#[test]
fn scripts_may_be_flushed_at_any_time() {
    const CALLS: usize = 40;
    const FLUSH_EVERY: Duration = Duration::from_millis(5);
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let journal = Journal::new(&scratch);
    let worker = RqTest::new(&scratch).worker(&["-w", "thread", "--concurrency", "2"]);
    let (done, is_done) = channel::<()>();
    let failed = std::thread::scope(|scope| {
        let mut connection = redis.connection();
        scope.spawn(move || {
            while is_done.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
                redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).unwrap();
            }
        });
        let call = |number: usize| {
            let id = format!("j{number}");
            let args = ["enqueue", "--job-id", &id, "test.journal", journal.path(), ":5"];
            RqTest::new(&scratch).outcome(&args)
        };
        let failed: Vec<_> = (0..CALLS).map(call).filter(|(code, ..)| *code != Some(0)).collect();
        if failed.is_empty() {
            eventually("all jobs to have finished", SOON, || {
                (scratch.count("finished:default") == CALLS).then_some(())
            });
        }
        drop(done);
        failed
    });
    assert!(failed.is_empty(), "{} of {CALLS} failed, as with {:?}", failed.len(), failed[0]);
    assert!(journal.ends().values().all(|&ends| ends == 1), "{}", worker.report());
}
