//! A row of a table: an object, or an array whose columns stand elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

/// What stands for "not given" in the library's 32-bit integers.
const NO_INT: i64 = i32::MIN as i64;

/// What stands for "not given" in its 8-bit integers.
const NO_BYTE: i64 = i8::MIN as i64;

/// One component as it stands in the file.
pub(super) struct Row<'a> {
    component: &'a str,
    number: usize,
    values: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Row<'a> {
    /// All rows of a table.
    pub(super) fn all(
        component: &'a str,
        rows: &'a Value,
        columns: &'a Value,
    ) -> Result<Vec<Row<'a>>, String> {
        let rows = rows.as_array().ok_or_else(|| format!("data.{component} is not an array"))?;
        let one = |(number, row): (usize, &'a Value)| {
            let values = match row {
                Value::Object(map) => {
                    map.iter().map(|(key, value)| (key.as_str(), value)).collect()
                }
                Value::Array(cells) => compact(component, number, cells, columns)?,
                _ => return Err(format!("data.{component}[{number}] is no object and no array")),
            };
            Ok(Row { component, number, values })
        };
        rows.iter().enumerate().map(one).collect()
    }

    /// Where it stands.
    pub(super) fn place(&self) -> String {
        format!("data.{}[{}]", self.component, self.number)
    }

    /// What it is called.
    pub(super) fn element(&self) -> String {
        match self.integer("id") {
            Ok(id) => format!("{} {id}", self.component),
            Err(_) => format!("{} without an id", self.component),
        }
    }

    /// The names of its attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.values.keys().copied()
    }

    /// A number, if it is given; infinities are texts in this format.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        match value {
            Value::Null => Ok(None),
            Value::Number(number) => Ok(number.as_f64()),
            Value::String(text) => match text.as_str() {
                "inf" | "+inf" => Ok(Some(f64::INFINITY)),
                "-inf" => Ok(Some(f64::NEG_INFINITY)),
                _ => Err(self.no_number(name, value)),
            },
            _ => Err(self.no_number(name, value)),
        }
    }

    /// A finite number that must be given.
    pub(super) fn need(&self, name: &str) -> Result<f64, String> {
        match self.number(name)? {
            Some(value) if value.is_finite() => Ok(value),
            Some(value) => Err(format!("is left out: {name} is {value}")),
            None => Err(format!("is left out: it has no {name}")),
        }
    }

    /// A number above zero that must be given.
    pub(super) fn above_zero(&self, name: &str) -> Result<f64, String> {
        let value = self.need(name)?;
        if value > 0.0 {
            return Ok(value);
        }
        Err(format!("is left out: {name} is {value} and must be above zero"))
    }

    /// A number, else a default.
    pub(super) fn or(&self, name: &str, default: f64) -> Result<f64, String> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    /// An integer that must be given.
    pub(super) fn integer(&self, name: &str) -> Result<i64, String> {
        let given = self.maybe_integer(name)?;
        given.ok_or_else(|| format!("is left out: it has no {name}"))
    }

    /// An integer, if it is given.
    pub(super) fn maybe_integer(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(NO_INT) => Ok(None),
            Some(NO_BYTE) if name != "id" => Ok(None),
            Some(number) => Ok(Some(number)),
            None if value.is_null() => Ok(None),
            None => Err(format!("is left out: {name} is {value}, which is not an integer")),
        }
    }

    /// A status: 0 or 1, and 1 where none is given.
    pub(super) fn status(&self, name: &str) -> Result<bool, String> {
        match self.maybe_integer(name)? {
            None | Some(1) => Ok(true),
            Some(0) => Ok(false),
            Some(other) => Err(format!("is left out: {name} is {other} and must be 0 or 1")),
        }
    }

    /// The total of three phases.
    pub(super) fn phases(&self, name: &str) -> Result<f64, String> {
        let value = self.values.get(name);
        let phases = value.and_then(|value| value.as_array()).filter(|phases| phases.len() == 3);
        let numbers = phases.map(|phases| phases.iter().filter_map(Value::as_f64).collect());
        match numbers {
            Some(numbers) if Vec::len(&numbers) == 3 => Ok(numbers.iter().sum()),
            _ => Err(format!("is left out: {name} is not three numbers")),
        }
    }

    fn no_number(&self, name: &str, value: &Value) -> String {
        format!("is left out: {name} is {value}, which is not a number")
    }
}

/// The values of a row in the compact form.
fn compact<'a>(
    component: &str,
    number: usize,
    cells: &'a [Value],
    columns: &'a Value,
) -> Result<BTreeMap<&'a str, &'a Value>, String> {
    let place = format!("data.{component}[{number}]");
    let columns = columns.as_array().ok_or_else(|| {
        format!("{place} is an array, and attributes.{component} names no columns")
    })?;
    if columns.len() != cells.len() {
        return Err(format!(
            "{place} has {} values, and attributes.{component} names {} columns",
            cells.len(),
            columns.len(),
        ));
    }
    let name = |column: &'a Value| {
        column.as_str().ok_or_else(|| format!("attributes.{component} holds {column}, not a name"))
    };
    columns.iter().zip(cells).map(|(column, cell)| Ok((name(column)?, cell))).collect()
}
