//! How long a view over what is retained takes from CREATE to readable, and what the ticks notice.

use std::time::Duration;
use std::time::Instant;

use queries::Planner;
use schemas::contract::Engine;

use super::LOAD;
use super::feed::Feed;
use super::instance;
use super::ms;
use crate::meter::quantile;

/// A view over everything that is retained.
const VIEW: &str = "CREATE MATERIALIZED VIEW peaks AS
SELECT meter_id, date_bin(INTERVAL '1 minute', measured_at) AS minute_at,
       max(active_power_kw) AS peak_kw, avg(active_power_kw) AS mean_kw
FROM meter_readings GROUP BY 1, 2";

/// What was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// Rows that are retained when the view is made.
    pub retained: usize,
    /// Rows of the view when it could first be read.
    pub shown: usize,
    /// From CREATE to readable.
    pub readable_ms: f64,
    /// Latency of a tick before, the median.
    pub before_p50_ms: f64,
    /// Latency of a tick while the view catches up, the median.
    pub meanwhile_p50_ms: f64,
    /// The same, the longest.
    pub meanwhile_max_ms: f64,
}

/// Retains so many seconds of a reading a meter, then makes a view over them while they go on.
pub fn run(seconds: u64) -> Measured {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut instance = instance(folder.path(), &[LOAD]);
    let mut feed = Feed::new(1);
    let mut before = Vec::new();
    for _ in 0..seconds {
        feed.give(&mut instance);
        before.push(turn(&mut instance));
    }
    let handle = instance.handle();
    let plan = Planner::new(handle.catalog()).view(VIEW);
    let plan = plan.unwrap_or_else(|error| panic!("{}", error.full()));
    let began = Instant::now();
    handle.create(plan, false, "bench").unwrap_or_else(|error| panic!("{error}"));
    let mut meanwhile = Vec::new();
    let shown = loop {
        feed.give(&mut instance);
        meanwhile.push(turn(&mut instance));
        if let Ok(read) = handle.read(&["peaks"], None) {
            break read[0].rows.num_rows();
        }
        assert!(began.elapsed() < Duration::from_secs(600), "it never becomes readable");
    };
    Measured {
        retained: seconds as usize * feed.rows(),
        shown,
        readable_ms: ms(began.elapsed()),
        before_p50_ms: quantile(&before, 0.5),
        meanwhile_p50_ms: quantile(&meanwhile, 0.5),
        meanwhile_max_ms: quantile(&meanwhile, 1.0),
    }
}

/// Lets the tick that was given become visible; its latency.
fn turn(instance: &mut pipeline::instance::Instance) -> f64 {
    let began = Instant::now();
    loop {
        let done = instance.turn(Duration::from_millis(10)).expect("a turn");
        if !done.is_empty() {
            return ms(began.elapsed());
        }
    }
}
