//! JSON objects, to which something can be added.

use serde_json::{Map, Value as Json};

/// The members of an object, as `json!` makes one.
pub(crate) fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}
