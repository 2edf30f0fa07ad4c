//! Reads a TOML file key by key, and notes every mistake with its line instead of stopping at it.
//!
//! A [`Section`] learns which keys there are from being asked for them, so the list of right names
//! is the code that reads them and cannot differ from it. Whoever has asked for everything calls
//! [`Section::finish`], which reports what nobody asked for.

use std::cell::RefCell;
use std::path::Path;

use toml_edit::Item;
use toml_edit::TableLike;
use toml_edit::Value;

use super::duration;
use crate::problem::Problem;
use crate::problem::nearest;

/// The file that is read, and what is wrong with it so far.
pub(super) struct File<'a> {
    path: &'a Path,
    text: &'a str,

    problems: RefCell<Vec<Problem>>,
}

impl<'a> File<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> File<'a> {
        File { path, text, problems: RefCell::new(Vec::new()) }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        before.iter().filter(|b| **b == b'\n').count() + 1
    }

    pub(super) fn report(
        &self,
        line: usize,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let problem = Problem::new(self.path, message).at(line, key).hint(hint);
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    file: &'a File<'a>,
    /// Its name from the root, for messages; empty for the root.
    pub(super) path: String,
    table: &'a dyn TableLike,
    /// The line of its header.
    pub(super) line: usize,

    asked: RefCell<Vec<String>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(file: &'a File<'a>, path: &str, item: &'a Item) -> Option<Section<'a>> {
        let table = item.as_table_like()?;
        let line = item.span().map_or(1, |span| file.line(span.start));
        let (path, asked) = (path.to_owned(), RefCell::new(Vec::new()));
        Some(Section { file, path, table, line, asked })
    }

    /// A section where the file has none: every key takes its default.
    fn of_table(file: &'a File<'a>, path: &str, table: &'a dyn TableLike, line: usize) -> Self {
        Section { file, path: path.to_owned(), table, line, asked: RefCell::new(Vec::new()) }
    }

    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The line of a key, or of the section where the key is missing.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let own = self.table.get_key_value(key);
        let span = own.and_then(|(key, item)| key.span().or_else(|| item.span()));
        span.map_or(self.line, |span| self.file.line(span.start))
    }

    /// Notes a mistake at a key.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.file.report(self.line_of(key), &self.name(key), message, hint);
    }

    /// Notes that a key is missing.
    pub(super) fn missing(&self, key: &str, hint: impl Into<String>) {
        let name = if self.path.is_empty() { "the file" } else { &self.path };
        self.file.report(self.line, name, format!("key {key} is missing"), hint);
    }

    fn get(&self, key: &str) -> Option<&'a Item> {
        self.asked.borrow_mut().push(key.to_owned());
        self.table.get(key).filter(|item| !item.is_none())
    }

    fn expect<T>(&self, key: &str, right: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let item = self.get(key)?;
        let read = item.as_value().and_then(&read);
        if read.is_none() {
            let hint = format!("write {key} = {right}");
            self.wrong(key, format!("{} stands here", a(item)), hint);
        }
        read
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.expect(key, "\"…\"", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there; empty where it is not, which is noted.
    pub(super) fn required(&self, key: &str, add: &str) -> String {
        if !self.has(key) {
            self.missing(key, format!("add {add}"));
        }
        self.text(key).unwrap_or_default()
    }

    /// One of the words of `right`.
    pub(super) fn word<T: Copy>(&self, key: &str, right: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = right.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let hint = nearest(&text, right.iter().map(|(word, _)| *word));
            self.wrong(key, format!("{text:?} is no value of {key}"), hint);
        }
        found.map(|(_, value)| *value)
    }

    /// Texts.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        self.expect(key, "[\"…\", \"…\"]", |value| {
            let texts = value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
            texts.collect()
        })
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.expect(key, "true or false", Value::as_bool)
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(&self, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.expect(key, &least.to_string(), Value::as_integer)?;
        let fits = u64::try_from(value).ok().filter(|value| (least..=most).contains(value));
        if fits.is_none() {
            let hint = format!("write a number from {least} to {most}");
            self.wrong(key, format!("{value} is no value of {key}"), hint);
        }
        fits
    }

    /// A number.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        let number = |value: &Value| {
            let whole = value.as_integer().map(|n| n as f64);
            value.as_float().or(whole).filter(|x| x.is_finite())
        };
        self.expect(key, "0.5", number)
    }

    /// Whether the file has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|item| !item.is_none())
    }

    /// A text that may stand for something special, before it is read.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        self.asked.borrow_mut().push(key.to_owned());
        self.table.get(key).and_then(Item::as_str)
    }

    /// A duration such as `"5s"`, in milliseconds.
    pub(super) fn duration(&self, key: &str) -> Option<u64> {
        let text = self.expect(key, "\"5s\"", |value| value.as_str().map(str::to_owned))?;
        match duration::parse(&text) {
            Ok(ms) => Some(ms),
            Err(error) => {
                self.wrong(key, error.to_string(), duration::HINT);
                None
            }
        }
    }

    /// Any value, as JSON, for whoever knows what it should be.
    pub(super) fn any(&self, key: &str) -> Option<serde_json::Value> {
        let item = self.get(key)?;
        let json = json(item);
        if json.is_none() {
            self.wrong(key, format!("{} cannot stand here", a(item)), "write a text");
        }
        json
    }

    /// A section within, even where the file has none.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        self.maybe_section(key)
            .unwrap_or_else(|| Section::of_table(self.file, &self.name(key), empty(), self.line))
    }

    /// A section within, if the file has it.
    pub(super) fn maybe_section(&self, key: &str) -> Option<Section<'a>> {
        let item = self.get(key)?;
        let section = Section::new(self.file, &self.name(key), item);
        if section.is_none() {
            let hint = format!("write [{}] with its keys below", self.name(key));
            self.wrong(key, format!("{} stands where a section should", a(item)), hint);
        }
        section
    }

    /// The sections of a list, as in `[[sources]]`.
    pub(super) fn list(&self, key: &str) -> Vec<Section<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        let Some(tables) = item.as_array_of_tables() else {
            let hint = format!("write [[{}]] once for each", self.name(key));
            self.wrong(key, format!("{} stands where a list should", a(item)), hint);
            return Vec::new();
        };
        let section = |(index, table): (usize, &'a toml_edit::Table)| {
            let line = table.span().map_or(self.line, |span| self.file.line(span.start));
            let path = format!("{}[{index}]", self.name(key));
            Section::of_table(self.file, &path, table, line)
        };
        tables.iter().enumerate().map(section).collect()
    }

    /// The keys that nobody has asked for yet, in the file's order.
    pub(super) fn rest(&self) -> Vec<&'a str> {
        let asked = self.asked.borrow();
        let keys = self.table.iter().map(|(key, _)| key);
        keys.filter(|key| !asked.iter().any(|asked| asked == key)).collect()
    }

    /// Reports the keys that nobody asked for. The last thing done with a section.
    pub(super) fn finish(&self) {
        let mut right = self.asked.borrow().clone();
        right.sort();
        right.dedup();
        for key in self.rest() {
            let hint = nearest(key, right.iter().map(String::as_str));
            self.wrong(key, "unknown key", hint);
        }
    }
}

/// What an item is, with its article.
fn a(item: &Item) -> String {
    let name = item.type_name();
    if name.starts_with(['a', 'i']) { format!("an {name}") } else { format!("a {name}") }
}

fn empty() -> &'static toml_edit::Table {
    static EMPTY: std::sync::OnceLock<toml_edit::Table> = std::sync::OnceLock::new();
    EMPTY.get_or_init(toml_edit::Table::new)
}

fn json(item: &Item) -> Option<serde_json::Value> {
    match item {
        Item::Value(value) => json_value(value),
        Item::Table(table) => {
            table.iter().map(|(key, item)| Some((key.to_owned(), json(item)?))).collect()
        }
        _ => None,
    }
}

fn json_value(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(n) => (*n.value()).into(),
        Value::Float(x) => serde_json::Number::from_f64(*x.value())?.into(),
        Value::Boolean(yes) => (*yes.value()).into(),
        Value::Datetime(_) => return None,
        Value::Array(array) => array.iter().map(json_value).collect::<Option<Vec<_>>>()?.into(),
        Value::InlineTable(table) => {
            let pairs = table.iter().map(|(key, value)| Some((key.to_owned(), json_value(value)?)));
            pairs.collect::<Option<serde_json::Map<_, _>>>()?.into()
        }
    })
}
