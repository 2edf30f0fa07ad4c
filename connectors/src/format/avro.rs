//! Avro: one datum a record, or an object container file of many.
//!
//! A datum has no names and no types in it, so a record can be read only with the very schema that
//! it was written with ([`AvroSchema`]). That schema is given with the source, or stands at the
//! head of the file. Its fields are matched with the stream's columns by name; what may stand where
//! says the module `fit`. A field that can never hold what its column wants is a mistake found when
//! the source is opened, not of each record.
//!
//! # Heads
//!
//! Most writers put something before the datum: Confluent's a byte 0 and the number of the schema
//! in a registry, single-object encoding `C3 01` and the schema's fingerprint ([`Framing`]).
//! Unless it is said which, both are recognised. A datum may begin like a head, and a head like a
//! datum: a record that can be read whole with and without is refused rather than guessed at.
//!
//! A schema number says nothing here, since no registry is asked; where it is told which number the
//! schema has, another is refused.

pub(crate) mod container;
mod datum;
mod fit;
mod schema;

use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

use self::datum::Datum;
use self::fit::Taken;
pub use self::schema::AvroSchema;
use crate::format::ARRIVED_AT;
use crate::format::Arrival;
use crate::format::RecordFormat;
use crate::format::rows::Kind;
use crate::format::rows::Rows;
use crate::format::rows::Slot;
use crate::source::Reason;
use crate::source::Refusal;

/// What a single object begins with.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvroConfig {
    /// With which schema.
    pub schema: AvroSchema,
    /// What stands before each datum.
    pub framing: Framing,
}

/// What stands before the datum of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One of the others: each record shows which.
    Any,
    /// Nothing.
    Bare,
    /// Confluent's wire format: a byte 0 and four with the schema's number, which must be this one
    /// where one is said.
    Confluent(Option<u32>),
    /// Single-object encoding: `C3 01` and eight bytes with the schema's fingerprint.
    SingleObject,
}

/// The format of records of one schema for one stream.
pub(crate) struct Avro {
    config: AvroConfig,
    /// Where each field goes.
    targets: Vec<Target>,
}

/// Where a field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Column(usize),
    ArrivedAt,
    Nowhere,
}

impl Avro {
    /// The format of records whose fields can be a stream's columns; says which cannot.
    pub(crate) fn of(
        config: AvroConfig,
        rows: &Rows,
        wanted: &SchemaRef,
        arrival: Arrival,
    ) -> Result<Avro, String> {
        let fields = config.schema.fields();
        for column in rows.columns() {
            if !column.nullable && !fields.iter().any(|field| field.name == column.name) {
                let has: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let has = has.join(", ");
                return Err(format!(
                    "the Avro schema lacks column {} (it has: {has})",
                    column.name
                ));
            }
        }
        let mut targets = Vec::with_capacity(fields.len());
        for field in fields {
            let (target, kind, nullable) = match wanted.index_of(&field.name) {
                Ok(at) => {
                    (Target::Column(at), rows.columns()[at].kind, rows.columns()[at].nullable)
                }
                Err(_) if arrival == Arrival::OfRecord && field.name == ARRIVED_AT => {
                    (Target::ArrivedAt, Kind::Time, true)
                }
                Err(_) => {
                    targets.push(Target::Nowhere);
                    continue;
                }
            };
            if !config.schema.takes(kind, nullable, &field.kind) {
                let (found, wanted) = (config.schema.described(&field.kind), kind.expected());
                let name = &field.name;
                return Err(format!("column {name} is {found} in the Avro schema, not {wanted}"));
            }
            targets.push(target);
        }
        Ok(Avro { config, targets })
    }

    /// The datum of a record.
    fn datum<'a>(&self, record: &'a [u8]) -> Result<&'a [u8], Refusal> {
        match (self.config.framing, record) {
            (Framing::Bare, datum) => Ok(datum),
            (Framing::Confluent(expected), _) => confluent(record, expected),
            (Framing::SingleObject, _) => self.single_object(record),
            (Framing::Any, record) if record.starts_with(&SINGLE_OBJECT) => {
                self.single_object(record)
            }
            (Framing::Any, [0, _, _, _, _, datum @ ..]) => {
                match (self.is_whole(datum), self.is_whole(record)) {
                    (true, true) => Err(malformed(
                        "the record can be read with and without a schema number before it; say \
                         which with `avro_framing` = \"confluent\" or \"none\"",
                    )),
                    (false, true) => Ok(record),
                    // Where it is neither, it is told what is wrong with what most are.
                    (_, false) => Ok(datum),
                }
            }
            (Framing::Any, datum) => Ok(datum),
        }
    }

    /// Whether these bytes are one datum and nothing else.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        self.config.schema.length(bytes) == Ok(bytes.len())
    }

    fn single_object<'a>(&self, record: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let head =
            record.strip_prefix(&SINGLE_OBJECT).and_then(|rest| rest.split_first_chunk::<8>());
        let Some((fingerprint, datum)) = head else {
            return Err(malformed(
                "the record does not begin with C3 01 and a fingerprint, as single objects do",
            ));
        };
        let (found, expected) =
            (u64::from_le_bytes(*fingerprint), self.config.schema.fingerprint());
        if found != expected {
            return Err(malformed(format!(
                "the record was written with the schema of fingerprint {found:016x}, and the \
                 source reads that of {expected:016x}; give the source the schema of its writer"
            )));
        }
        Ok(datum)
    }
}

/// The datum after Confluent's head.
fn confluent(record: &[u8], expected: Option<u32>) -> Result<&[u8], Refusal> {
    let [0, a, b, c, d, datum @ ..] = record else {
        return Err(malformed("the record does not begin with a byte 0 and a schema number"));
    };
    let found = u32::from_be_bytes([*a, *b, *c, *d]);
    match expected {
        Some(expected) if expected != found => Err(malformed(format!(
            "the record was written with schema {found}, and the source reads schema {expected}"
        ))),
        _ => Ok(datum),
    }
}

impl RecordFormat for Avro {
    fn read(&mut self, record: &[u8], rows: &mut Rows) -> Result<Option<Timestamp>, Refusal> {
        let mut datum = Datum::new(self.datum(record)?);
        let (mut refusal, mut arrived_at) = (None, None);
        let schema = &self.config.schema;
        for (field, target) in schema.fields().iter().zip(&self.targets) {
            let name = &field.name;
            let value = schema.read(&field.kind, &mut datum);
            let value = value.map_err(|detail| {
                malformed(format!("{name}: {detail}; it was written with another schema, or cut"))
            })?;
            let kind = match target {
                Target::Column(column) => rows.columns()[*column].kind,
                Target::ArrivedAt => Kind::Time,
                Target::Nowhere => continue,
            };
            match (fit::take(kind, value), *target) {
                (Ok(Taken::Slot(slot)), Target::Column(column)) => rows.set(column, slot),
                (Ok(Taken::Text(text)), Target::Column(column)) => rows.set_text(column, text),
                (Ok(Taken::Slot(Slot::Time(ms))), _) => arrived_at = Some(Timestamp(ms as u64)),
                (Ok(_), _) => {}
                // Whether all of it can be read is asked first.
                (Err((reason, detail)), _) => {
                    refusal
                        .get_or_insert_with(|| Refusal::new(reason, format!("{name}: {detail}")));
                }
            }
        }
        match (datum.left(), refusal) {
            (0, None) => Ok(arrived_at),
            (0, Some(refusal)) => Err(refusal),
            (left, _) => Err(malformed(format!(
                "{left} bytes follow the record; it was written with another schema, or is two"
            ))),
        }
    }
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod written;
