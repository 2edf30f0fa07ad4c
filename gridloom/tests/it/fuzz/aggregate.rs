//! Random groups: keys, sets of keys, aggregates of every kind, and conditions on groups.
//!
//! Aggregates that depend on the order of rows have one; the dialect makes it total.

use super::data::Type;
use super::query::Query;
use super::query::Select;
use super::write::Named;
use super::write::Writer;

impl Writer<'_> {
    pub(super) fn grouped(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let keys = self.keys(&scope);
        let mut items = keys.clone();
        for _ in 0..1 + self.random.below(3) {
            items.push(self.aggregate(&scope));
        }
        let group = match keys.len() {
            0 => None,
            _ if self.random.chance(65) => Some(keys.join(", ")),
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
        if self.random.chance(8) {
            having.push(self.among_groups());
        }
        if self.random.chance(10) {
            items.push("rank() OVER (ORDER BY count(*))".to_owned());
        }
        let wheres = self.wheres(&scope, depth);
        let from = Some(from);
        Query::Select(Box::new(Select { items, from, wheres, group, having, ..Select::default() }))
    }

    /// By what rows are grouped: columns, and bins of time.
    fn keys(&mut self, scope: &[Named]) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..self.random.below(3) {
            let of = self.of();
            let key = match self.column(of, scope) {
                Some(time) if of == Type::Time && self.random.chance(60) => {
                    let width = *self.random.pick(&["15 minutes", "30 minutes", "1 hour"]);
                    format!("date_bin(INTERVAL '{width}', {time})")
                }
                Some(column) => column,
                None => self.random.pick(scope).sql.clone(),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn aggregate(&mut self, scope: &[Named]) -> String {
        let filter = match self.random.chance(15) {
            true => format!(" FILTER (WHERE {})", self.condition(scope, 0)),
            false => String::new(),
        };
        let of = self.of();
        let aggregate = match self.random.chance(24) {
            true => self.ordered(of, scope),
            false => self.aggregate_of(of, scope),
        };
        format!("{aggregate}{filter}")
    }

    /// An aggregate with an argument of this type.
    fn aggregate_of(&mut self, of: Type, scope: &[Named]) -> String {
        let argument = self.expression(of, scope, 1);
        let any = ["count", "min", "max", "count DISTINCT", "count_rows"];
        let of_numbers = [
            "sum",
            "avg",
            "stddev",
            "stddev_pop",
            "var",
            "var_pop",
            "median",
            "sum DISTINCT",
            "percentile",
        ];
        let chosen = match of {
            Type::Int | Type::Float | Type::Decimal if self.random.chance(70) => {
                *self.random.pick(&of_numbers)
            }
            Type::Bool if self.random.chance(60) => *self.random.pick(&["bool_and", "bool_or"]),
            Type::Bool => *self.random.pick(&["count", "count DISTINCT", "count_rows"]),
            _ => *self.random.pick(&any),
        };
        match chosen {
            "count_rows" => "count(*)".to_owned(),
            "percentile" => format!("percentile_cont(0.25) WITHIN GROUP (ORDER BY {argument})"),
            "median" if of == Type::Decimal => format!("sum({argument})"),
            name => match name.split_once(' ') {
                Some((name, _)) => format!("{name}(DISTINCT {argument})"),
                None => format!("{name}({argument})"),
            },
        }
    }

    /// An aggregate of rows in an order.
    fn ordered(&mut self, of: Type, scope: &[Named]) -> String {
        let argument = self.expression(of, scope, 1);
        let by = self.random.pick(scope).sql.clone();
        let order = format!("{by}{}", self.random.pick(&["", "", " DESC", " NULLS FIRST"]));
        match self.random.below(6) {
            0 => format!("first_value({argument} ORDER BY {order})"),
            1 => format!("last_value({argument} ORDER BY {order})"),
            2 => format!("nth_value({argument}, 2 ORDER BY {order})"),
            3 | 4 if of == Type::Text => format!("string_agg({argument}, '|' ORDER BY {order})"),
            3 | 4 if of == Type::Int => {
                format!("array_agg(DISTINCT {argument} ORDER BY {argument})")
            }
            _ => format!("array_agg({argument} ORDER BY {order})"),
        }
    }
}
