//! [`Overlap`]: what becomes of a tick while the job of an earlier one has not ended.

/// What becomes of a tick while the job of the one before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Its job is enqueued all the same, as RQ does.
    #[default]
    Allow,
    /// It is dropped.
    Skip,
}
