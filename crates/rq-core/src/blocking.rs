//! The fronts for programs without a runtime: the same methods as [`Queue`](crate::Queue),
//! [`JobHandle`](crate::JobHandle), [`Registry`](crate::Registry), [`Group`](crate::Group) and
//! [`RateLimit`](crate::RateLimit), over the same steps.

pub use crate::group::blocking::Group;
pub use crate::handle::blocking::JobHandle;
pub use crate::queue::blocking::Queue;
pub use crate::rate_limit::blocking::RateLimit;
pub use crate::registry::blocking::Registry;
