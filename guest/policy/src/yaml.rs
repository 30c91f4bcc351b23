//! YAML text to a tree whose every node knows its place, within bounds.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser};

use crate::bindings::exports::floe::telemetry::configuration::Member;
use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::layers::Layer;

/// Most values in a manifest, aliases expanded and what they name kept; a long text counts as several. Real ones have hundreds.
const MOST_NODES: usize = 20_000;
/// Bytes of text that count as one value.
const BYTES_A_NODE: usize = 64;
/// Deepest nesting.
const DEEPEST: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Line from 1; 0 where it does not stand in the text.
    pub line: u32,
    /// Column from 1; 0 where it does not stand in the text.
    pub column: u32,
    /// Which layer of the configuration it is of.
    pub layer: Layer,
    /// What it took the place of.
    pub under: Option<Box<Node>>,
}

impl Node {
    fn new(value: Value, (line, column): (u32, u32)) -> Self {
        Self {
            value,
            line,
            column,
            layer: Layer::Manifest,
            under: None,
        }
    }
}

/// What YAML 1.2's core schema knows.
#[derive(Debug, Clone)]
pub enum Value {
    /// `null` or nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// What a host looks up in a variable, in place of a text. YAML does not know it: the variables' layer does.
    Member(Member),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text. Keys are unique.
    Mapping(Vec<(Key, Node)>),
}

impl Value {
    /// What it is, for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) | Self::Member(_) => "text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// A mapping's key and where it stands.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Line from 1.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
}

/// Parses one document. An empty one is [`Value::Null`].
pub fn parse(text: &str) -> Result<Node, Diagnostic> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| refused(error.marker(), error.info()))?;
        builder.event(event, &span.start)?;
    }
    Ok(builder.document.unwrap_or(Node::new(Value::Null, (1, 1))))
}

fn refused(at: &Marker, reason: &str) -> Diagnostic {
    let (line, column) = place(at);
    Place {
        path: String::new(),
        line,
        column,
    }
    .error(
        diagnostic::MANIFEST_SYNTAX,
        format!("the manifest cannot be read as YAML: {reason}"),
        format!("write one YAML document with unique keys, at most {DEEPEST} levels and {MOST_NODES} values"),
    )
}

/// Markers count lines from 1 and columns from 0.
fn place(at: &Marker) -> (u32, u32) {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (narrow(at.line()), narrow(at.col() + 1))
}

/// A collection that is being read.
enum Open {
    List(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        names: BTreeSet<String>,
        key: Option<Key>,
    },
}

/// Builds the tree from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    document: Option<Node>,
    open: Vec<(Open, (u32, u32), usize)>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: &Marker) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(refused(at, "a second document starts"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let size = 1 + text.len() / BYTES_A_NODE;
                let value = match Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()) {
                    Some(Scalar::Null) => Value::Null,
                    Some(Scalar::Boolean(truth)) => Value::Boolean(truth),
                    Some(Scalar::Integer(number)) => Value::Integer(number),
                    Some(Scalar::FloatingPoint(number)) => Value::Float(number.into_inner()),
                    Some(Scalar::String(text)) => Value::Text(text.into_owned()),
                    None => return Err(refused(at, "a value does not fit its tag")),
                };
                self.place_node(value, place(at), anchor, size, at)
            }
            Event::SequenceStart(anchor, _) => self.start(Open::List(Vec::new()), anchor, at),
            Event::MappingStart(anchor, _) => self.start(
                Open::Mapping {
                    entries: Vec::new(),
                    names: BTreeSet::new(),
                    key: None,
                },
                anchor,
                at,
            ),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::List(items), from, anchor)) => {
                    self.place_node(Value::List(items), from, anchor, 1, at)
                }
                Some((Open::Mapping { entries, .. }, from, anchor)) => {
                    self.place_node(Value::Mapping(entries), from, anchor, 1, at)
                }
                None => Ok(()),
            },
            // An anchor is known once its node is complete, so a node cannot hold itself.
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, size)) => {
                    let (node, size) = (node.clone(), *size);
                    self.place_node(node.value, place(at), 0, size, at)
                }
                None => Err(refused(at, "an alias stands inside the node that it names")),
            },
            _ => Ok(()),
        }
    }

    fn start(&mut self, open: Open, anchor: usize, at: &Marker) -> Result<(), Diagnostic> {
        if self.open.len() == DEEPEST {
            return Err(refused(at, "it is nested too deeply"));
        }
        self.open.push((open, place(at), anchor));
        Ok(())
    }

    fn count(&mut self, size: usize, at: &Marker) -> Result<(), Diagnostic> {
        self.nodes += size;
        if self.nodes > MOST_NODES {
            Err(refused(at, "it holds too many values"))
        } else {
            Ok(())
        }
    }

    fn place_node(
        &mut self,
        value: Value,
        (line, column): (u32, u32),
        anchor: usize,
        size: usize,
        at: &Marker,
    ) -> Result<(), Diagnostic> {
        self.count(size, at)?;
        let node = Node::new(value, (line, column));
        if anchor > 0 {
            let size = node.size();
            self.count(size, at)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.document = Some(node),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Mapping { entries, names, key }, ..)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let name = match node.value {
                        Value::Text(name) => name,
                        Value::Integer(number) => number.to_string(),
                        Value::Boolean(truth) => truth.to_string(),
                        other => return Err(refused(at, &format!("{} cannot be a key", other.kind()))),
                    };
                    if !names.insert(name.clone()) {
                        return Err(refused(at, &format!("the key {} is there twice", shown(&name))));
                    }
                    *key = Some(Key { name, line, column });
                }
            },
        }
        Ok(())
    }
}

impl Node {
    /// What this tree counts.
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Text(text) => text.len() / BYTES_A_NODE,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        parse(text).map(|node| format!("{node:?}")).unwrap_err().message
    }

    #[test]
    fn bounds_hold() {
        assert!(reason("a: &a [*a]").contains("inside the node"));
        assert!(reason("a: 1\na: 2").contains("twice"));
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(reason(&"- ".repeat(100)).contains("nested"));
        assert!(reason("--- a\n--- b").contains("second document"));
        let bomb: String = (0..12)
            .map(|level| match level {
                0 => "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(),
                _ => format!(
                    "a{level}: &a{level} [{}]\n",
                    vec![format!("*a{}", level - 1); 10].join(",")
                ),
            })
            .collect();
        assert!(reason(&bomb).contains("too many"));
        let long = format!(
            "a: &a '{}'\nb: [{}]",
            "x".repeat(900_000),
            vec!["*a"; 100].join(",")
        );
        assert!(reason(&long).contains("too many"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(text in "(\\PC|[\\[\\]{}:&*!|>#\n -]){0,200}") {
            let _ = parse(&text);
        }
    }
}
