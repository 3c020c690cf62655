//! stub
use std::io; use std::path::Path; use std::os::fd::{AsFd,BorrowedFd};
use rq_process::Pid;
#[derive(Debug)]
pub(crate) struct Notices(std::os::unix::net::UnixDatagram);
#[derive(Debug, Default)]
pub(crate) struct Notice { pub(crate) is_ready: bool, pub(crate) is_stopping: bool, pub(crate) is_beat: bool, pub(crate) status: Option<String>, pub(crate) requests: Option<u64>, pub(crate) cause: Option<String> }
impl Notices { pub(crate) fn bind() -> io::Result<Notices> { Ok(Notices(std::os::unix::net::UnixDatagram::unbound()?)) } pub(crate) fn address(&self) -> &Path { Path::new("/nonexistent") } pub(crate) fn descriptor(&self) -> BorrowedFd<'_> { self.0.as_fd() } pub(crate) fn take(&mut self) -> Vec<(Pid, Notice)> { Vec::new() } }
