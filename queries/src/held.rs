//! Functions of DataFusion, held to what they promise.
//!
//! `to_timestamp` and its kin promise the session's time zone and, of a column of text, give
//! instants without one. `array_max`, `array_min` and `array_positions` fail where there is no row
//! at all, as in an answer over a relation that is empty. What they compute stays DataFusion's.

use std::sync::Arc;

use datafusion::arrow::array::new_empty_array;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::Documentation;
use datafusion::logical_expr::ReturnFieldArgs;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;

/// The functions that this is about.
pub(crate) const NAMES: [&str; 8] = [
    "array_max",
    "array_min",
    "array_positions",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
];

/// One of them, to be registered in the place of DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Held {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let promised = args.return_field.data_type().clone();
        if args.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(&promised)));
        }
        // Not by the function, which is checked against its promise where assertions are on.
        let value = self.inner.inner().invoke_with_args(args)?;
        if value.data_type() == promised { Ok(value) } else { value.cast_to(&promised, None) }
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn each_is_there_under_all_its_names() {
        let state = crate::session::state();
        for name in NAMES {
            let function = &state.scalar_functions()[name];
            for alias in function.aliases() {
                assert_eq!(&state.scalar_functions()[alias], function, "{alias}");
            }
        }
    }
}
