//! A connector's options, read from configuration with every mistake found at once.
//!
//! Each connector asks for the keys it knows; what is left over is unknown, and is reported with
//! the nearest right name. So a person mends a file once, not key by key.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::ConnectorError;
use crate::error::Finding;

/// The options of one entry, being read.
pub(crate) struct Options<'a> {
    values: &'a BTreeMap<String, Value>,

    known: BTreeSet<&'static str>,
    findings: Vec<Finding>,
}

impl<'a> Options<'a> {
    pub(crate) fn new(values: &'a BTreeMap<String, Value>) -> Options<'a> {
        Options { values, known: BTreeSet::new(), findings: Vec::new() }
    }

    /// Notes a mistake.
    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.values.get(key)
    }

    /// Whether something is said of it, right or wrong.
    pub(crate) fn given(&mut self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn wrong(&mut self, key: &str, expected: &str, found: &Value) {
        self.find(Finding::at(key, format!("expected {expected}, found {found}")));
    }

    /// A text, if it is there.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.get(key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            other => {
                self.wrong(key, "a text", other);
                None
            }
        }
    }

    /// A text that must be there; empty where it is not, after noting that.
    pub(crate) fn required_text(&mut self, key: &'static str, what: &str) -> String {
        if !self.values.contains_key(key) {
            self.known.insert(key);
            self.find(Finding::at(key, format!("is missing: {what}")));
        }
        self.text(key).unwrap_or_default()
    }

    /// One text or a list of them; at least one.
    pub(crate) fn texts(&mut self, key: &'static str, what: &str) -> Vec<String> {
        let texts = match self.get(key) {
            None => {
                self.find(Finding::at(key, format!("is missing: {what}")));
                return Vec::new();
            }
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(list)) => {
                list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        match texts {
            Some(texts) if !texts.is_empty() && texts.iter().all(|text| !text.is_empty()) => texts,
            _ => {
                let found = self.values[key].clone();
                self.wrong(key, "a text or a list of texts", &found);
                Vec::new()
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn count(
        &mut self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        self.number(key, bounds).unwrap_or(default)
    }

    /// A whole number within bounds, if it is there.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = self.get(key)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let expected = format!("a whole number, {} to {}", bounds.start(), bounds.end());
            self.wrong(key, &expected, value);
        }
        number
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(key, "true or false", value);
            default
        })
    }

    /// A number greater than zero, if it is there.
    pub(crate) fn positive(&mut self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        if number.is_none() {
            self.wrong(key, "a number greater than 0", value);
        }
        number
    }

    /// One of a list of words, if it is there.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let finding = Finding::at(key, format!("{text:?} is not one of {}", names.join(", ")));
            self.find(match nearest(&text, names) {
                Some(near) => finding.hint(format!("did you mean {near:?}?")),
                None => finding,
            });
        }
        found.map(|(_, value)| *value)
    }

    /// A table of texts, numbers and truth values, all as text.
    pub(crate) fn table(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let Some(value) = self.get(key) else { return BTreeMap::new() };
        let Some(entries) = value.as_object() else {
            self.wrong(key, "a table", value);
            return BTreeMap::new();
        };
        let mut table = BTreeMap::new();
        for (name, value) in entries {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => {
                    self.wrong(&format!("{key}.{name}"), "a text, number or truth value", value);
                    continue;
                }
            };
            table.insert(name.clone(), text);
        }
        table
    }

    /// Reports every mistake, unknown keys among them.
    pub(crate) fn finish(mut self, connector: &str) -> Result<(), ConnectorError> {
        for key in self.values.keys().filter(|key| !self.known.contains(key.as_str())) {
            let finding = Finding::at(key, "is not an option of this kind".to_owned());
            let hint = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let known: Vec<&str> = self.known.iter().copied().collect();
                    format!("it knows {}", known.join(", "))
                }
            };
            self.findings.push(finding.hint(hint));
        }
        if self.findings.is_empty() {
            return Ok(());
        }
        Err(ConnectorError::Config { connector: connector.to_owned(), findings: self.findings })
    }
}

/// The candidate that was most likely meant, if one is near enough: a third of the letters may
/// differ.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(text, candidate);
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= text.chars().count().max(candidate.chars().count()).div_ceil(3)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_reported_with_the_nearest_name() {
        let values = serde_json::from_value(json!({
            "pth": "x", "format": "cvs", "speed": 0, "batch_rows": 1.5, "options": [1],
        }))
        .unwrap();
        let mut options = Options::new(&values);
        options.required_text("path", "the file");
        options.choice("format", &[("csv", 0), ("ndjson", 1)]);
        options.positive("speed");
        assert_eq!(options.count("batch_rows", 7, 1..=9), 7);
        options.table("options");
        let findings = options.finish("readings").unwrap_err().findings();
        let found: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(
            found,
            [
                "`path`: is missing: the file",
                "`format`: \"cvs\" is not one of csv, ndjson (did you mean \"csv\"?)",
                "`speed`: expected a number greater than 0, found 0",
                "`batch_rows`: expected a whole number, 1 to 9, found 1.5",
                "`options`: expected a table, found [1]",
                "`pth`: is not an option of this kind (did you mean `path`?)",
            ]
        );
    }
}
