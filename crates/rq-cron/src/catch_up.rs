//! [`CatchUp`]: what becomes of ticks at which nobody was there to enqueue.

/// What becomes of ticks at which nobody was there to enqueue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// They are dropped, as Python's scheduler does when it is started again.
    None,
    /// The latest of them is made up for, late; those before it are dropped.
    #[default]
    Latest,
    /// Each is made up for, oldest first.
    All,
}
