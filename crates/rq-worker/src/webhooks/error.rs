//! [`SendError`]: why an attempt to send a letter failed.

use std::net::IpAddr;

use rq_core::Unsendable;
use ureq::http;

use super::REDIRECTS_MAX;

/// Statuses below 500 after which another attempt may go well: the receiver took too long, or wants to be asked later.
const PASSING_STATUSES: [u16; 3] = [408, 425, 429];

/// Why an attempt to send a letter failed. No text of it shows the URL, whose path may hold a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The URL cannot be sent to.
    #[error("its URL cannot be used: {0}")]
    Url(String),
    /// A header cannot be sent.
    #[error("a header cannot be sent: {0}")]
    Header(String),
    /// The host, or one that it redirects to, has an address that is not allowed.
    #[error(
        "it would go to {0}, which is not a public address; --webhook-allow lets it, where that is meant"
    )]
    Address(IpAddr),
    /// The receiver redirects more often than is followed, or what cannot be redirected.
    #[error(
        "its receiver redirects it in a way that is not followed: more than {REDIRECTS_MAX} times, or a POST with 307 or 308"
    )]
    Redirects,
    /// The receiver answered with this status.
    #[error("its receiver answered with the status {0}")]
    Status(u16),
    /// The attempt took longer than it may.
    #[error("its receiver took too long")]
    TimedOut,
    /// The receiver was not reached, or broke off.
    #[error("its receiver was not reached: {0}")]
    Network(String),
}

impl SendError {
    /// Whether another attempt would end in the same way.
    pub fn is_final(&self) -> bool {
        match self {
            SendError::Url(_) | SendError::Header(_) | SendError::Address(_) | SendError::Redirects => true,
            SendError::Status(status) => *status < 500 && !PASSING_STATUSES.contains(status),
            SendError::TimedOut | SendError::Network(_) => false,
        }
    }
}

/// An address that is not allowed, on its way through the client.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not allowed")]
pub(super) struct RefusedAddress(pub(super) IpAddr);

impl From<Unsendable> for SendError {
    fn from(unsendable: Unsendable) -> SendError {
        match unsendable {
            Unsendable::Url(reason) => SendError::Url(reason.to_owned()),
            Unsendable::Header(reason) => SendError::Header(reason.to_owned()),
            other => SendError::Url(other.to_string()),
        }
    }
}

/// Of building a request, whose method and version are ours.
impl From<http::Error> for SendError {
    fn from(error: http::Error) -> SendError {
        SendError::Url(error.to_string())
    }
}

impl From<http::header::InvalidHeaderName> for SendError {
    fn from(error: http::header::InvalidHeaderName) -> SendError {
        SendError::Header(error.to_string())
    }
}

impl From<http::header::InvalidHeaderValue> for SendError {
    fn from(error: http::header::InvalidHeaderValue) -> SendError {
        SendError::Header(error.to_string())
    }
}

impl From<ureq::Error> for SendError {
    fn from(error: ureq::Error) -> SendError {
        match error {
            ureq::Error::Timeout(_) => SendError::TimedOut,
            ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => SendError::Redirects,
            // Its text has the URL.
            ureq::Error::BadUri(_) => SendError::Url("it, or one that it redirects to, is no URL".to_owned()),
            ureq::Error::Http(error) => SendError::from(error),
            ureq::Error::Other(other) => match other.downcast_ref() {
                Some(RefusedAddress(address)) => SendError::Address(*address),
                None => SendError::Network(other.to_string()),
            },
            // These are of TCP, TLS and the like. The text of others may have what the receiver has sent, URLs included.
            ureq::Error::Io(error) => SendError::Network(error.to_string()),
            ureq::Error::HostNotFound => SendError::Network("its host has no address".to_owned()),
            ureq::Error::ConnectionFailed => SendError::Network("it does not accept connections".to_owned()),
            ureq::Error::Tls(reason) => SendError::Network(reason.to_owned()),
            ureq::Error::Rustls(error) => SendError::Network(error.to_string()),
            _ => SendError::Network("what it answers is no HTTP that can be followed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(!SendError::Status(status).is_final(), "{status}");
        }
        for status in [300, 304, 400, 401, 403, 404, 410, 422] {
            assert!(SendError::Status(status).is_final(), "{status}");
        }
        assert!(!SendError::TimedOut.is_final());
        assert!(!SendError::from(ureq::Error::HostNotFound).is_final());
        assert!(SendError::from(ureq::Error::TooManyRedirects).is_final());
    }

    #[test]
    fn an_address_that_is_refused_keeps_its_name_on_the_way() {
        let address = "10.0.0.1".parse().unwrap();
        let error = SendError::from(ureq::Error::Other(Box::new(RefusedAddress(address))));
        assert!(matches!(error, SendError::Address(refused) if refused == address));
        assert!(error.is_final());
    }
}
