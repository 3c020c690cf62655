//! [`HookServer`]: who receives webhooks.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::proxy::lock;

/// How long a test waits for what it expects to receive.
const LIMIT: Duration = Duration::from_secs(60);

/// An HTTP server on loopback that keeps what it receives, and answers as it is told.
///
/// Dropping it lets go of all that it keeps waiting.
pub struct HookServer {
    address: SocketAddr,
    is_secured: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    answers: VecDeque<Answer>,
    has_ended: bool,
}

/// What one request was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// `GET` or `POST`.
    pub method: String,
    /// The path, with what stands behind a `?`.
    pub path: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// As it is.
    pub body: String,
}

/// What is done about one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An empty answer with this status.
    Status(u16),
    /// One that leads elsewhere.
    Redirect(u16, String),
    /// None, for as long as the server lives.
    Hang,
    /// None: the connection is closed.
    Close,
}

impl HookServer {
    /// One that answers everything with 200.
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// The same with TLS, as what `<path>.pem` and `<path>.key` of an [`Authority`](crate::Authority) say.
    pub fn secured(path: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(path.with_extension("pem"))
            .and_then(Iterator::collect)
            .expect("a certificate in PEM");
        let key = PrivateKeyDer::from_pem_file(path.with_extension("key")).expect("a key in PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions of TLS that ring knows")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate that goes with its key");
        Self::serve(Some(Arc::new(config)))
    }

    fn serve(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let (for_thread, is_secured) = (Arc::clone(&shared), tls.is_some());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&for_thread.state).has_ended {
                    return;
                }
                let (Ok(stream), shared, tls) = (stream, Arc::clone(&for_thread), tls.clone()) else {
                    continue;
                };
                // Whoever breaks off is not heard, and shows as that in the test.
                thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a checked configuration");
                        shared.answer(StreamOwned::new(connection, stream))
                    }
                    None => shared.answer(stream),
                });
            }
        });
        Self { address, is_secured, shared }
    }

    /// Where `path` is: `http://127.0.0.1:<port><path>`, or `https://localhost:<port><path>`.
    pub fn url(&self, path: &str) -> String {
        let port = self.address.port();
        if self.is_secured {
            format!("https://localhost:{port}{path}")
        } else {
            format!("http://127.0.0.1:{port}{path}")
        }
    }

    /// Answers the next requests like this, and those that come then with 200.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.state).answers.extend(answers);
    }

    /// All that was received so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.state).received.clone()
    }

    /// Waits until so many requests have been received, and returns all.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let state = lock(&self.shared.state);
        let waited =
            self.shared.changed.wait_timeout_while(state, LIMIT, |state| state.received.len() < count);
        let (state, ended) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!ended.timed_out(), "of {count} requests only these came: {:#?}", state.received);
        state.received.clone()
    }
}

impl Drop for HookServer {
    fn drop(&mut self) {
        lock(&self.shared.state).has_ended = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// One request and its answer; then the connection is closed.
    fn answer(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let Some(received) = read(&mut stream) else { return };
        let mut state = lock(&self.state);
        state.received.push(received);
        let answer = state.answers.pop_front().unwrap_or(Answer::Status(200));
        self.changed.notify_all();
        let more = match answer {
            Answer::Status(status) => (status, String::new()),
            Answer::Redirect(status, to) => (status, format!("Location: {to}\r\n")),
            Answer::Close => return,
            Answer::Hang => {
                let waited = self.changed.wait_while(state, |state| !state.has_ended);
                return drop(waited);
            }
        };
        drop(state);
        let (status, header) = more;
        let head = format!("HTTP/1.1 {status} x\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
        let stream = stream.get_mut();
        // Whoever does not wait for it has its reasons.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.flush());
    }
}

fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut line = || {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).ok()?;
        // Latin-1, as headers are.
        Some(line.iter().map(|byte| char::from(*byte)).collect::<String>().trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        let known = headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        assert!(known.is_none(), "{name} came twice");
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body: String::from_utf8(body).ok()? })
}
