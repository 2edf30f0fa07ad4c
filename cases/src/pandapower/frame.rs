//! A table of pandas inside a pandapower file: split orient, in a string or as it is.
//!
//! Cells are asked for by column and come back typed or not at all, because pandas writes whole
//! numbers as floats, flags as numbers and what is missing as null, as the column's type may be.

use std::collections::BTreeMap;
use std::fmt::Write;

use grid::network::Severity;
use serde::Deserialize;
use serde_json::Value;

use crate::Import;

/// A table.
#[derive(Debug)]
pub(crate) struct Frame {
    name: String,
    columns: BTreeMap<String, usize>,
    index: Vec<i64>,
    data: Vec<Vec<Value>>,
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    frame: &'a Frame,
    row: usize,
}

/// What pandas writes in split orient.
#[derive(Deserialize)]
struct Split {
    columns: Vec<Value>,
    index: Vec<Value>,
    data: Vec<Vec<Value>>,
}

impl Frame {
    /// The table that a value describes; nothing if it describes none. A table of elements has
    /// whole numbers for labels; of others, rows are counted.
    ///
    /// # Errors
    /// It is a table in another form, in words.
    pub(crate) fn read(name: &str, value: &Value, elements: bool) -> Result<Option<Frame>, String> {
        if value.get("_class").and_then(Value::as_str) != Some("DataFrame") {
            return Ok(None);
        }
        let orient = value.get("orient").and_then(Value::as_str).unwrap_or("split");
        if orient != "split" {
            return Err(format!("is written in {orient} orient, not split; save it with to_json"));
        }
        let object = value.get("_object").unwrap_or(&Value::Null);
        let split = match object {
            Value::String(text) => serde_json::from_str::<Split>(text),
            other => Split::deserialize(other),
        };
        let split = split.map_err(|error| format!("is no table of pandas: {error}"))?;
        let label = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let index: Option<Vec<i64>> = split.index.iter().map(integer).collect();
        let index = match index {
            Some(index) => index,
            None if elements => return Err("has labels that are not whole numbers".to_owned()),
            None => (0..).take(split.index.len()).collect(),
        };
        let columns =
            split.columns.iter().enumerate().map(|(at, name)| (label(name), at)).collect();
        if split.data.len() != index.len() {
            return Err(format!("has {} rows and {} labels", split.data.len(), index.len()));
        }
        Ok(Some(Frame { name: name.to_owned(), columns, index, data: split.data }))
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// True if it has a column of this name.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Its rows in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).map(|row| Record { frame: self, row })
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
            number.as_i64().or_else(|| number.as_f64().and_then(whole))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

impl<'a> Record<'a> {
    /// The label of the row.
    pub(crate) fn index(&self) -> i64 {
        self.frame.index[self.row]
    }

    /// A cell; nothing where it is empty or there is no such column.
    fn cell(&self, column: &str) -> Option<&'a Value> {
        let at = *self.frame.columns.get(column)?;
        self.frame.data[self.row].get(at).filter(|value| !value.is_null())
    }

    /// True if the table has such a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.frame.has(column)
    }

    /// A number; nothing where there is none.
    pub(crate) fn number(&self, column: &str) -> Option<f64> {
        match self.cell(column)? {
            Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// A number, or what stands where there is none.
    pub(crate) fn number_or(&self, column: &str, otherwise: f64) -> f64 {
        self.number(column).unwrap_or(otherwise)
    }

    /// A whole number; nothing where there is none.
    pub(crate) fn integer(&self, column: &str) -> Option<i64> {
        integer(self.cell(column)?)
    }

    /// Yes or no; what is given where the cell is empty.
    pub(crate) fn flag(&self, column: &str, otherwise: bool) -> bool {
        match self.cell(column) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => matches!(text.as_str(), "True" | "true" | "1"),
            _ => otherwise,
        }
    }

    /// Text; empty where there is none.
    pub(crate) fn text(&self, column: &str) -> &'a str {
        self.cell(column).and_then(Value::as_str).unwrap_or_default()
    }

    /// What people call it; numbers are names, too.
    pub(crate) fn name(&self) -> String {
        match self.cell("name") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// Whether it is in service; yes where that is not said.
    pub(crate) fn in_service(&self) -> bool {
        self.flag("in_service", true)
    }

    /// Numbers that must be there; those that are not are named in one remark, and nothing is
    /// returned.
    pub(crate) fn needs<const N: usize>(
        &self,
        columns: [&str; N],
        to: &mut Import,
    ) -> Option<[f64; N]> {
        let mut numbers = [0.0; N];
        let mut missing = String::new();
        for (number, column) in numbers.iter_mut().zip(columns) {
            match self.number(column) {
                Some(value) => *number = value,
                None if missing.is_empty() => missing.push_str(column),
                None => write!(missing, ", {column}").expect("text takes text"),
            }
        }
        if missing.is_empty() {
            return Some(numbers);
        }
        self.say(Severity::Fatal, format!("has no {missing}; it is left out"), to);
        None
    }

    /// Says something of the row.
    pub(crate) fn say(&self, severity: Severity, problem: String, to: &mut Import) {
        let name = self.name();
        let quoted = if name.is_empty() { name } else { format!("{name:?}") };
        to.remark(
            severity,
            format!("table {}, index {}", self.frame.name, self.index()),
            quoted,
            problem,
        );
    }
}
