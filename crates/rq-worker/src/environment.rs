//! [`forget_variables`]: what this process was told by its environment, and what it starts is not.

#![allow(
    unsafe_code,
    reason = "beside `init.rs` the only module of this crate that may; each block says why it holds"
)]

use crate::init::has_one_thread;

/// Takes variables out of the environment, so that nothing inherits them that this process forks or starts from now on.
///
/// Does nothing in a process with threads, which may read the environment meanwhile.
pub fn forget_variables(names: &[&str]) {
    if !has_one_thread() {
        return;
    }
    for name in names {
        // SAFETY: there is no other thread that could read the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}
