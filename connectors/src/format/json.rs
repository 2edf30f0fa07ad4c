//! JSON: one object a record.
//!
//! A record is read once, straight into the batch's columns: no tree is built. Numbers are read
//! with correct rounding (`1.1` is the double nearest to it, and prints as `1.1` again). A column
//! of whole numbers takes `3` and `3.0`, not `3.5` and not what needs more than 64 bits. Text is
//! not a number, a number is not text. Of two fields of one name the last counts. The text `"NaN"`
//! and the bare word `NaN`, which some producers write although JSON has no such number, are
//! refused as `not-finite` rather than as `malformed`, since that is what they are.

mod encode;

use std::fmt;

use schemas::time::Timestamp;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

pub use self::encode::encode;
pub use self::encode::encode_row;

use crate::format::ARRIVED_AT;
use crate::format::Arrival;
use crate::format::RecordFormat;
use crate::format::instant;
use crate::format::rows::Kind;
use crate::format::rows::Rows;
use crate::format::rows::Slot;
use crate::source::Reason;
use crate::source::Refusal;

/// Integers up to here are exactly representable as doubles.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The format.
#[derive(Debug)]
pub(crate) struct Json {
    /// Whether a record's own arrival is read.
    pub(crate) arrival: Arrival,
}

impl RecordFormat for Json {
    fn read(&mut self, record: &[u8], rows: &mut Rows) -> Result<Option<Timestamp>, Refusal> {
        let own_arrival = self.arrival == Arrival::OfRecord;
        let mut into = Record { rows, own_arrival, arrived_at: None, refusal: None };
        let mut reader = serde_json::Deserializer::from_slice(record);
        (&mut into).deserialize(&mut reader).map_err(|error| refusal_of(&error, record))?;
        reader.end().map_err(|_| {
            Refusal::new(Reason::Malformed, "something follows the JSON object; send one a record")
        })?;
        match into.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(into.arrived_at),
        }
    }
}

/// Why the parser stopped, in our words.
fn refusal_of(error: &serde_json::Error, record: &[u8]) -> Refusal {
    if error.is_data() {
        return Refusal::new(Reason::Malformed, "a record must be one JSON object");
    }
    let text = error.to_string();
    if text.starts_with("number out of range") {
        return Refusal::new(Reason::NotFinite, format!("a number is too great: {text}"));
    }
    let line = record.split(|b| *b == b'\n').nth(error.line().saturating_sub(1));
    let stopped = line.unwrap_or_default().get(error.column().saturating_sub(3)..);
    let window = stopped.unwrap_or_default();
    let word = ["NaN", "nan", "Infinity", "inf"].into_iter().find(|word| {
        (0..4).any(|skip| window.get(skip..).is_some_and(|at| at.starts_with(word.as_bytes())))
    });
    match word {
        Some(word) => {
            Refusal::new(Reason::NotFinite, format!("{word} is not a number: {text}; send null"))
        }
        None => Refusal::new(Reason::Malformed, format!("not JSON: {text}")),
    }
}

/// A record being read. Values of the wrong type do not stop the reading: whether all of it is JSON
/// is asked first.
struct Record<'a> {
    rows: &'a mut Rows,
    own_arrival: bool,
    arrived_at: Option<Timestamp>,
    refusal: Option<Refusal>,
}

/// Where a field goes.
#[derive(Clone, Copy)]
enum Target {
    Column(usize),
    ArrivedAt,
    Nowhere,
}

impl<'de> DeserializeSeed<'de> for &mut Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut guess = 0;
        let own_arrival = self.own_arrival;
        while let Some(target) =
            fields.next_key_seed(Key { rows: self.rows, own_arrival, guess })?
        {
            match target {
                Target::Nowhere => {
                    fields.next_value::<IgnoredAny>()?;
                }
                Target::Column(column) => {
                    guess = column + 1;
                    fields.next_value_seed(Value { record: self, target })?;
                }
                Target::ArrivedAt => fields.next_value_seed(Value { record: self, target })?,
            }
        }
        Ok(())
    }
}

/// A field's name. Records name their fields in the same order most of the time, so the next column
/// is tried first.
struct Key<'a> {
    rows: &'a Rows,
    own_arrival: bool,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Target;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Target, D::Error> {
        reader.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Target, E> {
        let columns = self.rows.columns();
        if columns.get(self.guess).is_some_and(|column| column.name == name) {
            return Ok(Target::Column(self.guess));
        }
        Ok(match columns.iter().position(|column| column.name == name) {
            Some(column) => Target::Column(column),
            None if self.own_arrival && name == ARRIVED_AT => Target::ArrivedAt,
            None => Target::Nowhere,
        })
    }
}

/// A field's value, on its way to its column.
struct Value<'a, 'b> {
    record: &'a mut Record<'b>,
    target: Target,
}

impl Value<'_, '_> {
    fn kind(&self) -> Kind {
        match self.target {
            Target::Column(column) => self.record.rows.columns()[column].kind,
            Target::ArrivedAt | Target::Nowhere => Kind::Time,
        }
    }

    fn set(self, slot: Slot) {
        match (self.target, slot) {
            (Target::Column(column), slot) => self.record.rows.set(column, slot),
            (Target::ArrivedAt, Slot::Time(ms)) => {
                self.record.arrived_at = Some(Timestamp(ms.max(0) as u64));
            }
            _ => {}
        }
    }

    fn refuse(self, reason: Reason, detail: &str) {
        let name = match self.target {
            Target::Column(column) => self.record.rows.columns()[column].name.as_str(),
            Target::ArrivedAt | Target::Nowhere => ARRIVED_AT,
        };
        let refusal = Refusal::new(reason, format!("{name}: {detail}"));
        self.record.refusal.get_or_insert(refusal);
    }

    fn wrong(self, found: &str) {
        let detail = format!("expected {}, found {found}", self.kind().expected());
        self.refuse(Reason::WrongType, &detail);
    }

    fn instant(self, read: Result<i64, String>) {
        match read {
            Ok(ms) => self.set(Slot::Time(ms)),
            Err(detail) => self.refuse(Reason::WrongType, &detail),
        }
    }

    fn int(self, value: i64) {
        match self.kind() {
            Kind::Int => self.set(Slot::Int(value)),
            Kind::Float => self.set(Slot::Float(value as f64)),
            Kind::Time => self.instant(instant::from_millis(value)),
            Kind::Bool | Kind::Text => self.wrong("a number"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.set(Slot::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        match self.kind() {
            Kind::Bool => self.set(Slot::Bool(value)),
            _ => self.wrong(if value { "true" } else { "false" }),
        }
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.int(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        match (i64::try_from(value), self.kind()) {
            (Ok(value), _) => self.int(value),
            (Err(_), Kind::Float) => self.set(Slot::Float(value as f64)),
            (Err(_), _) => self.wrong(&value.to_string()),
        }
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        match self.kind() {
            Kind::Float => self.set(Slot::Float(value)),
            Kind::Int | Kind::Time if value.fract() == 0.0 && value.abs() <= EXACT_MAX => {
                self.int(value as i64);
            }
            _ => self.wrong(&value.to_string()),
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        match (self.kind(), self.target) {
            (Kind::Text, Target::Column(column)) => self.record.rows.set_text(column, text),
            (Kind::Time, _) => self.instant(instant::from_text(text)),
            (Kind::Float, _) if names_no_number(text) => {
                self.refuse(Reason::NotFinite, &format!("{text:?} is not a number; send null"));
            }
            _ => self.wrong(&format!("the text {:?}", instant::shorten(text))),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong("a list");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.wrong("an object");
        Ok(())
    }
}

/// Whether a text spells NaN or an infinity.
pub(crate) fn names_no_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| !number.is_finite())
        && !text.contains(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
