//! What may be sent: URLs and headers, as texts. Whoever sends checks again what it makes of them.

/// Headers that say where a message ends, or what becomes of the connection: the client's alone to write.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What stands behind the scheme, where that is one that RQ knows.
fn behind_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

/// The host and port, with whatever stands before them.
fn authority(behind_scheme: &str) -> &str {
    behind_scheme.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether RQ takes it for a URL.
pub(super) fn is_url_of_rq(url: &str) -> bool {
    // As Python's `urlsplit` does first.
    let url = url.trim_start_matches(|c: char| c <= ' ').replace(['\n', '\r', '\t'], "");
    behind_scheme(&url).is_some_and(|rest| !authority(rest).is_empty())
}

/// Refuses what RQ refuses, and what RQ takes and cannot send.
pub(super) fn url(url: &str) -> Result<(), &'static str> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "a URL has no spaces, control characters or letters beyond ASCII: write %20, or xn--.. in a host",
        );
    }
    let authority = behind_scheme(url).map(authority).unwrap_or_default();
    if authority.contains('@') {
        return Err("a URL with a user's name is not sent: put it into a header, such as Authorization");
    }
    // A colon inside of brackets belongs to the address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "0"),
    };
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    if host.is_empty() || !is_port {
        return Err("a URL has to be http://host or https://host, with a port and a path if need be");
    }
    Ok(())
}

/// Refuses what would be more than one header, or none.
pub(super) fn header(name: &str, value: &str) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header's name is made of letters, digits and dashes");
    }
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err("a header that says how the message is sent is the worker's to write");
    }
    // Latin-1, as Python sends them.
    if latin_1(value).is_none() {
        return Err(
            "a header's value has no line ends and other control characters, and letters of Latin-1 alone",
        );
    }
    Ok(())
}

/// The bytes of a header's value.
pub(super) fn latin_1(value: &str) -> Option<Vec<u8>> {
    let byte = |c: char| match c {
        '\t' | ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(c)).ok(),
        _ => None,
    };
    value.chars().map(byte).collect()
}

/// Whether the worker writes this header itself.
pub(super) fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "job-id" || name.starts_with("rq-")
}

/// The URL without its path, which may hold a secret, for people to read.
pub(super) fn destination(url: &str) -> String {
    let Some(rest) = behind_scheme(url) else { return "no URL".to_owned() };
    let authority = authority(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}", &url[..url.len() - rest.len() - "://".len()])
}
