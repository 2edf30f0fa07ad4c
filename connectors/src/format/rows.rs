//! A batch under construction: one record at a time, whole or not at all.
//!
//! A record's values are first put aside, one slot a column; [`Rows::commit`] checks them against
//! the schema and only then appends them. So a record that turns out to be bad in its last field
//! leaves no trace in the columns.

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::builder::ArrayBuilder;
use arrow_array::builder::BooleanBuilder;
use arrow_array::builder::Float64Builder;
use arrow_array::builder::Int64Builder;
use arrow_array::builder::StringBuilder;
use arrow_array::builder::TimestampMillisecondBuilder;
use arrow_schema::DataType;
use arrow_schema::SchemaRef;
use schemas::relation::timestamp_type;

use crate::source::Reason;
use crate::source::Refusal;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Time,
}

impl Kind {
    /// The kind of an Arrow type, or `None` where no stream has it.
    pub(crate) fn of(data_type: &DataType) -> Option<Kind> {
        match data_type {
            DataType::Boolean => Some(Kind::Bool),
            DataType::Int64 => Some(Kind::Int),
            DataType::Float64 => Some(Kind::Float),
            DataType::Utf8 => Some(Kind::Text),
            other => (*other == timestamp_type()).then_some(Kind::Time),
        }
    }

    /// What a record should hold, in words.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Kind::Bool => "true or false",
            Kind::Int => "a whole number of 64 bits",
            Kind::Float => "a number",
            Kind::Text => "text",
            Kind::Time => "an instant: ISO 8601 text or milliseconds since the epoch",
        }
    }
}

/// A value put aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slot {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A piece of [`Rows`]' text.
    Text(usize, usize),
    /// Milliseconds since the epoch.
    Time(i64),
}

/// A column of the batch.
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
}

/// The batch under construction.
pub(crate) struct Rows {
    schema: SchemaRef,
    columns: Vec<ColumnSpec>,

    builders: Vec<Builder>,
    slots: Vec<Slot>,
    text: String,
}

impl Rows {
    /// An empty batch of this schema.
    pub(crate) fn new(schema: &SchemaRef) -> Result<Rows, String> {
        let mut columns = Vec::new();
        for field in schema.fields() {
            let kind = Kind::of(field.data_type()).ok_or_else(|| {
                format!(
                    "column {} is {}, which no stream can hold",
                    field.name(),
                    field.data_type()
                )
            })?;
            let (name, nullable) = (field.name().clone(), field.is_nullable());
            columns.push(ColumnSpec { name, kind, nullable });
        }
        let builders = columns.iter().map(|column| Builder::new(column.kind)).collect();
        let slots = vec![Slot::Missing; columns.len()];
        Ok(Rows { schema: schema.clone(), columns, builders, slots, text: String::new() })
    }

    /// The columns, in schema order.
    pub(crate) fn columns(&self) -> &[ColumnSpec] {
        &self.columns
    }

    /// Forgets the record that was not committed.
    pub(crate) fn begin(&mut self) {
        self.slots.fill(Slot::Missing);
        self.text.clear();
    }

    /// Puts a value aside; the last one counts.
    pub(crate) fn set(&mut self, column: usize, slot: Slot) {
        self.slots[column] = slot;
    }

    /// Puts a text aside.
    pub(crate) fn set_text(&mut self, column: usize, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.slots[column] = Slot::Text(start, self.text.len());
    }

    /// Appends the record, or says why not.
    pub(crate) fn commit(&mut self) -> Result<(), Refusal> {
        for (column, slot) in self.columns.iter().zip(&self.slots) {
            let why = match slot {
                Slot::Missing => "is missing",
                Slot::Null => "is null",
                _ => continue,
            };
            if !column.nullable {
                let detail = format!("{} {why} and must have a value", column.name);
                return Err(Refusal::new(Reason::MissingColumn, detail));
            }
        }
        for (builder, slot) in self.builders.iter_mut().zip(&self.slots) {
            builder.append(*slot, &self.text);
        }
        Ok(())
    }

    /// The batch; a new one begins.
    pub(crate) fn finish(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
            .expect("commit lets only whole records of the schema's types pass")
    }
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Int => Builder::Int(Int64Builder::new()),
            Kind::Float => Builder::Float(Float64Builder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Time => {
                Builder::Time(TimestampMillisecondBuilder::new().with_data_type(timestamp_type()))
            }
        }
    }

    fn append(&mut self, slot: Slot, text: &str) {
        match (self, slot) {
            (Builder::Bool(values), Slot::Bool(value)) => values.append_value(value),
            (Builder::Int(values), Slot::Int(value)) => values.append_value(value),
            (Builder::Float(values), Slot::Float(value)) => values.append_value(value),
            (Builder::Text(values), Slot::Text(start, end)) => {
                values.append_value(&text[start..end]);
            }
            (Builder::Time(values), Slot::Time(value)) => values.append_value(value),
            (Builder::Bool(values), _) => values.append_null(),
            (Builder::Int(values), _) => values.append_null(),
            (Builder::Float(values), _) => values.append_null(),
            (Builder::Text(values), _) => values.append_null(),
            (Builder::Time(values), _) => values.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Bool(values) => ArrayBuilder::finish(values),
            Builder::Int(values) => ArrayBuilder::finish(values),
            Builder::Float(values) => ArrayBuilder::finish(values),
            Builder::Text(values) => ArrayBuilder::finish(values),
            Builder::Time(values) => ArrayBuilder::finish(values),
        }
    }
}
