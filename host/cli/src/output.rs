//! What a child prints: passed on as it comes, and told line by line as log records of its span.

use std::io::Write;
use std::time::Duration;

use opentelemetry::Context;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

/// Where the records are told to come from.
pub(crate) const TARGET: &str = "floe_telemetry::command";
/// Longest part of a line that is told, in bytes.
const LONGEST: usize = 16 * 1024;
/// How long output is waited for after the child has ended: what it left behind may keep its pipes for ever.
const LINGER: Duration = Duration::from_secs(1);

/// Passes on what a child with pipes prints, until it ends.
pub(crate) struct Output {
    copying: tokio::task::JoinSet<()>,
}

impl Output {
    /// Starts to pass on. Records are in this context.
    pub(crate) fn of(child: &mut Child, context: &Context) -> Self {
        let mut copying = tokio::task::JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            copying.spawn(copy(stdout, std::io::stdout(), Lines::new("stdout", context)));
        }
        if let Some(stderr) = child.stderr.take() {
            copying.spawn(copy(stderr, std::io::stderr(), Lines::new("stderr", context)));
        }
        Self { copying }
    }

    /// Passes on what is left.
    pub(crate) async fn finish(mut self) {
        let all = async { while self.copying.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LINGER, all).await;
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl Write, mut lines: Lines) {
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(read) = buffer.get(..length) else { break };
        // Who closed the other end wants no more of it, which the child learns by its closed pipe.
        if to.write_all(read).and_then(|()| to.flush()).is_err() {
            break;
        }
        lines.take(read);
    }
}

/// Bytes on their way to lines.
struct Lines {
    stream: &'static str,
    context: Context,
    line: Vec<u8>,
    is_cut: bool,
}

impl Lines {
    fn new(stream: &'static str, context: &Context) -> Self {
        Self {
            stream,
            context: context.clone(),
            line: Vec::new(),
            is_cut: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        self.push(parts.next().unwrap_or_default());
        for part in parts {
            self.end();
            self.push(part);
        }
    }

    fn push(&mut self, part: &[u8]) {
        let room = LONGEST - self.line.len();
        self.is_cut |= part.len() > room;
        self.line.extend(part.iter().take(room));
    }

    /// A line has ended.
    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        let cut = if std::mem::take(&mut self.is_cut) {
            "…"
        } else {
            ""
        };
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            let _span = self.context.clone().attach();
            tracing::info!(target: TARGET, { log.iostream = self.stream }, "{text}{cut}");
        }
    }
}

impl Drop for Lines {
    /// Nobody may end the last line.
    fn drop(&mut self) {
        self.end();
    }
}
