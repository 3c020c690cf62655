//! [`CheckedResolver`]: the addresses of a host that may be connected to.

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::addresses::{WebhookAllow, is_allowed};
use super::error::RefusedAddress;

/// Resolves names as the system does, and keeps the addresses that are allowed.
///
/// The client connects to what it is given here and asks for no name again, so that none can mean one thing when it is
/// checked and another when it is connected to. It asks again for each redirect.
#[derive(Debug)]
pub(super) struct CheckedResolver {
    allow: Vec<WebhookAllow>,
    system: DefaultResolver,
}

impl CheckedResolver {
    pub(super) fn new(allow: Vec<WebhookAllow>) -> CheckedResolver {
        CheckedResolver { allow, system: DefaultResolver::default() }
    }
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.system.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| is_allowed(address.ip(), &self.allow)) {
            allowed.push(*address);
        }
        match (allowed.is_empty(), found.first()) {
            (true, Some(refused)) => Err(Error::Other(Box::new(RefusedAddress(refused.ip())))),
            _ => Ok(allowed),
        }
    }
}
