//! How long a view over what is retained takes from CREATE to readable, from the log and from an
//! index, and what the ticks notice.

use std::time::Duration;
use std::time::Instant;

use pipeline::engine::Handle;
use pipeline::instance::Instance;
use queries::Planner;
use schemas::contract::Engine;

use super::LOAD;
use super::feed::Feed;
use super::instance;
use super::ms;
use crate::meter::quantile;

/// A view over everything that is retained, which forgets by its bins.
const PEAKS: &str = "CREATE MATERIALIZED VIEW peaks AS
SELECT meter_id, date_bin(INTERVAL '1 minute', measured_at) AS minute_at,
       max(active_power_kw) AS peak_kw, avg(active_power_kw) AS mean_kw
FROM meter_readings GROUP BY 1, 2";

/// A view that keeps the rows until they are forgotten.
const MEANS: &str = "CREATE MATERIALIZED VIEW means AS
SELECT meter_id, avg(active_power_kw) AS mean_kw, count(*) AS n
FROM meter_readings GROUP BY meter_id";

/// An index that serves such a view.
const INDEX: &str = "CREATE INDEX readings_of ON meter_readings (meter_id)";

/// What was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// What was made.
    pub made: &'static str,
    /// Rows that are retained when it is made.
    pub retained: usize,
    /// Rows of the view when it could first be read; of an index none.
    pub shown: usize,
    /// From CREATE to readable.
    pub readable_ms: f64,
    /// Latency of a tick before, the median.
    pub before_p50_ms: f64,
    /// Latency of a tick while it catches up, the median.
    pub meanwhile_p50_ms: f64,
    /// The same, the longest.
    pub meanwhile_max_ms: f64,
}

/// Retains so many seconds of a reading a meter, then makes views and an index over them, one after
/// the other, while readings go on.
pub fn run(seconds: u64) -> Vec<Measured> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut instance = instance(folder.path(), &[LOAD]);
    let mut feed = Feed::new(1);
    for _ in 0..seconds {
        feed.give(&mut instance);
        turn(&mut instance);
    }
    let again = MEANS.replace("means", "means_again");
    let steps: [(&str, &str, &str); 4] = [
        ("a view that forgets by bins, from the log", PEAKS, "peaks"),
        ("a view that keeps rows, from the log", MEANS, "means"),
        ("an index, from the log", INDEX, "readings_of"),
        ("a view that keeps rows, from the index", &again, "means_again"),
    ];
    steps.map(|(made, sql, name)| measured(&mut instance, &mut feed, made, (sql, name))).into()
}

/// Makes one of them while ticks go on.
fn measured(
    instance: &mut Instance,
    feed: &mut Feed,
    made: &'static str,
    (sql, name): (&str, &str),
) -> Measured {
    let handle = instance.handle();
    let mut before = Vec::new();
    for _ in 0..10 {
        feed.give(instance);
        before.push(turn(instance));
    }
    let retained = feed.taken();
    let began = Instant::now();
    create(&handle, sql);
    let mut meanwhile = Vec::new();
    let shown = loop {
        feed.give(instance);
        meanwhile.push(turn(instance));
        instance.note_status();
        if let Some(shown) = shown(&handle, name) {
            break shown;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "it never becomes readable");
    };
    Measured {
        made,
        retained,
        shown,
        readable_ms: ms(began.elapsed()),
        before_p50_ms: quantile(&before, 0.5),
        meanwhile_p50_ms: quantile(&meanwhile, 0.5),
        meanwhile_max_ms: quantile(&meanwhile, 1.0),
    }
}

fn create(handle: &Handle, sql: &str) {
    let catalog = handle.catalog();
    let made = if queries::index::is_index(sql) {
        let index = queries::index::index(&catalog, sql);
        handle.create_index(index.unwrap_or_else(|error| panic!("{}", error.full())).plan, "bench")
    } else {
        let plan = Planner::new(catalog).view(sql);
        handle.create(plan.unwrap_or_else(|error| panic!("{}", error.full())), false, "bench")
    };
    made.unwrap_or_else(|error| panic!("{error}"));
}

/// The rows of a view that can be read; none of an index that can be used.
fn shown(handle: &Handle, name: &str) -> Option<usize> {
    if let Some(index) = handle.status().indexes.into_iter().find(|index| index.name == name) {
        return (index.hydrated == 100).then_some(0);
    }
    handle.read(&[name], None).ok().map(|read| read[0].rows.num_rows())
}

/// Lets the tick that was given become visible; its latency.
fn turn(instance: &mut Instance) -> f64 {
    let began = Instant::now();
    loop {
        let done = instance.turn(Duration::from_millis(10)).expect("a turn");
        if !done.is_empty() {
            return ms(began.elapsed());
        }
    }
}
