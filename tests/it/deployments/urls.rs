//! URLs: what redis-py makes of them, and what the command line does about bad ones.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rq_core::blocking::Queue;
use rq_core::{Call, secs};
use rq_tests::{PrivateRedis, Python, Scratch, Signal};

use crate::rq_test::{Books, RqTest};

/// A URL a line, what redis-py makes of it, and what we do.
const TABLE: &str = include_str!("../../../crates/rq-core/src/redis_url/urls.tsv");
/// What fills in the second column.
const AS_PYTHON_SAYS: &str = include_str!("../../../crates/rq-core/src/redis_url/as_python_says.py");

/// That we do what the table says is a test of rq-core's.
#[test]
fn redis_py_reads_urls_as_the_table_says() {
    let scratch = Scratch::new();
    let rows: Vec<Vec<&str>> = TABLE.lines().skip(1).map(|row| row.split('\t').collect()).collect();
    let urls: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let read = format!("import io, sys\nsys.stdin = io.StringIO({:?})\n", urls.join("\n") + "\n");
    let said = Python::new(&scratch).run(&(read + AS_PYTHON_SAYS));
    let said: Vec<&str> = said.lines().collect();
    let expected: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(said, expected);
}

#[test]
fn no_password_is_printed_whatever_is_wrong_with_the_url() {
    let scratch = Scratch::new();
    for url in [
        "redis://:se?cret@localhost",
        "redis://:se/cret@localhost",
        "redis://:9?secret=1@localhost",
        "redis://u:secret@localhost:1",
        "rediss://u:secret@localhost:1?ssl_password=secret",
        "redis://localhost:1?password=secret&foo=1",
        "unix://:secret@/no/such/socket",
        "redis+sentinel://:secret@localhost:1/m",
        "http://:secret@localhost",
        "u:secret@localhost",
    ] {
        for args in [&["info"][..], &["worker", "--burst"], &["enqueue", "math.add"]] {
            let (code, out, errors) = RqTest::new(&scratch).outcome(&[args, &["--url", url]].concat());
            assert_eq!(code, Some(1), "{url}: {out}{errors}");
            assert!(!(out + &errors).contains("cret"), "{url} {args:?}: {errors}");
        }
    }
}

#[test]
fn what_has_no_effect_is_said_once() {
    let scratch = Scratch::new();
    let url = format!("{}?foo=1&client_name=me", scratch.url());
    for args in [&["info"][..], &["worker", "--burst"]] {
        let (code, _, errors) = RqTest::new(&scratch).outcome(&[args, &["--url", &url]].concat());
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(errors.matches("the Redis URL's parameter foo is not known").count(), 1, "{errors}");
        assert!(!errors.contains("client_name"), "{errors}");
    }
}

#[test]
fn a_connection_has_the_name_that_the_url_gives() {
    let scratch = Scratch::new();
    let name = scratch.prefix();
    let queue = Queue::connect(&format!("{}?client_name={name}", scratch.url()), "default").unwrap();
    let clients: String = scratch.query("CLIENT", ["LIST"]);
    assert!(clients.contains(&format!(" name={name} ")), "{clients}");
    drop(queue);
}

#[test]
fn a_caller_waits_no_longer_than_the_url_says() {
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&format!("{}?socket_timeout=0.5&socket_connect_timeout=0.5", redis.url()));
    let queue = scratch.queue("default");
    redis.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let error = queue.len().unwrap_err();
    assert!(error.is_redis_unavailable() && began.elapsed() < secs(4), "{error} after {:?}", began.elapsed());
    let (code, _, errors) = RqTest::new(&scratch).outcome(&["info"]);
    assert!(code == Some(1) && began.elapsed() < secs(8), "{errors} after {:?}", began.elapsed());
    redis.signal(Signal::SIGCONT);
}

/// A job's connection is its process' own, and made when it is first used.
#[test]
fn of_several_hosts_any_that_serves_is_used() {
    let server = PrivateRedis::start(&[]);
    for executor in ["thread", "fork"] {
        let scratch = Scratch::on(&format!("redis://127.0.0.1:1,{}/", server.address()));
        let queue = Queue::connect(scratch.url(), "default").unwrap();
        let queue = queue.keys(rq_core::Keys::new(scratch.prefix()).unwrap());
        let job = queue.enqueue(Call::<()>::to("test.spread").arg(2)).unwrap();
        RqTest::new(&scratch).drain(&["-w", executor]);
        let there = Scratch::seen_by(&scratch, &server.url());
        assert_eq!(there.status(job.id()), "finished", "{executor}");
        assert_eq!(there.count("finished:default"), 3, "{executor}");
    }
}

/// A caller who gives up takes an attempt along, which must not be made again and again.
#[tokio::test]
async fn callers_without_patience_come_to_the_host_that_serves() {
    const PATIENCE: Duration = Duration::from_millis(500);
    const CALLS: usize = 4;
    let (mut first, second) = (PrivateRedis::start(&[]), PrivateRedis::start(&[]));
    let url = format!("redis://{},{}/", first.address(), second.address());
    let queue = rq_core::Queue::connect(&url, "default").await.unwrap();
    queue.len().await.unwrap();
    first.kill();
    // It takes connections, and answers nothing.
    let _silent = TcpListener::bind(first.address()).unwrap();
    let mut served = false;
    for _ in 0..CALLS {
        served |= tokio::time::timeout(PATIENCE, queue.len()).await.is_ok_and(|answer| answer.is_ok());
    }
    assert!(served);
}
