//! [`Parameters`]: what follows the `?` of a URL.

use std::time::Duration;

use redis::ProtocolVersion;

use super::text::{integer, pairs};
use super::{Login, TlsOptions, UrlError};

/// Those of redis-py that tune its client and change nothing here: our connections always keep themselves alive and are
/// healed, and there is no pool.
const PASSED_OVER: [&str; 13] = [
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "legacy_responses",
    "lib_name",
    "lib_version",
    "max_connections",
    "retry_on_error",
    "retry_on_timeout",
    "socket_keepalive",
    "socket_read_size",
    "timeout",
];

/// Those that make a connection safer in a way that we do not have: to pass over one would be to lie.
const UNSUPPORTED: [&str; 10] = [
    "ssl_ciphers",
    "ssl_exclude_verify_flags",
    "ssl_include_verify_flags",
    "ssl_min_version",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
    "ssl_password",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "ssl_ocsp_response",
];

/// Those whose values nobody may see.
const SECRET: [&str; 3] = ["password", "sentinel_password", "ssl_ca_data"];

/// Python's strings for no.
const NO: [&str; 5] = ["0", "F", "FALSE", "N", "NO"];

/// The parameters of a URL that nobody has asked for yet.
pub(super) struct Parameters {
    /// The first of each name counts.
    left: Vec<(String, String)>,
    /// Whether a secret is among them, so that a name may be what follows an `&` of it.
    has_secret: bool,
}

impl Parameters {
    /// Reads a query.
    pub(super) fn read(query: &str) -> Result<Parameters, UrlError> {
        let mut left: Vec<(String, String)> = Vec::new();
        let mut has_secret = false;
        for (name, value) in pairs(query) {
            has_secret |= SECRET.contains(&name.as_str());
            if let Some(parameter) = UNSUPPORTED.into_iter().find(|known| *known == name) {
                return Err(UrlError::Unsupported { parameter });
            }
            let is_known = |(known, _): &(String, String)| *known == name;
            if !PASSED_OVER.contains(&name.as_str()) && !left.iter().any(is_known) {
                left.push((name, value));
            }
        }
        Ok(Parameters { left, has_secret })
    }

    /// The value of a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.remove(at).1)
    }

    /// A whole number.
    pub(super) fn number(&mut self, parameter: &'static str) -> Result<Option<i64>, UrlError> {
        let read = |text: String| {
            integer(&text).ok_or(UrlError::Parameter { parameter, expected: "a whole number" })
        };
        self.take(parameter).map(read).transpose()
    }

    /// A time above zero, given in seconds.
    pub(super) fn seconds(&mut self, parameter: &'static str) -> Result<Option<Duration>, UrlError> {
        let read = |text: String| {
            let seconds = text.trim().parse::<f64>().ok();
            let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            duration
                .filter(|duration| !duration.is_zero())
                .ok_or(UrlError::Parameter { parameter, expected: "a number of seconds above 0" })
        };
        self.take(parameter).map(read).transpose()
    }

    pub(super) fn login(&mut self) -> Login {
        Login { username: self.take("username"), password: self.take("password") }
    }

    pub(super) fn protocol(&mut self) -> Result<ProtocolVersion, UrlError> {
        match self.take("protocol").as_deref() {
            None | Some("2" | "resp2") => Ok(ProtocolVersion::RESP2),
            Some("3" | "resp3") => Ok(ProtocolVersion::RESP3),
            Some(_) => Err(UrlError::Parameter { parameter: "protocol", expected: "2 or 3" }),
        }
    }

    /// The `ssl_` parameters.
    pub(super) fn tls(&mut self) -> Result<TlsOptions, UrlError> {
        let verifies = match self.take("ssl_cert_reqs").as_deref() {
            // To a client, Python's optional is the same as required.
            None | Some("required" | "optional") => true,
            Some("none") => false,
            Some(_) => {
                let expected = "required, optional or none";
                return Err(UrlError::Parameter { parameter: "ssl_cert_reqs", expected });
            }
        };
        let checks_hostname =
            self.take("ssl_check_hostname").is_none_or(|value| !NO.contains(&value.to_uppercase().as_str()));
        let certificate = self.take("ssl_certfile").map(Into::into);
        let key = self.take("ssl_keyfile").map(Into::into);
        if key.is_some() && certificate.is_none() {
            return Err(UrlError::Parameter {
                parameter: "ssl_certfile",
                expected: "given beside ssl_keyfile",
            });
        }
        Ok(TlsOptions {
            verifies,
            checks_hostname,
            ca_file: self.take("ssl_ca_certs").map(Into::into),
            ca_directory: self.take("ssl_ca_path").map(Into::into),
            ca_text: self.take("ssl_ca_data"),
            certificate,
            key,
        })
    }

    /// A sentence for each parameter that was not asked for; one without names where these may be of a password.
    pub(super) fn warnings(&self, may_hide: bool) -> Vec<String> {
        if may_hide {
            let sentence = "the Redis URL has an @ behind its host; in a password, write %2F for /, %3F for ? and %23 for #";
            return vec![sentence.to_owned()];
        }
        let sentence = |name: &str| match name.starts_with("ssl_") {
            true => format!("the Redis URL's parameter {name} is without effect: TLS needs rediss://"),
            false => format!("the Redis URL's parameter {name} is not known, and without effect"),
        };
        match self.left.as_slice() {
            [] => Vec::new(),
            _ if self.has_secret => {
                let sentence = "the Redis URL has parameters that are not known, and without effect; in a password, write %26 for &";
                vec![sentence.to_owned()]
            }
            left => left.iter().map(|(name, _)| sentence(name)).collect(),
        }
    }
}
