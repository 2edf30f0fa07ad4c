//! `[[sources]]` and `[sinks.setpoints]`: which door, and what is the door's own business.
//!
//! Four keys are ours; the rest belong to the connector, which knows them and reports on them. They
//! are kept with their lines, so that such a report names its place in the file.

use std::collections::BTreeMap;

use connectors::registry::SIMULATOR;
use connectors::registry::SinkConfig;
use connectors::registry::SourceConfig;
use serde_json::Value;

use super::reader::Section;
use crate::problem::nearest;

/// A connector as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Door {
    /// Its name.
    pub name: String,
    /// Which connector.
    pub kind: String,
    /// What the connector is told.
    pub options: BTreeMap<String, Value>,

    /// The section's full name, for messages.
    pub(crate) path: String,
    /// The line of the section.
    pub(crate) line: usize,
    /// The line of each key.
    pub(crate) lines: BTreeMap<String, usize>,
}

/// An entry of `[[sources]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The connector.
    pub door: Door,
    /// The stream it feeds; `None` where it is a simulator, which feeds several, or the file does
    /// not say.
    pub stream: Option<String>,
    /// Milliseconds that a reading on time may be earlier than the greatest seen.
    pub out_of_order_ms: u64,
}

impl Source {
    /// The same as the connectors read it.
    pub fn registry(&self) -> SourceConfig {
        let Door { name, kind, options, .. } = self.door.clone();
        SourceConfig { name, kind, stream: self.stream.clone().unwrap_or_default(), options }
    }
}

impl Door {
    /// The same as the connectors read it, for a sink.
    pub fn registry(&self) -> SinkConfig {
        let Door { name, kind, options, .. } = self.clone();
        SinkConfig { name, kind, options }
    }

    /// The line of a key, or of the section.
    pub fn line_of(&self, key: &str) -> usize {
        let top = key.split('.').next().unwrap_or(key);
        self.lines.get(top).copied().unwrap_or(self.line)
    }

    /// The full name of a key.
    pub fn key(&self, key: Option<&str>) -> String {
        key.map_or(self.path.clone(), |key| format!("{}.{key}", self.path))
    }
}

/// Reads `[[sources]]`.
pub(super) fn sources(sections: &[Section<'_>], streams: &[&str]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for section in sections {
        let name = section.required("name", "name = \"…\": offsets are kept by it");
        if name.contains('/') {
            section.wrong("name", "a source's name holds no '/'", "use '-' instead");
        }
        if !name.is_empty() && sources.iter().any(|other| other.door.name == name) {
            let hint = "give every source a name of its own: offsets are kept by it";
            section.wrong("name", format!("there is a source {name:?} already"), hint);
        }
        let stream = stream(section);
        if let Some(wrong) = stream.as_ref().filter(|name| !streams.contains(&name.as_str())) {
            let hint = nearest(wrong, streams.iter().copied());
            section.wrong("stream", format!("there is no stream {wrong:?}"), hint);
        }
        let out_of_order_ms = section.duration("out_of_order").unwrap_or(0);
        let door = door(section, name, "kind = \"file\", \"kafka\" or \"simulator\"");
        sources.push(Source { door, stream, out_of_order_ms });
    }
    sources
}

/// The stream that a source feeds; a simulator feeds all of its own.
fn stream(section: &Section<'_>) -> Option<String> {
    if section.peek("kind") != Some(SIMULATOR) {
        let hint = "stream = \"…\": which stream it feeds";
        return Some(section.required("stream", hint)).filter(|stream| !stream.is_empty());
    }
    if section.has("stream") {
        section.any("stream");
        let hint = "leave it out: a simulator feeds all streams of its village";
        section.wrong("stream", "a simulator has no one stream", hint);
    }
    None
}

/// Reads `[sinks.setpoints]`.
pub(super) fn setpoints(sinks: &Section<'_>) -> Option<Door> {
    let section = sinks.maybe_section("setpoints");
    sinks.finish();
    section.map(|section| door(&section, "setpoints".to_owned(), "kind = \"file\" or \"kafka\""))
}

fn door(section: &Section<'_>, name: String, kinds: &str) -> Door {
    let kind = section.required("kind", kinds);
    let mut options = BTreeMap::new();
    let mut lines = BTreeMap::from([("kind".to_owned(), section.line_of("kind"))]);
    for key in section.rest() {
        lines.insert(key.to_owned(), section.line_of(key));
        if let Some(value) = section.any(key) {
            options.insert(key.to_owned(), value);
        }
    }
    let (path, line) = (section.path.clone(), section.line);
    Door { name, kind, options, path, line, lines }
}
