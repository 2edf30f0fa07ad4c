//! What of the dialect has been compared: clauses and functions, each with every number of workers.
//!
//! A query counts for what stands in its text once an answer to it that has rows was compared, so a
//! generator that no longer writes a clause, a planner that refuses it and an oracle that always
//! finds nothing are all seen. What is done to views and indexes beside their text is counted by
//! whoever does it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// The most workers that a case runs with.
pub(super) const WORKERS_MAX: usize = 3;

/// Something that a run must have compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    /// What a text has in it.
    Text(&'static str),
    /// An aggregate of groups.
    Aggregate(&'static str),
    /// A function over a window.
    Window(&'static str),
    /// What is done while the workers run.
    Deed(Deed),
}

/// What is done while the workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    /// A view that was made half-way was compared.
    MadeHalfWay,
    /// A view took another's place, and was read on.
    Replaced,
    /// A view read its past from an index, and its twin did not.
    ReadIndex,
    /// So too, and it joins by just the key of the index.
    SharedIndex,
    /// A view read another one from an index on that.
    ReadIndexOfView,
    /// An index was dropped, and ticks went on.
    DroppedIndex,
}

const TEXTS: [&str; 58] = [
    " LEFT JOIN ",
    " RIGHT JOIN ",
    " FULL JOIN ",
    " CROSS JOIN r",
    " LEFT SEMI JOIN ",
    " LEFT ANTI JOIN ",
    " RIGHT SEMI JOIN ",
    " RIGHT ANTI JOIN ",
    " NATURAL JOIN ",
    " USING (",
    " IS NOT DISTINCT FROM ",
    " IS DISTINCT FROM ",
    " ASOF JOIN ",
    " ASOF LEFT JOIN ",
    " FOR SYSTEM_TIME AS OF now() AS m ",
    " FOR SYSTEM_TIME AS OF now() AS n ",
    " FOR SYSTEM_TIME AS OF now() AS left_m ",
    " FOR SYSTEM_TIME AS OF now() AS left_n ",
    " CROSS JOIN LATERAL (SELECT count(",
    " CROSS JOIN LATERAL ",
    " LEFT JOIN LATERAL ",
    "(VALUES ",
    " IN (SELECT ",
    " NOT IN (SELECT ",
    "EXISTS (",
    "NOT EXISTS (",
    "(SELECT count(",
    "(SELECT max(",
    ") UNION (",
    ") UNION ALL (",
    ") INTERSECT (",
    ") EXCEPT (",
    "WITH w AS ",
    "WITH RECURSIVE ",
    "SELECT DISTINCT ",
    "DISTINCT ON ",
    " LIMIT ",
    " OFFSET ",
    " GROUP BY ",
    " GROUP BY ROLLUP ",
    " GROUP BY CUBE ",
    " GROUP BY GROUPING SETS ",
    "grouping(",
    " HAVING ",
    "count(*) IN (SELECT count(*) ",
    " FILTER (",
    "date_bin(",
    "unnest(hop(",
    "unnest(make_array(",
    "unnest(string_to_array(",
    " > now() - INTERVAL ",
    " <= now()",
    " BETWEEN now() ",
    " QUALIFY ",
    " WINDOW w ",
    " ROWS ",
    " RANGE BETWEEN ",
    " GROUPS BETWEEN ",
];

const AGGREGATES: [&str; 18] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "median",
    "percentile_cont",
    "bool_and",
    "bool_or",
    "first_value",
    "last_value",
    "nth_value",
    "string_agg",
    "array_agg",
];

const WINDOWS: [&str; 15] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
    "count",
    "sum",
    "avg",
    "max",
];

const DISTINCT: [&str; 3] = ["count(DISTINCT ", "sum(DISTINCT ", "array_agg(DISTINCT "];

const DEEDS: [Deed; 6] = [
    Deed::MadeHalfWay,
    Deed::Replaced,
    Deed::ReadIndex,
    Deed::SharedIndex,
    Deed::ReadIndexOfView,
    Deed::DroppedIndex,
];

/// All of them.
fn all() -> impl Iterator<Item = Feature> {
    let texts = TEXTS.into_iter().chain(DISTINCT).map(Feature::Text);
    let functions = AGGREGATES.into_iter().map(Feature::Aggregate);
    let functions = functions.chain(WINDOWS.into_iter().map(Feature::Window));
    texts.chain(functions).chain(DEEDS.into_iter().map(Feature::Deed))
}

impl Feature {
    /// Whether a query shows it.
    fn is_in(self, sql: &str) -> bool {
        match self {
            Feature::Text(text) => sql.contains(text),
            Feature::Aggregate(name) => calls(sql, name).any(|over| !over),
            Feature::Window(name) => calls(sql, name).any(|over| over),
            Feature::Deed(_) => false,
        }
    }
}

/// The calls of a function, and of each whether it is over a window.
fn calls(sql: &str, name: &str) -> impl Iterator<Item = bool> {
    let named = move |at: &usize| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let begins = !sql[..*at].ends_with(part);
        begins && sql[*at + name.len()..].starts_with('(')
    };
    let places = sql.match_indices(name).map(|(at, _)| at).filter(named);
    places.map(move |at| {
        let rest = behind(&sql[at + name.len()..]);
        let rest = rest.strip_prefix(" FILTER ").map_or(rest, behind);
        rest.starts_with(" OVER ")
    })
}

/// What stands behind the bracket that this begins with.
fn behind(sql: &str) -> &str {
    let mut open = 0_usize;
    for (at, c) in sql.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open <= 1 => return &sql[at + 1..],
            ')' => open -= 1,
            _ => {}
        }
    }
    ""
}

/// How often each was compared, by the number of workers.
#[derive(Clone, Default)]
pub(super) struct Features(BTreeMap<Feature, [usize; WORKERS_MAX]>);

impl Features {
    /// Counts what a query shows.
    pub(super) fn of_query(&mut self, sql: &str, workers: usize) {
        all().filter(|feature| feature.is_in(sql)).for_each(|feature| self.add(feature, workers));
    }

    /// Counts something that was done.
    pub(super) fn did(&mut self, deed: Deed, workers: usize) {
        self.add(Feature::Deed(deed), workers);
    }

    fn add(&mut self, feature: Feature, workers: usize) {
        self.0.entry(feature).or_default()[workers - 1] += 1;
    }

    /// What was compared less often than `least` times, or not with every number of workers.
    pub(super) fn missing(&self, least: usize) -> Vec<(Feature, [usize; WORKERS_MAX])> {
        let counted = all().map(|feature| (feature, self.0.get(&feature).copied()));
        let counted = counted.map(|(feature, counts)| (feature, counts.unwrap_or_default()));
        let few = |counts: &[usize; WORKERS_MAX]| {
            counts.iter().sum::<usize>() < least || counts.contains(&0)
        };
        counted.filter(|(_, counts)| few(counts)).collect()
    }
}

impl AddAssign for Features {
    fn add_assign(&mut self, other: Features) {
        for (feature, counts) in other.0 {
            let all = self.0.entry(feature).or_default();
            all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
        }
    }
}

impl fmt::Debug for Features {
    /// How many there are, and which are the rarest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rare: Vec<(usize, &Feature)> =
            self.0.iter().map(|(feature, counts)| (counts.iter().sum(), feature)).collect();
        rare.sort_unstable();
        write!(f, "{} features, the rarest {:?}", self.0.len(), &rare[..rare.len().min(5)])
    }
}

#[test]
fn functions_are_told_apart_by_what_stands_behind_them() {
    let sql = "SELECT sum(a) AS c0, rank() OVER (ORDER BY count(*)) AS c1, first_value(b) \
               FILTER (WHERE (c) > 0) OVER (w ROWS 1 PRECEDING) AS c2, first_value(b ORDER BY (c)) \
               AS c3 FROM r";
    let of = |name: &'static str| -> [bool; 2] {
        [Feature::Aggregate(name).is_in(sql), Feature::Window(name).is_in(sql)]
    };
    assert_eq!(of("sum"), [true, false]);
    assert_eq!(of("rank"), [false, true]);
    assert_eq!(of("count"), [true, false]);
    assert_eq!(of("first_value"), [true, true]);
    assert_eq!(of("value"), [false, false]);
}

#[test]
fn what_was_compared_too_rarely_is_named() {
    let mut features = Features::default();
    let all = all().count();
    (1..=WORKERS_MAX).for_each(|workers| features.of_query("(a) UNION (b)", workers));
    (0..9).for_each(|_| features.did(Deed::Replaced, 2));
    assert_eq!(features.missing(3).len(), all - 1);
    let missing = features.missing(4);
    assert!(missing.contains(&(Feature::Text(") UNION ("), [1, 1, 1])), "{missing:?}");
    assert!(missing.contains(&(Feature::Deed(Deed::Replaced), [0, 9, 0])), "{missing:?}");
}
