//! [`UrlText`]: the parts of a URL, as Python's `urllib.parse` cuts them.
//!
//! Not a library for URLs as browsers know them: those refuse what Python accepts, such as a socket's `unix://:pw@/path`.

use std::borrow::Cow;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{Login, UrlError};

/// The master's name where the URL gives none: redis-py's and Redis' own examples have this one.
const MASTER: &str = "mymaster";

/// The parts of a URL, still percent-encoded.
pub(super) struct UrlText<'a> {
    pub(super) scheme: &'a str,
    authority: &'a str,
    path: &'a str,
    pub(super) query: &'a str,
    /// Whether there is an `@` behind the authority: all from the `@` that was meant to the one that counts may be a
    /// password's, whatever it was taken for.
    pub(super) may_show_password: bool,
}

impl<'a> UrlText<'a> {
    /// Cuts a URL; `None` where it has no scheme.
    pub(super) fn split(url: &'a str) -> Option<UrlText<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let may_show_password = rest.contains('@');
        let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some(UrlText { scheme, authority, path, query, may_show_password })
    }

    /// The user and the password before the last `@`. What is empty is left out.
    pub(super) fn login(&self) -> Login {
        let userinfo = self.authority.rsplit_once('@').map_or("", |(userinfo, _)| userinfo);
        let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let given = |text: &str| Some(decoded(text)).filter(|text| !text.is_empty());
        Login { username: given(username), password: given(password) }
    }

    /// What stands behind them: a host and a port, or several.
    pub(super) fn hostinfo(&self) -> &'a str {
        self.authority.rsplit_once('@').map_or(self.authority, |(_, hostinfo)| hostinfo)
    }

    /// The database in the path, if it is one.
    pub(super) fn db(&self) -> Option<i64> {
        integer(&decoded(self.path).replace('/', ""))
    }

    /// The path of a socket.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        Some(PathBuf::from(decoded(self.path))).filter(|path| !path.as_os_str().is_empty())
    }

    /// The name of a master and the database, from `/master/db`.
    pub(super) fn master(&self) -> (String, Option<i64>) {
        let mut parts = self.path.split('/').filter(|part| !part.is_empty()).map(decoded);
        let master = parts.next().unwrap_or_else(|| MASTER.to_owned());
        (master, parts.next().and_then(|db| integer(&db)))
    }
}

/// The host, in lower case and without brackets, and the port, if there is one other than 0.
pub(super) fn host_and_port(hostinfo: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = match hostinfo.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(UrlError::Brackets)?;
            (host, rest.strip_prefix(':').unwrap_or(rest))
        }
        None if hostinfo.contains(['[', ']']) => return Err(UrlError::Brackets),
        None => hostinfo.split_once(':').unwrap_or((hostinfo, "")),
    };
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // redis-py takes 0 for no port.
            Some(digits.parse().map_err(|_| UrlError::Port)?).filter(|&port| port != 0)
        }
        _ => return Err(UrlError::Port),
    };
    Ok((decoded(host).to_lowercase(), port))
}

/// A number as Python's `int` reads it: `1_000` is one.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let is_misplaced = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    text.replace('_', "").parse().ok().filter(|_| !is_misplaced)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The parameters of a query, in order; those without a value are left out, as Python's `parse_qs` does.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let form = |text: &str| decoded(&Cow::from(text).replace('+', " "));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(_, value)| !value.is_empty()).map(move |(name, value)| (form(name), form(value)))
}
