//! One column of a batch, from the parts that it is made of, value by value.
//!
//! A batch is a list of nodes (how many values a column has) and a list of buffers (validity,
//! offsets, values), which its columns take one after another in the order of the schema. So a
//! column that nobody wants must be passed over exactly, whatever its type.
//!
//! **Invariant:** a length or a place that a message claims is held against the bytes that it has
//! before it is followed; nothing is made that is not as long as something that is there.

use std::sync::Arc;
use std::vec;

use arrow_array::ArrayRef;
use arrow_array::BooleanArray;
use arrow_array::Float64Array;
use arrow_array::Int64Array;
use arrow_array::StringArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::types::Float16Type;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::types::TimestampSecondType;
use arrow_ipc::Field;
use arrow_ipc::Int;
use arrow_ipc::MetadataVersion;
use arrow_ipc::Precision;
use arrow_ipc::RecordBatch;
use arrow_ipc::TimeUnit as Unit;
use arrow_ipc::Type;
use arrow_ipc::UnionMode;
use arrow_schema::DataType;
use arrow_schema::TimeUnit;

/// A number of 16 bits.
type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// The longest text that stands in its view itself, in bytes.
const INLINE_BYTES_MAX: usize = 12;

/// How the values of a column lie in its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Half,
    Single,
    Double,
    Text,
    LargeText,
    TextView,
    /// A time zone changes nothing about an instant.
    Time(TimeUnit),
}

impl Layout {
    /// That of a field's values, or the name of a type that no stream takes.
    pub(super) fn of(field: &Field<'_>) -> Result<Layout, String> {
        let layout = match field.type_type() {
            Type::Bool => Some(Layout::Bool),
            Type::Int => field.type_as_int().and_then(Layout::of_int),
            Type::FloatingPoint => {
                field.type_as_floating_point().and_then(|float| match float.precision() {
                    Precision::HALF => Some(Layout::Half),
                    Precision::SINGLE => Some(Layout::Single),
                    Precision::DOUBLE => Some(Layout::Double),
                    _ => None,
                })
            }
            Type::Utf8 => Some(Layout::Text),
            Type::LargeUtf8 => Some(Layout::LargeText),
            Type::Utf8View => Some(Layout::TextView),
            Type::Timestamp => field.type_as_timestamp().and_then(|time| match time.unit() {
                Unit::SECOND => Some(Layout::Time(TimeUnit::Second)),
                Unit::MILLISECOND => Some(Layout::Time(TimeUnit::Millisecond)),
                Unit::MICROSECOND => Some(Layout::Time(TimeUnit::Microsecond)),
                Unit::NANOSECOND => Some(Layout::Time(TimeUnit::Nanosecond)),
                _ => None,
            }),
            _ => None,
        };
        layout.ok_or_else(|| format!("{:?}", field.type_type()))
    }

    /// That of whole numbers.
    pub(super) fn of_int(int: Int<'_>) -> Option<Layout> {
        match (int.bitWidth(), int.is_signed()) {
            (8, true) => Some(Layout::Int8),
            (16, true) => Some(Layout::Int16),
            (32, true) => Some(Layout::Int32),
            (64, true) => Some(Layout::Int64),
            (8, false) => Some(Layout::UInt8),
            (16, false) => Some(Layout::UInt16),
            (32, false) => Some(Layout::UInt32),
            (64, false) => Some(Layout::UInt64),
            _ => None,
        }
    }

    /// The type as Arrow calls it.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Layout::Bool => DataType::Boolean,
            Layout::Int8 => DataType::Int8,
            Layout::Int16 => DataType::Int16,
            Layout::Int32 => DataType::Int32,
            Layout::Int64 => DataType::Int64,
            Layout::UInt8 => DataType::UInt8,
            Layout::UInt16 => DataType::UInt16,
            Layout::UInt32 => DataType::UInt32,
            Layout::UInt64 => DataType::UInt64,
            Layout::Half => DataType::Float16,
            Layout::Single => DataType::Float32,
            Layout::Double => DataType::Float64,
            Layout::Text => DataType::Utf8,
            Layout::LargeText => DataType::LargeUtf8,
            Layout::TextView => DataType::Utf8View,
            Layout::Time(unit) => DataType::Timestamp(unit, None),
        }
    }
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Bool(bool),
    /// A whole number, or the number of an instant.
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// The values of a column; `None` is NULL.
pub(super) type Cells<'a> = Vec<Option<Cell<'a>>>;

impl<'a> Cell<'a> {
    fn bool(self) -> Option<bool> {
        match self {
            Cell::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn int(self) -> Option<i64> {
        match self {
            Cell::Int(value) => Some(value),
            _ => None,
        }
    }

    fn float(self) -> Option<f64> {
        match self {
            Cell::Float(value) => Some(value),
            _ => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Cell::Text(value) => Some(value),
            _ => None,
        }
    }
}

/// How many bytes the texts of a column have together.
pub(super) fn text_bytes(cells: &[Option<Cell<'_>>]) -> usize {
    cells.iter().filter_map(|cell| cell.and_then(Cell::text)).map(str::len).sum()
}

/// Values that lie so as a column, which all are of its kind: numbers and texts in their widest
/// layout.
pub(super) fn array(layout: Layout, cells: &[Option<Cell<'_>>]) -> ArrayRef {
    let ints = || cells.iter().map(|cell| cell.and_then(Cell::int)).collect::<Int64Array>();
    match layout {
        Layout::Bool => {
            let values = cells.iter().map(|cell| cell.and_then(Cell::bool));
            Arc::new(values.collect::<BooleanArray>())
        }
        Layout::Half | Layout::Single | Layout::Double => {
            let values = cells.iter().map(|cell| cell.and_then(Cell::float));
            Arc::new(values.collect::<Float64Array>())
        }
        Layout::Text | Layout::LargeText | Layout::TextView => {
            let values = cells.iter().map(|cell| cell.and_then(Cell::text));
            Arc::new(values.collect::<StringArray>())
        }
        Layout::Time(TimeUnit::Second) => {
            Arc::new(ints().reinterpret_cast::<TimestampSecondType>())
        }
        Layout::Time(TimeUnit::Millisecond) => {
            Arc::new(ints().reinterpret_cast::<TimestampMillisecondType>())
        }
        Layout::Time(TimeUnit::Microsecond) => {
            Arc::new(ints().reinterpret_cast::<TimestampMicrosecondType>())
        }
        Layout::Time(TimeUnit::Nanosecond) => {
            Arc::new(ints().reinterpret_cast::<TimestampNanosecondType>())
        }
        _ => Arc::new(ints()),
    }
}

/// What a batch has and its columns have not yet taken.
pub(super) struct Parts<'a> {
    /// How many values each column has, and whether there are NULLs among them.
    nodes: vec::IntoIter<(usize, bool)>,
    buffers: vec::IntoIter<&'a [u8]>,
    /// How many buffers of text each column of views has.
    counts: vec::IntoIter<usize>,
}

impl<'a> Parts<'a> {
    /// Those of a batch with this body.
    pub(super) fn of(batch: &RecordBatch<'a>, body: &'a [u8]) -> Result<Parts<'a>, String> {
        if batch.compression().is_some() {
            let detail = "its columns are compressed; write them as they are, and let the producer \
                          compress (`compression.type`)";
            return Err(detail.to_owned());
        }
        let nodes = batch.nodes().into_iter().flatten().map(|node| {
            let length = usize::try_from(node.length()).ok()?;
            Some((length, node.null_count() != 0))
        });
        let buffers = batch.buffers().into_iter().flatten().map(|buffer| {
            let length = usize::try_from(buffer.length()).ok()?;
            let from = usize::try_from(buffer.offset()).ok()?;
            if length == 0 { Some(&body[..0]) } else { body.get(from..from.checked_add(length)?) }
        });
        let counts = batch.variadicBufferCounts().into_iter().flatten();
        let counts = counts.map(|count| usize::try_from(count).ok());
        let nodes: Option<Vec<_>> = nodes.collect();
        let buffers: Option<Vec<_>> = buffers.collect();
        let counts: Option<Vec<_>> = counts.collect();
        let (Some(nodes), Some(buffers), Some(counts)) = (nodes, buffers, counts) else {
            return Err("a part of a batch lies outside of it".to_owned());
        };
        let (nodes, buffers) = (nodes.into_iter(), buffers.into_iter());
        Ok(Parts { nodes, buffers, counts: counts.into_iter() })
    }

    fn node(&mut self) -> Result<(usize, bool), String> {
        self.nodes.next().ok_or_else(|| "a batch has fewer columns than its schema".to_owned())
    }

    fn buffer(&mut self) -> Result<&'a [u8], String> {
        self.buffers.next().ok_or_else(|| "a batch lacks a part of a column".to_owned())
    }

    fn count(&mut self) -> Result<usize, String> {
        self.counts.next().ok_or_else(|| "a batch does not say how much text it has".to_owned())
    }

    /// Passes over a column.
    pub(super) fn skip(
        &mut self,
        field: &Field<'_>,
        version: MetadataVersion,
    ) -> Result<(), String> {
        self.node()?;
        // What an index points at is no part of the batch.
        let indexed = field.dictionary().is_some();
        let buffers = match field.type_type() {
            _ if indexed => 2,
            Type::Null | Type::RunEndEncoded => 0,
            Type::Struct_ | Type::FixedSizeList => 1,
            Type::Union => {
                let kind = field.type_as_union().map(|kind| kind.mode());
                let validity = usize::from(version < MetadataVersion::V5);
                1 + usize::from(kind == Some(UnionMode::Dense)) + validity
            }
            Type::Bool | Type::Int | Type::FloatingPoint | Type::Decimal => 2,
            Type::Date | Type::Time | Type::Timestamp | Type::Interval | Type::Duration => 2,
            Type::FixedSizeBinary | Type::List | Type::LargeList | Type::Map => 2,
            Type::Utf8 | Type::LargeUtf8 | Type::Binary | Type::LargeBinary => 3,
            Type::ListView | Type::LargeListView => 3,
            Type::Utf8View | Type::BinaryView => self.count()?.saturating_add(2),
            other => return Err(format!("nobody here knows columns of type {other:?}")),
        };
        for _ in 0..buffers {
            self.buffer()?;
        }
        if !indexed {
            for child in field.children().into_iter().flatten() {
                self.skip(&child, version)?;
            }
        }
        Ok(())
    }

    /// The values of a column that has so many.
    pub(super) fn cells(&mut self, layout: Layout, rows: usize) -> Result<Cells<'a>, String> {
        let (length, nulls) = self.node()?;
        if length != rows {
            return Err(format!("it has {length} values where there are {rows} rows"));
        }
        let validity = self.buffer()?;
        let valid = if nulls { Some(bits(validity, rows)?) } else { None };
        match layout {
            Layout::Bool => {
                let values = bits(self.buffer()?, rows)?;
                let value = |row| has(valid, row).then(|| Cell::Bool(is_set(values, row)));
                Ok((0..rows).map(value).collect())
            }
            Layout::Int8 => self.fixed(rows, valid, |b| Cell::Int(i8::from_le_bytes(b).into())),
            Layout::Int16 => self.fixed(rows, valid, |b| Cell::Int(i16::from_le_bytes(b).into())),
            Layout::Int32 => self.fixed(rows, valid, |b| Cell::Int(i32::from_le_bytes(b).into())),
            Layout::Int64 | Layout::Time(_) => {
                self.fixed(rows, valid, |b| Cell::Int(i64::from_le_bytes(b)))
            }
            Layout::UInt8 => self.fixed(rows, valid, |b| Cell::Int(u8::from_le_bytes(b).into())),
            Layout::UInt16 => self.fixed(rows, valid, |b| Cell::Int(u16::from_le_bytes(b).into())),
            Layout::UInt32 => self.fixed(rows, valid, |b| Cell::Int(u32::from_le_bytes(b).into())),
            // It is read as an index only, and no dictionary is so long.
            Layout::UInt64 => self.fixed(rows, valid, |b| {
                Cell::Int(i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX))
            }),
            Layout::Half => self.fixed(rows, valid, |b| Cell::Float(Half::from_le_bytes(b).into())),
            Layout::Single => {
                self.fixed(rows, valid, |b| Cell::Float(f32::from_le_bytes(b).into()))
            }
            Layout::Double => self.fixed(rows, valid, |b| Cell::Float(f64::from_le_bytes(b))),
            Layout::Text => {
                self.texts(rows, valid, |b| usize::try_from(i32::from_le_bytes(b)).ok())
            }
            Layout::LargeText => {
                self.texts(rows, valid, |b| usize::try_from(i64::from_le_bytes(b)).ok())
            }
            Layout::TextView => self.views(rows, valid),
        }
    }

    /// The values that a column of indexes stands for.
    pub(super) fn indexed(
        &mut self,
        index: Layout,
        rows: usize,
        values: &[Option<Cell<'a>>],
    ) -> Result<Cells<'a>, String> {
        let value = |index: Option<Cell<'a>>| {
            let Some(index) = index else { return Ok(None) };
            let at = index.int().and_then(|at| usize::try_from(at).ok());
            let value = at.and_then(|at| values.get(at)).copied();
            value.ok_or_else(|| "an index points beyond its dictionary".to_owned())
        };
        self.cells(index, rows)?.into_iter().map(value).collect()
    }

    /// Values of `N` bytes each.
    fn fixed<const N: usize>(
        &mut self,
        rows: usize,
        valid: Option<&[u8]>,
        cell: impl Fn([u8; N]) -> Cell<'a>,
    ) -> Result<Cells<'a>, String> {
        let values = self.buffer()?.as_chunks::<N>().0.get(..rows).ok_or_else(short)?;
        let value = |(row, bytes): (usize, &[u8; N])| has(valid, row).then(|| cell(*bytes));
        Ok(values.iter().enumerate().map(value).collect())
    }

    /// Texts that lie one behind another; where each begins is a number of `N` bytes.
    fn texts<const N: usize>(
        &mut self,
        rows: usize,
        valid: Option<&[u8]>,
        place: impl Fn([u8; N]) -> Option<usize>,
    ) -> Result<Cells<'a>, String> {
        let (places, texts) = (self.buffer()?, self.buffer()?);
        // Of no rows there need not even be a place.
        if rows == 0 {
            return Ok(Vec::new());
        }
        let places = places.as_chunks::<N>().0.get(..=rows).ok_or_else(short)?;
        let text = |row: usize| {
            if !has(valid, row) {
                return Ok(None);
            }
            let ends = place(places[row]).zip(place(places[row + 1]));
            let bytes = ends.and_then(|(from, to)| texts.get(from..to)).ok_or_else(short)?;
            utf8(bytes).map(Some)
        };
        (0..rows).map(text).collect()
    }

    /// Texts that lie anywhere: each is named by sixteen bytes, or stands in them.
    fn views(&mut self, rows: usize, valid: Option<&[u8]>) -> Result<Cells<'a>, String> {
        let views = self.buffer()?.as_chunks::<16>().0.get(..rows).ok_or_else(short)?;
        let mut blocks: Vec<&'a [u8]> = Vec::new();
        for _ in 0..self.count()? {
            blocks.push(self.buffer()?);
        }
        let text = |(row, view): (usize, &'a [u8; 16])| {
            if !has(valid, row) {
                return Ok(None);
            }
            let numbers = view.as_chunks::<4>().0;
            let number = |at: usize| u32::from_le_bytes(numbers[at]) as usize;
            let length = number(0);
            let bytes: Option<&'a [u8]> = if length <= INLINE_BYTES_MAX {
                view.get(4..4 + length)
            } else {
                let (block, from) = (blocks.get(number(2)).copied(), number(3));
                block.and_then(|block| block.get(from..from.checked_add(length)?))
            };
            utf8(bytes.ok_or_else(short)?).map(Some)
        };
        views.iter().enumerate().map(text).collect()
    }
}

/// The bits of so many rows.
fn bits(bytes: &[u8], rows: usize) -> Result<&[u8], String> {
    bytes.get(..rows.div_ceil(8)).ok_or_else(short)
}

fn is_set(bits: &[u8], row: usize) -> bool {
    bits[row / 8] & (1 << (row % 8)) != 0
}

/// Whether a row has a value.
fn has(valid: Option<&[u8]>, row: usize) -> bool {
    valid.is_none_or(|bits| is_set(bits, row))
}

fn utf8(bytes: &[u8]) -> Result<Cell<'_>, String> {
    let text = std::str::from_utf8(bytes);
    text.map(Cell::Text).map_err(|error| format!("a text is not UTF-8: {error}"))
}

fn short() -> String {
    "it has fewer bytes than its rows need".to_owned()
}
