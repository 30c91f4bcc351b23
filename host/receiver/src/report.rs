//! Everything at once.

use crate::logs::{counted, render_logs};
use crate::metrics_table::render_metrics;
use crate::store::{Dropped, Snapshot};
use crate::text::{Line, Style, YELLOW};
use crate::tree::render_trace;

/// All that was received: the traces in the order they started, log records without a trace, the metrics, and
/// what was dropped. The parts are separated by empty lines.
pub fn render(snapshot: &Snapshot, style: &Style) -> String {
    let mut traces: Vec<_> = snapshot.traces.iter().collect();
    traces.sort_by_key(|trace| trace.start());
    let mut parts: Vec<_> = traces
        .into_iter()
        .map(|trace| render_trace(trace, style))
        .collect();
    parts.push(render_logs(&snapshot.logs, style));
    parts.push(render_metrics(&snapshot.metrics, style));
    parts.push(render_dropped(&snapshot.dropped, style));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// What did not fit; nothing if everything did.
pub(crate) fn render_dropped(dropped: &Dropped, style: &Style) -> String {
    let kinds = [
        (dropped.traces, "whole trace", ""),
        (dropped.records, "part", " of a trace that fills the store alone"),
        (dropped.logs, "log record", " without a trace"),
        (dropped.points, "metric data point", ""),
    ];
    let dropped = kinds.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<_> = dropped
        .map(|(count, noun, of)| format!("{}{of}", counted(count as usize, noun)))
        .collect();
    let mut out = String::new();
    if !parts.is_empty() {
        let mut line = Line::default();
        line.push(
            YELLOW,
            &format!("dropped, because only so much is kept: {}", parts.join(", ")),
        );
        line.render(style, &mut out);
    }
    out
}
