//! Writes random queries over the maintained surface, typed well enough that most of them plan.
//!
//! What can fail for one row only (division, narrowing casts, text to numbers) is left out: batch
//! then fails as a whole, a view sets the row aside, and there is nothing to compare.
//!
//! What may stand in FROM is in [`source`](super::source), groups are in
//! [`aggregate`](super::aggregate), windows, AS OF joins and recursions in [`order`](super::order).

use super::data::Column;
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
    /// What may be read; a lookup of the case is one of them.
    pub(super) tables: &'a [Table],
    aliases: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(random: &'a mut Random, tables: &'a [Table]) -> Writer<'a> {
        Writer { random, tables, aliases: 0 }
    }

    pub(super) fn query(&mut self) -> Query {
        if self.random.chance(16) {
            let types = self.types(1, 3);
            return self.set(&types, 1);
        }
        if self.random.chance(6) {
            return self.recursion();
        }
        if self.random.chance(42) { self.grouped(2) } else { self.selected(2) }
    }

    pub(super) fn of(&mut self) -> Type {
        *self.random.pick(&TYPES)
    }

    /// From `least` to `most` types.
    pub(super) fn types(&mut self, least: usize, most: usize) -> Vec<Type> {
        (0..least + self.random.below(most - least + 1)).map(|_| self.of()).collect()
    }

    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("q{}", self.aliases)
    }

    pub(super) fn table(&mut self) -> (From, Vec<Named>) {
        let index = self.random.below(self.tables.len());
        let (alias, table) = (self.alias(), &self.tables[index]);
        let columns = of_table(&alias, table);
        (From::Table(table.name.clone(), alias), columns)
    }

    /// FROM, and what may be named above it.
    pub(super) fn from(&mut self, depth: usize) -> (From, Vec<Named>) {
        let (mut from, mut scope) = self.source(depth);
        let joins = [0, 0, 1, 1, 1, 2][self.random.below(6)];
        for _ in 0..joins.min(depth) {
            let (right, columns) = self.source(depth - 1);
            let (kind, on) = self.joined((&from, &scope), (&right, &columns));
            from = From::Join(kind, Box::new(from), Box::new(right), on);
            match kind {
                "LEFT SEMI JOIN" | "LEFT ANTI JOIN" => {}
                "RIGHT SEMI JOIN" | "RIGHT ANTI JOIN" => scope = columns,
                _ => scope.extend(columns),
            }
        }
        if depth > 0 && self.random.chance(9) {
            let (kind, lateral, columns) = self.lateral(&scope);
            let on = if kind.starts_with("LEFT") { vec!["true".to_owned()] } else { Vec::new() };
            from = From::Join(kind, Box::new(from), Box::new(lateral), on);
            scope.extend(columns);
        }
        (from, scope)
    }

    /// How two sides are joined, and by what.
    fn joined(
        &mut self,
        (left, l): (&From, &[Named]),
        (right, r): (&From, &[Named]),
    ) -> (&'static str, Vec<String>) {
        if self.random.chance(20)
            && let Some(as_of) = self.as_of(l, r)
        {
            return as_of;
        }
        if self.random.chance(12) && self.keyed(left) && self.keyed(right) {
            if self.random.chance(40) {
                return ("NATURAL JOIN", Vec::new());
            }
            let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "FULL JOIN"]);
            return (kind, vec!["USING (k)".to_owned()]);
        }
        let kinds = [
            "JOIN",
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
            "LEFT SEMI JOIN",
            "LEFT ANTI JOIN",
            "RIGHT SEMI JOIN",
            "RIGHT ANTI JOIN",
        ];
        let kind = *self.random.pick(&kinds);
        if kind == "CROSS JOIN" {
            return (kind, Vec::new());
        }
        let mut on = self.on(l, r);
        if matches!(kind, "JOIN" | "LEFT JOIN") && self.random.chance(5) {
            on.extend(self.by_clock(r));
        }
        (kind, on)
    }

    /// Whether this is one relation that has a `k`.
    fn keyed(&self, from: &From) -> bool {
        let From::Table(name, _) = from else { return false };
        let table = self.tables.iter().find(|table| table.name == *name);
        table.is_some_and(|table| table.columns.iter().any(|column| column.name == "k"))
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
            on.push(match self.random.chance(15) {
                true => format!("({} IS NOT DISTINCT FROM {})", l.sql, r.sql),
                false => format!("{} = {}", l.sql, r.sql),
            });
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
        let (select, _) = self.scoped(types, depth);
        Query::Select(Box::new(select))
    }

    /// The same as a SELECT, and what may be named in it.
    pub(super) fn scoped(&mut self, types: &[Type], depth: usize) -> (Select, Vec<Named>) {
        let (from, scope) = self.from(depth);
        let items = types.iter().map(|of| self.expression(*of, &scope, 1)).collect();
        let wheres = self.wheres(&scope, depth);
        let distinct = self.random.chance(12);
        (Select { items, from: Some(from), wheres, distinct, ..Select::default() }, scope)
    }

    fn selected(&mut self, depth: usize) -> Query {
        let types = self.types(1, 4);
        let (mut select, scope) = self.scoped(&types, depth);
        if self.random.chance(12) {
            self.first(&mut select, &scope);
            return Query::Select(Box::new(select));
        }
        if self.random.chance(12) {
            select.items.push(self.value_query(&scope));
        }
        if self.random.chance(45) {
            self.windows(&mut select, &scope);
            if self.random.chance(30) {
                select.qualify.push(self.qualify(&scope));
            }
        }
        if self.random.chance(15) {
            self.limit(&mut select);
        }
        if self.random.chance(10) {
            select = self.with(&types);
        }
        Query::Select(Box::new(select))
    }

    /// The first rows in the order of some of the items.
    pub(super) fn limit(&mut self, select: &mut Select) {
        let order = |i: usize, down: bool| format!("c{i}{}", if down { " DESC" } else { "" });
        let keys = (0..1 + self.random.below(select.items.len()))
            .map(|i| order(i, self.random.chance(50)))
            .collect();
        let offset = if self.random.chance(30) { 1 + self.random.below(2) } else { 0 };
        select.tail = Some((keys, 1 + self.random.below(4), offset));
    }

    /// A query of a query that has a name.
    fn with(&mut self, types: &[Type]) -> Select {
        let with = Some(("w".to_owned(), Box::new(self.plain(types, 1))));
        let scope = of_types("w", types);
        let items = types.iter().map(|of| self.expression(*of, &scope, 1)).collect();
        let from = Some(From::Table("w".to_owned(), "w".to_owned()));
        let wheres = vec![self.condition(&scope, 1)];
        Select { with, items, from, wheres, ..Select::default() }
    }

    /// Two queries of these types, as one.
    pub(super) fn set(&mut self, types: &[Type], depth: usize) -> Query {
        let op = *self.random.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        let (left, right) = (self.plain(types, depth), self.plain(types, depth));
        Query::Set(op, Box::new(left), Box::new(right))
    }

    pub(super) fn wheres(&mut self, scope: &[Named], depth: usize) -> Vec<String> {
        let mut wheres = Vec::new();
        while self.random.chance(40) && wheres.len() < 3 {
            wheres.push(self.condition(scope, depth.min(1)));
        }
        if depth > 0 && self.random.chance(25) {
            wheres.push(self.subquery(scope));
        }
        if self.random.chance(12) {
            wheres.extend(self.by_clock(scope));
        }
        wheres
    }

    /// A comparison with the tick, where there is a time.
    fn by_clock(&mut self, scope: &[Named]) -> Option<String> {
        let t = self.column(Type::Time, scope)?;
        let far = *self.random.pick(&["1 hour", "45 minutes", "30 minutes"]);
        let near = *self.random.pick(&["20 minutes", "25 minutes"]);
        Some(match self.random.below(8) {
            0 | 1 => format!("{t} > now() - INTERVAL '{far}'"),
            2 => format!("{t} >= now() - INTERVAL '{near}'"),
            3 => format!("{t} <= now() - INTERVAL '{near}'"),
            4 => format!("{t} > now() - INTERVAL '{far}' AND {t} <= now()"),
            5 => format!("{t} BETWEEN now() - INTERVAL '{far}' AND now() - INTERVAL '5 minutes'"),
            6 => format!("now() - {t} >= INTERVAL '{near}'"),
            _ => format!("now() < {t} + INTERVAL '{far}'"),
        })
    }

    pub(super) fn column(&mut self, of: Type, scope: &[Named]) -> Option<String> {
        let fitting: Vec<&Named> = scope.iter().filter(|c| c.of == of).collect();
        (!fitting.is_empty()).then(|| self.random.pick(&fitting).sql.clone())
    }

    pub(super) fn literal(&mut self, of: Type) -> String {
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

    pub(super) fn expression(&mut self, of: Type, scope: &[Named], depth: usize) -> String {
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
            3 => format!("({a} IS DISTINCT FROM {b})"),
            4 if depth > 0 => {
                let (l, r) = (self.condition(scope, 0), self.condition(scope, 0));
                format!("({l} OR NOT {r})")
            }
            5 if of == Type::Text => format!("{a} LIKE '%{}%'", self.random.pick(&["a", "b", "n"])),
            n => format!("{a} {} {b}", ["=", "<", "<=", ">", "<>"][n % 5]),
        }
    }

    /// A table of its own, and an equality between it and the outside where there is one.
    pub(super) fn correlated(&mut self, outer: &[Named]) -> (From, Vec<Named>, Option<String>) {
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
        if self.random.chance(6) {
            wheres.extend(self.by_clock(&inner));
        }
        let not = if self.random.chance(45) { "NOT " } else { "" };
        match self.random.below(6) {
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
            4 => {
                let of = self.of();
                let (values, column) = self.values(&[of]);
                format!("{} {not}IN (SELECT {} FROM {values})", self.leaf(of, outer), column[0].sql)
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

/// The columns of a table, under an alias.
pub(super) fn of_table(alias: &str, table: &Table) -> Vec<Named> {
    let named = |c: &Column| Named { sql: format!("{alias}.{}", c.name), of: c.of };
    table.columns.iter().map(named).collect()
}

/// The columns c0, c1, … of a query of these types, under an alias.
pub(super) fn of_types(alias: &str, types: &[Type]) -> Vec<Named> {
    let named = |(i, of): (usize, &Type)| Named { sql: format!("{alias}.c{i}"), of: *of };
    types.iter().enumerate().map(named).collect()
}

pub(super) fn conjunction(wheres: &[String]) -> String {
    if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) }
}
