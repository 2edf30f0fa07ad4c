//! Deletion by key: in an upsert stream a record without payload says that its key is gone.
//!
//! A compacted topic forgets a key that way, so a stream of values by key must read it that way
//! too. The record has only its key, which must name the stream's key columns: as a JSON object
//! (`{"site_id":"s1","charger":2}`), or, where the key is one column, as its value alone. A key of
//! one text column may also stand there bare, which is how most producers write it; whatever begins
//! with `{` is an object.
//!
//! What it does not do: delete from a stream of any other kind. There a record without payload is
//! refused like one without bytes.

use schemas::event::Envelope;
use schemas::event::StreamDef;
use serde_json::Value;

use crate::format::Arrival;
use crate::format::Decoder;
use crate::format::rows::Kind;
use crate::source::Deletions;
use crate::source::Position;
use crate::source::Reason;
use crate::source::Refusal;
use crate::source::Refused;

/// Reads keys of records that have nothing else.
pub(crate) struct Keys {
    /// The key's column, where there is one only.
    only: Option<(String, Kind)>,

    decoder: Decoder,
}

impl Keys {
    /// For a stream whose keys can be deleted; `None` for any other.
    ///
    /// # Errors
    /// A key column is none of the stream's, or of a type that streams do not have.
    pub(crate) fn of(stream: &StreamDef, record_bytes_max: usize) -> Result<Option<Keys>, String> {
        if stream.envelope != Envelope::Upsert {
            return Ok(None);
        }
        let schema = stream.key_schema().map_err(|error| error.to_string())?;
        let only = match schema.fields().as_ref() {
            [field] => Kind::of(field.data_type()).map(|kind| (field.name().clone(), kind)),
            _ => None,
        };
        let decoder = Decoder::json(&schema, record_bytes_max, Arrival::OfMedium)?;
        Ok(Some(Keys { only, decoder }))
    }

    /// Takes in a record without payload.
    pub(crate) fn push(&mut self, position: Position, key: Option<&[u8]>) {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            let detail = "the record has neither payload nor key: to delete, name the key; to \
                          insert, send a payload";
            let refusal = Refusal::new(Reason::Empty, detail);
            self.decoder.refuse(Refused::new(position, refusal, b""));
            return;
        };
        let object = self.object(key);
        let record = object.as_ref().map_or(key, |object| object.as_bytes());
        if let Err(refusal) = self.decoder.take(position, None, record) {
            self.decoder.refuse(Refused::new(position, refusal, key));
        }
    }

    /// A key that stands alone, as the object that it means.
    fn object(&self, key: &[u8]) -> Option<String> {
        let (name, kind) = self.only.as_ref()?;
        if key.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let value = match (serde_json::from_slice(key), kind) {
            (Ok(Value::String(text)), Kind::Text) => Value::String(text),
            (_, Kind::Text) => Value::String(std::str::from_utf8(key).ok()?.to_owned()),
            (Ok(value), _) => value,
            (Err(_), _) => return None,
        };
        Some(Value::Object([(name.clone(), value)].into_iter().collect()).to_string())
    }

    /// The number of records taken in since the last [`Keys::finish`].
    pub(crate) fn records(&self) -> usize {
        self.decoder.records()
    }

    /// What was taken in: keys that are gone, and records that name none. Of those the key is kept,
    /// having no payload.
    pub(crate) fn finish(&mut self) -> (Option<Deletions>, Vec<Refused>) {
        let decoded = self.decoder.finish();
        let (keys, positions) = (decoded.rows, decoded.positions);
        let deleted = (!positions.is_empty()).then_some(Deletions { keys, positions });
        (deleted, decoded.refused)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::DataType;
    use arrow_schema::Field;
    use arrow_schema::Schema;
    use schemas::relation::timestamp_type;

    use super::*;
    use crate::format::json;

    fn stream(key: &[(&str, DataType)]) -> StreamDef {
        let columns = key.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false));
        let at = Field::new("at", timestamp_type(), false);
        StreamDef {
            name: "values".to_owned(),
            schema: Arc::new(Schema::new([at].into_iter().chain(columns).collect::<Vec<_>>())),
            event_time: "at".to_owned(),
            key: key.iter().map(|(name, _)| (*name).to_owned()).collect(),
            envelope: Envelope::Upsert,
        }
    }

    /// The key that a record names, as JSON, or why it names none.
    #[track_caller]
    fn check(columns: &[(&str, DataType)], key: &[u8], expected: &str) {
        let mut keys = Keys::of(&stream(columns), 100).unwrap().unwrap();
        keys.push(7, Some(key));
        let (deleted, refused) = keys.finish();
        let found = match (deleted, &refused[..]) {
            (Some(deleted), []) => {
                assert_eq!(deleted.positions, [7]);
                json::encode(&deleted.keys).remove(0)
            }
            (None, [refused]) => {
                assert_eq!(refused.kept.bytes, key.len() as i64, "the key is kept");
                format!("{}: {}", refused.reason.as_str(), refused.detail)
            }
            both => panic!("{both:?}"),
        };
        assert_eq!(found, expected);
    }

    const TEXT: [(&str, DataType); 1] = [("id", DataType::Utf8)];

    #[test]
    fn an_object_names_the_columns_in_any_order() {
        let two = [("site", DataType::Utf8), ("n", DataType::Int64)];
        check(&two, br#"{"n":2,"site":"s1","more":true}"#, r#"{"site":"s1","n":2}"#);
        check(&TEXT, br#" {"id":"c1"}"#, r#"{"id":"c1"}"#);
    }

    #[test]
    fn a_key_of_one_column_may_stand_alone() {
        check(&TEXT, b"c1", r#"{"id":"c1"}"#);
        check(&TEXT, b"17", r#"{"id":"17"}"#);
        check(&TEXT, br#""c \"1\"""#, r#"{"id":"c \"1\""}"#);
        check(&[("n", DataType::Int64)], b"17", r#"{"n":17}"#);
    }

    #[test]
    fn what_names_no_key_is_refused() {
        let two = [("site", DataType::Utf8), ("n", DataType::Int64)];
        check(&two, br#"{"site":"s1"}"#, "missing-column: n is missing and must have a value");
        check(&two, b"s1", "malformed: not JSON: expected value at line 1 column 1");
        check(
            &[("n", DataType::Int64)],
            br#""x""#,
            r#"wrong-type: n: expected a whole number of 64 bits, found the text "x""#,
        );
        let mut keys = Keys::of(&stream(&TEXT), 100).unwrap().unwrap();
        keys.push(0, None);
        keys.push(1, Some(b""));
        let (deleted, refused) = keys.finish();
        assert!(deleted.is_none());
        assert_eq!(refused.iter().map(|r| r.reason).collect::<Vec<_>>(), [Reason::Empty; 2]);
    }

    #[test]
    fn a_stream_that_only_adds_has_no_keys_to_delete() {
        let append = StreamDef { envelope: Envelope::Append, ..stream(&TEXT) };
        assert!(Keys::of(&append, 100).unwrap().is_none());
    }
}
