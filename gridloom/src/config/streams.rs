//! `[streams.NAME]`: how long a stream's rows matter, and streams of the user's own.
//!
//! A built-in stream has its columns already; only `lateness` and `retain` may be said of it. Any
//! other name declares a stream: `columns` with SQL types, `event_time`, and for upserts a `key`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use schemas::catalog::Catalog;
use schemas::catalog::DEFAULT_LATENESS_MS;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::catalog::RelationKind;
use schemas::catalog::StreamSettings;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::relation::timestamp_type;

use super::reader::Section;
use crate::problem::nearest;

/// What declares a stream, and is said already of a built-in one.
const DECLARES: [&str; 4] = ["columns", "event_time", "key", "envelope"];

/// Reads `[streams]` into the catalog of everything built in.
pub(super) fn read(section: &Section<'_>) -> Catalog {
    let mut catalog = Catalog::built_in();
    let built_in: BTreeMap<String, StreamSettings> =
        catalog.streams().map(|s| (s.def.name.clone(), s.clone())).collect();
    for name in section.rest() {
        let Some(stream) = section.maybe_section(name) else { continue };
        let def = match built_in.get(name) {
            Some(built_in) => {
                for key in DECLARES.iter().filter(|key| stream.has(key)) {
                    stream.any(key);
                    let hint = "only lateness and retain may be said of it: name yours otherwise";
                    stream.wrong(key, format!("{name} is a built-in stream"), hint);
                }
                Some(built_in.def.clone())
            }
            None => declared(name, &stream, built_in.keys().map(String::as_str)),
        };
        if let Some(kind) = catalog.get(name).filter(|_| !built_in.contains_key(name)) {
            let what =
                if kind.kind == RelationKind::Table { "reference table" } else { "relation" };
            let message = format!("there is a {what} {name} already");
            section.wrong(name, message, "call the stream something else");
            continue;
        }
        let usual = built_in.get(name).map_or(DEFAULT_LATENESS_MS, |built_in| built_in.lateness_ms);
        let lateness_ms = stream.duration("lateness").unwrap_or(usual);
        let usual = built_in.get(name).map_or(DEFAULT_RETAIN_MS, |built_in| built_in.retain_ms);
        let usual = if usual == 0 { 0 } else { usual.max(lateness_ms) };
        let retain_ms = stream.duration("retain").unwrap_or(usual);
        if retain_ms > 0 && retain_ms < lateness_ms {
            let hint = "what may still be corrected must still be there: lower lateness too";
            stream.wrong("retain", "retain is shorter than lateness", hint);
        }
        stream.finish();
        if let Some(def) = def {
            catalog.add_stream(StreamSettings { def, lateness_ms, retain_ms });
        }
    }
    catalog
}

fn declared<'n>(
    name: &str,
    stream: &Section<'_>,
    built_in: impl Iterator<Item = &'n str>,
) -> Option<StreamDef> {
    if !stream.has("columns") {
        let near = nearest(name, built_in);
        let hint = format!("{near} A stream of your own needs columns = {{ name = \"TEXT\", … }}");
        stream.missing("columns", hint);
        for key in DECLARES {
            stream.any(key);
        }
        return None;
    }
    let schema = Arc::new(Schema::new(columns(&stream.section("columns"))));
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let known = |key: &str, column: &str| {
        let known = schema.field_with_name(column).is_ok();
        if !known {
            stream.wrong(key, format!("there is no column {column:?}"), nearest(column, names()));
        }
        known
    };
    let event_time = stream.text("event_time");
    match &event_time {
        None if !stream.has("event_time") => {
            stream.missing("event_time", "add event_time = \"…\": the column of the event's time");
        }
        Some(column) if known("event_time", column) => {
            let field = schema.field_with_name(column).expect("it is known");
            if *field.data_type() != timestamp_type() {
                let hint = "declare the column as \"TIMESTAMP NOT NULL\"";
                stream.wrong("event_time", format!("{column} is no instant"), hint);
            }
        }
        _ => {}
    }
    let key = stream.texts("key").unwrap_or_default();
    for column in &key {
        known("key", column);
    }
    let envelopes = [("append", Envelope::Append), ("upsert", Envelope::Upsert)];
    let envelope = stream.word("envelope", &envelopes).unwrap_or(Envelope::Append);
    if envelope == Envelope::Upsert && key.is_empty() {
        stream.wrong("envelope", "an upsert needs a key", "add key = [\"…\"]");
    }
    let event_time = event_time?;
    Some(StreamDef { name: name.to_owned(), schema, event_time, key, envelope })
}

/// The types a column may have, by their SQL names.
fn types() -> [(&'static str, DataType); 5] {
    [
        ("TEXT", DataType::Utf8),
        ("DOUBLE PRECISION", DataType::Float64),
        ("BIGINT", DataType::Int64),
        ("BOOLEAN", DataType::Boolean),
        ("TIMESTAMP", timestamp_type()),
    ]
}

fn columns(section: &Section<'_>) -> Vec<Field> {
    let mut fields = Vec::new();
    for name in section.rest() {
        let Some(text) = section.text(name) else { continue };
        let upper = text.to_uppercase();
        let (written, nullable) = match upper.strip_suffix("NOT NULL") {
            Some(written) => (written.trim_end(), false),
            None => (upper.as_str(), true),
        };
        match types().into_iter().find(|(sql, _)| *sql == written) {
            Some((_, data_type)) => fields.push(Field::new(name, data_type, nullable)),
            None => {
                let hint = nearest(written, types().map(|(sql, _)| sql));
                section.wrong(name, format!("{text:?} is no type"), hint);
            }
        }
    }
    fields
}
