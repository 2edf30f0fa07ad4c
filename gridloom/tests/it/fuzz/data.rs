//! Random relations and what happens to them: rows that come, go, come back, are there twice, are
//! late, or are NULL, NaN or −0.0.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::Decimal128Array;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use schemas::relation::timestamp_type;

use super::random::Random;

/// 31 August 2016, 20:00.
pub(super) const BEGIN_MS: u64 = 1_472_673_600_000;
/// Long, so that few ticks span the retention of a stream.
const STEP_MS: u64 = 20 * 60_000;
const LATENESS_MS: u64 = 40 * 60_000;
const RETAIN_MS: u64 = 60 * 60_000;

/// How fast ticks follow each other, and how long the rows of a stream matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) step_ms: u64,
    pub(super) lateness_ms: u64,
    pub(super) retain_ms: u64,
}

/// The pace of every case but those that are written as files.
pub(super) const PACE: Pace =
    Pace { step_ms: STEP_MS, lateness_ms: LATENESS_MS, retain_ms: RETAIN_MS };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Int,
    Float,
    Text,
    Bool,
    Decimal,
    Time,
}

pub(super) const TYPES: [Type; 6] =
    [Type::Int, Type::Float, Type::Text, Type::Bool, Type::Decimal, Type::Time];

impl Type {
    pub(super) fn arrow(self) -> DataType {
        match self {
            Type::Int => DataType::Int64,
            Type::Float => DataType::Float64,
            Type::Text => DataType::Utf8,
            Type::Bool => DataType::Boolean,
            Type::Decimal => DataType::Decimal128(10, 2),
            Type::Time => timestamp_type(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(&'static str),
    Bool(bool),
    Decimal(i128),
    Time(i64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{v:?}"),
            Value::Text(v) => write!(f, "'{v}'"),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Decimal(v) => write!(f, "{v}e-2"),
            Value::Time(v) => write!(f, "@{}", v - BEGIN_MS as i64),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of: Type,
    pub(super) nullable: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// A stream only adds rows, and forgets them; its last column is its event time.
    pub(super) stream: bool,
}

impl Table {
    pub(super) fn schema(&self) -> SchemaRef {
        let field = |c: &Column| Field::new(&c.name, c.of.arrow(), c.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    pub(super) fn batch(&self, rows: &[&Row]) -> RecordBatch {
        let columns = (0..self.columns.len())
            .map(|i| array(self.columns[i].of, rows.iter().map(|row| &row[i])))
            .collect();
        RecordBatch::try_new(self.schema(), columns).unwrap()
    }
}

pub(super) type Row = Vec<Value>;

fn array<'a>(of: Type, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    macro_rules! each {
        ($array:ty, $variant:path) => {
            values
                .map(|value| match value {
                    $variant(value) => Some(*value),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    match of {
        Type::Int => Arc::new(each!(Int64Array, Value::Int)),
        Type::Float => Arc::new(each!(Float64Array, Value::Float)),
        Type::Text => Arc::new(each!(StringArray, Value::Text)),
        Type::Bool => Arc::new(each!(BooleanArray, Value::Bool)),
        Type::Decimal => {
            let array = each!(Decimal128Array, Value::Decimal);
            Arc::new(array.with_precision_and_scale(10, 2).unwrap())
        }
        Type::Time => Arc::new(each!(TimestampMillisecondArray, Value::Time).with_timezone("UTC")),
    }
}

/// One row that comes or goes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) table: usize,
    pub(super) row: Row,
    pub(super) diff: i64,
}

pub(super) fn tables(random: &mut Random) -> Vec<Table> {
    let count = 2 + random.below(2);
    let streamed = random.chance(60).then(|| random.below(count));
    (0..count).map(|i| table(random, i, streamed == Some(i))).collect()
}

fn table(random: &mut Random, index: usize, stream: bool) -> Table {
    let mut columns = Vec::new();
    let mut column = |name: String, of: Type, nullable: bool| {
        columns.push(Column { name, of, nullable });
    };
    column("k".to_owned(), Type::Int, random.chance(70));
    for i in 0..2 + random.below(4) {
        let of = *random.pick(&TYPES);
        let letter = ["n", "x", "s", "b", "d", "t"][of as usize];
        column(format!("{letter}{i}"), of, random.chance(75));
    }
    if stream {
        column("at".to_owned(), Type::Time, false);
    }
    Table { name: format!("r{index}"), columns, stream }
}

fn value(random: &mut Random, column: &Column, tick: u64) -> Value {
    if column.nullable && random.chance(18) {
        return Value::Null;
    }
    match column.of {
        Type::Int if random.chance(4) => Value::Int(*random.pick(&[i64::from(i32::MAX), -7])),
        Type::Int => Value::Int(random.below(4) as i64),
        Type::Float => match random.below(20) {
            0 => Value::Float(f64::NAN),
            1 => Value::Float(-0.0),
            2 if random.chance(20) => Value::Float(f64::INFINITY),
            _ => Value::Float((random.below(24) as f64 - 8.0) / 4.0),
        },
        Type::Text => {
            let long = "as long as it takes to be no longer within the first block of a row";
            let texts: [&'static str; 7] = ["", "a", "b", "ab", "ä", "B", long];
            Value::Text(texts[random.below(texts.len())])
        }
        Type::Bool => Value::Bool(random.chance(50)),
        Type::Decimal => Value::Decimal(random.below(12) as i128 * 25 - 100),
        Type::Time => {
            let late = if random.chance(25) { LATENESS_MS } else { STEP_MS };
            let back = random.below((late / 60_000) as usize) as u64 * 60_000;
            Value::Time((tick - back.max(1_000)) as i64)
        }
    }
}

/// What happens, tick by tick.
pub(super) fn history(random: &mut Random, tables: &[Table], ticks: usize) -> Vec<Vec<Change>> {
    let mut live: Vec<Vec<Row>> = vec![Vec::new(); tables.len()];
    let mut gone: Vec<Vec<Row>> = vec![Vec::new(); tables.len()];
    let mut history = Vec::new();
    for n in 1..=ticks {
        let tick = BEGIN_MS + n as u64 * STEP_MS;
        let mut changes = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            if n > 1 && random.chance(25) {
                continue;
            }
            let (live, gone) = (&mut live[index], &mut gone[index]);
            let leave = match table.stream {
                true => 0,
                false if random.chance(8) => live.len(),
                false => random.below(1 + live.len().min(4)),
            };
            for _ in 0..leave {
                let row = live.swap_remove(random.below(live.len()));
                gone.push(row.clone());
                changes.push(Change { table: index, row, diff: -1 });
            }
            for _ in 0..random.below(6) {
                let row = if !table.stream && !gone.is_empty() && random.chance(25) {
                    gone.swap_remove(random.below(gone.len()))
                } else if !table.stream && !live.is_empty() && random.chance(15) {
                    live[random.below(live.len())].clone()
                } else {
                    table.columns.iter().map(|c| value(random, c, tick)).collect()
                };
                changes.push(Change { table: index, row: row.clone(), diff: 1 });
                live.push(row);
            }
        }
        history.push(changes);
    }
    history
}
