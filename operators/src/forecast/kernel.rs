//! The judgement of [`forecast`](super): keeps hours, and issues each quarter of an hour.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use schemas::decision::Forecast;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::rule::HISTORY_HOURS;
use super::rule::points;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// The name that its forecasts carry.
pub const MODEL_VERSION: &str = "seasonal-naive-1";

/// Issues forecasts; see [`super`].
pub struct ForecastKernel {
    settings: Settings,

    feeders: BTreeMap<String, Nodes>,
}

/// The hours of each node of a feeder.
type Nodes = BTreeMap<String, Hours>;

/// Mean net load by hour, counted from the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hours(BTreeMap<u64, Hour>);

/// An hour of a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hour {
    /// Mean net load in kW.
    kw: f64,
    /// From `node_hour`, and not from `load_history`.
    measured: bool,
}

impl Hours {
    /// The hours before `present`, oldest first, NaN where unknown.
    fn before(&self, present: u64) -> Vec<f64> {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        let kw = |hour| self.0.get(&hour).map_or(f64::NAN, |hour| hour.kw);
        (from..present).map(kw).collect()
    }
}

/// What forecasts of one subject rest on: how many hours came from which view; of a feeder, those
/// of all its nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Basis {
    history: usize,
    measured: usize,
}

impl Basis {
    fn of(hours: &Hours, present: u64) -> Basis {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        let mut basis = Basis::default();
        for (_, hour) in hours.0.range(from..present) {
            basis.measured += usize::from(hour.measured);
            basis.history += usize::from(!hour.measured);
        }
        basis
    }

    fn add(&mut self, other: Basis) {
        self.history += other.history;
        self.measured += other.measured;
    }

    fn saw(&self, at: Timestamp, past_kw: &[f64]) -> String {
        let last = past_kw.last().filter(|kw| !kw.is_nan());
        let last = last.map_or("NULL".to_owned(), |kw| format!("{kw:.3}"));
        let (at, Basis { history, measured }) = (at.0, self);
        format!(
            "load_history@{at} hours={history}; node_hour@{at} hours={measured} last_hour_kw={last}"
        )
    }
}

/// Adds a node's hours to its feeder's. A missing hour stands in by the same hour of the day
/// before, or 0: one silent meter must not leave the feeder without a forecast.
fn add(sum: &mut [f64], node: &[f64]) {
    let mut filled: Vec<f64> = Vec::with_capacity(node.len());
    for (hour, kw) in node.iter().enumerate() {
        let before = hour.checked_sub(24).map_or(0.0, |yesterday| filled[yesterday]);
        filled.push(if kw.is_nan() { before } else { *kw });
    }
    sum.iter_mut().zip(filled).for_each(|(sum, kw)| *sum += kw);
}

impl ForecastKernel {
    /// A forecaster without a past.
    pub fn new(settings: Settings) -> ForecastKernel {
        ForecastKernel { settings, feeders: BTreeMap::new() }
    }

    /// Notes an hour that has begun. A row that only goes was let go by its view's retention; it
    /// stays here.
    fn note(
        &mut self,
        at: Timestamp,
        (feeder, bus): (String, String),
        hour_at: Timestamp,
        hour: Hour,
    ) {
        if hour_at < at && hour.kw.is_finite() {
            let hours = self.feeders.entry(feeder).or_default().entry(bus).or_default();
            hours.0.insert(hour_at.0 / HOUR_MS, hour);
        }
    }

    fn forget(&mut self, present: u64) {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        for nodes in self.feeders.values_mut() {
            nodes.retain(|_, hours| {
                hours.0 = hours.0.split_off(&from);
                !hours.0.is_empty()
            });
        }
        self.feeders.retain(|_, nodes| !nodes.is_empty());
    }

    fn issue(&self, at: Timestamp, present: u64) -> Vec<Forecast> {
        let mut rows = Vec::new();
        for (feeder_id, nodes) in &self.feeders {
            let mut sum = vec![0.0; present.min(HISTORY_HOURS as u64) as usize];
            let mut known_from = sum.len();
            let mut all = Basis::default();
            for (bus_id, hours) in nodes {
                let past = hours.before(present);
                let basis = Basis::of(hours, present);
                all.add(basis);
                let first = past.iter().position(|kw| !kw.is_nan()).unwrap_or(past.len());
                known_from = known_from.min(first);
                add(&mut sum, &past);
                let subject = ("node", bus_id.as_str(), feeder_id.as_str());
                forecast(at, present, subject, (&past, basis), &mut rows);
            }
            sum[..known_from].fill(f64::NAN);
            let subject = ("feeder", feeder_id.as_str(), feeder_id.as_str());
            forecast(at, present, subject, (&sum, all), &mut rows);
        }
        rows
    }
}

fn forecast(
    at: Timestamp,
    present: u64,
    (scope, subject_id, feeder_id): (&str, &str, &str),
    (past_kw, basis): (&[f64], Basis),
    rows: &mut Vec<Forecast>,
) {
    let saw = basis.saw(at, past_kw);
    rows.extend(points(past_kw).into_iter().map(|point| Forecast {
        scope: scope.to_owned(),
        subject_id: subject_id.to_owned(),
        feeder_id: feeder_id.to_owned(),
        issued_at: at,
        target_at: Timestamp((present + point.hour as u64) * HOUR_MS),
        p10_kw: point.p10_kw,
        p50_kw: point.p50_kw,
        p90_kw: point.p90_kw,
        model_version: MODEL_VERSION.to_owned(),
        saw: saw.clone(),
    }));
}

impl Kernel for ForecastKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![InputSpec::by_feeder::<LoadHistory>(), InputSpec::by_feeder::<NodeHour>()]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Forecast>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        for row in changes[0].events::<LoadHistory>() {
            let hour = Hour { kw: row.net_load_kw, measured: false };
            self.note(at, (row.feeder_id, row.bus_id), row.hour_at, hour);
        }
        for row in changes[1].events::<NodeHour>() {
            let hour = Hour { kw: row.net_load_kw, measured: true };
            self.note(at, (row.feeder_id, row.bus_id), row.hour_at, hour);
        }
        // The first tick at or after each quarter, whatever the step.
        if at.0 % self.settings.issue_every_ms >= self.settings.step_ms {
            return vec![Forecast::to_batch(&[])];
        }
        let present = at.0 / HOUR_MS;
        self.forget(present);
        vec![Forecast::to_batch(&self.issue(at, present))]
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        save_by_key(&self.feeders)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.feeders, memory)
    }
}
