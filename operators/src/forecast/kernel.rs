//! The judgement of [`forecast`](super): keeps hours, and issues each quarter of an hour.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use forecast::calendar::Holidays;
use schemas::decision::Alarm;
use schemas::decision::ModelVersion;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::reference::LoadHistory;
use schemas::relation::Relation;
use schemas::state::NodeHour;
use schemas::state::SharedMeterHour;
use schemas::state::WeatherAhead;
use schemas::state::WeatherHour;
use schemas::time::DAY_MS;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::because;
use super::feeder::Feeder;
use super::feeder::Hour;
use super::feeder::News;
use super::plant;
use super::rows::Draft;
use super::rows::FeederHour;
use super::rows::Outlook;
use super::zones::ABOVE;
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
    holidays: Holidays,

    feeders: BTreeMap<String, Feeder>,
}

impl ForecastKernel {
    /// A forecaster without a past.
    pub fn new(settings: Settings) -> ForecastKernel {
        let holidays = settings.holidays();
        ForecastKernel { settings, holidays, feeders: BTreeMap::new() }
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

    /// Takes in what changed.
    fn learn(&mut self, at: Timestamp, changes: &[Change]) {
        for row in changes[0].events::<LoadHistory>() {
            let hour = Hour { kw: row.net_load_kw, measured: false };
            self.note(at, (row.feeder_id, row.bus_id), row.hour_at, hour);
        }
        // Before their nodes: what a node lacks of them it does not learn.
        self.learn_meters(at, &changes[6]);
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
    }

    /// Takes in what is known of meters that share their nodes.
    fn learn_meters(&mut self, at: Timestamp, meters: &Change) {
        let hour = |row: &SharedMeterHour| (row.meter_id.clone(), row.hour_at);
        let came: BTreeSet<(String, Timestamp)> =
            meters.events::<SharedMeterHour>().map(|row| hour(&row)).collect();
        // An hour of today that goes and does not come again is of a meter that shares its node no
        // more; an older one was let go by its view's retention.
        let young = |row: &SharedMeterHour| row.hour_at.plus(DAY_MS) > at;
        for row in meters.gone::<SharedMeterHour>().filter(young) {
            if !came.contains(&hour(&row))
                && let Some(feeder) = self.feeders.get_mut(&row.feeder_id)
            {
                feeder.part(&row.bus_id, &row.meter_id);
            }
        }
        for row in meters.events::<SharedMeterHour>() {
            if row.hour_at < at && row.active_power_kw.is_finite() {
                let feeder = self.feeders.entry(row.feeder_id).or_default();
                let hour = row.hour_at.0 / HOUR_MS;
                feeder.note_meter(row.bus_id, row.meter_id, hour, row.active_power_kw);
            }
        }
    }

    /// Does what people order; gives what is told of it.
    fn obey(&mut self, at: Timestamp, orders: &Change) -> Vec<ModelVersion> {
        let mut orders: Vec<ModelOrder> = orders.events().collect();
        let elsewhere = |scope: &str| ABOVE.contains(&scope) || scope == plant::fleet::SCOPE;
        orders.retain(|order| !elsewhere(&order.scope));
        orders.sort_by_cached_key(|row| (row.ordered_at, row.order_id.clone()));
        let obey = |order: &ModelOrder| match self.feeders.get_mut(&order.feeder_id) {
            Some(feeder) => feeder.order(at, order),
            None => adapt::obey(at, order, None),
        };
        orders.iter().flat_map(obey).collect()
    }

    #[cfg(test)]
    pub(crate) fn moved_kw(&self, feeder: &str) -> f64 {
        self.feeders[feeder].moved_kw()
    }

    /// An hour that a node's model was told, NaN where it is missing.
    #[cfg(test)]
    pub(crate) fn hour_kw(&self, feeder: &str, bus: &str, hour: u64) -> f32 {
        self.feeders[feeder].hour_kw(bus, hour)
    }

    /// The forecasts of one feeder, and what it says upwards.
    fn issue(&mut self, at: Timestamp, feeder_id: &str, given: &mut Given) {
        let feeder = self.feeders.get_mut(feeder_id).expect("it is one of those that there are");
        let present = at.0 / HOUR_MS;
        let hour_at = |ahead: usize| Timestamp((present + ahead as u64) * HOUR_MS);
        if self.settings.issues_at(at) {
            feeder.turn_back();
        }
        feeder.advance(present, feeder_id, &self.holidays);
        let (answers, rise) = feeder.answers(at, present, feeder_id);
        for answer in &answers {
            let points = answer.points.iter().zip(&answer.parts);
            given.drafts.extend(points.map(|(point, parts)| Draft {
                scope: answer.scope.to_owned(),
                subject_id: answer.subject_id.clone(),
                feeder_id: feeder_id.to_owned(),
                issued_at: at,
                target_at: hour_at(point.hour),
                p10_kw: point.p10_kw,
                p50_kw: point.p50_kw,
                p90_kw: point.p90_kw,
                model_version: answer.model_version.clone(),
                because: because::words(parts),
                because_kw: because::sum(parts),
                saw: answer.saw.clone(),
                share: answer.shares[point.hour],
            }));
        }
        let whole = answers.last().expect("the feeder is always there");
        let risen = whole.points.iter().filter_map(|point| Some((point, rise[point.hour]?)));
        given.outlooks.extend(risen.map(|(point, rise)| Outlook {
            feeder_id: feeder_id.to_owned(),
            target_at: hour_at(point.hour),
            base_kw: rise.base_kw,
            variance_kw2: rise.variance_kw2,
            p10_kw: point.p10_kw,
            p50_kw: point.p50_kw,
            p90_kw: point.p90_kw,
            share: whole.shares[point.hour],
            model_version: whole.model_version.clone(),
        }));
        given.hours.extend(feeder.take_hours().into_iter().map(|(hour, kw)| FeederHour {
            feeder_id: feeder_id.to_owned(),
            hour_at: Timestamp(hour * HOUR_MS),
            net_load_kw: Some(kw).filter(|kw| kw.is_finite()),
        }));
        let News { versions, alarms } = feeder.news(at, feeder_id);
        given.told.versions.extend(versions);
        given.told.alarms.extend(alarms);
    }
}

/// What is given at a tick.
#[derive(Default)]
struct Given {
    drafts: Vec<Draft>,
    outlooks: Vec<Outlook>,
    hours: Vec<FeederHour>,
    told: News,
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
            InputSpec::by_feeder::<SharedMeterHour>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![
            OutputSpec::of::<Draft>(),
            OutputSpec::of::<Alarm>(),
            OutputSpec::of::<ModelVersion>(),
            OutputSpec::of::<Outlook>(),
            OutputSpec::of::<FeederHour>(),
        ]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        self.learn(at, changes);
        let mut given = Given::default();
        let due = self.settings.issues_at(at);
        if due {
            self.feeders.retain(|_, feeder| !feeder.forget(at.0 / HOUR_MS));
        }
        let restate_kw = self.settings.forecast_restate_kw;
        let moved = |feeder: &Feeder| due || feeder.moved_kw() >= restate_kw;
        let issued = self.feeders.iter().filter(|(_, feeder)| moved(feeder));
        let issued: Vec<String> = issued.map(|(id, _)| id.clone()).collect();
        for feeder_id in issued {
            self.issue(at, &feeder_id, &mut given);
        }
        // Not before: a version that is gone back to has time until the next quarter.
        given.told.versions.extend(self.obey(at, &changes[5]));
        vec![
            Draft::to_batch(&given.drafts),
            Alarm::to_batch(&given.told.alarms),
            ModelVersion::to_batch(&given.told.versions),
            Outlook::to_batch(&given.outlooks),
            FeederHour::to_batch(&given.hours),
        ]
    }

    fn needs_every_tick(&self) -> bool {
        true
    }

    fn save(&self) -> Memory {
        save_by_key(&self.feeders)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.feeders, memory)?;
        // They may have been saved under another setting.
        self.feeders.values_mut().for_each(|feeder| feeder.keep_holidays(&self.holidays));
        Ok(())
    }
}
