//! Energised islands: what hangs together by closed switches, while switches open and close.
//!
//! Buses lie on rings, so that a part that is cut off still hangs together with itself: whoever
//! counts reasons instead of looking for their beginning keeps it energised. The answers are those
//! of batch at every tick, and those of a search by hand.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::data::Change;
use super::data::Column;
use super::data::Table;
use super::data::Type;
use super::data::Value;
use super::query::Query;
use super::random::Random;
use super::run::Case;

const BUSES: i64 = 24;
const TICKS: usize = 30;

/// What is fed from any source.
const ENERGISED: &str = "WITH RECURSIVE fed (bus) AS (
  SELECT bus FROM sources
  UNION
  SELECT e.other FROM fed JOIN (
    SELECT bus, other, switch FROM branches UNION ALL SELECT other, bus, switch FROM branches
  ) e ON e.bus = fed.bus
  WHERE NOT EXISTS (SELECT 1 FROM opened o WHERE o.switch = e.switch)
) SELECT bus FROM fed";

/// Each bus with the first bus that it hangs together with.
const ISLANDS: &str = "WITH RECURSIVE near (bus, other) AS (
  SELECT bus, bus AS other FROM branches UNION SELECT n.bus, e.other
  FROM near n JOIN (
    SELECT bus, other, switch FROM branches UNION ALL SELECT other, bus, switch FROM branches
  ) e ON e.bus = n.other
  WHERE e.switch NOT IN (SELECT switch FROM opened)
) SELECT bus, min(other) AS island FROM near GROUP BY bus";

fn table(name: &str, columns: &[&str]) -> Table {
    let column = |name: &&str| Column { name: (*name).to_owned(), of: Type::Int, nullable: false };
    Table { name: name.to_owned(), columns: columns.iter().map(column).collect(), stream: false }
}

fn change(table: usize, values: &[i64], diff: i64) -> Change {
    Change { table, row: values.iter().map(|v| Value::Int(*v)).collect(), diff }
}

/// Three rings of eight buses, bridges between them, and switches in every branch.
fn branches() -> Vec<[i64; 3]> {
    let ring = |bus: i64| bus / 8 * 8 + (bus + 1) % 8;
    let mut all: Vec<(i64, i64)> = (0..BUSES).map(|bus| (bus, ring(bus))).collect();
    all.extend([(3, 8), (6, 17), (12, 20)]);
    all.iter().zip(0..).map(|((bus, other), switch)| [*bus, *other, switch]).collect()
}

/// Some switches move at each tick; a source is lost and comes back.
fn case(seed: u64) -> (Case, Vec<BTreeSet<i64>>) {
    let mut random = Random(seed);
    let (branches, mut opened) = (branches(), BTreeSet::new());
    let mut first: Vec<Change> = branches.iter().map(|row| change(0, row, 1)).collect();
    first.extend([change(1, &[0], 1), change(1, &[19], 1)]);
    let mut sources = BTreeSet::from([0, 19]);
    let (mut ticks, mut fed) = (Vec::new(), Vec::new());
    for tick in 0..TICKS {
        let mut changes = std::mem::take(&mut first);
        for _ in 0..1 + random.below(5) {
            let switch = random.below(branches.len()) as i64;
            let closes = opened.remove(&switch);
            if !closes {
                opened.insert(switch);
            }
            changes.push(change(2, &[switch], if closes { -1 } else { 1 }));
        }
        if tick % 7 == 3 {
            let lost = sources.remove(&0);
            if !lost {
                sources.insert(0);
            }
            changes.push(change(1, &[0], if lost { -1 } else { 1 }));
        }
        ticks.push(changes);
        fed.push(searched(&branches, &sources, &opened));
    }
    let tables = vec![
        table("branches", &["bus", "other", "switch"]),
        table("sources", &["bus"]),
        table("opened", &["switch"]),
    ];
    let queries = vec![Query::Text(ENERGISED), Query::Text(ISLANDS)];
    (Case::new(tables, ticks, queries), fed)
}

/// What is fed, found by going from bus to bus.
fn searched(
    branches: &[[i64; 3]],
    sources: &BTreeSet<i64>,
    opened: &BTreeSet<i64>,
) -> BTreeSet<i64> {
    let mut ways: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for [bus, other, switch] in branches {
        if !opened.contains(switch) {
            ways.entry(*bus).or_default().push(*other);
            ways.entry(*other).or_default().push(*bus);
        }
    }
    let (mut found, mut todo) = (sources.clone(), Vec::from_iter(sources.iter().copied()));
    while let Some(bus) = todo.pop() {
        for other in ways.get(&bus).into_iter().flatten() {
            if found.insert(*other) {
                todo.push(*other);
            }
        }
    }
    found
}

#[test]
fn islands_follow_the_switches_30_ticks_3_workers() {
    let (case, fed) = case(41);
    let alone = |fed: &BTreeSet<i64>| fed.len() < BUSES as usize;
    assert!(fed.iter().any(alone) && fed.iter().any(|fed| fed.len() > 16), "{fed:?}");
    let compared = case.run(&[1, 2, 3]).unwrap_or_else(|difference| panic!("{difference}\n{case}"));
    assert_eq!((compared.queries, compared.answers), (2, 2 * 3 * TICKS), "{compared:?}");
    for (n, fed) in fed.iter().enumerate() {
        let asked = case.asked(0, n).unwrap();
        let asked = asked.column(0).as_primitive::<Int64Type>().values().iter().copied();
        assert_eq!(&asked.collect::<BTreeSet<_>>(), fed, "tick {}", n + 1);
    }
}
