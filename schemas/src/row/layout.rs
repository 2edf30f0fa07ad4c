//! [`Layout`] and [`Splice`]: cutting columns out of encoded rows.
//!
//! arrow-row writes a fixed-width column as one validity byte and its big-endian bytes. A
//! variable-length one is a single byte when NULL (0) or empty (1), and otherwise a 2 followed by
//! blocks: four of eight bytes, then blocks of 32, each with a byte behind it that says how much of
//! it is used (255: full, and more follows). A list is its elements, each encoded as a row and then
//! as something of variable length, and an empty one behind the last; NULL is a 0. A map is the
//! list of its pairs. A struct is a validity byte and its fields, also where it is NULL; a list of
//! fixed length is a validity byte and, unless it is NULL, its elements. A dictionary is its value.
//! `column_ends_are_found` holds this against the library for every type that a view may carry.

use arrow_schema::DataType;

use super::bytes::Row;

/// How wide one column is when encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Width {
    Fixed(usize),
    Variable,
    List,
    /// The fields of a struct.
    Fields(Vec<Width>),
    /// So many elements of a width.
    Elements(usize, Box<Width>),
}

/// Where the columns of a row end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    widths: Vec<Width>,
}

impl Layout {
    /// The layout of these types, or `None` if one of them has parts or its encoding is not known
    /// here.
    pub fn new<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<Layout> {
        let widths = types.into_iter().map(width).collect::<Option<_>>()?;
        Some(Layout { widths })
    }

    /// Columns in the row.
    pub fn columns(&self) -> usize {
        self.widths.len()
    }

    /// Appends the end of every column, in order, to `ends`.
    #[inline]
    pub fn ends(&self, row: &[u8], ends: &mut Vec<usize>) {
        let mut at = 0;
        for width in &self.widths {
            at = width.end(row, at);
            ends.push(at);
        }
    }
}

impl Width {
    /// Where a value ends that begins at `at`.
    #[inline]
    fn end(&self, row: &[u8], at: usize) -> usize {
        match self {
            Width::Fixed(bytes) => at + bytes,
            Width::Variable => variable_end(row, at),
            Width::List => list_end(row, at),
            Width::Fields(fields) => fields.iter().fold(at + 1, |at, field| field.end(row, at)),
            Width::Elements(count, element) if row[at] == 1 => {
                (0..*count).fold(at + 1, |at, _| element.end(row, at))
            }
            Width::Elements(..) => at + 1,
        }
    }
}

fn width(of: &DataType) -> Option<Width> {
    use DataType::*;
    Some(match of {
        Boolean => Width::Fixed(2),
        Utf8 | Binary | LargeUtf8 | LargeBinary | Utf8View | BinaryView => Width::Variable,
        List(_) | LargeList(_) | ListView(_) | LargeListView(_) | Map(..) => Width::List,
        FixedSizeBinary(bytes) => Width::Fixed(1 + usize::try_from(*bytes).ok()?),
        FixedSizeList(element, count) => {
            let element = Box::new(width(element.data_type())?);
            Width::Elements(usize::try_from(*count).ok()?, element)
        }
        Struct(fields) => {
            let fields = fields.iter().map(|field| width(field.data_type()));
            Width::Fields(fields.collect::<Option<_>>()?)
        }
        Dictionary(_, value) => width(value)?,
        Null => Width::Fixed(0),
        other => Width::Fixed(1 + other.primitive_width()?),
    })
}

#[inline]
fn variable_end(row: &[u8], at: usize) -> usize {
    const SMALL: usize = 8;
    const LARGE: usize = 32;
    let mut end = at + 1;
    if row[at] != 2 {
        return end;
    }
    for block in 0.. {
        end += if block < LARGE / SMALL { SMALL } else { LARGE } + 1;
        if row[end - 1] != 0xff {
            break;
        }
    }
    end
}

/// A list is a NULL, or its elements and an empty one behind them.
fn list_end(row: &[u8], mut at: usize) -> usize {
    while row[at] == 2 {
        at = variable_end(row, at);
    }
    at + 1
}

/// Builds rows from the columns of up to three others, by copying bytes.
#[derive(Clone, Debug)]
pub struct Splice {
    parts: Vec<Layout>,
    /// The source part and column of every column that comes out.
    picks: Vec<(usize, usize)>,
    /// The whole of consecutive parts, in order: nothing needs to be found.
    whole: bool,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Splice {
    /// A splice over `parts`; `picks` number the columns of all parts in one sequence.
    pub fn new(parts: Vec<Layout>, picks: &[usize]) -> Splice {
        let starts: Vec<(usize, usize)> = (parts.iter().enumerate())
            .flat_map(|(part, layout)| (0..layout.columns()).map(move |column| (part, column)))
            .collect();
        let whole = picks.iter().copied().eq(0..starts.len());
        let picks = picks.iter().map(|pick| starts[*pick]).collect();
        Splice { parts, picks, whole, ends: Vec::new(), bytes: Vec::new() }
    }

    /// The spliced bytes; they stand until the next call.
    #[inline]
    pub fn bytes(&mut self, rows: &[&[u8]]) -> &[u8] {
        self.bytes.clear();
        if self.whole {
            rows.iter().for_each(|row| self.bytes.extend_from_slice(row));
            return &self.bytes;
        }
        self.ends.clear();
        let mut bases = [0usize; 4];
        for (part, (layout, row)) in self.parts.iter().zip(rows).enumerate() {
            bases[part] = self.ends.len();
            layout.ends(row, &mut self.ends);
        }
        for (part, column) in &self.picks {
            let base = bases[*part];
            let from = if *column == 0 { 0 } else { self.ends[base + column - 1] };
            self.bytes.extend_from_slice(&rows[*part][from..self.ends[base + column]]);
        }
        &self.bytes
    }

    /// The spliced row.
    #[inline]
    pub fn row(&mut self, rows: &[&[u8]]) -> Row {
        Row::new(self.bytes(rows))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Array;
    use arrow_array::ArrayRef;
    use arrow_array::BooleanArray;
    use arrow_array::DictionaryArray;
    use arrow_array::FixedSizeBinaryArray;
    use arrow_array::FixedSizeListArray;
    use arrow_array::Float64Array;
    use arrow_array::Int32Array;
    use arrow_array::ListArray;
    use arrow_array::RecordBatch;
    use arrow_array::StringArray;
    use arrow_array::StructArray;
    use arrow_array::TimestampMillisecondArray;
    use arrow_array::builder::Int64Builder;
    use arrow_array::builder::MapBuilder;
    use arrow_array::builder::StringBuilder;
    use arrow_array::types::Int32Type;
    use arrow_array::types::Int64Type;
    use arrow_buffer::NullBuffer;
    use arrow_schema::Field;
    use arrow_schema::Schema;

    use super::super::codec::RowCodec;
    use super::*;

    fn batch() -> RecordBatch {
        let texts: Vec<Option<String>> =
            [None, Some(0), Some(1), Some(8), Some(9), Some(32), Some(33), Some(64), Some(200)]
                .iter()
                .map(|n| n.map(|n| "x".repeat(n)))
                .collect();
        let n = texts.len();
        let number = |i: usize| (!i.is_multiple_of(3)).then_some(i as f64 - 3.5);
        let elements = |i: usize| (0..i as i64).map(|e| (e != 1).then_some(e)).collect::<Vec<_>>();
        let list = |i: usize| (i != 4).then(|| elements(i));
        let fixed = (0..n).map(|i| (i != 2).then(|| vec![Some(i as i64), None]));
        let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(fixed, 2);
        let named: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let fields = vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("pair", fixed.data_type().clone(), true),
        ];
        let valid: NullBuffer = (0..n).map(|i| i != 5).collect::<Vec<bool>>().into();
        let parts = StructArray::new(fields.into(), vec![named, Arc::new(fixed)], Some(valid));
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for i in 0..n {
            (0..i % 4).for_each(|e| maps.keys().append_value(format!("key {e}")));
            (0..i % 4).for_each(|e| maps.values().append_value(e as i64));
            maps.append(i != 3).unwrap();
        }
        let words: DictionaryArray<Int32Type> =
            (0..n).map(|i| (i % 3 != 1).then_some("a word")).collect();
        let bytes = (0..n).map(|i| (i != 7).then_some([i as u8; 5]));
        let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, 5).unwrap();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(texts.clone())),
            Arc::new((0..n).map(number).collect::<Float64Array>()),
            Arc::new((0..n).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(StringArray::from_iter(texts.into_iter().rev())),
            Arc::new((0..n).map(|i| Some(i as i32)).collect::<Int32Array>()),
            Arc::new(TimestampMillisecondArray::from_iter((0..n).map(|i| Some(i as i64)))),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..n).map(list))),
            Arc::new(parts),
            Arc::new(maps.finish()),
            Arc::new(words),
            Arc::new(bytes),
        ];
        let fields: Vec<Field> = (columns.iter().enumerate())
            .map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn column_ends_are_found() {
        let batch = batch();
        let schema = batch.schema();
        let layout = Layout::new(schema.fields().iter().map(|f| f.data_type())).unwrap();
        let rows = RowCodec::new(schema.clone()).unwrap().rows(&batch).unwrap();
        let whole: Vec<usize> = (0..schema.fields().len()).collect();
        let parts = vec![9, 7, 10, 8, 0];
        for picks in [whole, parts, vec![3, 6, 0], vec![6, 4, 2, 1], vec![1], vec![8, 1]] {
            let projected = batch.project(&picks).unwrap();
            let mut codec = RowCodec::new(projected.schema()).unwrap();
            let expected = codec.rows(&projected).unwrap();
            let mut splice = Splice::new(vec![layout.clone()], &picks);
            let spliced: Vec<Row> = rows.iter().map(|r| splice.row(&[r.as_bytes()])).collect();
            assert_eq!(spliced, expected, "{picks:?}");
            let back = codec.decode(spliced.iter().map(Row::as_bytes)).unwrap();
            assert_eq!(back, projected);
        }
    }

    #[test]
    fn one_zero_and_one_nan() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]));
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
        let rows = RowCodec::new(schema).unwrap().rows(&batch).unwrap();
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[2], rows[3]);
    }
}
