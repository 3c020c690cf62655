//! [`WebhookOptions`]: what the operator decides about webhooks.

use std::fmt;
use std::path::PathBuf;

use super::WebhookAllow;

/// How webhooks are sent, and where to. By default they are not signed, and go to public addresses alone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WebhookOptions {
    /// The addresses that they may go to beside public ones.
    pub allow: Vec<WebhookAllow>,
    /// What they are signed with.
    pub secret: Option<WebhookSecret>,
    /// A PEM file of the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// What webhooks are signed with, shared with their receivers. No text shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<S: Into<String>> From<S> for WebhookSecret {
    fn from(text: S) -> WebhookSecret {
        WebhookSecret(text.into())
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
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
