//! [`WebhookOptions`]: what the operator decides about webhooks.

use std::fmt;
use std::path::PathBuf;

use super::Allow;

/// How webhooks are sent, and where to. By default they are not signed, and go to public addresses alone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WebhookOptions {
    /// The addresses that they may go to beside public ones.
    pub allow: Vec<Allow>,
    /// What they are signed with.
    pub secret: Option<Secret>,
    /// A PEM file of the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// What webhooks are signed with, shared with their receivers. No text shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<S: Into<String>> From<S> for Secret {
    fn from(text: S) -> Secret {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_the_secret() {
        let options = WebhookOptions { secret: Some("hush".into()), ..WebhookOptions::default() };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
