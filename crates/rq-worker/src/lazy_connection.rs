//! [`LazyConnection`]: the connection that the jobs of one process share.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rq_core::link::BlockingLink;
use rq_core::{Error, Keys};

/// The connection that the jobs of one process share, made when one of them first needs it.
pub struct LazyConnection {
    url: String,
    keys: Keys,
    link: OnceLock<Arc<BlockingLink>>,
}

impl LazyConnection {
    /// To the Redis at `url`.
    pub fn new(url: impl Into<String>, keys: Keys) -> LazyConnection {
        LazyConnection { url: url.into(), keys, link: OnceLock::new() }
    }

    /// The connection, and the keys in use there.
    pub fn open(&self) -> Result<(Arc<BlockingLink>, Keys), Error> {
        let link = match self.link.get() {
            Some(link) => Arc::clone(link),
            None => {
                let link = Arc::new(BlockingLink::to(&self.url)?);
                link.follow_cluster(&self.keys);
                Arc::clone(self.link.get_or_init(|| link))
            }
        };
        Ok((link, self.keys.clone()))
    }
}

impl fmt::Debug for LazyConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyConnection").field("open", &self.link.get().is_some()).finish_non_exhaustive()
    }
}
