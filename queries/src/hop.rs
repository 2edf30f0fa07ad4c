//! `hop(instant, size, slide)`: the beginnings of all windows of `size` that hold an instant, where
//! one begins each `slide`; with `unnest`, hopping windows.
//!
//! Windows begin at multiples of the slide since the epoch, as bins of `date_bin` do, and hold what
//! is from their beginning on and before their end.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::ListBuilder;
use datafusion::arrow::array::TimestampMillisecondBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::IntervalUnit;
use datafusion::arrow::datatypes::TimestampMillisecondType;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::exec_datafusion_err;
use datafusion::common::plan_datafusion_err;
use datafusion::common::plan_err;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::ReturnFieldArgs;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use schemas::relation::timestamp_type;

/// Windows that hold one instant at most: each is a row.
const WINDOWS_MAX: i64 = 1_000;

/// `hop(instant, size, slide)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hop {
    signature: Signature,
}

impl Hop {
    /// The function, to be registered.
    pub(crate) fn new() -> Hop {
        Hop { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// A size and a slide that were found to make sense, in milliseconds.
#[derive(Clone, Copy)]
struct Widths {
    size: i64,
    slide: i64,
}

impl Widths {
    fn of(size: &ScalarValue, slide: &ScalarValue) -> Result<Widths> {
        let (size, slide) = (span_ms(size)?, span_ms(slide)?);
        if size.div_euclid(slide) > WINDOWS_MAX {
            return plan_err!("hop with more than {WINDOWS_MAX} windows an instant: slide further");
        }
        Ok(Widths { size, slide })
    }

    /// The beginnings of the windows that hold an instant, the first one first.
    fn beginnings(self, at: i64) -> impl Iterator<Item = i64> {
        let last = at.div_euclid(self.slide) * self.slide;
        let reach = (self.size - 1 - (at - last)).div_euclid(self.slide);
        (0..=reach).rev().map(move |back| last - back * self.slide)
    }
}

/// A span of whole milliseconds.
fn span_ms(span: &ScalarValue) -> Result<i64> {
    const DAY_MS: i64 = schemas::time::DAY_MS as i64;
    match span {
        ScalarValue::IntervalMonthDayNano(Some(v))
            if v.months == 0 && v.nanoseconds % 1_000_000 == 0 =>
        {
            let ms = i64::from(v.days) * DAY_MS + v.nanoseconds / 1_000_000;
            if ms > 0 { Ok(ms) } else { plan_err!("hop takes spans that are longer than nothing") }
        }
        _ => plan_err!("hop takes spans without months, in whole milliseconds"),
    }
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(timestamp_type(), true)))
}

impl ScalarUDFImpl for Hop {
    fn name(&self) -> &str {
        "hop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() != 3 {
            return plan_err!("hop takes an instant and two constant spans: size and slide");
        }
        let span = DataType::Interval(IntervalUnit::MonthDayNano);
        Ok(vec![timestamp_type(), span.clone(), span])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.scalar_arguments {
            [_, Some(size), Some(slide)] => Widths::of(size, slide)?,
            _ => return plan_err!("hop takes an instant and two constant spans: size and slide"),
        };
        Ok(Arc::new(Field::new(self.name(), list_type(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [at, ColumnarValue::Scalar(size), ColumnarValue::Scalar(slide)] = &args.args[..] else {
            return Err(exec_datafusion_err!("hop takes an instant and two constant spans"));
        };
        let widths = Widths::of(size, slide)?;
        let at = at.to_array(args.number_rows)?;
        let instants = at
            .as_primitive_opt::<TimestampMillisecondType>()
            .ok_or_else(|| plan_datafusion_err!("hop takes an instant"))?;
        let begins = TimestampMillisecondBuilder::new().with_data_type(timestamp_type());
        let mut lists = ListBuilder::new(begins);
        for instant in instants {
            instant.into_iter().flat_map(|at| widths.beginnings(at)).for_each(|begin| {
                lists.values().append_value(begin);
            });
            lists.append(instant.is_some());
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: i64, slide: i64, at: i64, begins: &[i64]) {
        let found: Vec<i64> = Widths { size, slide }.beginnings(at).collect();
        assert_eq!(found, begins);
        assert!(found.iter().all(|begin| *begin <= at && at < begin + size));
    }

    #[test]
    fn an_instant_is_in_every_window_that_holds_it() {
        check(15, 5, 20, &[10, 15, 20]);
        check(15, 5, 24, &[10, 15, 20]);
        check(15, 5, -1, &[-15, -10, -5]);
        check(12, 5, 20, &[10, 15, 20]);
        check(12, 5, 22, &[15, 20]);
        check(5, 5, 7, &[5]);
        // Between windows there are instants in none.
        check(2, 5, 6, &[5]);
        check(2, 5, 8, &[]);
    }
}
