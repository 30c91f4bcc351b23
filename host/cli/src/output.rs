//! What a child prints: passed on as it comes, and sent line by line as log records of its span.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// The target of the records.
pub(crate) const TARGET: &str = "floe_telemetry::command";
/// Longest part of a line that is sent, in bytes.
const LONGEST: usize = 16 * 1024;
/// How long more output is waited for after the child has ended: what it left behind may keep its pipes open for ever.
const LINGER: Duration = Duration::from_secs(1);
/// Most that is passed on after the child has ended, in bytes: more than a pipe holds is by what it left behind.
const LEFT: usize = 1024 * 1024;
/// How often the end of the output is looked for.
const PACE: Duration = Duration::from_millis(10);

/// A child's standard output and standard error.
#[derive(Debug)]
pub(crate) struct Pipes {
    out: (PipeReader, Option<PipeWriter>),
    err: (PipeReader, Option<PipeWriter>),
}

impl Pipes {
    pub(crate) fn new() -> std::io::Result<Self> {
        let pipe = || std::io::pipe().map(|(reader, writer)| (reader, Some(writer)));
        Ok(Self {
            out: pipe()?,
            err: pipe()?,
        })
    }

    /// Has a command write into them.
    pub(crate) fn connect(&mut self, command: &mut Command) {
        if let Some(writer) = self.out.1.take() {
            command.stdout(writer);
        }
        if let Some(writer) = self.err.1.take() {
            command.stderr(writer);
        }
    }
}

/// Passes on what a child prints, on threads: who reads it may be slow.
pub(crate) struct Output([Arc<Copy>; 2]);

impl Output {
    /// Starts to pass on. Records are in this context.
    pub(crate) fn of(pipes: Pipes, context: &Context) -> Self {
        Self([
            Copy::start(pipes.out.0, std::io::stdout(), "stdout", context),
            Copy::start(pipes.err.0, std::io::stderr(), "stderr", context),
        ])
    }

    /// Waits until all that the child printed is passed on.
    pub(crate) async fn finish(self) {
        let Self(copies) = self;
        let start = copies.each_ref().map(|copy| copy.bytes());
        let mut idle = Duration::ZERO;
        let mut last = Instant::now();
        while copies.iter().any(|copy| !copy.has_ended()) && idle < LINGER {
            let left = copies.iter().zip(start).map(|(copy, start)| copy.bytes() - start);
            if left.sum::<usize>() > LEFT {
                break;
            }
            sleep(PACE).await;
            let now = Instant::now();
            // While somebody does not read what there is, nothing is waited for.
            if !copies.iter().any(|copy| copy.is_writing()) {
                idle += now - last;
            }
            last = now;
        }
        // Nobody may end the last line.
        for copy in copies {
            copy.log(|lines| lines.end().into_iter().collect());
        }
    }
}

/// One stream on its way.
struct Copy {
    stream: &'static str,
    context: Context,
    lines: Mutex<Lines>,
    bytes: AtomicUsize,
    is_writing: AtomicBool,
    has_ended: AtomicBool,
}

impl Copy {
    fn start(
        from: PipeReader,
        to: impl Write + Send + 'static,
        stream: &'static str,
        context: &Context,
    ) -> Arc<Self> {
        let copy = Arc::new(Self {
            stream,
            context: context.clone(),
            lines: Mutex::default(),
            bytes: AtomicUsize::new(0),
            is_writing: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        });
        let running = Arc::clone(&copy);
        let started = thread::Builder::new()
            .name("floe-telemetry-output".to_owned())
            .spawn(move || {
                running.run(from, to);
                running.has_ended.store(true, Ordering::Release);
            });
        // Without a thread its pipe is closed.
        copy.has_ended.fetch_or(started.is_err(), Ordering::AcqRel);
        copy
    }

    fn run(&self, mut from: impl Read, mut to: impl Write) {
        let mut buffer = vec![0; 8 * 1024];
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let read = buffer.get(..length).unwrap_or_default();
            self.is_writing.store(true, Ordering::Release);
            // Who closed the other end wants no more of it, which the child learns by its closed pipe.
            if to.write_all(read).and_then(|()| to.flush()).is_err() {
                return;
            }
            self.log(|lines| lines.take(read));
            self.bytes.fetch_add(length, Ordering::AcqRel);
            self.is_writing.store(false, Ordering::Release);
        }
    }

    /// Sends the lines that have ended. Nothing is locked meanwhile.
    fn log(&self, ended: impl FnOnce(&mut Lines) -> Vec<String>) {
        let ended = ended(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        for line in ended {
            let _span = self.context.clone().attach();
            tracing::info!(target: TARGET, { log.iostream = self.stream }, "{line}");
        }
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Acquire)
    }

    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

/// Bytes on their way to lines.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    is_cut: bool,
}

impl Lines {
    /// The lines that end in these bytes.
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        self.push(parts.next().unwrap_or_default());
        let mut ended = Vec::new();
        for part in parts {
            ended.extend(self.end());
            self.push(part);
        }
        ended
    }

    fn push(&mut self, part: &[u8]) {
        let room = LONGEST - self.line.len();
        self.is_cut |= part.len() > room;
        self.line.extend(part.iter().take(room));
    }

    /// The line so far, unless nothing is in it.
    fn end(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let cut = if std::mem::take(&mut self.is_cut) {
            "…"
        } else {
            ""
        };
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        (!text.is_empty()).then(|| format!("{text}{cut}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_bytes_come(
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 0..10),
        ) {
            let whole = parts.concat();
            let expected: Vec<String> = whole
                .split(|byte| *byte == b'\n')
                .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
                .filter(|line| !line.is_empty())
                .collect();
            let mut lines = Lines::default();
            let mut found: Vec<String> = parts.iter().flat_map(|part| lines.take(part)).collect();
            found.extend(lines.end());
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_line_is_bounded() {
        let mut lines = Lines::default();
        assert!(lines.take(&vec![b'x'; 10 * LONGEST]).is_empty());
        let found = lines.take(b"y\nnext\n");
        let [long, next] = found.as_slice() else {
            panic!("{}", found.len())
        };
        assert_eq!(long.len(), LONGEST + "…".len());
        assert!(long.ends_with("x…"));
        assert_eq!(next, "next");
    }
}
