//! Fetching slow pages, many at once, in coroutines: for `-w green`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rq_core::{Handlers, handlers, job};
use rq_worker_green::net;

/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest page that is read, its headers included.
const PAGE_BYTES_MAX: u64 = 1 << 20;
/// How much of a request the server reads.
const REQUEST_BYTES: usize = 1024;

/// Fetches a page over plain HTTP and returns how many bytes it has. While it waits, others have the thread.
#[job("pages.fetch")]
pub fn fetch(host: String, path: String) -> Result<usize> {
    let mut stream = net::TcpStream::connect(&host).with_context(|| format!("no way to {host}"))?;
    stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("the answer has no end of its headers")?;
    ensure!(head.starts_with("HTTP/1.0 200 "), "{path}: {}", head.lines().next().unwrap_or_default());
    Ok(page.len())
}

/// The jobs of this module.
pub fn handlers() -> Handlers {
    handlers![fetch]
}

/// Starts a server on loopback each of whose pages is its own path and takes `delay`. Its threads end with this program.
pub fn serve(delay: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A client that went away is no news.
            thread::spawn(move || answer(connection, delay).ok());
        }
    });
    Ok(address)
}

fn answer(mut connection: TcpStream, delay: Duration) -> Result<()> {
    let mut request = [0; REQUEST_BYTES];
    let read = connection.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..read]);
    let path = request.split(' ').nth(1).context("no path")?;
    thread::sleep(delay);
    Ok(connection.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{path}").as_bytes())?)
}
