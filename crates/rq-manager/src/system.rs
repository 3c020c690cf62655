//! stub
pub(crate) fn is_asked_to_stop() -> bool { false }
