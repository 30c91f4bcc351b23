//! What goes wrong in what is ours: said once, on a path that works, and never from inside OpenTelemetry's calls.
//!
//! OpenTelemetry calls samplers and propagators while it holds the thread's current context, in which its log bridge would enter a scope: to log
//! there is to panic. So a warning has a thread of its own. And whoever sends headers must not decide how much is logged.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{slice, thread};

use tracing::dispatcher;

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::error::{Problem, render};
use crate::policy::Policy;

/// The target of warnings that telemetry does not reach the Collector. They are for consoles: to export them would be in vain.
pub(crate) const UNDELIVERED: &str = "floe_telemetry::undelivered";

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
    if is_first(code, subject) {
        aside(text(), say);
    }
}

/// Says on standard error that texts are masked since nothing redacts them: a console would mask this as well.
pub(crate) fn unredacted(problem: &Problem) {
    let Problem { code, message, .. } = problem;
    if is_first(code, "redaction") {
        print(&format!(
            "warning[{code}]: {message}; texts that nobody can redact are masked. This is said once"
        ));
    }
}

/// Says a text, from whatever thread.
pub(crate) fn apart(text: String) {
    aside(text, say);
}

/// Says that telemetry does not reach the Collector, from whatever thread that is seen on.
pub(crate) fn undelivered(text: String) {
    aside(text, say_undelivered);
}

fn is_first(code: &str, subject: &'static str) -> bool {
    static SAID: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.len() < MOST_KINDS && said.insert((code.to_owned(), subject))
}

/// Says a text now: to the process's subscriber or, if nothing in it takes warnings, on standard error. The provider comes before the subscriber,
/// since its layer is a part of that.
pub(crate) fn say(text: &str) {
    let said = Said::new(text);
    tracing::warn!("{said}");
    said.or_print();
}

/// Says at once that telemetry does not reach the Collector.
pub(crate) fn say_undelivered(text: &str) {
    let said = Said::new(text);
    tracing::warn!(target: UNDELIVERED, "{said}");
    said.or_print();
}

/// A text that notes whether a subscriber read it.
struct Said<'a> {
    text: &'a str,
    read: Cell<bool>,
}

impl<'a> Said<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            read: Cell::new(false),
        }
    }

    fn or_print(self) {
        if !self.read.get() {
            print(self.text);
        }
    }
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.set(true);
        f.write_str(self.text)
    }
}

/// Writes a line on standard error, which may be closed.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says a text on a thread of its own.
fn aside(text: String, say: fn(&str)) {
    if !dispatcher::has_been_set() {
        print(&text);
        return;
    }
    let subscriber = dispatcher::get_default(Clone::clone);
    let text = Arc::new(text);
    let said = Arc::clone(&text);
    let saying = thread::Builder::new()
        .name("floe-telemetry-warning".to_owned())
        .spawn(move || dispatcher::with_default(&subscriber, || say(&said)));
    match saying {
        Ok(saying) => {
            let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
            pending.retain(|saying| !saying.is_finished());
            pending.push(saying);
        }
        Err(_) => print(&text),
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
