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

/// Mean net load in kW by hour, counted from the epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hours(BTreeMap<u64, f64>);

impl Hours {
    /// The hours before `present`, oldest first, NaN where unknown.
    fn before(&self, present: u64) -> Vec<f64> {
        let from = present.saturating_sub(HISTORY_HOURS as u64);
        (from..present).map(|hour| self.0.get(&hour).copied().unwrap_or(f64::NAN)).collect()
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
    fn note(&mut self, at: Timestamp, feeder: String, bus: String, hour_at: Timestamp, kw: f64) {
        if hour_at < at && kw.is_finite() {
            let hours = self.feeders.entry(feeder).or_default().entry(bus).or_default();
            hours.0.insert(hour_at.0 / HOUR_MS, kw);
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
            for (bus_id, hours) in nodes {
                let past = hours.before(present);
                let first = past.iter().position(|kw| !kw.is_nan()).unwrap_or(past.len());
                known_from = known_from.min(first);
                add(&mut sum, &past);
                forecast(at, present, ("node", bus_id, feeder_id), &past, &mut rows);
            }
            sum[..known_from].fill(f64::NAN);
            forecast(at, present, ("feeder", feeder_id, feeder_id), &sum, &mut rows);
        }
        rows
    }
}

fn forecast(
    at: Timestamp,
    present: u64,
    (scope, subject_id, feeder_id): (&str, &str, &str),
    past_kw: &[f64],
    rows: &mut Vec<Forecast>,
) {
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
            self.note(at, row.feeder_id, row.bus_id, row.hour_at, row.net_load_kw);
        }
        for row in changes[1].events::<NodeHour>() {
            self.note(at, row.feeder_id, row.bus_id, row.hour_at, row.net_load_kw);
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
