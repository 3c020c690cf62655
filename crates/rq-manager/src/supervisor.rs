//! stub
use std::rc::Rc;
use std::time::Duration;
use crate::control::Control;
use crate::error::{BoxError, ManagerError};
use crate::event::Observer;
use crate::kind::Kind;
use crate::log::Log;
use crate::orders::Orders;

/// What a Manager was told about itself.
pub(crate) struct Rules {
    pub(crate) log: Log,
    pub(crate) check_point: Duration,
    pub(crate) wait_time: Option<Duration>,
    pub(crate) title: String,
    /// Whether children that have left are replaced.
    pub(crate) replaces: bool,
    pub(crate) observers: Vec<Rc<dyn Observer>>,
    pub(crate) tells_log: bool,
    pub(crate) reload: Option<Reload>,
}

/// What reads the kinds anew.
pub(crate) type Reload = Box<dyn FnMut() -> Result<Vec<Kind>, BoxError>>;

pub(crate) struct Supervisor;
impl Supervisor {
    pub(crate) fn launch(_: Vec<Kind>, _: Rules, _: Option<Control>, _: Orders) -> Result<Supervisor, ManagerError> { Ok(Supervisor) }
    pub(crate) fn run(self) -> Result<(), ManagerError> { Ok(()) }
}
