//! Operators, constants and functions that case files use.
//!
//! Each is MATLAB's of that name as far as cases go: element by element on matrices of one size, or
//! with a single number on either side.

use super::value::Matrix;
use super::value::Value;

/// How long a range may be: beyond, it is no index into a case.
const RANGE_MAX: f64 = 1e7;

/// A function of a number, by its name.
type Named<T> = (&'static str, fn(f64) -> T);

/// Functions of one value, element by element.
const ELEMENTWISE: &[Named<f64>] = &[
    ("abs", f64::abs),
    ("acos", f64::acos),
    ("asin", f64::asin),
    ("atan", f64::atan),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("exp", f64::exp),
    ("fix", f64::trunc),
    ("floor", f64::floor),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("round", f64::round),
    ("sign", sign),
    ("sin", f64::sin),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
];

/// Of zero it is zero, unlike [`f64::signum`].
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// Functions that are true or false of each element.
const LOGICAL: &[Named<bool>] =
    &[("isfinite", f64::is_finite), ("isinf", f64::is_infinite), ("isnan", f64::is_nan)];

/// All others.
const OTHERS: &[&str] = &[
    "any", "all", "deg2rad", "find", "isempty", "length", "max", "mean", "min", "numel", "ones",
    "rad2deg", "size", "sum", "zeros",
];

/// A constant by its name.
pub(super) fn constant(name: &str) -> Option<f64> {
    match name {
        "pi" => Some(std::f64::consts::PI),
        "Inf" | "inf" => Some(f64::INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        "eps" => Some(f64::EPSILON),
        "true" => Some(1.0),
        "false" => Some(0.0),
        _ => None,
    }
}

/// True if there is such a function.
pub(super) fn known(name: &str) -> bool {
    ELEMENTWISE.iter().any(|(known, _)| *known == name)
        || LOGICAL.iter().any(|(known, _)| *known == name)
        || OTHERS.contains(&name)
}

/// An operator between two values.
pub(super) fn binary(sign: &str, left: &Matrix, right: &Matrix) -> Result<Value, String> {
    let single = left.only().is_some() || right.only().is_some();
    if (sign == "*" && !single) || (sign == "/" && right.only().is_none()) {
        return Err(format!("matrices are not multiplied or divided here; .{sign} is by element"));
    }
    let truth = |holds: bool| f64::from(u8::from(holds));
    let compared = |of: fn(&f64, &f64) -> bool| {
        let matrix = left.clone().zip(right, |a, b| truth(of(&a, &b)))?;
        Ok(Value::Numbers(Matrix { logical: true, ..matrix }))
    };
    let computed = |of: fn(f64, f64) -> f64| {
        let matrix = left.clone().zip(right, of)?;
        Ok(Value::Numbers(Matrix { logical: false, ..matrix }))
    };
    match sign {
        "+" => computed(|a, b| a + b),
        "-" => computed(|a, b| a - b),
        "*" | ".*" => computed(|a, b| a * b),
        "/" | "./" => computed(|a, b| a / b),
        ".^" => computed(f64::powf),
        "==" => compared(f64::eq),
        "~=" | "!=" => compared(f64::ne),
        "<" => compared(f64::lt),
        "<=" => compared(f64::le),
        ">" => compared(f64::gt),
        ">=" => compared(f64::ge),
        "&" | "&&" => compared(|a, b| *a != 0.0 && *b != 0.0),
        "|" | "||" => compared(|a, b| *a != 0.0 || *b != 0.0),
        ":" => range(left, right),
        _ => Err(format!("the operator {sign} is not known here")),
    }
}

/// `first:last` in steps of one.
fn range(first: &Matrix, last: &Matrix) -> Result<Value, String> {
    let (Some(first), Some(last)) = (first.only(), last.only()) else {
        return Err("a range needs two numbers".to_owned());
    };
    if !(last - first).is_finite() || last - first > RANGE_MAX {
        return Err(format!("the range {first}:{last} is too long"));
    }
    let count = (last - first).floor().max(-1.0) as i64 + 1;
    Ok(Value::Numbers(Matrix::row((0..count).map(|k| first + k as f64).collect())))
}

/// A function of some values.
pub(super) fn call(name: &str, of: Vec<Value>) -> Result<Value, String> {
    let count = of.len();
    let mut of = of.into_iter();
    let Some(first) = of.next() else { return Err(format!("{name} needs a value")) };
    let second = of.next();
    if matches!(name, "zeros" | "ones") {
        return filled(name, first.number()?, second);
    }
    if count > 1 && !matches!(name, "size" | "min" | "max") {
        return Err(format!("{name} of several values is not known here"));
    }
    let matrix = first.numbers()?;
    if let Some((_, of)) = ELEMENTWISE.iter().find(|(known, _)| *known == name) {
        return Ok(Value::Numbers(matrix.map(of)));
    }
    if let Some((_, of)) = LOGICAL.iter().find(|(known, _)| *known == name) {
        let truth = matrix.map(|number| f64::from(u8::from(of(number))));
        return Ok(Value::Numbers(Matrix { logical: true, ..truth }));
    }
    let line = matrix.rows <= 1 || matrix.columns <= 1;
    let fold = |of: fn(f64, f64) -> f64, start: f64| matrix.data.iter().copied().fold(start, of);
    let number = match (name, second) {
        ("deg2rad", _) => return Ok(Value::Numbers(matrix.map(f64::to_radians))),
        ("rad2deg", _) => return Ok(Value::Numbers(matrix.map(f64::to_degrees))),
        ("find", _) => {
            let places = Matrix { logical: true, ..matrix.clone() }.index(matrix.data.len())?;
            let places: Vec<f64> = places.into_iter().map(|place| place as f64 + 1.0).collect();
            let found = Matrix::row(places);
            return Ok(Value::Numbers(if matrix.rows == 1 { found } else { found.turned() }));
        }
        ("size", Some(dimension)) => match dimension.number()? as i64 {
            1 => matrix.rows as f64,
            _ => matrix.columns as f64,
        },
        ("size", None) => {
            return Ok(Value::Numbers(Matrix::row(vec![
                matrix.rows as f64,
                matrix.columns as f64,
            ])));
        }
        ("min", Some(other)) => return matrix.zip(&other.numbers()?, f64::min).map(Value::Numbers),
        ("max", Some(other)) => return matrix.zip(&other.numbers()?, f64::max).map(Value::Numbers),
        ("numel", _) => matrix.data.len() as f64,
        ("length", _) if matrix.data.is_empty() => 0.0,
        ("length", _) => matrix.rows.max(matrix.columns) as f64,
        ("isempty", _) => f64::from(u8::from(matrix.data.is_empty())),
        (_, _) if !line => return Err(format!("{name} of {} is not known here", matrix.size())),
        ("any", _) => f64::from(u8::from(matrix.data.iter().any(|number| *number != 0.0))),
        ("all", _) => f64::from(u8::from(matrix.data.iter().all(|number| *number != 0.0))),
        ("sum", _) => fold(|a, b| a + b, 0.0),
        ("mean", _) => fold(|a, b| a + b, 0.0) / matrix.data.len() as f64,
        ("min", _) => fold(f64::min, f64::NAN),
        ("max", _) => fold(f64::max, f64::NAN),
        _ => return Err(format!("{name} is not known here")),
    };
    Ok(number.into())
}

/// A matrix of zeros or ones.
fn filled(name: &str, rows: f64, columns: Option<Value>) -> Result<Value, String> {
    let columns = columns.map_or(Ok(rows), Value::number)?;
    let sizes = (0.0..=RANGE_MAX).contains(&rows) && (0.0..=RANGE_MAX).contains(&columns);
    if !sizes || rows * columns > RANGE_MAX {
        return Err(format!("{name}({rows}, {columns}) is too large"));
    }
    let (rows, columns) = (rows as usize, columns as usize);
    let data = vec![f64::from(u8::from(name == "ones")); rows * columns];
    Ok(Value::Numbers(Matrix { rows, columns, data, ..Matrix::default() }))
}
