//! `date_bin` that keeps the unit: bins of instants are instants of milliseconds.
//!
//! DataFusion's own coerces its argument to nanoseconds, so a bin would neither join nor compare
//! with the column it was made of. The arithmetic stays DataFusion's.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::IntervalUnit;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::Result;
use datafusion::common::plan_err;
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use schemas::relation::timestamp_type;

fn nanoseconds() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// `date_bin(width, instant [, origin])`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct DateBin {
    signature: Signature,
    inner: Arc<ScalarUDF>,
}

impl DateBin {
    /// The function, to be registered in place of DataFusion's.
    pub(crate) fn new() -> DateBin {
        DateBin { signature: Signature::user_defined(Volatility::Immutable), inner: date_bin() }
    }
}

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        "date_bin"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if !(2..=3).contains(&given.len()) {
            return plan_err!("date_bin takes a width, an instant and, if wanted, an origin");
        }
        let mut types = vec![DataType::Interval(IntervalUnit::MonthDayNano)];
        types.resize(given.len(), timestamp_type());
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(origin) = args.args.get_mut(2) {
            // An origin is wanted in nanoseconds, whatever the instants are in.
            *origin = origin.cast_to(&nanoseconds(), None)?;
            args.arg_fields[2] = Arc::new(Field::new("origin", nanoseconds(), true));
        }
        let return_field = Arc::new(Field::new("date_bin", timestamp_type(), true));
        let bins = self.inner.invoke_with_args(ScalarFunctionArgs { return_field, ..args })?;
        bins.cast_to(&timestamp_type(), None)
    }
}
