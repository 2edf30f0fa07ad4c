//! Random SQL of order and time: window functions, AS OF joins and recursions.

use super::data::Type;
use super::query::From;
use super::query::Query;
use super::query::Select;
use super::write::Named;
use super::write::Writer;

/// Frames by rows.
const ROWS: [&str; 5] = [
    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
    "ROWS 2 PRECEDING",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
];

impl Writer<'_> {
    /// Columns over windows of these columns, each its own or both the one that is called `w`.
    pub(super) fn windows(&mut self, select: &mut Select, scope: &[Named]) {
        if !self.random.chance(15) {
            for _ in 0..1 + self.random.below(2) {
                select.items.push(self.window(scope));
            }
            return;
        }
        let (by, key) = (self.random.pick(scope).clone(), self.random.pick(scope).clone());
        select.window = Some(format!("PARTITION BY {} ORDER BY {}", by.sql, key.sql));
        select.items.push(format!("{} OVER w", self.place(true)));
        let rolling = self.rolling(scope);
        select.items.push(format!("{rolling} OVER (w ROWS 1 PRECEDING)"));
    }

    /// A function over a window of these columns.
    pub(super) fn window(&mut self, scope: &[Named]) -> String {
        let mut over = Vec::new();
        if self.random.chance(70) {
            let by = self.random.pick(scope).sql.clone();
            over.push(format!("PARTITION BY {by}"));
        }
        let key = self.random.chance(85).then(|| self.random.pick(scope).clone());
        if let Some(key) = &key {
            let mut order = format!("ORDER BY {}", key.sql);
            order += *self.random.pick(&["", "", " DESC", " NULLS FIRST"]);
            over.push(order);
        }
        let call = match self.random.below(4) {
            0 => self.place(key.is_some()),
            1 => {
                let call = self.neighbour(scope);
                // By RANGE these have no row of their own where rows are equal in the order.
                if key.is_some() && (call.starts_with("nth") || call.starts_with("last")) {
                    over.push((*self.random.pick(&ROWS)).to_owned());
                }
                call
            }
            _ => {
                over.extend(key.as_ref().and_then(|key| self.frame(key.of)));
                self.rolling(scope)
            }
        };
        format!("{call} OVER ({})", over.join(" "))
    }

    /// A function of the row's place.
    fn place(&mut self, ordered: bool) -> String {
        let all =
            ["row_number()", "rank()", "dense_rank()", "ntile(2)", "percent_rank()", "cume_dist()"];
        let alone = ["row_number()", "ntile(3)"];
        (*self.random.pick(if ordered { &all[..] } else { &alone[..] })).to_owned()
    }

    /// A function of another row.
    fn neighbour(&mut self, scope: &[Named]) -> String {
        let of = self.random.pick(scope).sql.clone();
        match self.random.below(6) {
            0 => format!("lag({of}, 2)"),
            1 => format!("lag({of})"),
            2 => format!("lead({of})"),
            3 => format!("first_value({of})"),
            4 => format!("last_value({of})"),
            _ => format!("nth_value({of}, 2)"),
        }
    }

    /// An aggregate, or a value at an end of the frame.
    fn rolling(&mut self, scope: &[Named]) -> String {
        let of = self.random.pick(scope).clone();
        let filter = match self.random.chance(15) {
            true => format!(" FILTER (WHERE {})", self.condition(scope, 0)),
            false => String::new(),
        };
        let number = matches!(of.of, Type::Int | Type::Float | Type::Decimal);
        let sql = of.sql;
        match self.random.below(10) {
            0 | 1 if number => format!("sum({sql}){filter}"),
            2 if number => format!("avg({sql}){filter}"),
            3 => format!("count({sql}){filter}"),
            4 => format!("count(*){filter}"),
            5 => format!("min({sql}){filter}"),
            6 => format!("first_value({sql})"),
            7 => format!("last_value({sql})"),
            8 if of.of == Type::Float => format!("var_pop({sql}){filter}"),
            8 if of.of == Type::Bool => format!("bool_or({sql}){filter}"),
            9 if of.of == Type::Text => format!("string_agg({sql}, '|')"),
            _ => format!("max({sql}){filter}"),
        }
    }

    /// A frame over rows in the order of a column of this type.
    fn frame(&mut self, of: Type) -> Option<String> {
        let range = match of {
            Type::Int => Some("RANGE BETWEEN 1 PRECEDING AND CURRENT ROW"),
            Type::Time => Some("RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW"),
            _ => None,
        };
        match self.random.below(9) {
            0 | 1 => range.map(str::to_owned),
            2 | 3 => Some("GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW".to_owned()),
            n => ROWS.get(n - 4).map(|frame| (*frame).to_owned()),
        }
    }

    /// Only the first rows of partitions, or those that a window function says.
    pub(super) fn qualify(&mut self, scope: &[Named]) -> String {
        if self.random.chance(30) {
            return format!("{} IS NOT NULL", self.window(scope));
        }
        let (by, key) = (self.random.pick(scope).clone(), self.random.pick(scope).clone());
        let op = *self.random.pick(&["<= 1", "<= 2", "< 3", "= 1", "= 2"]);
        format!("row_number() OVER (PARTITION BY {} ORDER BY {} DESC) {op}", by.sql, key.sql)
    }

    /// An AS OF join: which, and what it compares, the times last; none where a side has no time.
    pub(super) fn as_of(
        &mut self,
        left: &[Named],
        right: &[Named],
    ) -> Option<(&'static str, Vec<String>)> {
        let (l, r) = (self.column(Type::Time, left)?, self.column(Type::Time, right)?);
        let mut on = Vec::new();
        let pairs: Vec<(&Named, &Named)> = left
            .iter()
            .flat_map(|l| right.iter().map(move |r| (l, r)))
            .filter(|(l, r)| l.of == r.of && l.of != Type::Time)
            .collect();
        if !pairs.is_empty() && self.random.chance(85) {
            let (l, r) = *self.random.pick(&pairs);
            on.push(format!("{} = {}", l.sql, r.sql));
        }
        on.push(match self.random.below(4) {
            0 => format!("{l} > {r}"),
            1 => format!("{r} <= {l}"),
            _ => format!("{l} >= {r}"),
        });
        Some((*self.random.pick(&["ASOF JOIN", "ASOF LEFT JOIN"]), on))
    }

    /// What is reached from the rows of one query by the rows of a table.
    pub(super) fn recursion(&mut self) -> Query {
        let types: Vec<Type> = (0..1 + self.random.below(2)).map(|_| self.of()).collect();
        let start = self.plain(&types, 1);
        let (table, columns) = self.table();
        let known = |(i, of): (usize, &Type)| Named { sql: format!("w.c{i}"), of: *of };
        let known: Vec<Named> = types.iter().enumerate().map(known).collect();
        let on = self.on(&known, &columns);
        let scope: Vec<Named> = columns.iter().chain(&known).cloned().collect();
        let items = types.iter().map(|of| self.leaf(*of, &scope)).collect();
        let wheres = if self.random.chance(30) { vec![self.condition(&scope, 0)] } else { vec![] };
        let rows = From::Table("w".to_owned(), "w".to_owned());
        let joined = From::Join("JOIN", Box::new(rows.clone()), Box::new(table), on);
        let step = Select { items, from: Some(joined), wheres, ..Select::default() };
        let step = Query::Select(Box::new(step));
        let with = (
            "RECURSIVE w".to_owned(),
            Box::new(Query::Set("UNION", Box::new(start), Box::new(step))),
        );
        let items = known.iter().map(|column| column.sql.clone()).collect();
        let select = Select { with: Some(with), items, from: Some(rows), ..Select::default() };
        Query::Select(Box::new(select))
    }
}
