//! What a child process needs that each system has in its own way: signals, and an end by one.

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) mod witness;

#[cfg(not(unix))]
pub(crate) use elsewhere::{Signals, end_by, end_with_parent, has_room, instead, signal_of, terminate};
#[cfg(unix)]
pub(crate) use unix::{Signals, end_by, end_with_parent, has_room, instead, signal_of, terminate};

/// What signals that came while a child ran say about its end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Requests {
    /// Somebody asked it to end.
    pub(crate) end: bool,
    /// The last signal.
    pub(crate) last: Option<i32>,
}
