//! Windows of time over a stream whose rows come late: hopping ones, sessions, and AS OF joins,
//! each written as the documentation writes it, and each once made a view half-way.

use super::data;
use super::data::Column;
use super::data::Table;
use super::data::Type;
use super::midway::Midway;
use super::query::Query;
use super::random::Random;
use super::run::Case;

const HOPPING: &str = "SELECT k, begins_at, count(*) AS n, max(x) AS most FROM (
  SELECT k, x, unnest(hop(at, INTERVAL '30 minutes', INTERVAL '10 minutes')) AS begins_at FROM r
) h GROUP BY k, begins_at";

const SESSIONS: &str = "SELECT k, session, min(t) AS begins_at, max(t) AS ends_at, count(*) AS n
FROM (
  SELECT k, t, sum(begins) OVER (PARTITION BY k ORDER BY t) AS session FROM (
    SELECT k, at AS t, CASE WHEN at - lag(at) OVER (PARTITION BY k ORDER BY at)
      <= INTERVAL '10 minutes' THEN 0 ELSE 1 END AS begins FROM r
  ) b
) s GROUP BY k, session";

const ROLLING: &str = "SELECT k, at, avg(x) OVER (PARTITION BY k ORDER BY at
  RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW) AS mean,
  x - lag(x) OVER (PARTITION BY k ORDER BY at) AS step FROM r";

/// The partition has the time, so the windows go with their hours, not their rows.
const HOURLY: &str = "SELECT k, at, rank() OVER (PARTITION BY date_bin(INTERVAL '30 minutes', at)
  ORDER BY x DESC) AS place FROM r";

const PRICED: &str = "SELECT r.k, r.at, p.price, p.since FROM r
ASOF LEFT JOIN p MATCH_CONDITION (r.at >= p.since) ON p.k = r.k";

const PRICED_BEFORE: &str = "SELECT r.k, p.price FROM r
ASOF JOIN (SELECT k, since, price FROM p WHERE price > 0.0) p
MATCH_CONDITION (p.since < r.at) ON p.k = r.k";

const LAST_TWO: &str = "SELECT k, at, x FROM r
QUALIFY row_number() OVER (PARTITION BY k ORDER BY at DESC) <= 2";

const QUERIES: [&str; 7] = [HOPPING, SESSIONS, ROLLING, HOURLY, PRICED, PRICED_BEFORE, LAST_TWO];

const TICKS: usize = 16;

fn tables() -> Vec<Table> {
    let column =
        |name: &str, of: Type, nullable: bool| Column { name: name.to_owned(), of, nullable };
    let readings = vec![
        column("k", Type::Int, false),
        column("x", Type::Float, true),
        column("at", Type::Time, false),
    ];
    let prices = vec![
        column("k", Type::Int, true),
        column("since", Type::Time, true),
        column("price", Type::Float, true),
    ];
    vec![
        Table { name: "r".to_owned(), columns: readings, stream: true },
        Table { name: "p".to_owned(), columns: prices, stream: false },
    ]
}

#[test]
fn windows_of_time_equal_batch_16_ticks_3_workers() {
    for late in 0..QUERIES.len() {
        let mut random = Random(late as u64 + 1);
        let tables = tables();
        let ticks = data::history(&mut random, &tables, TICKS);
        let queries = QUERIES.map(Query::Text).to_vec();
        let midway = Midway::random(&mut random, QUERIES.len(), TICKS).without(late);
        let case = Case { midway: Some(midway), ..Case::new(tables, ticks, queries) };
        let compared = case.run(&[1, 2, 3]);
        let compared = compared.unwrap_or_else(|difference| panic!("{difference}\n{case}"));
        let from_the_start = compared.answers - compared.midway;
        assert_eq!(from_the_start, (QUERIES.len() - 1) * 3 * TICKS, "{compared:?}");
        assert_eq!(compared.swapped, 3, "{compared:?}");
        assert!(compared.midway > 3 * TICKS / 2, "{compared:?}");
        assert!(compared.rows > compared.answers * 2, "{compared:?}");
    }
}
