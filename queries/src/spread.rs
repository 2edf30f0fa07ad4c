//! Variances and standard deviations of doubles that are not finite: NaN, as in PostgreSQL and in
//! views.
//!
//! DataFusion takes one NaN alone for a value with no spread and answers 0; and over a frame that
//! moves, every answer after a NaN is NaN. Here values that are not finite are counted, and only
//! the others are handed on.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::filter;
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::exec_datafusion_err;
use datafusion::functions_aggregate::stddev::stddev_pop_udaf;
use datafusion::functions_aggregate::stddev::stddev_udaf;
use datafusion::functions_aggregate::variance::var_pop_udaf;
use datafusion::functions_aggregate::variance::var_samp_udaf;
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::AggregateUDFImpl;
use datafusion::logical_expr::Documentation;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::function::StateFieldsArgs;

/// The four of them, to be registered in the place of DataFusion's.
pub(crate) fn functions() -> [AggregateUDF; 4] {
    let population = [var_pop_udaf(), stddev_pop_udaf()].map(|inner| Spread { inner, least: 1 });
    let sample = [var_samp_udaf(), stddev_udaf()].map(|inner| Spread { inner, least: 2 });
    let [a, b] = population;
    let [c, d] = sample;
    [a, b, c, d].map(AggregateUDF::from)
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Spread {
    inner: Arc<AggregateUDF>,
    /// How many values it takes for there to be an answer.
    least: i64,
}

impl AggregateUDFImpl for Spread {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        self.inner.return_type(of)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let distinct = args.is_distinct;
        let finite = self.inner.accumulator(args)?;
        if distinct {
            return Ok(finite);
        }
        Ok(Box::new(Values { finite, least: self.least, count: 0, odd: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return self.inner.state_fields(args);
        }
        let counts = ["count", "odd"].map(|name| {
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::Int64, false))
        });
        let mut fields = self.inner.state_fields(args)?;
        fields.extend(counts);
        Ok(fields)
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(of)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// The values of a group or frame.
#[derive(Debug)]
struct Values {
    finite: Box<dyn Accumulator>,
    least: i64,
    /// Values that are not NULL, and those of them that are not finite.
    count: i64,
    odd: i64,
}

impl Values {
    /// Those that are finite; the others are counted.
    fn take(&mut self, values: &[ArrayRef], by: i64) -> Result<Vec<ArrayRef>> {
        let doubles = values[0].as_primitive::<Float64Type>();
        self.count += by * (doubles.len() - doubles.null_count()) as i64;
        let odd = doubles.iter().flatten().filter(|value| !value.is_finite()).count();
        if odd == 0 {
            return Ok(values.to_vec());
        }
        self.odd += by * odd as i64;
        let keep: BooleanArray =
            doubles.iter().map(|value| Some(value.is_some_and(f64::is_finite))).collect();
        Ok(vec![filter(&values[0], &keep)?])
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let finite = self.take(values, 1)?;
        self.finite.update_batch(&finite)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let finite = self.take(values, -1)?;
        self.finite.retract_batch(&finite)
    }

    fn supports_retract_batch(&self) -> bool {
        self.finite.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.odd {
            0 => self.finite.evaluate(),
            _ => Ok(ScalarValue::Float64((self.count >= self.least).then_some(f64::NAN))),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.finite.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut state = self.finite.state()?;
        state.extend([self.count, self.odd].map(|count| ScalarValue::Int64(Some(count))));
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some((finite, [count, odd])) = states.split_last_chunk::<2>() else {
            return Err(exec_datafusion_err!("a variance has its counts"));
        };
        let added = |counts: &ArrayRef| sum(counts.as_primitive::<Int64Type>()).unwrap_or(0);
        (self.count, self.odd) = (self.count + added(count), self.odd + added(odd));
        self.finite.merge_batch(finite)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Float64Type;
    use schemas::time::Timestamp;

    #[test]
    fn nan_has_no_spread_but_nan() {
        let ask = |sql: &str| {
            let rows = crate::batch::query(&BTreeMap::new(), sql, Timestamp(0)).unwrap();
            let values = rows.columns().iter().map(|c| c.as_primitive::<Float64Type>().clone());
            values.flat_map(|c| c.iter().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let all = "var_pop(x), stddev_pop(x), var_samp(x), stddev(x), stddev_samp(x), var(x)";
        let one = ask(&format!("SELECT {all} FROM (VALUES (CAST('NaN' AS DOUBLE))) AS t (x)"));
        assert!(one[..2].iter().all(|value| value.is_some_and(f64::is_nan)), "{one:?}");
        assert_eq!(one[2..], [None; 4]);
        let two = ask(&format!(
            "SELECT {all} FROM (VALUES (CAST('Infinity' AS DOUBLE)), (1.0)) AS t (x)"
        ));
        assert!(two.iter().all(|value| value.is_some_and(f64::is_nan)), "{two:?}");
        let moving =
            ask("SELECT var_pop(x) OVER (ORDER BY k ROWS 1 PRECEDING) FROM (VALUES (1, 5.0), \
             (2, CAST('NaN' AS DOUBLE)), (3, 1.0), (4, 3.0)) AS t (k, x) ORDER BY k");
        assert_eq!((moving[0], moving[3]), (Some(0.0), Some(1.0)));
    }
}
