//! What the harness asks for: an array of `{"url": …, "arguments": …}`.

use serde::Deserialize;
use serde_json::Value;

/// One request to send.
#[derive(Debug, Deserialize)]
pub(crate) struct Call {
    /// Where to.
    pub(crate) url: String,
    /// Its JSON body: what the called service has to call in turn. Missing and null are an empty array, as the harness reads them.
    #[serde(default)]
    arguments: Value,
}

impl Call {
    /// The body as JSON text.
    pub(crate) fn body(&self) -> String {
        match &self.arguments {
            Value::Null => "[]".to_owned(),
            arguments => arguments.to_string(),
        }
    }
}

/// Reads a request's body.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Call>, serde_json::Error> {
    serde_json::from_slice(body)
}
