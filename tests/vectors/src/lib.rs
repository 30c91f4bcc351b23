//! The cases of `tests/vectors/*.json`: a function of the contract, its arguments and what it must answer.
//!
//! The policy runs its own natively, the Rust host and the Python host through the component; the backends run theirs, `backends.*`, natively. WIT values are JSON: a record is an object, an
//! enum its case's name, an absent option `null`, a result `{"ok": ...}` or `{"err": ...}`. An object in `result` names the fields that matter.
//!
//! Three functions are a host's, with a policy that is not configured. A carrier is `http`, `grpc`, `environment`, `run-tags` or `env-list`; both ends of it
//! are whole, so an object of these results holds just what is there.
//!
//! - `carriers.inject(carrier, {"traceparent", "tracestate", "baggage"})`: what a carrier that was empty holds then, `{name: value}`; of `env-list` the list
//!   of `{"name", "value"}`.
//! - `console.render(traces, logs)`: the lines that the console prints for export requests, OTLP/JSON, of one trace, without colours and
//!   for no terminal. `receive` prints the same.
//! - `carriers.extract(carrier, [[name, value], ...])`: `{"traceparent", "tracestate", "baggage"}` as injecting what was extracted into HTTP headers gives
//!   it; empty where there is none.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vectors {
    /// `interface.function`, as WIT names them.
    pub function: String,
    /// The manifest that the instance is configured with first, if any.
    pub manifest: Option<String>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Arguments.
    pub arguments: Vec<Value>,
    /// What must come back.
    pub result: Value,
}

/// What starts the name of a function that is a host's and none of the policy's.
const CARRIERS: &str = "carriers.";
/// What starts the name of a function that is the backends' and none of the policy's.
const BACKENDS: &str = "backends.";

/// What starts the name of the function that is the console's.
const CONSOLE: &str = "console.";

/// Calls every case of the policy's functions with `call(manifest, function, arguments)` and says which answered otherwise. Answers how many there were.
pub fn run(
    call: impl FnMut(Option<&str>, &str, &[Value]) -> Result<Value, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    run_where(
        |function| {
            ![CARRIERS, BACKENDS, CONSOLE]
                .iter()
                .any(|start| function.starts_with(start))
        },
        matches,
        call,
    )
}

/// Calls every case of the backends' functions, `backends.list` and `backends.render`, with `call(function, arguments)`, as [`run`] does.
pub fn run_backends(
    mut call: impl FnMut(&str, &[Value]) -> Result<Value, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    run_where(
        |function| function.starts_with(BACKENDS),
        matches,
        |_, function, arguments| call(function, arguments),
    )
}

/// Calls every case of the host's functions, `carriers.inject` and `carriers.extract`, with `call(function, carrier, argument)`, as [`run`] does.
pub fn run_carriers(
    mut call: impl FnMut(&str, &str, &Value) -> Result<Value, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    run_where(
        |function| function.starts_with(CARRIERS),
        |expected, found| expected == found,
        |_, function, arguments| match arguments {
            [Value::String(carrier), argument] => call(function, carrier, argument),
            _ => Err("a carrier and what it is given".into()),
        },
    )
}

/// Calls every case of the console, `console.render`, with `call(traces, logs)`, as [`run`] does.
pub fn run_console(
    mut call: impl FnMut(&Value, &Value) -> Result<Value, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    run_where(
        |function| function.starts_with(CONSOLE),
        |expected, found| expected == found,
        |_, _, arguments| match arguments {
            [traces, logs] => call(traces, logs),
            _ => Err("spans and log records".into()),
        },
    )
}

fn run_where(
    wanted: impl Fn(&str) -> bool,
    matches: impl Fn(&Value, &Value) -> bool,
    mut call: impl FnMut(Option<&str>, &str, &[Value]) -> Result<Value, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vectors: Vectors = serde_json::from_str(&fs::read_to_string(&path)?)?;
        if !wanted(&vectors.function) {
            continue;
        }
        for case in &vectors.cases {
            count += 1;
            let found = call(vectors.manifest.as_deref(), &vectors.function, &case.arguments)?;
            if !matches(&case.result, &found) {
                wrong.push(format!(
                    "{} {:?}\n  expected {}\n  found    {found}",
                    vectors.function, case.name, case.result
                ));
            }
        }
    }
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(wrong.join("\n").into())
    }
}

/// Equal, where an expected object may leave fields out.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| matches(value, found))),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(expected, found)| matches(expected, found))
        }
        (expected, found) => expected == found,
    }
}
