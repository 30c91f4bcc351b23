//! What goes wrong where OpenTelemetry calls us: said once, and on a thread of its own.
//!
//! OpenTelemetry calls samplers and propagators while it holds the thread's current context, in which its log bridge would enter a scope: to log
//! there is to panic. And whoever sends headers must not decide how much is logged.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tracing::dispatcher;

/// Most kinds of warning; a policy may invent codes.
const MOST_KINDS: usize = 64;

/// Logs a warning with its code, if it is the first of this code and of what follows from it.
pub(crate) fn once(code: &str, message: &str, consequence: &'static str) {
    static SAID: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());
    {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST_KINDS || !said.insert((code.to_owned(), consequence)) {
            return;
        }
    }
    // The provider comes before the subscriber, since its layer is a part of that.
    if !dispatcher::has_been_set() {
        eprintln!("warning[{code}]: {message}; {consequence}");
        return;
    }
    let (code, message) = (code.to_owned(), message.to_owned());
    let subscriber = dispatcher::get_default(Clone::clone);
    let say = move || {
        dispatcher::with_default(&subscriber, || {
            tracing::warn!(code, "{message}; {consequence}. This is said once");
        });
    };
    // Without a thread it goes unsaid.
    let _ = thread::Builder::new()
        .name("floe-telemetry-warning".to_owned())
        .spawn(say);
}
