//! AVG of decimals: a sum and a count, both accumulable, and their quotient above.
//!
//! The quotient is DataFusion's: the sum at the scale of the result, divided and cut off.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::Decimal128Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Decimal128Type;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::exec_datafusion_err;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::ScalarFunctionExpr;
use schemas::plan::Aggregate;
use schemas::plan::AggregateFunction;

use crate::plan::expr::Scalar;
use crate::plan::rel::Rel;

/// The digits of an i128 that are all free.
const PRECISION: u8 = 38;

/// Sum and count for a mean, if it is one of decimals.
pub(super) fn parts(mean: &Aggregate, input: &Rel) -> Option<[Aggregate; 2]> {
    let of = input.fields[*mean.arguments.first()?].data_type();
    let (AggregateFunction::Avg, DataType::Decimal128(_, scale)) = (&mean.function, of) else {
        return None;
    };
    let part = |function: AggregateFunction, data_type: DataType| {
        let name = mean.output.name().replacen("avg", &function.to_string(), 1);
        let output = Arc::new(Field::new(name, data_type, true));
        Aggregate { function, output, ..mean.clone() }
    };
    Some([
        part(AggregateFunction::Sum, DataType::Decimal128(PRECISION, *scale)),
        part(AggregateFunction::Count, DataType::Int64),
    ])
}

/// The groups with each mean in the place of its sum and count; `means` says where, behind the
/// first `before` columns.
pub(super) fn above(rel: Rel, before: usize, means: &[(usize, FieldRef)]) -> Rel {
    if means.is_empty() {
        return rel;
    }
    let (mut outputs, mut fields) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < rel.width() {
        let mean = means.iter().find(|(place, _)| before + place == at);
        match mean {
            Some((_, field)) => {
                outputs.push(quotient(&rel, at, field));
                fields.push(Arc::clone(field));
                at += 2;
            }
            None => {
                outputs.push(rel.col(at));
                fields.push(Arc::clone(&rel.fields[at]));
                at += 1;
            }
        }
    }
    Rel::mfp(rel, Vec::new(), outputs, fields)
}

fn quotient(rel: &Rel, sum: usize, field: &FieldRef) -> Scalar {
    let mean = Mean {
        signature: Signature::any(2, Volatility::Immutable),
        result: field.data_type().clone(),
    };
    let arguments = vec![rel.col(sum), rel.col(sum + 1)];
    let (name, options) = (mean.name().to_owned(), Arc::new(ConfigOptions::default()));
    let function = Arc::new(ScalarUDF::from(mean));
    Arc::new(ScalarFunctionExpr::new(&name, function, arguments, Arc::clone(field), options))
}

/// `mean(sum, count)` of decimals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mean {
    signature: Signature,
    result: DataType,
}

impl ScalarUDFImpl for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let sums = arrays[0].as_primitive::<Decimal128Type>();
        let counts = arrays[1].as_primitive::<Int64Type>();
        let (DataType::Decimal128(_, from), DataType::Decimal128(precision, to)) =
            (sums.data_type(), &self.result)
        else {
            return Err(exec_datafusion_err!("a mean of decimals is a decimal"));
        };
        let overflow = || exec_datafusion_err!("the mean has more digits than its type");
        let finer = u32::try_from(to - from).map_err(|_| overflow())?;
        let factor = 10_i128.checked_pow(finer).ok_or_else(overflow)?;
        let one = |(sum, count): (Option<i128>, Option<i64>)| match (sum, count) {
            (Some(sum), Some(count)) if count != 0 => {
                let scaled = sum.checked_mul(factor).ok_or_else(overflow)?;
                Ok(Some(scaled / i128::from(count)))
            }
            _ => Ok(None),
        };
        let means: Decimal128Array =
            sums.iter().zip(counts.iter()).map(one).collect::<Result<_>>()?;
        let means = means.with_precision_and_scale(*precision, *to)?;
        means.validate_decimal_precision(*precision)?;
        Ok(ColumnarValue::Array(Arc::new(means)))
    }
}
