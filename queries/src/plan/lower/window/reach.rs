//! How far a call looks from a row, by its function and its frame.
//!
//! Most calls look at rows near by, or at all rows before, and a change concerns no others; what
//! they say of those is then computed of a part of the partition. That is right only where the bits
//! of a value do not depend on where the evaluation begins. DataFusion moves a frame by adding what
//! enters and taking away what leaves, so roundings would stay; but sums and means of doubles are
//! added up exactly here ([`moving`](crate::moving)), those of integers and decimals wrap, and
//! counts, extremes and neighbours are exact.
//!
//! What is not known to be so is [`Reach::Whole`].

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::WindowFrame;
use datafusion::logical_expr::WindowFrameBound;
use datafusion::logical_expr::WindowFrameUnits;
use datafusion::logical_expr::WindowFunctionDefinition;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Literal;
use schemas::plan::Reach;
use schemas::relation::UTC;

use super::Recipe;
use crate::plan::expr::Scalar;
use crate::plan::expr::as_column;

/// The row alone.
const ALONE: Reach = Reach::Rows { before: 0, after: 0 };

/// Within so many seconds of 1970 there are dates; the calendar of arrow ends about 262,000 years
/// from there, and what a frame beyond it holds depends on the rows before.
const CALENDAR_S: i64 = 8_000_000_000_000;

/// Nanoseconds of a day.
const DAY_NANOS: i64 = 86_400_000_000_000;

/// How far a call looks: its columns are those of `schema`, `output` comes out, and the node's
/// order has so many columns.
pub(super) fn reach(recipe: &Recipe, schema: &Schema, output: &DataType, ordered: usize) -> Reach {
    if recipe.distinct || !recipe.order.iter().all(|sort| compares(sort, schema)) {
        return Reach::Whole;
    }
    let found = match recipe.function {
        WindowFunctionDefinition::WindowUDF(_) => of_place(recipe, schema, output),
        WindowFunctionDefinition::AggregateUDF(_) => of_values(recipe, schema, output, ordered),
    };
    found.unwrap_or(Reach::Whole)
}

/// Whether rows that the order calls equal have equal keys, and the other way round.
fn compares(sort: &PhysicalSortExpr, schema: &Schema) -> bool {
    let simple = |of: DataType| !of.is_nested() && !matches!(of, DataType::Interval(_));
    sort.expr.data_type(schema).is_ok_and(simple)
}

/// A function of the row's place.
fn of_place(recipe: &Recipe, schema: &Schema, output: &DataType) -> Option<Reach> {
    let (frame, nulls_count) = (&recipe.frame, !recipe.ignore_nulls);
    let by_rows = frame.units == WindowFrameUnits::Rows;
    let here = |bound: &WindowFrameBound| nulls_count && *bound == WindowFrameBound::CurrentRow;
    match recipe.function.name() {
        "row_number" | "rank" | "dense_rank" => Some(Reach::Onward),
        "lag" if nulls_count => shifted(recipe, true),
        "lead" if nulls_count => shifted(recipe, false),
        "first_value" if by_rows && here(&frame.start_bound) => Some(ALONE),
        "last_value" if by_rows && here(&frame.end_bound) => Some(ALONE),
        "first_value" | "last_value" if by_rows && runs(frame) => {
            stands_for_all(recipe, schema, output).then_some(Reach::Onward)
        }
        "first_value" | "last_value" | "nth_value" if by_rows => rows(frame),
        _ => None,
    }
}

/// LAG and LEAD, of which one is the other with a negative number.
fn shifted(recipe: &Recipe, back: bool) -> Option<Reach> {
    let by = match recipe.arguments.get(1) {
        None => 1,
        Some(by) => {
            let by = by.downcast_ref::<Literal>()?.value().cast_to(&DataType::Int64).ok()?;
            let ScalarValue::Int64(by) = by else { return None };
            by.unwrap_or(0)
        }
    };
    let far = usize::try_from(by.unsigned_abs()).ok()?;
    Some(match (by >= 0) == back {
        true => Reach::Rows { before: far, after: 0 },
        false => Reach::Rows { before: 0, after: far },
    })
}

/// An aggregate.
fn of_values(recipe: &Recipe, schema: &Schema, output: &DataType, ordered: usize) -> Option<Reach> {
    let (name, frame) = (recipe.function.name(), &recipe.frame);
    if recipe.ignore_nulls {
        return None;
    }
    if runs(frame) {
        let goes_on = match name {
            "count" => true,
            "sum" | "min" | "max" => stands_for_all(recipe, schema, output),
            _ => false,
        };
        return goes_on.then_some(Reach::Onward);
    }
    let exact = match name {
        "count" => true,
        "min" | "max" => !output.is_nested(),
        "sum" => wraps(output) || *output == DataType::Float64,
        "avg" => output.is_decimal() || *output == DataType::Float64,
        _ => false,
    };
    if !exact {
        return None;
    }
    match frame.units {
        WindowFrameUnits::Rows => rows(frame),
        WindowFrameUnits::Groups => {
            let (before, after) = hull(frame, count)?;
            Some(Reach::Groups { before, after })
        }
        WindowFrameUnits::Range => range(recipe, schema, ordered),
    }
}

/// Whether what is added can be taken away without a trace.
fn wraps(of: &DataType) -> bool {
    let integer = matches!(of, DataType::Int64 | DataType::UInt64 | DataType::Duration(_));
    integer || of.is_decimal()
}

/// Whether the frame is all rows up to this one, or to those equal to it.
fn runs(frame: &WindowFrame) -> bool {
    frame.start_bound.is_unbounded() && frame.end_bound == WindowFrameBound::CurrentRow
}

/// Whether the value of a row, in the place of its argument, stands for all rows up to it.
fn stands_for_all(recipe: &Recipe, schema: &Schema, output: &DataType) -> bool {
    let [argument] = recipe.arguments.as_slice() else { return false };
    let Some(at) = as_column(argument) else { return false };
    let fits = match (schema.field(at).data_type(), output) {
        (DataType::Decimal128(_, of), DataType::Decimal128(_, scale)) => of == scale,
        (of, output) => of == output && !of.is_nested(),
    };
    let elsewhere = |other: &Scalar| as_column(other).is_some_and(|other| other != at);
    fits && recipe.filter.iter().all(elsewhere)
        && recipe.order.iter().all(|sort| elsewhere(&sort.expr))
}

/// A frame of so many rows.
fn rows(frame: &WindowFrame) -> Option<Reach> {
    let (before, after) = hull(frame, count)?;
    Some(Reach::Rows { before, after })
}

fn count(of: &ScalarValue) -> Option<usize> {
    let ScalarValue::UInt64(Some(of)) = of else { return None };
    usize::try_from(*of).ok()
}

/// A frame of all rows whose order is so near.
fn range(recipe: &Recipe, schema: &Schema, ordered: usize) -> Option<Reach> {
    let frame = &recipe.frame;
    let here = WindowFrameBound::CurrentRow;
    if frame.start_bound == here && frame.end_bound == here {
        return Some(Reach::Groups { before: 0, after: 0 });
    }
    let [sort] = recipe.order.as_slice() else { return None };
    let (least, most, nanos) = limits(&sort.expr.data_type(schema).ok()?)?;
    let (before, after) = hull(frame, |of| distance(of, nanos))?;
    // At the ends of its type a bound stays where that of the row before was.
    let far = before.max(after);
    let (least, most) = (least.saturating_add(far), most.saturating_sub(far));
    (ordered == 1).then_some(Reach::Values { before, after, least, most })
}

/// From where to where the values of a type can be added to, and the nanoseconds of its unit where
/// it has one.
fn limits(of: &DataType) -> Option<(i64, i64, Option<i64>)> {
    Some(match of {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into(), None),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into(), None),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into(), None),
        DataType::Int64 => (i64::MIN, i64::MAX, None),
        DataType::Date32 => calendar(DAY_NANOS),
        // In other zones a day has not always 24 hours.
        DataType::Timestamp(unit, zone) if zone.as_deref().is_none_or(|zone| zone == UTC) => {
            calendar(match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            })
        }
        _ => return None,
    })
}

fn calendar(nanos: i64) -> (i64, i64, Option<i64>) {
    let most = i128::from(CALENDAR_S) * 1_000_000_000 / i128::from(nanos);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    (-most, most, Some(nanos))
}

/// How far a bound is from the row, or a little more. Months are of different lengths.
fn distance(of: &ScalarValue, nanos: Option<i64>) -> Option<i64> {
    let far = match (of, nanos) {
        (ScalarValue::Int8(Some(far)), None) => i64::from(*far),
        (ScalarValue::Int16(Some(far)), None) => i64::from(*far),
        (ScalarValue::Int32(Some(far)), None) => i64::from(*far),
        (ScalarValue::Int64(Some(far)), None) => *far,
        (ScalarValue::IntervalMonthDayNano(Some(far)), Some(nanos)) if far.months == 0 => {
            let days = i128::from(far.days) * i128::from(DAY_NANOS);
            let all = u128::try_from(days + i128::from(far.nanoseconds)).ok()?;
            i64::try_from(all.div_ceil(u128::try_from(nanos).ok()?)).ok()?
        }
        _ => return None,
    };
    (far >= 0).then_some(far)
}

/// How far the frame is before the row and behind it, with what is between.
fn hull<N: Copy + Default + Ord>(
    frame: &WindowFrame,
    far: impl Fn(&ScalarValue) -> Option<N>,
) -> Option<(N, N)> {
    let bound = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(of) => Some((far(of)?, N::default())),
        WindowFrameBound::CurrentRow => Some((N::default(), N::default())),
        WindowFrameBound::Following(of) => Some((N::default(), far(of)?)),
    };
    let (start, end) = (bound(&frame.start_bound)?, bound(&frame.end_bound)?);
    Some((start.0.max(end.0), start.1.max(end.1)))
}
