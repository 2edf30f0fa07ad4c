//! The judgement of [`forecast`](super): keeps hours, and issues each quarter of an hour.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::feeder::Feeder;
use super::feeder::Hour;
use super::feeder::News;
use crate::adapt;
use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;

/// Issues forecasts; see [`super`].
pub struct ForecastKernel {
    settings: Settings,

    feeders: BTreeMap<String, Feeder>,
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
            let feeder = self.feeders.entry(feeder).or_default();
            feeder.note(bus, hour_at.0 / HOUR_MS, hour);
        }
    }

    /// Takes in what changed; gives what is told of orders.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) -> Vec<ModelVersion> {
        for row in changes[0].events::<LoadHistory>() {
            let hour = Hour { kw: row.net_load_kw, measured: false };
            self.note(at, (row.feeder_id, row.bus_id), row.hour_at, hour);
        }
        for row in changes[1].events::<NodeHour>() {
            let hour = Hour { kw: row.net_load_kw, measured: true };
            self.note(at, (row.feeder_id, row.bus_id), row.hour_at, hour);
        }
        for row in changes[2].events::<WeatherHour>() {
            let feeder = self.feeders.entry(row.feeder_id.clone()).or_default();
            feeder.weather_mut().see(at, &row);
        }
        for row in changes[3].events::<WeatherAhead>() {
            let feeder = self.feeders.entry(row.feeder_id.clone()).or_default();
            feeder.weather_mut().expect(at, &row);
        }
        let mut annotations: Vec<LoadAnnotation> = changes[4].events().collect();
        annotations.sort_by_cached_key(|row| (row.announced_at, row.annotation_id.clone()));
        for row in annotations {
            self.feeders.entry(row.feeder_id.clone()).or_default().annotate(row);
        }
        let mut orders: Vec<ModelOrder> = changes[5].events().collect();
        orders.sort_by_cached_key(|row| (row.ordered_at, row.order_id.clone()));
        let obey = |order: &ModelOrder| match self.feeders.get_mut(&order.feeder_id) {
            Some(feeder) => feeder.order(at, order),
            None => adapt::obey(at, order, None, &[]),
        };
        orders.iter().flat_map(obey).collect()
    }

    #[cfg(test)]
    pub(crate) fn moved_kw(&self, feeder: &str) -> f64 {
        self.feeders[feeder].moved_kw()
    }

    /// The forecasts of one feeder.
    fn issue(at: Timestamp, feeder_id: &str, feeder: &mut Feeder, rows: &mut Vec<Forecast>) {
        let present = at.0 / HOUR_MS;
        feeder.advance(present);
        for answer in feeder.answers(at, present, feeder_id) {
            rows.extend(answer.points.iter().map(|point| Forecast {
                scope: answer.scope.to_owned(),
                subject_id: answer.subject_id.clone(),
                feeder_id: feeder_id.to_owned(),
                issued_at: at,
                target_at: Timestamp((present + point.hour as u64) * HOUR_MS),
                p10_kw: point.p10_kw,
                p50_kw: point.p50_kw,
                p90_kw: point.p90_kw,
                model_version: answer.model_version.clone(),
                saw: answer.saw.clone(),
            }));
        }
    }
}

impl Kernel for ForecastKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<LoadHistory>(),
            InputSpec::by_feeder::<NodeHour>(),
            InputSpec::by_feeder::<WeatherHour>(),
            InputSpec::by_feeder::<WeatherAhead>(),
            InputSpec::by_feeder::<LoadAnnotation>(),
            InputSpec::by_feeder::<ModelOrder>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<Forecast>(),
            OutputSpec::of::<Alarm>(),
            OutputSpec::of::<ModelVersion>(),
        ]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let mut told = News { versions: self.learn(at, changes), alarms: Vec::new() };
        // The first tick at or after each quarter, whatever the step.
        let due = at.0 % self.settings.issue_every_ms < self.settings.step_ms;
        if due {
            self.feeders.retain(|_, feeder| !feeder.forget(at.0 / HOUR_MS));
        }
        let mut rows = Vec::new();
        for (feeder_id, feeder) in &mut self.feeders {
            if due || feeder.moved_kw() >= self.settings.forecast_restate_kw {
                Self::issue(at, feeder_id, feeder, &mut rows);
                let News { versions, alarms } = feeder.news(at, feeder_id);
                told.versions.extend(versions);
                told.alarms.extend(alarms);
            }
        }
        vec![
            Forecast::to_batch(&rows),
            Alarm::to_batch(&told.alarms),
            ModelVersion::to_batch(&told.versions),
        ]
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
