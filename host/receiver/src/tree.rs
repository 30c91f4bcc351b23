//! A trace as a tree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anstyle::Style as Paint;
use opentelemetry::SpanId;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use crate::logs::{counted, record_lines};
use crate::model::{LogEntry, SpanRecord, Trace, attribute, pairs, span_id, text};
use crate::text::{BOLD, DIM, GREEN, Line, PLAIN, RED, Style, YELLOW, duration};

/// Levels of the tree that are drawn. Beyond it a line says how deep it is, so that a chain of ten thousand
/// spans stays ten thousand short lines.
const DRAWN_LEVELS: usize = 24;
/// Durations stand in a column no further right than this; the terminal may be narrower.
const WIDEST_LABEL: usize = 72;
/// Room for the duration and the hint, right of the labels.
const RIGHT_OF_LABEL: usize = 30;
/// Lines of one message that are shown: of a longer one the first few, which say what failed, and more of the last, where a
/// traceback has its error.
const MESSAGE_LINES: usize = 8;
/// Those of them that are its first.
const FIRST_LINES: usize = 3;
/// Lines from the end of a stack trace.
const STACK_LINES: usize = 6;
/// Processes that the header names.
const NAMED_PROCESSES: usize = 4;

/// A trace as text: a header, the tree of its spans in the order they started, each with its errors and log
/// records beneath, and the `floe.*` attributes that all spans have in common.
pub fn render_trace(trace: &Trace, style: &Style) -> String {
    render_with(trace, style, "")
}

/// [`render_trace`] with a remark in the header.
pub(crate) fn render_with(trace: &Trace, style: &Style, remark: &str) -> String {
    let mut out = String::new();
    header(trace, remark).render(style, &mut out);

    let start = trace.start();
    let mut logs = logs_by_span(trace, style);
    let mut rows = Vec::new();
    for node in forest(trace) {
        let below = node.below.clone();
        let record = node.record;
        rows.push(node.into_row());
        rows.extend(
            error_lines(record, style)
                .into_iter()
                .map(|line| detail(&below, line)),
        );
        if style.verbose && !record.span.attributes.is_empty() {
            let mut line = Line::default();
            line.push(DIM, &pairs(&record.span.attributes));
            rows.push(detail(&below, line));
        }
        let logs = logs.remove(&record.id()).unwrap_or_default();
        let process = Some(&record.origin.process);
        let log_lines = log_lines(start, &logs, style, |log| log.origin.process.hint(process));
        rows.extend(log_lines.into_iter().map(|line| detail(&below, line)));
    }
    align(rows, style, &mut out);

    let mut rest: Vec<_> = logs.into_values().flatten().collect();
    rest.sort_by_key(|entry| entry.time());
    if !rest.is_empty() {
        let mut line = Line::default();
        line.push(DIM, "logs of spans that were not received");
        line.render(style, &mut out);
        for line in log_lines(start, &rest, style, |log| log.origin.process.hint(None)) {
            detail_line(" ", line).render(style, &mut out);
        }
    }

    let common = common_attributes(trace);
    if !common.is_empty() {
        let mut line = Line::default();
        line.push(DIM, &common);
        line.render(style, &mut out);
    }
    out
}

fn header(trace: &Trace, remark: &str) -> Line {
    let processes: BTreeSet<_> = trace
        .spans
        .values()
        .map(|record| &record.origin.process)
        .collect();
    let mut names: Vec<_> = processes
        .iter()
        .take(NAMED_PROCESSES)
        .map(ToString::to_string)
        .collect();
    if processes.len() > NAMED_PROCESSES {
        names.push(format!("+{} more", processes.len() - NAMED_PROCESSES));
    }
    let mut about = vec![match trace.spans.len() {
        0 => format!("no spans received · {}", counted(trace.logs.len(), "log record")),
        spans => counted(spans, "span"),
    }];
    if processes.len() > 1 {
        about.push(counted(processes.len(), "process"));
    }
    if !names.is_empty() {
        about.push(names.join(", "));
        about.push(duration(trace.duration()));
    }
    let mut line = Line::default();
    line.push(BOLD, &format!("trace {}", trace.id))
        .push(PLAIN, &format!(" · {}", about.join(" · ")));
    if !remark.is_empty() {
        line.push(YELLOW, &format!(" ({remark})"));
    }
    line
}

/// A span in its place.
struct Node<'a> {
    record: &'a SpanRecord,
    /// The lines that lead to it.
    guides: String,
    /// The lines that go on beneath it.
    below: String,
    /// What is odd about its place.
    remark: String,
    hint: String,
}

/// Every span exactly once, parents before children. Without recursion: the depth is the sender's to choose.
fn forest(trace: &Trace) -> Vec<Node<'_>> {
    let mut all: Vec<&SpanRecord> = trace.spans.values().map(AsRef::as_ref).collect();
    all.sort_by_key(|record| (record.span.start_time_unix_nano, record.id().to_bytes()));

    let mut children: HashMap<SpanId, Vec<&SpanRecord>> = HashMap::new();
    let mut tops = Vec::new();
    for record in &all {
        match record.parent() {
            None => tops.push((*record, String::new())),
            Some(parent) if trace.spans.contains_key(&parent) => {
                children.entry(parent).or_default().push(*record);
            }
            Some(parent) => tops.push((*record, format!("(parent {parent} not received)"))),
        }
    }

    let mut walk = Walk {
        children,
        seen: HashSet::new(),
        nodes: Vec::with_capacity(all.len()),
    };
    for (record, remark) in tops {
        walk.descend(record, remark);
    }
    // What no top leads to is in a circle, or below one: any of them may be its top.
    for record in all {
        if let Some(parent) = record.parent().filter(|_| !walk.seen.contains(&record.id())) {
            walk.descend(record, format!("(parent {parent} is below it)"));
        }
    }
    walk.nodes
}

struct Walk<'a> {
    children: HashMap<SpanId, Vec<&'a SpanRecord>>,
    seen: HashSet<SpanId>,
    nodes: Vec<Node<'a>>,
}

/// A span that is about to be visited.
struct Visit<'a> {
    record: &'a SpanRecord,
    parent: Option<&'a SpanRecord>,
    depth: usize,
    last: bool,
    remark: String,
}

impl<'a> Walk<'a> {
    fn descend(&mut self, top: &'a SpanRecord, remark: String) {
        // For each level above the current span: whether more siblings follow there.
        let mut open: Vec<bool> = Vec::new();
        let mut stack = vec![Visit {
            record: top,
            parent: None,
            depth: 0,
            last: true,
            remark,
        }];
        self.seen.insert(top.id());
        while let Some(Visit {
            record,
            parent,
            depth,
            last,
            remark,
        }) = stack.pop()
        {
            let mut children = self.children.remove(&record.id()).unwrap_or_default();
            children.retain(|child| self.seen.insert(child.id()));

            open.truncate(depth.saturating_sub(1));
            let branch = match (depth, last) {
                (0, _) => "",
                (_, true) => "└─ ",
                (_, false) => "├─ ",
            };
            let guides = drawn(&open) + branch;
            if depth > 0 {
                open.push(!last);
            }
            let below = drawn(&open) + if children.is_empty() { "   " } else { "│  " };
            let hint = record
                .origin
                .process
                .hint(parent.map(|parent| &parent.origin.process));
            self.nodes.push(Node {
                record,
                guides,
                below,
                remark,
                hint,
            });

            let youngest = children.len().saturating_sub(1);
            let visits = children.into_iter().enumerate().map(|(at, child)| Visit {
                record: child,
                parent: Some(record),
                depth: depth + 1,
                last: at == youngest,
                remark: String::new(),
            });
            stack.extend(visits.rev());
        }
    }
}

fn drawn(open: &[bool]) -> String {
    let hidden = open.len().saturating_sub(DRAWN_LEVELS);
    let mut guides = if hidden > 0 {
        format!("⋯{} ", open.len())
    } else {
        String::new()
    };
    guides.extend(
        open.iter()
            .skip(hidden)
            .map(|open| if *open { "│  " } else { "   " }),
    );
    guides
}

/// One line of the tree.
enum Row {
    Span {
        label: Line,
        duration: String,
        after: Line,
    },
    Detail(Line),
}

impl Node<'_> {
    fn into_row(self) -> Row {
        let (mark, paint) = mark(self.record);
        let name = if self.record.failed() { RED } else { PLAIN };
        let mut label = Line::default();
        label
            .push(DIM, &self.guides)
            .push(paint, mark)
            .push(PLAIN, " ")
            .push(name, &self.record.span.name);
        let mut after = Line::default();
        for note in [&self.hint, &self.remark] {
            if !note.is_empty() {
                after.push(PLAIN, "  ").push(DIM, note);
            }
        }
        let ended = self.record.span.end_time_unix_nano != 0;
        let duration = match self.record.duration() {
            _ if !ended => "not ended".to_owned(),
            0 => "·".to_owned(), // a point in time
            nanos => duration(nanos),
        };
        Row::Span {
            label,
            duration,
            after,
        }
    }
}

fn mark(record: &SpanRecord) -> (&'static str, Paint) {
    if record.failed() {
        return ("✗", RED);
    }
    match attribute(&record.span.attributes, "floe.outcome")
        .map(text)
        .as_deref()
    {
        Some("warning") => ("!", YELLOW),
        Some("skipped" | "cancelled") => ("-", DIM),
        _ => ("✓", GREEN),
    }
}

/// Names left, durations in one column, the rest after it.
fn align(rows: Vec<Row>, style: &Style, out: &mut String) {
    let room = style
        .width
        .map_or(WIDEST_LABEL, |width| width.saturating_sub(RIGHT_OF_LABEL));
    let widest = room.min(WIDEST_LABEL);
    let (mut label_column, mut duration_column) = (0, 0);
    for row in &rows {
        if let Row::Span { label, duration, .. } = row {
            label_column = label_column.max(label.width().min(widest));
            duration_column = duration_column.max(duration.chars().count());
        }
    }
    for row in rows {
        match row {
            Row::Detail(line) => line.render(style, out),
            Row::Span {
                mut label,
                duration,
                after,
            } => {
                if style.width.is_some() {
                    label.cut(label_column);
                }
                label
                    .pad(label_column)
                    .push(PLAIN, &format!("  {duration:>duration_column$}"))
                    .append(after);
                label.render(style, out);
            }
        }
    }
}

fn detail(below: &str, line: Line) -> Row {
    Row::Detail(detail_line(below, line))
}

/// Beneath the name of its span.
fn detail_line(below: &str, line: Line) -> Line {
    let mut detail = Line::default();
    detail.push(DIM, below).push(PLAIN, " ").append(line);
    detail
}

/// Why a span failed, once: the exceptions, and the status description unless an exception says the same. Of one that
/// did not fail, what there was to remark.
fn error_lines(record: &SpanRecord, style: &Style) -> Vec<Line> {
    if !record.failed() {
        let remark = attribute(&record.span.attributes, "floe.warning.message").map(text);
        return remark
            .map(|text| message_lines(&text, YELLOW))
            .unwrap_or_default();
    }
    let mut messages = Vec::new();
    let mut stack = Vec::new();
    for event in record
        .span
        .events
        .iter()
        .filter(|event| event.name == "exception")
    {
        messages.push(exception(event));
        if let Some(trace) = attribute(&event.attributes, "exception.stacktrace").filter(|_| style.verbose) {
            let trace = text(trace);
            let lines: Vec<_> = trace.trim_end().lines().collect();
            let end = lines.iter().skip(lines.len().saturating_sub(STACK_LINES));
            stack.extend(end.map(|line| (*line).to_owned()));
        }
    }
    let description = record
        .span
        .status
        .as_ref()
        .map(|status| status.message.as_str())
        .unwrap_or_default();
    if !description.is_empty() && !messages.iter().any(|message| message.contains(description)) {
        messages.insert(0, description.to_owned());
    }
    if messages.is_empty() {
        messages.extend(attribute(&record.span.attributes, "error.type").map(text));
    }

    let mut lines: Vec<_> = messages
        .iter()
        .flat_map(|message| message_lines(message, RED))
        .collect();
    lines.extend(stack.iter().map(|text| Line::quote(DIM, text)));
    lines
}

fn exception(event: &Event) -> String {
    let part = |key| {
        attribute(&event.attributes, key)
            .map(text)
            .filter(|text| !text.is_empty())
    };
    match (part("exception.type"), part("exception.message")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (kind, message) => kind.or(message).unwrap_or_else(|| "exception".to_owned()),
    }
}

fn message_lines(message: &str, paint: Paint) -> Vec<Line> {
    let said: Vec<_> = message.lines().filter(|line| !line.trim().is_empty()).collect();
    let hidden = said.len().saturating_sub(MESSAGE_LINES);
    if hidden == 0 {
        return said.iter().map(|text| Line::quote(paint, text)).collect();
    }
    let (first, rest) = said.split_at(FIRST_LINES);
    let last = rest.iter().skip(hidden);
    let mut lines: Vec<_> = first.iter().map(|text| Line::quote(paint, text)).collect();
    let mut gap = Line::default();
    gap.push(DIM, &format!("… {} …", counted(hidden, "line")));
    lines.push(gap);
    lines.extend(last.map(|text| Line::quote(paint, text)));
    lines
}

/// The log records of each span by time; those of no span are of the invalid span id.
fn logs_by_span<'a>(trace: &'a Trace, style: &Style) -> HashMap<SpanId, Vec<&'a LogEntry>> {
    let mut logs: HashMap<_, Vec<_>> = HashMap::new();
    for entry in trace.logs.iter().filter(|_| style.logs) {
        let span = span_id(&entry.record.span_id).unwrap_or(SpanId::INVALID);
        logs.entry(span).or_default().push(entry.as_ref());
    }
    for entries in logs.values_mut() {
        entries.sort_by_key(|entry| entry.time());
    }
    logs
}

/// As many as the style allows, with their time since the start of the trace, and how many more there are.
fn log_lines(
    start: u64,
    entries: &[&LogEntry],
    style: &Style,
    hint: impl Fn(&LogEntry) -> String,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in entries.iter().take(style.logs_per_span) {
        let offset = match entry.time() {
            0 => "-".to_owned(),
            time if time < start => format!("-{}", duration(start - time)),
            time => format!("+{}", duration(time - start)),
        };
        let mut line = Line::default();
        line.push(DIM, &format!("{offset:<8}  "));
        lines.extend(record_lines(&entry.record, line, &hint(entry), style));
    }
    let hidden = entries.len().saturating_sub(style.logs_per_span);
    if hidden > 0 {
        let mut line = Line::default();
        line.push(DIM, &format!("+{hidden} more"));
        lines.push(line);
    }
    lines
}

/// The `floe.*` attributes, of a span or its resource, that are the same for every span.
fn common_attributes(trace: &Trace) -> String {
    let mut common: Option<BTreeMap<String, String>> = None;
    for record in trace.spans.values() {
        let both = record.origin.attributes.iter().chain(&record.span.attributes);
        let own: BTreeMap<_, _> = both
            .filter(|attribute| attribute.key.starts_with("floe."))
            .filter_map(|attribute| Some((attribute.key.clone(), text(attribute.value.as_ref()?))))
            .collect();
        match &mut common {
            None => common = Some(own),
            Some(common) => common.retain(|key, value| own.get(key) == Some(value)),
        }
    }
    let pairs: Vec<_> = common
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join("  ")
}
