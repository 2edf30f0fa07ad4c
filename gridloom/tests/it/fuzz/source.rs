//! Random FROM clauses: relations, queries of every shape as relations, rows of literals, and
//! queries that are asked for each row before them.
//!
//! What a query in FROM computes is known to its type and exact to the last digit, since it may be
//! compared, ordered and joined by above.

use super::data::Type;
use super::query::From;
use super::query::Query;
use super::query::Select;
use super::write::Named;
use super::write::Writer;
use super::write::conjunction;
use super::write::of_types;

impl Writer<'_> {
    /// A relation, or what stands for one, and its columns.
    pub(super) fn source(&mut self, depth: usize) -> (From, Vec<Named>) {
        if self.random.chance(4) {
            let types = self.types(1, 3);
            return self.values(&types);
        }
        if depth == 0 || !self.random.chance(28) {
            return self.table();
        }
        let (query, types) = self.derived(depth - 1);
        let alias = self.alias();
        let columns = of_types(&alias, &types);
        (From::Derived(Box::new(query), alias), columns)
    }

    /// A query of any shape, and the types of its columns.
    fn derived(&mut self, depth: usize) -> (Query, Vec<Type>) {
        match self.random.below(13) {
            0 | 1 => self.unnested(),
            2 => self.numbered(depth),
            3 => self.summed(depth),
            4 => {
                let types = self.types(2, 3);
                let (mut select, scope) = self.scoped(&types, depth);
                self.first(&mut select, &scope);
                (Query::Select(Box::new(select)), types)
            }
            5 => {
                let types = self.types(2, 3);
                let (mut select, _) = self.scoped(&types, depth);
                self.limit(&mut select);
                (Query::Select(Box::new(select)), types)
            }
            6 | 7 => {
                let types = self.types(1, 3);
                (self.set(&types, depth.min(1)), types)
            }
            _ => {
                let types = self.types(2, 3);
                (self.plain(&types, depth), types)
            }
        }
    }

    /// Only the first row of each.
    pub(super) fn first(&mut self, select: &mut Select, scope: &[Named]) {
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let key = self.random.pick(scope).sql.clone();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut rest = Vec::new();
        if self.random.chance(80) {
            let by = self.random.pick(scope).sql.clone();
            let order = *self.random.pick(&["", " DESC", " DESC", " DESC NULLS LAST"]);
            if !keys.contains(&by) {
                rest.push(format!("{by}{order}"));
            }
        }
        select.distinct = false;
        select.first = Some((keys, rest));
    }

    /// Rows with their number, of which whoever reads them may want the first.
    fn numbered(&mut self, depth: usize) -> (Query, Vec<Type>) {
        let mut types = self.types(1, 2);
        let (mut select, scope) = self.scoped(&types, depth);
        select.distinct = false;
        let (by, key) = (self.random.pick(&scope).clone(), self.random.pick(&scope).clone());
        let number = match self.random.below(3) {
            0 => format!("row_number() OVER (ORDER BY {})", key.sql),
            1 => format!("rank() OVER (PARTITION BY {} ORDER BY {} DESC)", by.sql, key.sql),
            _ => format!("row_number() OVER (PARTITION BY {} ORDER BY {})", by.sql, key.sql),
        };
        select.items.push(number);
        types.push(Type::Int);
        let numbered = (Query::Select(Box::new(select)), types);
        if self.random.chance(60) { self.first_numbers(numbered) } else { numbered }
    }

    /// Of numbered rows the first.
    fn first_numbers(&mut self, (query, types): (Query, Vec<Type>)) -> (Query, Vec<Type>) {
        let alias = self.alias();
        let columns = of_types(&alias, &types);
        let number = &columns[types.len() - 1].sql;
        let wheres = vec![format!("{number} {}", self.random.pick(&["<= 1", "<= 2", "< 3"]))];
        let items = columns.iter().map(|column| column.sql.clone()).collect();
        let from = Some(From::Derived(Box::new(query), alias));
        let select = Select { items, from, wheres, ..Select::default() };
        (Query::Select(Box::new(select)), types)
    }

    /// Groups, with aggregates that are exact.
    fn summed(&mut self, depth: usize) -> (Query, Vec<Type>) {
        let (from, scope) = self.from(depth);
        let key = self.random.pick(&scope).clone();
        let of = self.random.pick(&scope).clone();
        let most = format!("{}({})", self.random.pick(&["min", "max"]), of.sql);
        let items = vec![key.sql.clone(), "count(*)".to_owned(), most];
        let types = vec![key.of, Type::Int, of.of];
        let wheres = self.wheres(&scope, 0);
        let group = Some(key.sql);
        let select = Select { items, from: Some(from), wheres, group, ..Select::default() };
        (Query::Select(Box::new(select)), types)
    }

    /// A row for each element of a list: windows that hop, two columns, or words.
    fn unnested(&mut self) -> (Query, Vec<Type>) {
        let (from, scope) = self.table();
        let list = match self.random.below(4) {
            0 | 1 => self.column(Type::Time, &scope).map(|t| {
                let hop = format!("hop({t}, INTERVAL '30 minutes', INTERVAL '15 minutes')");
                (hop, Type::Time)
            }),
            2 => {
                let text = self.column(Type::Text, &scope);
                text.map(|text| (format!("string_to_array({text}, 'b')"), Type::Text))
            }
            _ => None,
        };
        let (list, of) = list.unwrap_or_else(|| {
            let (a, b) = (self.leaf(Type::Int, &scope), self.leaf(Type::Int, &scope));
            (format!("make_array({a}, {b})"), Type::Int)
        });
        let beside = self.random.pick(&scope).clone();
        let items = vec![format!("unnest({list})"), beside.sql];
        let wheres = if self.random.chance(25) { vec![self.condition(&scope, 0)] } else { vec![] };
        let select = Select { items, from: Some(from), wheres, ..Select::default() };
        (Query::Select(Box::new(select)), vec![of, beside.of])
    }

    /// Rows of literals of these types; the first of them has no NULL, which would have no type.
    pub(super) fn values(&mut self, types: &[Type]) -> (From, Vec<Named>) {
        let mut rows = Vec::new();
        for row in 0..1 + self.random.below(3) {
            let mut values = Vec::new();
            for of in types {
                let null = row > 0 && self.random.chance(15);
                values.push(if null { "NULL".to_owned() } else { self.literal(*of) });
            }
            rows.push(values);
        }
        let alias = self.alias();
        let columns = of_types(&alias, types);
        (From::Values(rows, alias), columns)
    }

    /// A query for each row of what stands before it, how it is joined, and its columns.
    pub(super) fn lateral(&mut self, outer: &[Named]) -> (&'static str, From, Vec<Named>) {
        let (from, inner, equality) = self.correlated(outer);
        let mut wheres: Vec<String> = equality.into_iter().collect();
        if self.random.chance(40) {
            wheres.push(self.condition(&inner, 0));
        }
        let (kind, items, types) = match self.random.below(3) {
            0 => {
                let of = self.random.pick(&inner).clone();
                let items = vec!["count(*)".to_owned(), format!("max({})", of.sql)];
                ("CROSS JOIN LATERAL", items, vec![Type::Int, of.of])
            }
            n => {
                let types = self.types(1, 2);
                let items = types.iter().map(|of| self.expression(*of, &inner, 1)).collect();
                let kind = if n == 1 { "CROSS JOIN LATERAL" } else { "LEFT JOIN LATERAL" };
                (kind, items, types)
            }
        };
        let select = Select { items, from: Some(from), wheres, ..Select::default() };
        let alias = self.alias();
        let columns = of_types(&alias, &types);
        (kind, From::Derived(Box::new(Query::Select(Box::new(select))), alias), columns)
    }

    /// A condition on a group that asks other groups.
    pub(super) fn among_groups(&mut self) -> String {
        let (from, inner) = self.table();
        let by = self.random.pick(&inner).sql.clone();
        let wheres = if self.random.chance(30) { vec![self.condition(&inner, 0)] } else { vec![] };
        let groups = format!("{from}{} GROUP BY {by}", conjunction(&wheres));
        format!("count(*) IN (SELECT count(*) FROM {groups})")
    }
}
