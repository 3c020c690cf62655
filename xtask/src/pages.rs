//! The demo's pages: a small site on loopback, for jobs that fetch.
//!
//! Its text is put together from one fixed list of words by a fixed rule, so that every run serves the same pages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a page takes, as a page elsewhere would; each has its own time between these two.
const DELAY_MS: std::ops::Range<u64> = 10..60;
/// How many words a page has.
const WORDS: std::ops::Range<u64> = 80..900;
/// Every so many pages one is missing (404), and one other is broken (500).
const FAULT_EVERY: usize = 15;
/// How long a client may take to say what it wants.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// How much of a request is read.
const REQUEST_BYTES_MAX: u64 = 8 * 1024;
const VOCABULARY: &str = "the of and to in a that was his he it with as had for at by on not be from they this which \
    or her she but were are we all have one there so when out an no up said would into could if then them been some \
    river mountain lantern harbour winter morning letter garden captain village window shadow silver thunder orchard \
    whisper journey candle meadow stranger evening bridge hollow feather compass kettle miller weaver tower marble";

/// A running site. Its threads end with this program.
pub(crate) struct Site {
    address: SocketAddr,
}

/// What a path leads to.
#[derive(Debug, PartialEq)]
enum Page {
    Index,
    Text(usize),
    Missing,
    Broken,
}

impl Site {
    /// Serves `count` pages, the faulty ones among them. `/` lists their paths, one a line.
    pub(crate) fn start(count: usize) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not open a port for the pages")?;
        let address = listener.local_addr()?;
        let index: Arc<str> = (0..count).map(|number| path(number) + "\n").collect::<String>().into();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let index = Arc::clone(&index);
                // A client that went away is no news.
                std::thread::spawn(move || answer(connection, &index).ok());
            }
        });
        Ok(Self { address })
    }

    /// The base of all paths, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn path(number: usize) -> String {
    match number % FAULT_EVERY {
        5 => format!("/missing/{number:04}"),
        10 => format!("/broken/{number:04}"),
        _ => format!("/pages/{number:04}.txt"),
    }
}

fn answer(mut connection: TcpStream, index: &str) -> std::io::Result<()> {
    connection.set_read_timeout(Some(REQUEST_LIMIT))?;
    let page = page(&requested_path(&connection)?);
    let (status, body) = match page {
        Page::Index => ("200 OK", index.to_string()),
        Page::Text(number) => ("200 OK", text(number)),
        Page::Missing => ("404 Not Found", "no such page\n".to_string()),
        Page::Broken => ("500 Internal Server Error", "this page is broken\n".to_string()),
    };
    if let Page::Text(number) = page {
        std::thread::sleep(Duration::from_millis(between(DELAY_MS, number as u64)));
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n");
    connection.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
}

/// The path of a request, read to the end of its head: a connection closed with bytes unread is reset.
fn requested_path(connection: &TcpStream) -> std::io::Result<String> {
    let mut head = BufReader::new(connection.take(REQUEST_BYTES_MAX)).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first.split_whitespace().nth(1).unwrap_or_default().to_string())
}

fn page(path: &str) -> Page {
    if path == "/" {
        return Page::Index;
    }
    if path.starts_with("/broken/") {
        return Page::Broken;
    }
    let number = path.strip_prefix("/pages/").and_then(|name| name.strip_suffix(".txt"));
    number.and_then(|number| number.parse().ok()).map_or(Page::Missing, Page::Text)
}

/// Page `number`: sentences of ten words.
fn text(number: usize) -> String {
    const SENTENCE_WORDS: u64 = 10;
    let vocabulary: Vec<&str> = VOCABULARY.split_whitespace().collect();
    let mut text = String::new();
    for place in 0..between(WORDS, number as u64) {
        let word = vocabulary[scramble(number as u64 ^ (place << 32)) as usize % vocabulary.len()];
        text.push_str(word);
        text.push_str(if place % SENTENCE_WORDS == SENTENCE_WORDS - 1 { ".\n" } else { " " });
    }
    text
}

fn between(range: std::ops::Range<u64>, seed: u64) -> u64 {
    range.start + scramble(seed) % (range.end - range.start)
}

/// The mixing step of SplitMix64: neighbours in, strangers out.
fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(site: &Site, path: &str) -> String {
        let mut connection = TcpStream::connect(site.address).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_index_lists_every_page_and_each_answers_as_its_path_says() {
        let site = Site::start(30).unwrap();
        let index = get(&site, "/");
        let (_, paths) = index.split_once("\r\n\r\n").unwrap();
        let mut counts = [0; 3];
        for path in paths.lines() {
            let answer = get(&site, path);
            let kind =
                ["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 500"].iter().position(|s| answer.starts_with(s));
            counts[kind.unwrap()] += 1;
        }
        assert_eq!(counts, [26, 2, 2]);
    }

    #[test]
    fn a_page_has_the_same_words_every_time() {
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        assert!(WORDS.contains(&(text(7).split_whitespace().count() as u64)));
    }

    #[test]
    fn other_paths_are_missing() {
        for path in ["/pages/x.txt", "/pages/", "", "/missing/0005"] {
            assert_eq!(page(path), Page::Missing, "{path}");
        }
    }
}
