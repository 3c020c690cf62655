//! [`Cancel`]: what is done with other jobs when one is canceled.

/// What is done with other jobs when one is canceled, for [`JobHandle::cancel_with`](crate::JobHandle::cancel_with).
/// By default nothing.
///
/// ```
/// use rq_core::Cancel;
/// let how = Cancel::default().release_dependents();
/// # let _ = how;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancel {
    pub(crate) releases_dependents: bool,
    pub(crate) leaves_dependencies: bool,
}

impl Cancel {
    /// The dependents of the canceled job wait for it no longer: RQ's `enqueue_dependents`. Without this they wait
    /// until somebody releases or deletes them.
    pub fn release_dependents(mut self) -> Cancel {
        self.releases_dependents = true;
        self
    }

    /// The jobs that the canceled job waited for drop it from their dependents: RQ's `remove_from_dependencies`.
    pub fn leave_dependencies(mut self) -> Cancel {
        self.leaves_dependencies = true;
        self
    }
}
