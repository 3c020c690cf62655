//! What a receiver can tell by that a letter comes from a worker that knows the secret.

use std::fmt::Write;

use ring::hmac;
use rq_core::Timestamp;

use super::WebhookSecret;

/// The value of the header: `t=<seconds since 1970>,v1=<HMAC SHA-256 over "<t>.<body>", in hexadecimal>`.
///
/// With the time, so that who overhears a letter cannot send it again later.
pub(super) fn sign(secret: &WebhookSecret, now: Timestamp, body: &str) -> String {
    let at_s = now.epoch_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
    let tag = hmac::sign(&key, format!("{at_s}.{body}").as_bytes());
    let mut signature = format!("t={at_s},v1=");
    for byte in tag.as_ref() {
        // A String takes whatever is written.
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_python_makes_of_it() {
        // hmac.new(b"whsec", b'1795312145.{"job_id": "j"}', "sha256").hexdigest()
        let now = Timestamp::from_epoch_us(1_795_312_145_999_999);
        assert_eq!(
            sign(&"whsec".into(), now, r#"{"job_id": "j"}"#),
            "t=1795312145,v1=cfeb70827546aa74bf21ed0fcf39fbd04d3ddbf5b04d97ef78a3bd61b9578347"
        );
    }
}
