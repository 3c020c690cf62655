//! Sends webhooks to a receiver of its own, which checks their signatures: `webhook`.
//!
//! Needs a Redis: `RQ_REDIS_URL`, or one on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context as _, Result, bail, ensure};
use ring::hmac;
use rq_core::blocking::Queue;
use rq_core::{Webhook, handlers, job};
use rq_worker_green::Worker;

const QUEUE: &str = "webhook";
/// What worker and receiver share. A real one is longer, and in no program's text.
const SECRET: &str = "hush";

/// Halves a number that is even.
#[job("webhook.halve")]
fn halve(number: i64) -> Result<i64> {
    if number % 2 == 0 { Ok(number / 2) } else { bail!("{number} is odd") }
}

fn main() -> Result<()> {
    let redis = std::env::var("RQ_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let receiver = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("http://{}/ended", receiver.local_addr()?);
    let told = |number| {
        halve::call(number).webhook(Webhook::finished(&url).post()).webhook(Webhook::failed(&url).post())
    };
    let jobs = Queue::connect(&redis, QUEUE)?.enqueue_many([told(4), told(5)])?;
    let worker = Worker::new(handlers![halve]).url(redis).queues([QUEUE]).burst();
    // The receiver is on this machine, where webhooks do not go unless the operator says so.
    let worker = worker.webhook_secret(SECRET).webhook_allow("private".parse()?);
    let worker = std::thread::spawn(|| worker.try_run());
    for connection in receiver.incoming().take(jobs.len()) {
        println!("received {}", receive(connection?)?);
    }
    worker.join().ok().context("the worker panicked")??;
    Ok(())
}

/// Reads one webhook, answers, and returns what it says.
fn receive(connection: TcpStream) -> Result<String> {
    let mut request = BufReader::new(connection);
    let mut head = String::new();
    while request.read_line(&mut head)? > "\r\n".len() {}
    let header = |wanted: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let mut body = vec![0; header("content-length").context("no length")?.parse()?];
    request.read_exact(&mut body)?;
    ensure!(is_signed(header("rq-signature").context("no signature")?, &body), "a signature is forged");
    request.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(String::from_utf8(body)?)
}

/// Whether the body is the worker's. A receiver that others reach refuses old ones as well: docs/webhooks.md.
fn is_signed(signature: &str, body: &[u8]) -> bool {
    let Some((sent_s, hex)) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")) else {
        return false;
    };
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let tag: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    tag.is_some_and(|tag| hmac::verify(&key, &[sent_s.as_bytes(), b".", body].concat(), &tag).is_ok())
}
