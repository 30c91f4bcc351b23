//! Files of OTLP/JSON, one request a line, as the Collector's file exporter writes them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::batch::{Batch, Sink};
use crate::otlp_json;

/// Writes every request as one line of OTLP/JSON. What a file holds already stays.
#[derive(Debug)]
pub struct JsonLines {
    files: Mutex<Files>,
}

#[derive(Debug)]
enum Files {
    One(File),
    EachSignal { traces: File, metrics: File, logs: File },
}

impl JsonLines {
    /// All signals into one file.
    pub fn to_file(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            files: Mutex::new(Files::One(open(path.as_ref())?)),
        })
    }

    /// Into `traces.jsonl`, `metrics.jsonl` and `logs.jsonl` in a directory, which is made if it is missing.
    pub fn to_directory(path: impl AsRef<Path>) -> io::Result<Self> {
        let directory = path.as_ref();
        fs::create_dir_all(directory)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        let files = Files::EachSignal {
            traces: open(&directory.join("traces.jsonl"))?,
            metrics: open(&directory.join("metrics.jsonl"))?,
            logs: open(&directory.join("logs.jsonl"))?,
        };
        Ok(Self {
            files: Mutex::new(files),
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

impl Sink for JsonLines {
    fn accept(&self, batch: &Batch) -> io::Result<()> {
        let mut line = otlp_json::encode(batch).map_err(io::Error::other)?;
        line.push('\n');
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match (&mut *files, batch) {
            (Files::One(file), _) => file,
            (Files::EachSignal { traces, .. }, Batch::Traces(_)) => traces,
            (Files::EachSignal { metrics, .. }, Batch::Metrics(_)) => metrics,
            (Files::EachSignal { logs, .. }, Batch::Logs(_)) => logs,
        };
        // One write a line, so that no reader of the file sees half of one.
        file.write_all(line.as_bytes())
    }
}
