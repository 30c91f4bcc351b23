//! What goes wrong where OpenTelemetry calls us: said once, and on a thread of its own.
//!
//! OpenTelemetry calls samplers and propagators while it holds the thread's current context, in which its log bridge would enter a scope: to log
//! there is to panic. And whoever sends headers must not decide how much is logged.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{slice, thread};

use tracing::dispatcher;

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::error::{Problem, render};
use crate::policy::Policy;

/// What is being said. There are at most as many as kinds of warning.
static PENDING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());
/// Most kinds of warning; a policy may invent codes.
const MOST_KINDS: usize = 64;

/// Logs that a call failed, if it is the first with this code and of what follows from it.
pub(crate) fn once(problem: &Problem, consequence: &'static str) {
    let Problem { code, message, .. } = problem;
    first(code, consequence, || {
        format!("warning[{code}]: {message}; {consequence}. This is said once")
    });
}

/// Logs a finding about what came from a source, if it is the first of its code there. It quotes what came, so it goes through the policy.
pub(crate) fn found(policy: &Policy, found: &Diagnostic, source: &'static str) {
    first(&found.code, source, || {
        policy.without_secrets(render(source, slice::from_ref(found)))
    });
}

/// Logs a text, if it is the first of a code and a subject.
pub(crate) fn first(code: &str, subject: &'static str, text: impl FnOnce() -> String) {
    static SAID: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());
    {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST_KINDS || !said.insert((code.to_owned(), subject)) {
            return;
        }
    }
    let text = text();
    // The provider comes before the subscriber, since its layer is a part of that.
    if !dispatcher::has_been_set() {
        eprintln!("{text}");
        return;
    }
    let subscriber = dispatcher::get_default(Clone::clone);
    let say = move || dispatcher::with_default(&subscriber, || tracing::warn!("{text}"));
    // Without a thread it goes unsaid.
    if let Ok(saying) = thread::Builder::new()
        .name("floe-telemetry-warning".to_owned())
        .spawn(say)
    {
        let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push(saying);
    }
}

/// Waits until what began to be said is said, so that it is exported before telemetry ends; no longer than this.
pub(crate) fn wait(longest: Duration) {
    let deadline = Instant::now() + longest;
    loop {
        {
            let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
            pending.retain(|saying| !saying.is_finished());
            if pending.is_empty() {
                return;
            }
        }
        if Instant::now() >= deadline {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
