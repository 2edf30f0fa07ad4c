//! `sum` and `avg` of doubles over a frame that moves, exact whatever left it before.
//!
//! DataFusion moves a frame by adding what enters and subtracting what leaves. With doubles the
//! roundings of all rows before stay in the sum, and after one NaN every sum is NaN. Here what
//! enters and leaves is added up exactly ([`exact`]), and NaN and the infinities are counted, so a
//! frame has the value of its rows and of nothing else; which also lets a view compute a part of a
//! partition alone.

mod exact;

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::not_impl_err;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::AggregateUDFImpl;
use datafusion::logical_expr::Documentation;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::GroupsAccumulator;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::ReversedUDAF;
use datafusion::logical_expr::SetMonotonicity;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::StatisticsArgs;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::function::StateFieldsArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;

use self::exact::Exact;

/// `sum` and `avg`, to be registered in the place of DataFusion's.
pub(crate) fn functions() -> [AggregateUDF; 2] {
    [sum_udaf(), avg_udaf()].map(|inner| AggregateUDF::from(Moving { inner }))
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Moving {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Moving {
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
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let doubles = |field: &FieldRef| *field.data_type() == DataType::Float64;
        if args.is_distinct || !doubles(&args.return_field) || !args.expr_fields.iter().all(doubles)
        {
            return self.inner.create_sliding_accumulator(args);
        }
        Ok(Box::new(Frame { mean: self.name() == "avg", ..Frame::default() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(of)
    }

    fn simplify_expr_op_literal(
        &self,
        agg_function: &datafusion::logical_expr::expr::AggregateFunction,
        arg: &Expr,
        op: Operator,
        lit: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner.simplify_expr_op_literal(agg_function, arg, op, lit, arg_is_left)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn set_monotonicity(&self, of: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(of)
    }
}

/// The rows of a frame, added up.
#[derive(Debug, Default)]
struct Frame {
    mean: bool,
    /// Values that are not NULL.
    count: i64,
    nan: i64,
    infinite: [i64; 2],
    finite: Exact,
}

impl Frame {
    fn change(&mut self, values: &ArrayRef, by: i64) {
        for value in values.as_primitive::<Float64Type>().iter().flatten() {
            self.count += by;
            if value.is_nan() {
                self.nan += by;
            } else if value.is_infinite() {
                self.infinite[usize::from(value < 0.0)] += by;
            } else {
                self.finite.add(if by > 0 { value } else { -value });
            }
        }
    }

    fn sum(&self) -> f64 {
        match self.infinite {
            _ if self.nan > 0 => f64::NAN,
            [0, 0] => self.finite.value(),
            [_, 0] => f64::INFINITY,
            [0, _] => f64::NEG_INFINITY,
            [_, _] => f64::NAN,
        }
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(&values[0], 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(&values[0], -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then(|| self.sum());
        let mean = |sum: f64| if self.mean { sum / self.count as f64 } else { sum };
        Ok(ScalarValue::Float64(sum.map(mean)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("a frame is added up where it is")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("a frame is added up where it is")
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Float64Array;

    use super::*;

    fn column(values: &[Option<f64>]) -> [ArrayRef; 1] {
        [Arc::new(Float64Array::from(values.to_vec()))]
    }

    fn evaluated(frame: &mut Frame) -> Option<f64> {
        let ScalarValue::Float64(value) = frame.evaluate().unwrap() else { panic!("a double") };
        value
    }

    #[test]
    fn what_left_a_frame_leaves_no_trace() {
        let mut frame = Frame::default();
        let noise = [Some(f64::NAN), Some(1e300), Some(0.1), None, Some(f64::INFINITY), Some(-7.0)];
        frame.update_batch(&column(&noise)).unwrap();
        assert!(evaluated(&mut frame).unwrap().is_nan());
        frame.update_batch(&column(&[Some(0.3), Some(0.6)])).unwrap();
        frame.retract_batch(&column(&noise)).unwrap();
        assert_eq!(evaluated(&mut frame), Some(0.3 + 0.6));
        frame.retract_batch(&column(&[Some(0.3)])).unwrap();
        frame.mean = true;
        assert_eq!(evaluated(&mut frame), Some(0.6));
        frame.retract_batch(&column(&[Some(0.6), None])).unwrap();
        assert_eq!(evaluated(&mut frame), None);
        let both = column(&[Some(f64::NEG_INFINITY), Some(1.0)]);
        frame.update_batch(&both).unwrap();
        assert_eq!(evaluated(&mut frame), Some(f64::NEG_INFINITY));
        frame.update_batch(&column(&[Some(f64::INFINITY)])).unwrap();
        assert!(evaluated(&mut frame).unwrap().is_nan());
    }

    #[test]
    fn they_are_there_under_all_their_names() {
        let state = crate::session::state();
        for name in ["sum", "avg", "mean"] {
            let function = state.aggregate_functions()[name].inner();
            assert!((function.as_ref() as &dyn std::any::Any).is::<Moving>(), "{name}");
        }
    }
}
