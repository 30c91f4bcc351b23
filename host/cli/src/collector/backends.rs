//! `floe-telemetry collector backends`

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use floe_telemetry::bindings::telemetry_backends::exports::floe::telemetry::backends::{
    Backend, Setting, SettingType,
};
use floe_telemetry::{Backends, BackendsComponent, Signal};
use serde_json::{Value, json};

use crate::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Directory of further backends; by default that of FLOE_TELEMETRY_BACKENDS.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let backends = Backends::load(arguments.directory.as_deref())?;
    if arguments.json {
        let all: Vec<Value> = backends
            .list()
            .map(|(backend, component)| shown(backend, component))
            .collect();
        crate::say(serde_json::to_string_pretty(&all)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["backend", "signals", "settings", "what it is"]);
    for (backend, component) in backends.list() {
        let about = match &component.file {
            Some(file) => format!("{} ({})", backend.description, file.display()),
            None => backend.description.clone(),
        };
        table.add_row([
            backend.name.clone(),
            signals(backend).join("\n"),
            backend
                .settings
                .iter()
                .map(summary)
                .collect::<Vec<_>>()
                .join("\n"),
            about,
        ]);
    }
    crate::say(table);
    crate::say(
        "* must be set; $ is the name of a variable of the Collector that holds a secret. --json has the descriptions.",
    );
    Ok(ExitCode::SUCCESS)
}

fn summary(setting: &Setting) -> String {
    let mark = if setting.required { "*" } else { "" };
    let secret = if setting.secret { "$" } else { "" };
    let default = match setting.default.as_str() {
        "" => String::new(),
        default => format!(" = {}", default.trim_matches('"')),
    };
    format!("{secret}{}{mark}{default}", setting.name)
}

fn shown(backend: &Backend, component: &BackendsComponent) -> Value {
    json!({
        "name": backend.name,
        "description": backend.description,
        "signals": signals(backend),
        "settings": backend.settings.iter().map(|setting| json!({
            "name": setting.name,
            "type": match setting.type_ {
                SettingType::Text => "text",
                SettingType::Integer => "integer",
                SettingType::Boolean => "boolean",
                SettingType::Url => "url",
            },
            "required": setting.required,
            "secret": setting.secret,
            "default": serde_json::from_str::<Value>(&setting.default).unwrap_or(Value::Null),
            "description": setting.description,
        })).collect::<Vec<_>>(),
        "component": {
            "name": component.info.name,
            "version": component.info.version,
            "sha256": component.digest,
            "file": component.file,
        },
    })
}

fn signals(backend: &Backend) -> Vec<&'static str> {
    backend
        .signals
        .iter()
        .map(|signal| match signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        })
        .collect()
}
