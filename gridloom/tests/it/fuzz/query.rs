//! A query as parts that can be dropped one by one, and as SQL.
//!
//! Expressions are text: what makes a failing case small is mostly which clauses, joins and columns
//! it has, and text keeps the writer free to write whatever the dialect has.

use std::fmt;

#[derive(Clone, Debug)]
pub(super) enum Query {
    Select(Box<Select>),
    Set(&'static str, Box<Query>, Box<Query>),
    /// Written by hand; nothing can be dropped.
    Text(&'static str),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Select {
    pub(super) with: Option<(String, Box<Query>)>,
    pub(super) distinct: bool,
    /// DISTINCT ON these, and by what else the first row of each is found.
    pub(super) first: Option<(Vec<String>, Vec<String>)>,
    pub(super) items: Vec<String>,
    pub(super) from: Option<From>,
    pub(super) wheres: Vec<String>,
    pub(super) group: Option<String>,
    pub(super) having: Vec<String>,
    /// The window that is called `w`.
    pub(super) window: Option<String>,
    pub(super) qualify: Vec<String>,
    /// ORDER BY the items at these positions, LIMIT, OFFSET.
    pub(super) tail: Option<(Vec<String>, usize, usize)>,
}

#[derive(Clone, Debug)]
pub(super) enum From {
    Table(String, String),
    Derived(Box<Query>, String),
    /// Rows of literals, under an alias; the columns are c0, c1, ….
    Values(Vec<Vec<String>>, String),
    Join(&'static str, Box<From>, Box<From>, Vec<String>),
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Select(select) => write!(f, "{select}"),
            Query::Set(op, left, right) => write!(f, "({left}) {op} ({right})"),
            Query::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, query)) = &self.with {
            write!(f, "WITH {name} AS ({query}) ")?;
        }
        f.write_str(if self.distinct { "SELECT DISTINCT " } else { "SELECT " })?;
        if let Some((keys, _)) = &self.first {
            write!(f, "DISTINCT ON ({}) ", keys.join(", "))?;
        }
        for (i, item) in self.items.iter().enumerate() {
            write!(f, "{}{item} AS c{i}", if i > 0 { ", " } else { "" })?;
        }
        if let Some(from) = &self.from {
            write!(f, " FROM {from}")?;
        }
        if !self.wheres.is_empty() {
            write!(f, " WHERE {}", self.wheres.join(" AND "))?;
        }
        if let Some(group) = &self.group {
            write!(f, " GROUP BY {group}")?;
        }
        if !self.having.is_empty() {
            write!(f, " HAVING {}", self.having.join(" AND "))?;
        }
        if let Some(window) = &self.window {
            write!(f, " WINDOW w AS ({window})")?;
        }
        if !self.qualify.is_empty() {
            write!(f, " QUALIFY {}", self.qualify.join(" AND "))?;
        }
        if let Some((keys, rest)) = &self.first {
            let order: Vec<&str> = keys.iter().chain(rest).map(String::as_str).collect();
            write!(f, " ORDER BY {}", order.join(", "))?;
        }
        if let Some((order, limit, offset)) = &self.tail {
            write!(f, " ORDER BY {} LIMIT {limit}", order.join(", "))?;
            if *offset > 0 {
                write!(f, " OFFSET {offset}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Table(name, alias) => write!(f, "{name} AS {alias}"),
            From::Derived(query, alias) => write!(f, "({query}) AS {alias}"),
            From::Values(rows, alias) => {
                let row = |row: &Vec<String>| format!("({})", row.join(", "));
                let all: Vec<String> = rows.iter().map(row).collect();
                let names = 0..rows.first().map_or(0, Vec::len);
                let names: Vec<String> = names.map(|i| format!("c{i}")).collect();
                write!(f, "(VALUES {}) AS {alias} ({})", all.join(", "), names.join(", "))
            }
            From::Join(kind, left, right, on) => {
                write!(f, "{left} {kind} {right}")?;
                // The times of an AS OF join come last.
                let (last, on) = match (kind.starts_with("ASOF"), on.split_last()) {
                    (true, Some((last, on))) => (Some(last), on),
                    _ => (None, on.as_slice()),
                };
                if let Some(times) = last {
                    write!(f, " MATCH_CONDITION ({times})")?;
                }
                match on {
                    [] => Ok(()),
                    [using] if using.starts_with("USING") => write!(f, " {using}"),
                    on => write!(f, " ON {}", on.join(" AND ")),
                }
            }
        }
    }
}

impl Query {
    /// The query with one part less, in every way; most are no valid queries.
    pub(super) fn smaller(&self) -> Vec<Query> {
        match self {
            Query::Set(op, left, right) => {
                let mut all = vec![left.as_ref().clone(), right.as_ref().clone()];
                all.extend(
                    left.smaller().into_iter().map(|l| Query::Set(op, Box::new(l), right.clone())),
                );
                all.extend(
                    right.smaller().into_iter().map(|r| Query::Set(op, left.clone(), Box::new(r))),
                );
                all
            }
            Query::Text(_) => Vec::new(),
            Query::Select(select) => {
                let one = |s: Select| Query::Select(Box::new(s));
                let mut all: Vec<Query> = select.inner();
                all.extend(select.smaller().into_iter().map(one));
                all
            }
        }
    }
}

impl Select {
    /// Whole queries within.
    fn inner(&self) -> Vec<Query> {
        let mut all: Vec<Query> = self.with.iter().map(|(_, q)| q.as_ref().clone()).collect();
        if let Some(From::Derived(query, _)) = &self.from {
            all.push(query.as_ref().clone());
        }
        all
    }

    fn smaller(&self) -> Vec<Select> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Select)| {
            let mut one = self.clone();
            change(&mut one);
            all.push(one);
        };
        if self.tail.is_some() {
            with(&|s| s.tail = None);
        }
        if self.distinct {
            with(&|s| s.distinct = false);
        }
        if let Some((keys, rest)) = &self.first {
            with(&|s| s.first = None);
            if !rest.is_empty() {
                with(&|s| s.first = Some((keys.clone(), Vec::new())));
            }
            if keys.len() > 1 {
                with(&|s| s.first = Some((keys[..1].to_vec(), rest.clone())));
            }
        }
        for i in 0..self.wheres.len() {
            with(&|s| drop(s.wheres.remove(i)));
        }
        for i in 0..self.qualify.len() {
            with(&|s| drop(s.qualify.remove(i)));
        }
        for i in 0..self.having.len() {
            with(&|s| drop(s.having.remove(i)));
        }
        if self.items.len() > 1 {
            for i in 0..self.items.len() {
                with(&|s| drop(s.items.remove(i)));
            }
        }
        if self.group.is_some() {
            with(&|s| s.group = None);
        }
        if self.window.is_some() {
            with(&|s| s.window = None);
        }
        if let Some((name, query)) = &self.with {
            for smaller in query.smaller() {
                with(&|s| s.with = Some((name.clone(), Box::new(smaller.clone()))));
            }
        }
        for from in self.from.iter().flat_map(From::smaller) {
            with(&|s| s.from = Some(from.clone()));
        }
        all
    }
}

impl From {
    fn smaller(&self) -> Vec<From> {
        match self {
            From::Table(..) => Vec::new(),
            From::Derived(query, alias) => {
                let derived = |q: Query| From::Derived(Box::new(q), alias.clone());
                query.smaller().into_iter().map(derived).collect()
            }
            From::Values(rows, alias) => {
                let without = |row: usize| {
                    let mut fewer = rows.clone();
                    fewer.remove(row);
                    From::Values(fewer, alias.clone())
                };
                (0..rows.len()).filter(|_| rows.len() > 1).map(without).collect()
            }
            From::Join(kind, left, right, on) => {
                let mut all = vec![left.as_ref().clone(), right.as_ref().clone()];
                for i in 0..on.len().saturating_sub(1) {
                    let mut fewer = on.clone();
                    fewer.remove(i);
                    all.push(From::Join(kind, left.clone(), right.clone(), fewer));
                }
                let join = |l: &From, r: &From| {
                    From::Join(kind, Box::new(l.clone()), Box::new(r.clone()), on.clone())
                };
                all.extend(left.smaller().iter().map(|l| join(l, right)));
                all.extend(right.smaller().iter().map(|r| join(left, r)));
                all
            }
        }
    }
}
