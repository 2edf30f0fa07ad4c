//! Writes random queries over the maintained surface, typed well enough that most of them plan.
//!
//! What can fail for one row only (division, narrowing casts, text to numbers) is left out: batch
//! then fails as a whole, a view sets the row aside, and there is nothing to compare.

use super::data::TYPES;
use super::data::Table;
use super::data::Type;
use super::query::From;
use super::query::Query;
use super::query::Select;
use super::random::Random;

/// A column that an expression may name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) sql: String,
    pub(super) of: Type,
}

pub(super) struct Writer<'a> {
    pub(super) random: &'a mut Random,
    pub(super) tables: &'a [Table],
    aliases: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(random: &'a mut Random, tables: &'a [Table]) -> Writer<'a> {
        Writer { random, tables, aliases: 0 }
    }

    pub(super) fn query(&mut self) -> Query {
        if self.random.chance(18) {
            let types: Vec<Type> = (0..1 + self.random.below(3)).map(|_| self.of()).collect();
            let op = *self.random.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
            let (left, right) = (self.plain(&types, 1), self.plain(&types, 1));
            return Query::Set(op, Box::new(left), Box::new(right));
        }
        if self.random.chance(7) {
            return self.recursion();
        }
        if self.random.chance(40) { self.grouped(2) } else { self.selected(2) }
    }

    pub(super) fn of(&mut self) -> Type {
        *self.random.pick(&TYPES)
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("q{}", self.aliases)
    }

    pub(super) fn table(&mut self) -> (From, Vec<Named>) {
        let index = self.random.below(self.tables.len());
        let (alias, table) = (self.alias(), &self.tables[index]);
        let named =
            |c: &super::data::Column| Named { sql: format!("{alias}.{}", c.name), of: c.of };
        let columns = table.columns.iter().map(named).collect();
        (From::Table(table.name.clone(), alias), columns)
    }

    fn source(&mut self, depth: usize) -> (From, Vec<Named>) {
        if depth == 0 || !self.random.chance(20) {
            return self.table();
        }
        let types: Vec<Type> = (0..2 + self.random.below(2)).map(|_| self.of()).collect();
        let query = self.plain(&types, depth - 1);
        let alias = self.alias();
        let named = |(i, of): (usize, &Type)| Named { sql: format!("{alias}.c{i}"), of: *of };
        let columns = types.iter().enumerate().map(named).collect();
        (From::Derived(Box::new(query), alias), columns)
    }

    /// FROM, and what may be named above it.
    fn from(&mut self, depth: usize) -> (From, Vec<Named>) {
        let (mut from, mut scope) = self.source(depth);
        let joins = [0, 0, 1, 1, 1, 2][self.random.below(6)];
        for _ in 0..joins.min(depth) {
            let (right, columns) = self.source(depth - 1);
            let kinds = [
                "JOIN",
                "JOIN",
                "LEFT JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
                "LEFT SEMI JOIN",
                "LEFT ANTI JOIN",
            ];
            let kind = *self.random.pick(&kinds);
            let as_of = match self.random.chance(20) {
                true => self.as_of(&scope, &columns),
                false => None,
            };
            let (kind, on) = match as_of {
                Some(as_of) => as_of,
                None if kind == "CROSS JOIN" => (kind, Vec::new()),
                None => (kind, self.on(&scope, &columns)),
            };
            from = From::Join(kind, Box::new(from), Box::new(right), on);
            if !matches!(kind, "LEFT SEMI JOIN" | "LEFT ANTI JOIN") {
                scope.extend(columns);
            }
        }
        (from, scope)
    }

    /// What a join compares.
    pub(super) fn on(&mut self, left: &[Named], right: &[Named]) -> Vec<String> {
        let pairs: Vec<(&Named, &Named)> = left
            .iter()
            .flat_map(|l| right.iter().map(move |r| (l, r)))
            .filter(|(l, r)| l.of == r.of)
            .collect();
        if pairs.is_empty() {
            return vec!["true".to_owned()];
        }
        let mut on = Vec::new();
        if !self.random.chance(12) {
            let (l, r) = *self.random.pick(&pairs);
            let equals = if self.random.chance(15) { "IS NOT DISTINCT FROM" } else { "=" };
            on.push(format!("{} {equals} {}", l.sql, r.sql));
        }
        if on.is_empty() || self.random.chance(30) {
            let (l, r) = *self.random.pick(&pairs);
            let op = *self.random.pick(&["<", "<=", ">", "<>", "="]);
            on.push(format!("{} {op} {}", l.sql, r.sql));
        }
        if self.random.chance(15) {
            let side = if self.random.chance(50) { left } else { right };
            on.push(self.condition(side, 0));
        }
        on
    }

    /// A query without ORDER BY of these types.
    pub(super) fn plain(&mut self, types: &[Type], depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let items = types.iter().map(|of| self.expression(*of, &scope, 1)).collect();
        let wheres = self.wheres(&scope, depth);
        let distinct = self.random.chance(12);
        let select = Select { items, from: Some(from), wheres, distinct, ..Select::default() };
        Query::Select(Box::new(select))
    }

    fn selected(&mut self, depth: usize) -> Query {
        let types: Vec<Type> = (0..1 + self.random.below(4)).map(|_| self.of()).collect();
        let Query::Select(mut select) = self.plain(&types, depth) else {
            unreachable!("a plain query is a select")
        };
        if self.random.chance(12) {
            let outer = self.scope_of(select.from.as_ref());
            select.items.push(self.value_query(&outer));
        }
        let windowed = self.scope_of(select.from.as_ref());
        if !windowed.is_empty() && self.random.chance(35) {
            for _ in 0..1 + self.random.below(2) {
                select.items.push(self.window(&windowed));
            }
            if self.random.chance(30) {
                select.qualify.push(self.qualify(&windowed));
            }
        }
        if self.random.chance(15) {
            let order = |i: usize, down: bool| format!("c{i}{}", if down { " DESC" } else { "" });
            let keys = (0..1 + self.random.below(select.items.len()))
                .map(|i| order(i, self.random.chance(50)))
                .collect();
            let offset = if self.random.chance(30) { 1 + self.random.below(2) } else { 0 };
            select.tail = Some((keys, 1 + self.random.below(4), offset));
        }
        if self.random.chance(10) {
            select.with = Some(("w".to_owned(), Box::new(self.plain(&types, 1))));
            let named = |(i, of): (usize, &Type)| Named { sql: format!("w.c{i}"), of: *of };
            let scope: Vec<Named> = types.iter().enumerate().map(named).collect();
            select.items = types.iter().map(|of| self.expression(*of, &scope, 1)).collect();
            select.from = Some(From::Table("w".to_owned(), "w".to_owned()));
            select.wheres = vec![self.condition(&scope, 1)];
            (select.tail, select.qualify) = (None, Vec::new());
        }
        Query::Select(select)
    }

    /// The columns of the tables of a FROM.
    fn scope_of(&self, from: Option<&From>) -> Vec<Named> {
        match from {
            Some(From::Table(name, alias)) => {
                let table = self.tables.iter().find(|t| t.name == *name);
                let columns = table.into_iter().flat_map(|t| &t.columns);
                columns.map(|c| Named { sql: format!("{alias}.{}", c.name), of: c.of }).collect()
            }
            Some(From::Join(kind, left, right, _)) => {
                let mut all = self.scope_of(Some(left));
                if !matches!(*kind, "LEFT SEMI JOIN" | "LEFT ANTI JOIN") {
                    all.extend(self.scope_of(Some(right)));
                }
                all
            }
            _ => Vec::new(),
        }
    }

    fn grouped(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..self.random.below(3) {
            let of = self.of();
            let key = match self.column(of, &scope) {
                Some(column) => column,
                None => self.random.pick(&scope).sql.clone(),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut items = keys.clone();
        for _ in 0..1 + self.random.below(3) {
            items.push(self.aggregate(&scope));
        }
        let group = match keys.len() {
            0 => None,
            _ if self.random.chance(70) => Some(keys.join(", ")),
            n => {
                items.push(format!("grouping({})", keys[n - 1]));
                let list = keys.join(", ");
                Some(match self.random.below(3) {
                    0 => format!("ROLLUP ({list})"),
                    1 => format!("CUBE ({list})"),
                    _ => format!("GROUPING SETS (({list}), ({}), ())", keys[0]),
                })
            }
        };
        let mut having = Vec::new();
        if self.random.chance(25) {
            let op = *self.random.pick(&[">", "<=", "<>"]);
            having.push(format!("count(*) {op} {}", 1 + self.random.below(2)));
        }
        if self.random.chance(8) {
            let (from, inner) = self.table();
            let of = self.aggregate_of(Type::Int, &inner);
            having.push(format!("count(*) >= (SELECT {of} FROM {from})"));
        }
        if self.random.chance(10) {
            items.push("rank() OVER (ORDER BY count(*))".to_owned());
        }
        let wheres = self.wheres(&scope, depth);
        let from = Some(from);
        Query::Select(Box::new(Select { items, from, wheres, group, having, ..Select::default() }))
    }

    fn aggregate(&mut self, scope: &[Named]) -> String {
        let filter = match self.random.chance(15) {
            true => format!(" FILTER (WHERE {})", self.condition(scope, 0)),
            false => String::new(),
        };
        let of = self.of();
        format!("{}{filter}", self.aggregate_of(of, scope))
    }

    /// An aggregate with an argument of this type.
    fn aggregate_of(&mut self, of: Type, scope: &[Named]) -> String {
        let argument = self.expression(of, scope, 1);
        let any = ["count", "min", "max", "count DISTINCT", "count_rows"];
        let of_numbers =
            ["sum", "avg", "stddev", "var_pop", "median", "sum DISTINCT", "percentile"];
        let chosen = match of {
            Type::Int | Type::Float | Type::Decimal if self.random.chance(65) => {
                *self.random.pick(&of_numbers)
            }
            Type::Bool if self.random.chance(50) => *self.random.pick(&["bool_and", "bool_or"]),
            Type::Text if self.random.chance(40) => *self.random.pick(&["string_agg", "array_agg"]),
            Type::Bool => *self.random.pick(&["count", "count DISTINCT", "count_rows"]),
            _ => *self.random.pick(&any),
        };
        match chosen {
            "count_rows" => "count(*)".to_owned(),
            "percentile" => format!("percentile_cont(0.25) WITHIN GROUP (ORDER BY {argument})"),
            "string_agg" => format!("string_agg({argument}, '|' ORDER BY {argument} DESC)"),
            "median" if of == Type::Decimal => format!("sum({argument})"),
            name => match name.split_once(' ') {
                Some((name, _)) => format!("{name}(DISTINCT {argument})"),
                None => format!("{name}({argument})"),
            },
        }
    }

    fn wheres(&mut self, scope: &[Named], depth: usize) -> Vec<String> {
        let mut wheres = Vec::new();
        while self.random.chance(40) && wheres.len() < 3 {
            wheres.push(self.condition(scope, depth.min(1)));
        }
        if depth > 0 && self.random.chance(25) {
            wheres.push(self.subquery(scope));
        }
        wheres
    }

    pub(super) fn column(&mut self, of: Type, scope: &[Named]) -> Option<String> {
        let fitting: Vec<&Named> = scope.iter().filter(|c| c.of == of).collect();
        (!fitting.is_empty()).then(|| self.random.pick(&fitting).sql.clone())
    }

    fn literal(&mut self, of: Type) -> String {
        let texts: &[&str] = match of {
            Type::Int => &["0", "1", "2", "3", "-7"],
            Type::Float => &["0.0", "1.5", "-0.25", "2.0"],
            Type::Text => &["'a'", "''", "'ab'", "'z'"],
            Type::Bool => &["true", "false"],
            Type::Decimal => &["CAST(0.5 AS DECIMAL(10, 2))", "CAST(1 AS DECIMAL(10, 2))"],
            Type::Time => &["TIMESTAMP '2016-08-31T21:00:00Z'", "TIMESTAMP '2016-08-31T20:35:00Z'"],
        };
        let text = *self.random.pick(texts);
        match of {
            Type::Time => format!("arrow_cast({text}, 'Timestamp(Millisecond, Some(\"UTC\"))')"),
            _ => text.to_owned(),
        }
    }

    pub(super) fn leaf(&mut self, of: Type, scope: &[Named]) -> String {
        match self.random.chance(88) {
            true => self.column(of, scope).unwrap_or_else(|| self.literal(of)),
            false => self.literal(of),
        }
    }

    fn expression(&mut self, of: Type, scope: &[Named], depth: usize) -> String {
        if depth == 0 || self.random.chance(60) {
            return self.leaf(of, scope);
        }
        let a = self.expression(of, scope, depth - 1);
        let b = self.leaf(of, scope);
        match (of, self.random.below(6)) {
            (_, 0) => format!("coalesce({a}, {b})"),
            (_, 1) => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.condition(scope, 0)),
            (_, 2) => format!("nullif({a}, {b})"),
            (Type::Int, 3) => format!("({a} + {b})"),
            (Type::Int, 4) => format!("({a} - {b}) * 2"),
            (Type::Int, _) => {
                let text = self.leaf(Type::Text, scope);
                format!("CAST(length({text}) AS BIGINT)")
            }
            (Type::Float, 3) => format!("({a} + {b})"),
            (Type::Float, 4) => format!("abs({a})"),
            (Type::Float, _) => format!("greatest({a}, {b})"),
            (Type::Text, 3) => format!("upper({a})"),
            (Type::Text, 4) => format!("concat({a}, {b})"),
            (Type::Text, _) => format!("substr({a}, 2)"),
            (Type::Bool, 3) => format!("({a} AND {b})"),
            (Type::Bool, 4) => format!("(NOT {a})"),
            (Type::Bool, _) => format!("({a} IS NULL)"),
            (Type::Decimal, 3) => format!("CAST({a} + {b} AS DECIMAL(10, 2))"),
            (Type::Decimal, _) => format!("least({a}, {b})"),
            (Type::Time, 3) => format!("date_bin(INTERVAL '15 minutes', {a})"),
            (Type::Time, _) => a,
        }
    }

    pub(super) fn condition(&mut self, scope: &[Named], depth: usize) -> String {
        let of = self.of();
        let a = self.expression(of, scope, depth.min(1));
        let b = self.leaf(of, scope);
        if of == Type::Bool && self.random.chance(50) {
            return a;
        }
        match self.random.below(9) {
            0 => format!("{a} IS NULL"),
            1 => format!("{a} IS NOT NULL"),
            2 => format!("{a} IN ({b}, {})", self.literal(of)),
            3 => format!("{a} IS DISTINCT FROM {b}"),
            4 if depth > 0 => {
                let (l, r) = (self.condition(scope, 0), self.condition(scope, 0));
                format!("({l} OR NOT {r})")
            }
            5 if of == Type::Text => format!("{a} LIKE '%{}%'", self.random.pick(&["a", "b", "n"])),
            n => format!("{a} {} {b}", ["=", "<", "<=", ">", "<>"][n % 5]),
        }
    }

    /// A table of its own, and an equality between it and the outside where there is one.
    fn correlated(&mut self, outer: &[Named]) -> (From, Vec<Named>, Option<String>) {
        let (from, inner) = self.table();
        let pairs: Vec<(String, String)> = inner
            .iter()
            .flat_map(|i| outer.iter().map(move |o| (i, o)))
            .filter(|(i, o)| i.of == o.of)
            .map(|(i, o)| (i.sql.clone(), o.sql.clone()))
            .collect();
        let equality = (!pairs.is_empty()).then(|| {
            let (i, o) = self.random.pick(&pairs);
            format!("{i} = {o}")
        });
        (from, inner, equality)
    }

    /// A condition with a query in it.
    fn subquery(&mut self, outer: &[Named]) -> String {
        let (from, inner, equality) = self.correlated(outer);
        let mut wheres: Vec<String> = Vec::new();
        if self.random.chance(40) {
            wheres.push(self.condition(&inner, 0));
        }
        let not = if self.random.chance(45) { "NOT " } else { "" };
        match self.random.below(5) {
            0 | 1 => {
                wheres.extend(equality);
                if self.random.chance(30)
                    && let (Some(i), Some(o)) =
                        (self.column(Type::Int, &inner), self.column(Type::Int, outer))
                {
                    wheres.push(format!("{i} <> {o}"));
                }
                let exists = format!("{not}EXISTS (SELECT 1 FROM {from}{})", conjunction(&wheres));
                match self.random.chance(25) {
                    true => format!("({} OR {exists})", self.condition(outer, 0)),
                    false => exists,
                }
            }
            2 | 3 => {
                let of = self.random.pick(&inner).of;
                let (a, b) = (self.leaf(of, outer), self.leaf(of, &inner));
                let within = format!("SELECT {b} FROM {from}{}", conjunction(&wheres));
                match self.random.chance(20) {
                    true => format!("({} OR {a} IN ({within}))", self.condition(outer, 0)),
                    false => format!("{a} {not}IN ({within})"),
                }
            }
            _ => {
                let value = self.value_query(outer);
                let left = self.leaf(Type::Int, outer);
                format!("{left} {} {value}", self.random.pick(&["<", ">=", "="]))
            }
        }
    }

    /// A query as a whole number.
    fn value_query(&mut self, outer: &[Named]) -> String {
        let (from, inner, equality) = self.correlated(outer);
        let mut wheres: Vec<String> = Vec::new();
        if self.random.chance(60) {
            wheres.extend(equality);
        }
        if self.random.chance(30) {
            wheres.push(self.condition(&inner, 0));
        }
        let argument = self.leaf(Type::Int, &inner);
        let value = match self.random.below(4) {
            0 => "count(*)".to_owned(),
            1 => format!("sum({argument})"),
            2 => format!("max({argument})"),
            _ => format!("count({argument})"),
        };
        format!("(SELECT {value} FROM {from}{})", conjunction(&wheres))
    }
}

fn conjunction(wheres: &[String]) -> String {
    if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) }
}
