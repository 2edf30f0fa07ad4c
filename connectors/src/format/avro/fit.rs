//! From Avro's types to columns: which may stand where, and what a value becomes.
//!
//! What JSON may hold in a column, Avro may: a whole number as an instant (milliseconds since the
//! epoch), an ISO 8601 text as one, `3.0` in a column of whole numbers. Beside that an enum is its
//! symbol, a timestamp of any unit and zone-less ones are instants (cut to milliseconds), a date is
//! its midnight in UTC, and a decimal is the number that its digits spell. A whole number that no
//! double is exactly is refused in a column of doubles.
//!
//! Whether a field can ever hold what its column wants is known before the first record; the rest
//! is a record's own fault.

use schemas::time::DAY_MS;

use crate::format::avro::datum::Value;
use crate::format::avro::schema::AvroSchema;
use crate::format::avro::schema::Type;
use crate::format::instant;
use crate::format::json::names_no_number;
use crate::format::rows::Kind;
use crate::format::rows::Slot;
use crate::source::Reason;

/// Integers up to here are exactly representable as doubles.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What a column takes of a value: all but texts, which have no slot of their own yet.
pub(super) enum Taken<'a> {
    Slot(Slot),
    Text(&'a str),
}

impl AvroSchema {
    /// Whether some value of this type can stand in such a column.
    pub(super) fn takes(&self, kind: Kind, nullable: bool, from: &Type) -> bool {
        match self.resolve(from) {
            Type::Null => nullable,
            Type::Boolean => kind == Kind::Bool,
            Type::Int | Type::Long | Type::Float | Type::Double => {
                matches!(kind, Kind::Int | Kind::Float | Kind::Time)
            }
            Type::String => matches!(kind, Kind::Text | Kind::Time),
            Type::Enum(_) => kind == Kind::Text,
            Type::Date | Type::Instant(_) => kind == Kind::Time,
            Type::Decimal { .. } => matches!(kind, Kind::Int | Kind::Float),
            Type::Union(branches) => {
                let null = |branch: &Type| matches!(self.resolve(branch), Type::Null);
                let takes = |branch: &Type| !null(branch) && self.takes(kind, nullable, branch);
                match branches.iter().all(null) {
                    true => nullable && !branches.is_empty(),
                    false => branches.iter().any(takes),
                }
            }
            Type::Bytes
            | Type::Fixed(_)
            | Type::Array(_)
            | Type::Map(_)
            | Type::Record(_)
            | Type::TimeOfDay
            | Type::Named(_) => false,
        }
    }

    /// What a type is called, a union by its branches.
    pub(super) fn described(&self, kind: &Type) -> String {
        match self.resolve(kind) {
            Type::Union(branches) => {
                let words: Vec<&str> = branches.iter().map(|b| self.resolve(b).word()).collect();
                format!("a union of {}", words.join(", "))
            }
            kind => kind.word().to_owned(),
        }
    }
}

/// What a column of this kind takes of a value, or why nothing.
pub(super) fn take(kind: Kind, value: Value<'_>) -> Result<Taken<'_>, (Reason, String)> {
    let wrong = |detail: String| (Reason::WrongType, detail);
    let slot = match (kind, value) {
        (_, Value::Null) => Slot::Null,
        (Kind::Bool, Value::Bool(value)) => Slot::Bool(value),
        (Kind::Text, Value::Text(text)) => return Ok(Taken::Text(text)),
        (Kind::Int, Value::Int(value)) => Slot::Int(value),
        (Kind::Time, Value::Int(value)) => Slot::Time(instant::from_millis(value).map_err(wrong)?),
        (Kind::Float, Value::Int(value)) => match value as f64 {
            double if double as i128 == i128::from(value) => Slot::Float(double),
            _ => return Err(wrong(format!("{value} is no double without loss"))),
        },
        (Kind::Int | Kind::Float | Kind::Time, Value::Float(value)) if !value.is_finite() => {
            return Err((Reason::NotFinite, format!("{value} is not a number; send null")));
        }
        (Kind::Float, Value::Float(value)) => Slot::Float(value),
        (Kind::Int | Kind::Time, Value::Float(value))
            if value.fract() == 0.0 && value.abs() <= EXACT_MAX =>
        {
            return take(kind, Value::Int(value as i64));
        }
        (Kind::Time, Value::Text(text)) => Slot::Time(instant::from_text(text).map_err(wrong)?),
        (Kind::Float, Value::Text(text)) if names_no_number(text) => {
            return Err((Reason::NotFinite, format!("{text:?} is not a number; send null")));
        }
        (Kind::Time, Value::Instant(units, units_per_ms)) => {
            Slot::Time(instant::from_millis(units.div_euclid(units_per_ms)).map_err(wrong)?)
        }
        (Kind::Time, Value::Date(days)) => {
            Slot::Time(instant::from_millis(days * DAY_MS as i64).map_err(wrong)?)
        }
        (Kind::Int | Kind::Float, Value::Decimal(bytes, scale)) => {
            let unscaled = whole(bytes);
            let unscaled =
                unscaled.ok_or_else(|| wrong("a decimal of over 128 bits".to_owned()))?;
            let number = decimal(kind, unscaled, scale);
            let expected = || wrong(expected(kind, &format!("{unscaled}e-{scale}")));
            number.ok_or_else(expected)?
        }
        (kind, value) => return Err(wrong(expected(kind, &found(value)))),
    };
    Ok(Taken::Slot(slot))
}

fn expected(kind: Kind, found: &str) -> String {
    format!("expected {}, found {found}", kind.expected())
}

fn found(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(_) => "a number".to_owned(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => format!("the text {:?}", instant::shorten(text)),
        Value::Date(_) => "a date".to_owned(),
        Value::Instant(..) => "a timestamp".to_owned(),
        Value::Decimal(..) => "a decimal".to_owned(),
        Value::Other(what) => what.to_owned(),
    }
}

/// A whole number of up to 128 bits; bytes before those may only repeat the sign.
fn whole(bytes: &[u8]) -> Option<i128> {
    let sign: u8 = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let (before, last) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut filled = [sign; 16];
    filled[16 - last.len()..].copy_from_slice(last);
    let number = i128::from_be_bytes(filled);
    let repeats = before.iter().all(|byte| *byte == sign) && (number < 0) == (sign != 0);
    repeats.then_some(number)
}

/// A decimal in its column: a whole number as it is, a double as JSON would read the digits.
fn decimal(kind: Kind, unscaled: i128, scale: u32) -> Option<Slot> {
    if kind == Kind::Float {
        return format!("{unscaled}e-{scale}").parse().ok().map(Slot::Float);
    }
    let unit = 10_i128.pow(scale);
    let whole = unscaled % unit == 0;
    whole.then(|| i64::try_from(unscaled / unit).ok()).flatten().map(Slot::Int)
}
