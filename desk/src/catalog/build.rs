//! Batches column by column, with the names and types of PostgreSQL's catalog.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::Float32Array;
use arrow::array::Int16Array;
use arrow::array::Int16Builder;
use arrow::array::Int32Array;
use arrow::array::ListBuilder;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::array::new_null_array;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion_pg_catalog::pg_catalog::oid_field::oid_field;

/// A table that is built column by column.
pub(super) struct Columns {
    rows: usize,
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    /// A table of so many rows, without columns yet.
    pub(super) fn of(rows: usize) -> Columns {
        Columns { rows, fields: Vec::new(), arrays: Vec::new() }
    }

    fn push(mut self, field: Field, array: ArrayRef) -> Columns {
        self.fields.push(field);
        self.arrays.push(array);
        self
    }

    /// A column of texts.
    pub(super) fn text<S: AsRef<str>>(
        self,
        name: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Columns {
        // Arrow asks for the number of values first, which not every iterator knows.
        let values: Vec<S> = values.into_iter().collect();
        let array = StringArray::from_iter_values(values);
        self.push(Field::new(name, DataType::Utf8, false), Arc::new(array))
    }

    /// A column of whole numbers.
    pub(super) fn int(self, name: &str, values: impl IntoIterator<Item = i32>) -> Columns {
        let array = Int32Array::from_iter_values(values);
        self.push(Field::new(name, DataType::Int32, false), Arc::new(array))
    }

    /// A column of whole numbers, of which some are not there.
    pub(super) fn maybe_int(
        self,
        name: &str,
        values: impl IntoIterator<Item = Option<i32>>,
    ) -> Columns {
        let array: Int32Array = values.into_iter().collect();
        self.push(Field::new(name, DataType::Int32, true), Arc::new(array))
    }

    /// A column of small whole numbers.
    pub(super) fn small(self, name: &str, values: impl IntoIterator<Item = i16>) -> Columns {
        let array = Int16Array::from_iter_values(values);
        self.push(Field::new(name, DataType::Int16, false), Arc::new(array))
    }

    /// A column of numbers of catalog entries.
    pub(super) fn oid(self, name: &str, values: impl IntoIterator<Item = i32>) -> Columns {
        let array = Int32Array::from_iter_values(values);
        self.push(oid_field(name, "oid", false), Arc::new(array))
    }

    /// A column of truths.
    pub(super) fn truth(self, name: &str, values: impl IntoIterator<Item = bool>) -> Columns {
        let array: BooleanArray = values.into_iter().map(Some).collect();
        self.push(Field::new(name, DataType::Boolean, false), Arc::new(array))
    }

    /// A column of lists of column numbers.
    pub(super) fn numbers(self, name: &str, values: impl IntoIterator<Item = Vec<i16>>) -> Columns {
        let mut builder = ListBuilder::new(Int16Builder::new());
        for value in values {
            builder.append_value(value.into_iter().map(Some));
        }
        let array = builder.finish();
        let kind = arrow::array::Array::data_type(&array).clone();
        self.push(Field::new(name, kind, false), Arc::new(array))
    }

    /// The same text in every row.
    pub(super) fn all_text(self, name: &str, value: &str) -> Columns {
        let rows = self.rows;
        self.text(name, std::iter::repeat_n(value, rows))
    }

    /// The same whole number in every row.
    pub(super) fn all_int(self, name: &str, value: i32) -> Columns {
        let rows = self.rows;
        self.int(name, std::iter::repeat_n(value, rows))
    }

    /// The same small whole number in every row.
    pub(super) fn all_small(self, name: &str, value: i16) -> Columns {
        let rows = self.rows;
        self.small(name, std::iter::repeat_n(value, rows))
    }

    /// The same number of a catalog entry in every row.
    pub(super) fn all_oid(self, name: &str, value: i32) -> Columns {
        let rows = self.rows;
        self.oid(name, std::iter::repeat_n(value, rows))
    }

    /// The same fraction in every row.
    pub(super) fn all_real(self, name: &str, value: f32) -> Columns {
        let array = Float32Array::from(vec![value; self.rows]);
        self.push(Field::new(name, DataType::Float32, false), Arc::new(array))
    }

    /// The same truth in every row.
    pub(super) fn all_truth(self, name: &str, value: bool) -> Columns {
        let rows = self.rows;
        self.truth(name, std::iter::repeat_n(value, rows))
    }

    /// Nothing in every row.
    pub(super) fn nothing(self, name: &str, kind: &DataType) -> Columns {
        let array = new_null_array(kind, self.rows);
        self.push(Field::new(name, kind.clone(), true), array)
    }

    /// The table.
    pub(super) fn build(self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)?)
    }
}
