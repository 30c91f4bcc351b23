//! The operations of a process on disk, so that the next process reports those that this one did not live to end.
//!
//! Each process that has operations of more than a second has a file of its own, in JSON lines, and holds a lock on it as long as it lives: a file whose
//! lock can be had is of a process that is gone. Its first line says whose it is, and only a process of the same product, namespace and mode reports it,
//! under that identity. The Python package reads and writes the same files.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use floe_telemetry_otlp::{Redactor as _, Texts, Visitor};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attribute;
use crate::bindings::exports::floe::telemetry::operations::OperationKind;
use crate::bindings::exports::floe::telemetry::types::SpanKind;
use crate::failed::OperationStart;
use crate::ids::given;
use crate::inflight::{ABANDONED, abandoned};
use crate::manifest::Manifest;
use crate::operation::{Open, conclude, sdk_kind};
use crate::platform;
use crate::policy::Policy;
use crate::provider::Sdk;
use crate::redaction::Redaction;

/// Most files that a process reads, and most bytes of one.
const MOST_FILES: usize = 1024;
/// Files that nobody reported for so long are removed.
const OLDEST: Duration = Duration::from_secs(30 * 86_400);
/// The attributes that a process must share with one whose operations it reports.
const IDENTITY: [&str; 3] = ["floe.namespace", "floe.product.name", "floe.mode"];
const LARGEST: u64 = 1024 * 1024;
/// Files of this kind are whole and locked.
const EXTENSION: &str = "jsonl";

/// The contract's words.
const KINDS: [(OperationKind, &str); 14] = [
    (OperationKind::PipelineRun, "pipeline-run"),
    (OperationKind::Compile, "compile"),
    (OperationKind::CompileStage, "compile-stage"),
    (OperationKind::DbtInvocation, "dbt-invocation"),
    (OperationKind::DbtNode, "dbt-node"),
    (OperationKind::DagsterRun, "dagster-run"),
    (OperationKind::DagsterStep, "dagster-step"),
    (OperationKind::AssetMaterialization, "asset-materialization"),
    (OperationKind::AssetObservation, "asset-observation"),
    (OperationKind::AssetCheck, "asset-check"),
    (OperationKind::SensorTick, "sensor-tick"),
    (OperationKind::ScheduleTick, "schedule-tick"),
    (OperationKind::Command, "command"),
    (OperationKind::Custom, "custom"),
];
const SPAN_KINDS: [(SpanKind, &str); 5] = [
    (SpanKind::Internal, "internal"),
    (SpanKind::Server, "server"),
    (SpanKind::Client, "client"),
    (SpanKind::Producer, "producer"),
    (SpanKind::Consumer, "consumer"),
];

/// The contract's word for a kind.
pub(crate) fn word(kind: OperationKind) -> &'static str {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found.map_or("custom", |(_, word)| word)
}

/// Nanoseconds since 1970.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().try_into().unwrap_or(i64::MAX)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// An operation is more than a second old.
    Begin(Box<Note>),
    /// The operation of this span id ended.
    End(String),
    /// Nanoseconds since 1970; the process lived.
    Alive(i64),
    /// Whose file it is: the first line.
    Process(Box<Process>),
}

/// Who a process is, in its telemetry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Attributes of its resource.
    pub(crate) resource: Map<String, Value>,
    /// Attributes of all its spans.
    pub(crate) attributes: Map<String, Value>,
}

impl Process {
    /// Whether another process may report what this one did not end.
    fn is_one_with(&self, other: &Self) -> bool {
        let of = |process: &Self, key: &str| process.attributes.get(key).cloned();
        IDENTITY.iter().all(|key| of(self, key) == of(other, key))
    }
}

impl Texts for Process {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visit(&mut self.resource, visitor);
        visit(&mut self.attributes, visitor);
    }
}

/// What is noted of an operation that is open.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    trace_id: String,
    span_id: String,
    /// Empty if there is none.
    parent_span_id: String,
    trace_flags: String,
    tracestate: String,
    kind: String,
    name: String,
    span_name: String,
    span_kind: String,
    /// Nanoseconds since 1970.
    start: i64,
    pid: i64,
    attributes: Map<String, Value>,
}

impl Note {
    /// The note of an operation, redacted.
    pub(crate) fn of(operation: &Open, policy: &Policy) -> Self {
        let mut note = Self::new(operation);
        Redaction::new(policy).redact(&mut note);
        note
    }

    fn new(operation: &Open) -> Self {
        let context = operation.context().span().span_context().clone();
        let parent = operation.parent();
        let known = SPAN_KINDS.iter().find(|(kind, _)| *kind == operation.span_kind());
        Self {
            trace_id: context.trace_id().to_string(),
            span_id: context.span_id().to_string(),
            parent_span_id: if parent == SpanId::INVALID {
                String::new()
            } else {
                parent.to_string()
            },
            trace_flags: format!("{:02x}", context.trace_flags()),
            tracestate: context.trace_state().header(),
            kind: word(operation.kind()).to_owned(),
            name: operation.name().to_owned(),
            span_name: operation.span_name().to_owned(),
            span_kind: known.map_or("internal", |(_, word)| word).to_owned(),
            start: nanoseconds(operation.since()),
            pid: i64::from(std::process::id()),
            attributes: serde_json::from_str(operation.attributes()).unwrap_or_default(),
        }
    }
}

impl Texts for Note {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        visitor.text(&mut self.name);
        visitor.text(&mut self.span_name);
        visit(&mut self.attributes, visitor);
    }
}

fn visit(attributes: &mut Map<String, Value>, visitor: &mut dyn Visitor) {
    for (mut key, mut value) in std::mem::take(attributes) {
        let secret = visitor.is_secret(&key);
        let mut text = |text: &mut String| match secret {
            true => visitor.secret(text),
            false => visitor.text(text),
        };
        match &mut value {
            Value::String(found) => text(found),
            Value::Array(items) => {
                for item in items {
                    if let Value::String(found) = item {
                        text(found);
                    }
                }
            }
            _ => {}
        }
        visitor.text(&mut key);
        attributes.insert(key, value);
    }
}

/// This process's file. Trouble with the disk costs no more than the record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    file: Option<(File, PathBuf)>,
    open: HashSet<SpanId>,
}

impl Record {
    /// Notes that an operation is open. Where there is no place for a file nothing is noted.
    pub(crate) fn begin(&mut self, note: Note, process: &Process) {
        let Ok(span) = u64::from_str_radix(&note.span_id, 16) else {
            return;
        };
        if self.file.is_none() {
            self.file = create().ok();
            self.write(&Entry::Process(Box::new(process.clone())));
        }
        self.open.insert(SpanId::from(span));
        self.write(&Entry::Begin(Box::new(note)));
    }

    /// Notes that an operation ended.
    pub(crate) fn end(&mut self, span: SpanId) {
        self.write(&Entry::End(span.to_string()));
        self.open.remove(&span);
        if self.open.is_empty()
            && let Some((_, path)) = self.file.take()
        {
            // Who cannot remove it leaves a file in which nothing is open.
            let _ = fs::remove_file(path);
        }
    }

    /// Notes that the process lives.
    pub(crate) fn alive(&mut self) {
        self.write(&Entry::Alive(nanoseconds(SystemTime::now())));
    }

    fn write(&mut self, entry: &Entry) {
        if let Some((file, _)) = &mut self.file
            && let Ok(mut line) = serde_json::to_vec(entry)
        {
            line.push(b'\n');
            // What cannot be written is not reported.
            let _ = file.write_all(&line);
        }
    }
}

/// Where the files are: below `$FLOE_STATE_DIR`, or else in the user's state directory.
fn directory() -> io::Result<PathBuf> {
    let base = std::env::var_os("FLOE_STATE_DIR")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| dirs::state_dir().map(|state| state.join("floe-telemetry")))
        .ok_or(io::ErrorKind::NotFound)?;
    Ok(base.join("inflight"))
}

fn create() -> io::Result<(File, PathBuf)> {
    let directory = platform::private_directory(directory()?)?;
    let random = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("{}-{}", std::process::id(), random.get(..8).unwrap_or_default());
    let (new, path) = (
        directory.join(format!(".{name}.new")),
        directory.join(format!("{name}.{EXTENSION}")),
    );
    let file = OpenOptions::new().append(true).create_new(true).open(&new)?;
    // Before it has the name by which others find it.
    file.try_lock()?;
    fs::rename(&new, &path)?;
    Ok((file, path))
}

/// Reports what processes that are gone did not end, if they were of this process's product, namespace and mode.
pub(crate) fn report(sdk: &Sdk, policy: &Policy, manifest: &Manifest) {
    let Ok(directory) = directory().and_then(fs::read_dir) else {
        return;
    };
    let files = directory
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    for path in files.take(MOST_FILES) {
        if sdk.is_ended() {
            return;
        }
        // What cannot be read is left to whoever can.
        let _ = report_file(&path, sdk, policy, manifest);
    }
}

fn report_file(path: &Path, sdk: &Sdk, policy: &Policy, manifest: &Manifest) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.try_lock()?;
    let about = file.metadata()?;
    if platform::identity(&fs::metadata(path)?) != platform::identity(&about) {
        return Ok(());
    }
    let mut bytes = Vec::new();
    (&mut file).take(LARGEST).read_to_end(&mut bytes)?;
    let mut open: Vec<Note> = Vec::new();
    let mut process = Process::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Entry::Begin(begin)) => open.push(*begin),
            Ok(Entry::End(span)) => open.retain(|begin| begin.span_id != span),
            Ok(Entry::Process(found)) => process = *found,
            Ok(Entry::Alive(_)) | Err(_) => {}
        }
    }
    let last = about.modified()?;
    if !process.is_one_with(sdk.identity(policy)) {
        // It is for one of its own. What nobody came for is removed in the end.
        return match last.elapsed() {
            Ok(age) if age > OLDEST => fs::remove_file(path),
            _ => Ok(()),
        };
    }
    if open.is_empty() {
        return fs::remove_file(path);
    }
    let Ok(theirs) = sdk.of_another(policy, manifest, process) else {
        return Ok(());
    };
    for note in open {
        // What has no ids that are ids is nobody's.
        let _ = report_operation(note, last, &theirs, policy);
    }
    theirs.deliver();
    fs::remove_file(path)
}

fn report_operation(begin: Note, last: SystemTime, sdk: &Sdk, policy: &Policy) -> Option<()> {
    let trace = TraceId::from(u128::from_str_radix(&begin.trace_id, 16).ok()?);
    let span = SpanId::from(u64::from_str_radix(&begin.span_id, 16).ok()?);
    let start = UNIX_EPOCH + Duration::from_nanos(begin.start.try_into().ok()?);
    if trace == TraceId::INVALID || span == SpanId::INVALID {
        return None;
    }
    let parent = match u64::from_str_radix(&begin.parent_span_id, 16) {
        Ok(parent) => Context::new().with_remote_span_context(SpanContext::new(
            trace,
            SpanId::from(parent),
            TraceFlags::new(u8::from_str_radix(&begin.trace_flags, 16).ok()?),
            true,
            TraceState::from_str(&begin.tracestate).unwrap_or_default(),
        )),
        Err(_) => Context::new(),
    };
    let kind = KINDS.iter().find(|(_, word)| *word == begin.kind);
    let kind = kind.map_or(OperationKind::Custom, |(kind, _)| *kind);
    let span_kind = SPAN_KINDS.iter().find(|(_, word)| *word == begin.span_kind);
    let mut attributes = attribute::of_json(begin.attributes);
    attributes.push(KeyValue::new("process.pid", begin.pid));
    let tracer = sdk.tracer();
    let builder = tracer
        .span_builder(begin.span_name)
        .with_kind(sdk_kind(span_kind.map_or(SpanKind::Internal, |(kind, _)| *kind)))
        .with_start_time(start)
        .with_attributes(attributes);
    let started = given((trace, span), || {
        tracer.build_with_context(builder, &parent.with_value(OperationStart::below(&parent)))
    });
    let context = parent.with_span(started);
    let end = last.max(start);
    let seconds = end.duration_since(start).unwrap_or_default().as_secs_f64();
    let error = abandoned("the process that ran it ended without ending it".to_owned());
    let ending = policy
        .end(
            kind,
            &begin.name,
            ABANDONED,
            seconds,
            &attribute::object(&Map::new()),
            Some(&error),
        )
        .ok()?;
    conclude(&context, ending, Some(sdk), end);
    Some(())
}
