//! [`forget_variables`]: what this process was told by its environment, and what it starts is not.

use rq_process::{SingleThreaded, forget_variable};

/// Takes variables out of the environment, so that nothing inherits them that this process forks or starts from now on.
///
/// Does nothing in a process with threads, which may read the environment meanwhile.
pub fn forget_variables(names: &[&str]) {
    let Ok(single_threaded) = SingleThreaded::make_sure() else { return };
    names.iter().for_each(|name| forget_variable(&single_threaded, name));
}
