//! CSV as in RFC 4180: one record a line under a header line with column names; fields may be
//! quoted.
//!
//! A file begins with its header. A topic's records come one a message, and their header is said
//! with the source: by default the stream's columns in their order. A line end after the record is
//! not part of it; a second line is refused, since half a message must not count.
//!
//! Columns are matched by the header's names. An empty field is NULL where the column may be, `""`
//! is the empty text; an empty field of a text column that may not be NULL is the empty text too.
//! Numbers are read as Rust reads them (correctly rounded), `nan` and `inf` in any spelling are
//! `not-finite`.

use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

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

/// What is said of a line end outside of quotes.
const SECOND_LINE: &str =
    "there is more than one line; a message is one record, and its header is not in it";

/// The format under one header.
#[derive(Debug)]
pub(crate) struct Csv {
    /// Where each field of a record goes.
    targets: Vec<Target>,

    fields: Vec<Field>,
    text: Vec<u8>,
}

/// Where a field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Column(usize),
    ArrivedAt,
    Nowhere,
}

/// A field within [`Csv`]'s text.
#[derive(Clone, Copy, Debug)]
struct Field {
    start: usize,
    end: usize,
    quoted: bool,
}

impl Csv {
    /// The format of records under this header line, or of records that have the columns in their
    /// order.
    pub(crate) fn under(
        header: Option<&[u8]>,
        schema: &SchemaRef,
        arrival: Arrival,
    ) -> Result<Csv, String> {
        let names = match header {
            Some(header) => names(header).map_err(|detail| format!("the header: {detail}"))?,
            None => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        for field in schema.fields() {
            let count = names.iter().filter(|name| *name == field.name()).count();
            if count > 1 {
                return Err(format!("the header names column {} {count} times", field.name()));
            }
            if count == 0 && !field.is_nullable() {
                let has = names.join(", ");
                return Err(format!("the header lacks column {} (it has: {has})", field.name()));
            }
        }
        let target = |name: &String| match schema.index_of(name) {
            Ok(column) => Target::Column(column),
            Err(_) if arrival == Arrival::OfRecord && name == ARRIVED_AT => Target::ArrivedAt,
            Err(_) => Target::Nowhere,
        };
        let targets = names.iter().map(target).collect();
        Ok(Csv { targets, fields: Vec::new(), text: Vec::new() })
    }
}

/// The names in a header line.
pub(crate) fn names(header: &[u8]) -> Result<Vec<String>, String> {
    let (mut fields, mut text) = (Vec::new(), Vec::new());
    split(header, &mut fields, &mut text)?;
    let text = String::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let name = |field: &Field| text[field.start..field.end].trim().to_owned();
    Ok(fields.iter().map(name).collect())
}

impl RecordFormat for Csv {
    fn read(&mut self, record: &[u8], rows: &mut Rows) -> Result<Option<Timestamp>, Refusal> {
        let malformed = |detail: String| Refusal::new(Reason::Malformed, detail);
        let line = record.strip_suffix(b"\n");
        let record = line.map_or(record, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if record.is_empty() {
            return Err(Refusal::new(Reason::Empty, "the record is an empty line"));
        }
        split(record, &mut self.fields, &mut self.text).map_err(malformed)?;
        if self.fields.len() != self.targets.len() {
            let (found, expected) = (self.fields.len(), self.targets.len());
            return Err(malformed(format!("{found} fields where the header has {expected}")));
        }
        let text = std::str::from_utf8(&self.text)
            .map_err(|error| malformed(format!("not UTF-8: {error}")))?;
        let mut arrived_at = None;
        for (field, target) in self.fields.iter().zip(&self.targets) {
            // Delimiters are ASCII, so a field of valid text is valid text.
            let value = &text[field.start..field.end];
            match target {
                Target::Nowhere => {}
                Target::Column(column) => put(value, field.quoted, *column, rows)?,
                Target::ArrivedAt if value.is_empty() => {}
                Target::ArrivedAt => {
                    let ms = time(value).map_err(|detail| wrong(ARRIVED_AT, detail))?;
                    arrived_at = Some(Timestamp(ms as u64));
                }
            }
        }
        Ok(arrived_at)
    }
}

fn wrong(column: &str, detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::WrongType, format!("{column}: {detail}"))
}

fn put(value: &str, quoted: bool, column: usize, rows: &mut Rows) -> Result<(), Refusal> {
    let spec = &rows.columns()[column];
    let (kind, name) = (spec.kind, spec.name.as_str());
    let expected = || {
        wrong(name, format!("expected {}, found {:?}", kind.expected(), instant::shorten(value)))
    };
    if value.is_empty() && !quoted && (spec.nullable || kind != Kind::Text) {
        rows.set(column, Slot::Null);
        return Ok(());
    }
    let plain = value.trim_ascii();
    let slot = match kind {
        Kind::Text => {
            rows.set_text(column, value);
            return Ok(());
        }
        Kind::Bool if plain.eq_ignore_ascii_case("true") || plain == "1" => Slot::Bool(true),
        Kind::Bool if plain.eq_ignore_ascii_case("false") || plain == "0" => Slot::Bool(false),
        Kind::Bool => return Err(expected()),
        Kind::Int => Slot::Int(int(plain).ok_or_else(expected)?),
        Kind::Float => {
            let number: f64 = plain.parse().map_err(|_| expected())?;
            if !number.is_finite() {
                let detail = format!("{name}: {plain:?} is not a finite number; leave it empty");
                return Err(Refusal::new(Reason::NotFinite, detail));
            }
            Slot::Float(number)
        }
        Kind::Time => Slot::Time(time(plain).map_err(|detail| wrong(name, detail))?),
    };
    rows.set(column, slot);
    Ok(())
}

fn int(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
    })
}

fn time(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(ms) => instant::from_millis(ms),
        Err(_) => instant::from_text(text),
    }
}

/// Splits one record at its commas; quotes are taken off.
fn split(record: &[u8], fields: &mut Vec<Field>, text: &mut Vec<u8>) -> Result<(), String> {
    fields.clear();
    text.clear();
    let mut rest = record;
    loop {
        let start = text.len();
        let quoted = rest.first() == Some(&b'"');
        if quoted {
            rest = unquote(&rest[1..], text)?;
        }
        let end = rest.iter().position(|b| matches!(b, b',' | b'\n')).unwrap_or(rest.len());
        if rest.get(end) == Some(&b'\n') {
            return Err(SECOND_LINE.to_owned());
        }
        if quoted && end > 0 {
            return Err("something follows a closing quote".to_owned());
        }
        text.extend_from_slice(&rest[..end]);
        fields.push(Field { start, end: text.len(), quoted });
        match rest.get(end) {
            Some(_) => rest = &rest[end + 1..],
            None => return Ok(()),
        }
    }
}

/// Reads up to the closing quote and returns what follows it.
fn unquote<'a>(mut rest: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], String> {
    loop {
        let Some(quote) = rest.iter().position(|b| *b == b'"') else {
            return Err("a quote is opened and not closed".to_owned());
        };
        text.extend_from_slice(&rest[..quote]);
        rest = &rest[quote + 1..];
        if rest.first() != Some(&b'"') {
            return Ok(rest);
        }
        text.push(b'"');
        rest = &rest[1..];
    }
}

/// Follows quotes from line to line, to tell where a record ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotes {
    quoted: bool,
    at_start: bool,
}

impl Quotes {
    /// At the beginning of a record.
    pub(crate) fn new() -> Quotes {
        Quotes { quoted: false, at_start: true }
    }

    /// Takes in the record's next line with its line end; returns whether the record goes on after
    /// it.
    pub(crate) fn feed(&mut self, line: &[u8]) -> bool {
        // Most records hold no quote at all.
        if !self.quoted && !line.contains(&b'"') {
            return false;
        }
        let mut index = 0;
        while let Some(byte) = line.get(index) {
            match (self.quoted, byte) {
                (true, b'"') if line.get(index + 1) == Some(&b'"') => index += 1,
                (true, b'"') => self.quoted = false,
                (true, _) => {}
                (false, b'"') if self.at_start => self.quoted = true,
                (false, _) => {}
            }
            self.at_start = !self.quoted && *byte == b',';
            index += 1;
        }
        self.quoted
    }
}

#[cfg(test)]
mod tests;
