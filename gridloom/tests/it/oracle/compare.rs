//! What equal means: bit for bit, but for columns that say by how much they may differ.

use std::collections::BTreeMap;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;

/// By how much a double may differ from what batch says, by other columns of its row: `magnitude`
/// (Σ|x|), `squares` (Σx²) and `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// 1e-9 of its magnitude: real readings, of which nothing is known.
    Close,
    /// What is added up has been divided before: 2^-53 of 2^20 kW a meter, for some dozens of them.
    Stacked,
    /// 1e-9 · (Σ|x| + 1).
    Sum,
    /// 1e-9 · (Σx² + 1).
    Squares,
    /// 1e-9 · (Σ|x| + 1) / n.
    Mean,
    /// 1e-9 · (Σx² + 1).
    Variance,
    /// The root of what a variance may be off.
    Deviation,
    /// A variance of readings below 2^22: 1e-9 of (2^22)².
    VarianceOfReadings,
}

impl Bound {
    fn allows(self, (found, asked): (f64, f64), row: &BTreeMap<String, Option<f64>>) -> bool {
        let of = |column: &str| row.get(column).copied().flatten().expect("a column of the view");
        let most = match self {
            Bound::Close => 1e-9 * (found.abs() + asked.abs() + 1.0),
            Bound::Stacked => 1e-9 * (found.abs() + asked.abs()) + 1e-7,
            Bound::Sum => 1e-9 * (of("magnitude") + 1.0),
            Bound::Mean => 1e-9 * (of("magnitude") + 1.0) / of("n"),
            Bound::Squares | Bound::Variance => 1e-9 * (of("squares") + 1.0),
            Bound::Deviation => (1e-9 * (of("squares") + 1.0)).sqrt(),
            Bound::VarianceOfReadings => 1e-9 * 4_194_304f64.powi(2),
        };
        (found - asked).abs() <= most
    }
}

/// A row: what must be equal as text, doubles by their bits, and all its doubles by name.
type Line = (String, BTreeMap<String, Option<f64>>);

fn lines(rows: &RecordBatch, exact: impl Fn(&str) -> bool) -> Vec<Line> {
    let options = FormatOptions::default().with_null("NULL");
    let schema = rows.schema();
    let mut lines: Vec<Line> = vec![Line::default(); rows.num_rows()];
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let name = field.name();
        if *column.data_type() == DataType::Float64 {
            let floats = column.as_primitive::<Float64Type>();
            for (row, (text, doubles)) in lines.iter_mut().enumerate() {
                // There is one zero and one NaN.
                let value = floats.is_valid(row).then(|| floats.value(row) + 0.0);
                if exact(name) {
                    let bits = value.map(|x| if x.is_nan() { f64::NAN } else { x }.to_bits());
                    text.push_str(&format!("{name}={value:?} {bits:x?}|"));
                }
                doubles.insert(name.clone(), value);
            }
        } else {
            let shown = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
            for (row, (text, _)) in lines.iter_mut().enumerate() {
                text.push_str(&format!("{name}={}|", shown.value(row)));
            }
        }
    }
    let number = |line: &Line| format!("{:?}", line.1);
    lines.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| number(a).cmp(&number(b))));
    lines
}

/// How a view differs from what batch says; columns that are not loose are equal bit for bit.
pub(crate) fn difference(
    maintained: &RecordBatch,
    asked: &RecordBatch,
    loose: &[(&str, Bound)],
) -> Option<String> {
    let bound = |name: &str| {
        let named = loose.iter().find(|(column, _)| *column == name);
        named.map(|(_, bound)| *bound)
    };
    let exact = |name: &str| bound(name).is_none();
    between(&lines(maintained, exact), &lines(asked, exact), bound)
}

/// The same where no double is known to be exact.
pub(crate) fn rough_difference(maintained: &RecordBatch, asked: &RecordBatch) -> Option<String> {
    let (maintained, asked) = (lines(maintained, |_| false), lines(asked, |_| false));
    between(&maintained, &asked, |_| Some(Bound::Close))
}

fn between(
    maintained: &[Line],
    asked: &[Line],
    bound: impl Fn(&str) -> Option<Bound>,
) -> Option<String> {
    let only = |these: &[Line], others: &[Line]| {
        let other = |text: &str| others.iter().any(|(other, _)| other == text);
        let only = these.iter().map(|(text, _)| text.clone()).filter(|text| !other(text));
        only.collect::<Vec<_>>().join("\n    ")
    };
    if !maintained.iter().map(|line| &line.0).eq(asked.iter().map(|line| &line.0)) {
        let (ours, theirs) = (only(maintained, asked), only(asked, maintained));
        let (found, wanted) = (maintained.len(), asked.len());
        return Some(format!(
            "{found} rows for {wanted}\n  maintained only\n    {ours}\n  asked only\n    {theirs}"
        ));
    }
    for ((row, found), (_, wanted)) in maintained.iter().zip(asked) {
        for (name, asked) in wanted {
            let Some(bound) = bound(name) else { continue };
            let allowed = match (found[name], *asked) {
                (Some(found), Some(asked)) => {
                    found.to_bits() == asked.to_bits() || bound.allows((found, asked), wanted)
                }
                (found, asked) => found == asked,
            };
            if !allowed {
                return Some(format!("{name} of {row}: maintained {found:?}, asked {wanted:?}"));
            }
        }
    }
    None
}

#[test]
fn one_bit_is_a_difference_and_rounding_within_the_bound_is_none() {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use arrow::array::Float64Array;

    let rows = |x: f64| {
        let column = |x: f64| Arc::new(Float64Array::from(vec![x])) as ArrayRef;
        let columns = [("x", column(x)), ("magnitude", column(3.0)), ("n", column(2.0))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let equal =
        |a: f64, b: f64, loose: &[(&str, Bound)]| difference(&rows(a), &rows(b), loose).is_none();
    let next = f64::from_bits(1.5f64.to_bits() + 1);
    assert!(equal(1.5, 1.5, &[]) && equal(0.0, -0.0, &[]));
    assert!(!equal(1.5, next, &[]));
    assert!(equal(1.5, 1.5 + 3e-9, &[("x", Bound::Sum)]));
    assert!(!equal(1.5, 1.5 + 3e-9, &[("x", Bound::Mean)]));
}
