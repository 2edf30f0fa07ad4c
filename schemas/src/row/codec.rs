//! [`RowCodec`]: batches to rows and back, through arrow-row.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::types::Float64Type;
use arrow_row::RowConverter;
use arrow_row::RowParser;
use arrow_row::Rows;
use arrow_row::SortField;
use arrow_schema::ArrowError;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::SchemaRef;
use arrow_schema::SortOptions;

use super::bytes::Row;

/// Why columns cannot be rows.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// arrow-row does not know the type, or the bytes are not its own.
    #[error("columns cannot be encoded as rows")]
    Arrow(#[from] ArrowError),
}

/// Encodes the columns of one schema.
pub struct RowCodec {
    schema: SchemaRef,
    converter: RowConverter,
    parser: RowParser,
    rows: Option<Rows>,
}

impl RowCodec {
    /// A codec for rows of `schema`.
    ///
    /// # Errors
    /// A column's type has no row encoding (maps and unions).
    pub fn new(schema: SchemaRef) -> Result<RowCodec, RowError> {
        let order = vec![SortOptions::default(); schema.fields().len()];
        RowCodec::ordered(schema, &order)
    }

    /// A codec whose rows order each column as told; such rows are for ordering only, not for
    /// [`super::Layout`].
    ///
    /// # Errors
    /// As [`RowCodec::new`].
    pub fn ordered(schema: SchemaRef, order: &[SortOptions]) -> Result<RowCodec, RowError> {
        let fields = (schema.fields().iter().zip(order))
            .map(|(f, order)| SortField::new_with_options(f.data_type().clone(), *order));
        let converter = RowConverter::new(fields.collect())?;
        let parser = converter.parser();
        Ok(RowCodec { schema, converter, parser, rows: None })
    }

    /// The columns it encodes.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Calls `each` with every row of the columns, in order.
    ///
    /// # Errors
    /// The columns are not those of the schema.
    pub fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), RowError> {
        if self.schema.fields().is_empty() {
            (0..rows).for_each(|row| each(row, &[]));
            return Ok(());
        }
        let columns: Vec<ArrayRef> = columns.iter().map(one_of_each).collect();
        let mut encoded =
            self.rows.take().unwrap_or_else(|| self.converter.empty_rows(rows, rows * 16));
        encoded.clear();
        self.converter.append(&mut encoded, &columns)?;
        encoded.iter().enumerate().for_each(|(row, bytes)| each(row, bytes.as_ref()));
        self.rows = Some(encoded);
        Ok(())
    }

    /// The rows of a batch.
    ///
    /// # Errors
    /// The batch is not of the schema.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<Row>, RowError> {
        let mut rows = Vec::with_capacity(batch.num_rows());
        self.encode(batch.columns(), batch.num_rows(), |_, bytes| rows.push(Row::new(bytes)))?;
        Ok(rows)
    }

    /// The batch of these rows.
    ///
    /// # Errors
    /// The bytes are not rows of this schema.
    pub fn decode<'a>(
        &self,
        rows: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Result<RecordBatch, RowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = if self.schema.fields().is_empty() {
            Vec::new()
        } else {
            let columns =
                self.converter.convert_rows(rows.map(|bytes| self.parser.parse(bytes)))?;
            // arrow-row gives back the values of a dictionary, also within a list or a struct.
            let of_type = |(column, field): (ArrayRef, &Arc<Field>)| match column.data_type() {
                same if same == field.data_type() => Ok(column),
                _ => arrow_cast::cast(&column, field.data_type()),
            };
            let columns = columns.into_iter().zip(self.schema.fields());
            columns.map(of_type).collect::<Result<_, ArrowError>>()?
        };
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The batch with one zero and one NaN, as its rows would be.
pub fn canonical(batch: &RecordBatch) -> RecordBatch {
    let floats = |f: &Field| matches!(f.data_type(), DataType::Float64 | DataType::Float32);
    if !batch.schema().fields().iter().any(|field| floats(field)) {
        return batch.clone();
    }
    let columns = batch.columns().iter().map(one_of_each).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        .expect("the columns are of the same types and lengths")
}

/// The column with one zero and one NaN.
fn one_of_each(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let floats = column.as_primitive::<Float64Type>();
            let odd = |x: &f64| x.to_bits() == (-0.0f64).to_bits() || x.is_nan();
            if !floats.values().iter().any(odd) {
                return column.clone();
            }
            let one = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
            Arc::new(floats.unary::<_, Float64Type>(one))
        }
        DataType::Float32 => {
            let floats = column.as_primitive::<Float32Type>();
            let one = |x: f32| if x.is_nan() { f32::NAN } else { x + 0.0 };
            Arc::new(floats.unary::<_, Float32Type>(one))
        }
        _ => column.clone(),
    }
}
