use ring::hmac;
use std::time::{Duration, UNIX_EPOCH};

/// Whether a worker that knows the secret has sent this body in the last minutes.
pub(crate) fn verify(secret: &str, signature: &str, body: &[u8], age_max: Duration) -> Option<bool> {
    let (sent_s, hex) = signature.strip_prefix("t=")?.split_once(",v1=")?;
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let tag: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let is_signed = hmac::verify(&key, &[sent_s.as_bytes(), b".", body].concat(), &tag).is_ok();
    let now_s = UNIX_EPOCH.elapsed().ok()?.as_secs();
    Some(is_signed && now_s.abs_diff(sent_s.parse().ok()?) <= age_max.as_secs())
}
